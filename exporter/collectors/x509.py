"""When certificates are valid: read from their bytes, PEM or DER. Nothing is verified, nothing else of them is read.

A certificate is a tree of values, each with its kind, its length and its bytes (DER). The path to the two times is
always the same, so only that path is walked.
"""

import re
from base64 import b64decode
from binascii import Error
from datetime import UTC, datetime
from typing import NamedTuple

from exporter.collectors.files import Malformed

# Of one file; the bundles of all that a system trusts have fewer than 200.
CERTIFICATES_MAX = 500

SEQUENCE, INTEGER, UTC_TIME, GENERALIZED_TIME, VERSION = 0x30, 0x02, 0x17, 0x18, 0xA0
# There is no dash in base64: so where the end is missing, the file is not searched to its end for each beginning.
PEM = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]*)-----END")
# A length in more bytes is that of no certificate.
LENGTH_BYTES = 4
EXPECTED = "a certificate, PEM or DER"


class Validity(NamedTuple):
    """Seconds since 1970."""

    not_before: float
    not_after: float


class _Value(NamedTuple):
    kind: int
    content: bytes
    end: int


def validities(content: bytes, where: str = "certificate") -> list[Validity]:
    """Of all certificates of a file, at least one. Raises Malformed, which repeats nothing of it."""
    if b"-----BEGIN " not in content:
        return [_validity(content, where)]
    found: list[Validity] = []
    for match in PEM.finditer(content):
        if len(found) >= CERTIFICATES_MAX:
            raise Malformed(where, found="more certificates", expected=f"at most {CERTIFICATES_MAX}")
        try:
            decoded = b64decode(match[1])
        except Error:
            raise _malformed(where) from None
        found.append(_validity(decoded, where))
    if not found:
        raise _malformed(where)
    return found


def _validity(content: bytes, where: str) -> Validity:
    try:
        signed = _value(_value(content, 0, SEQUENCE).content, 0, SEQUENCE).content
        place = 0
        if signed[:1] == bytes([VERSION]):
            place = _value(signed, 0, VERSION).end
        for kind in (INTEGER, SEQUENCE, SEQUENCE):  # the serial number, the algorithm, who has issued it
            place = _value(signed, place, kind).end
        times = _value(signed, place, SEQUENCE).content
        first = _value(times, 0)
        second = _value(times, first.end)
        return Validity(_moment(first), _moment(second))
    except (ValueError, IndexError):
        raise _malformed(where) from None


def _value(content: bytes, place: int, kind: int | None = None) -> _Value:
    """The one that begins there. Raises ValueError or IndexError where there is none of this kind."""
    found = content[place]
    if kind is not None and found != kind:
        raise ValueError
    length, begin = content[place + 1], place + 2
    if length >= 0x80:
        size = length - 0x80
        if not 1 <= size <= LENGTH_BYTES:
            raise ValueError
        length, begin = int.from_bytes(content[begin : begin + size]), begin + size
    if begin + length > len(content):
        raise ValueError
    return _Value(found, content[begin : begin + length], begin + length)


def _moment(value: _Value) -> float:
    """Two digits of a year are those from 1950 to 2049, as RFC 5280 says."""
    text = value.content.decode("ascii")
    if not (text.endswith("Z") and text[:-1].isdigit()):
        raise ValueError
    if value.kind == UTC_TIME and len(text) == 13:
        text = ("20" if text[:2] < "50" else "19") + text
    elif value.kind != GENERALIZED_TIME or len(text) != 15:
        raise ValueError
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _malformed(where: str) -> Malformed:
    return Malformed(where, found="something else", expected=EXPECTED)
