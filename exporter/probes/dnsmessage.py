"""Messages of DNS: a question into bytes, and bytes that anybody may have sent into an answer. Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "OPT": 41, "ANY": 255,
    "CAA": 257,
}  # fmt: skip
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
# Of all sections together.
RECORDS_MAX = 1_000
NAME_BYTES_MAX = 255
# A name refers to what stands before it at most so often.
REFERENCES_MAX = 64
# What we say that we take over UDP.
PAYLOAD_BYTES = 1_232

_NAMES = {number: name for name, number in TYPES.items()}
_HEADER = struct.Struct("!6H")
_FIXED = struct.Struct("!HHIH")
_INTERNET = 1
_IS_ANSWER, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0100


class Malformed(ValueError):
    """Bytes that are no message."""


class Record(NamedTuple):
    type: str
    text: str
    serial: int | None = None


class Message(NamedTuple):
    identifier: int
    is_answer: bool
    truncated: bool
    rcode: str
    question: tuple[str, int] | None
    answer: Sequence[Record]
    authority: Sequence[Record]
    additional: Sequence[Record]


def question(identifier: int, name: str, kind: str, *, recursion_desired: bool) -> bytes:
    labels = [] if name == "." else [label.encode("ascii") for label in name.removesuffix(".").split(".")]
    written = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    flags = _RECURSION_DESIRED if recursion_desired else 0
    # One question, and one record besides: how much we take (EDNS).
    edns = b"\0" + _FIXED.pack(TYPES["OPT"], PAYLOAD_BYTES, 0, 0)
    head = _HEADER.pack(identifier, flags, 1, 0, 0, 1)
    return head + written + struct.pack("!HH", TYPES[kind], _INTERNET) + edns


def parse(data: bytes) -> Message:
    """Raises Malformed."""
    try:
        return _parse(data)
    except (struct.error, IndexError):
        raise Malformed("cut off") from None


def _parse(data: bytes) -> Message:
    identifier, flags, questions, *counts = _HEADER.unpack_from(data)
    place, asked = _HEADER.size, None
    if questions > 1 or sum(counts) > RECORDS_MAX:
        raise Malformed("more than one question, or too many records")
    if questions:
        name, place = _name(data, place)
        (kind, _) = struct.unpack_from("!HH", data, place)
        asked, place = (name.lower(), kind), place + 4
    sections: list[list[Record]] = []
    for count in counts:
        records: list[Record] = []
        for _ in range(count):
            record, place = _record(data, place)
            if record is not None:
                records.append(record)
        sections.append(records)
    rcode = flags & 0x000F
    return Message(
        identifier,
        bool(flags & _IS_ANSWER),
        bool(flags & _TRUNCATED),
        RCODES[rcode] if rcode < len(RCODES) else f"RCODE{rcode}",
        asked,
        *sections,
    )


def _name(data: bytes, place: int) -> tuple[str, int]:
    """The name that begins here, with the dot of the root, and where it ends."""
    labels: list[str] = []
    end, size, references = 0, 0, 0
    while length := data[place]:
        if length & 0xC0 == 0xC0:
            references += 1
            before = place
            place, end = ((length & 0x3F) << 8) | data[place + 1], end or place + 2
            if references > REFERENCES_MAX or place >= before:
                raise Malformed("a name that refers to itself")
            continue
        if length & 0xC0:
            raise Malformed("a label of an unknown kind")
        label = data[place + 1 : place + 1 + length]
        size += length + 1
        if len(label) < length or size > NAME_BYTES_MAX:
            raise Malformed("a name that is cut off, or too long")
        labels.append(
            "".join(chr(each) if 33 <= each < 127 and each not in b'."\\' else f"\\{each:03d}" for each in label)
        )
        place += 1 + length
    return ".".join(labels) + ".", end or place + 1


def _record(data: bytes, place: int) -> tuple[Record | None, int]:
    """None for what is no record but says something about the message."""
    name, place = _name(data, place)
    number, _, ttl, length = _FIXED.unpack_from(data, place)
    start = place + _FIXED.size
    end = start + length
    if end > len(data):
        raise Malformed("a record that is cut off")
    if number == TYPES["OPT"]:
        return None, end
    kind = _NAMES.get(number, f"TYPE{number}")
    text, serial = _content(kind, data, start, end)
    return Record(kind, f"{name}\t{ttl}\tIN\t{kind}\t{text}", serial), end


def _content(kind: str, data: bytes, start: int, end: int) -> tuple[str, int | None]:
    match kind:
        case "A" | "AAAA":
            if end - start != (4 if kind == "A" else 16):
                raise Malformed("an address of another length")
            return str(ip_address(data[start:end])), None
        case "NS" | "CNAME" | "PTR":
            return _name(data, start)[0], None
        case "MX":
            return f"{struct.unpack_from('!H', data, start)[0]} {_name(data, start + 2)[0]}", None
        case "SRV":
            priority, weight, port = struct.unpack_from("!3H", data, start)
            return f"{priority} {weight} {port} {_name(data, start + 6)[0]}", None
        case "SOA":
            primary, place = _name(data, start)
            mailbox, place = _name(data, place)
            numbers = struct.unpack_from("!5I", data, place)
            return f"{primary} {mailbox} {' '.join(map(str, numbers))}", numbers[0]
        case "TXT":
            texts = []
            while start < end:
                texts.append(f'"{_shown(data[start + 1 : min(end, start + 1 + data[start])])}"')
                start += 1 + data[start]
            return " ".join(texts), None
        case "CAA":
            tag = data[start + 1]
            named = _shown(data[start + 2 : start + 2 + tag])
            return f'{data[start]} {named} "{_shown(data[start + 2 + tag : end])}"', None
        case _:
            return f"\\# {end - start} {data[start:end].hex()}", None


def _shown(data: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\{each:03d}" for each in data)
