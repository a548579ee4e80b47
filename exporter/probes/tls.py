"""TLS with a target: the context that a module asks for, and what the handshake has shown."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from typing import Any

from exporter.probes.attempt import Attempt, Failed
from exporter.probes.modules import Tls
from exporter.probes.targets import host_port
from exporter.probes.wire import Wire

CONTEXTS_MAX = 50

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _EXPLICIT_VERSION = 0x30, 0x17, 0x18, 0xA0


class Contexts:
    """Made anew where a file has changed; else the one from before, as the system's authorities are many."""

    def __init__(self) -> None:
        self._made: dict[Tls, tuple[tuple[object, ...], ssl.SSLContext]] = {}

    def of(self, tls: Tls) -> ssl.SSLContext:
        """Raises Failed."""
        try:
            stamp = tuple(_stamp(path) for path in (tls.ca_file, tls.cert_file, tls.key_file))
            made = self._made.get(tls)
            if made is not None and made[0] == stamp:
                return made[1]
            context = _context(tls)
        except (OSError, ValueError) as error:
            words = getattr(error, "reason", None) or getattr(error, "strerror", None) or "no PEM"
            raise Failed("secret", f"a file of tls_config cannot be used: {words}") from None
        if len(self._made) >= CONTEXTS_MAX:
            self._made.clear()
        self._made[tls] = stamp, context
        return context


def _stamp(path: str | None) -> object:
    if path is None:
        return None
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[tls.min_version]
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    return context


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise ValueError("the key has a password")


async def secured(attempt: Attempt, wire: Wire, contexts: Contexts, tls: Tls, *, host: str) -> None:
    """Speaks TLS from here on, and shows what the other end is. Raises Failed."""
    # The port that may stand behind it is for the header alone.
    called = host_port(attempt.hostname, port=1).host if attempt.hostname else host
    found = await wire.start_tls(contexts.of(tls), tls.server_name or called, seconds=attempt.left)
    version = (found.version() or "unknown").replace("TLSv", "TLS ")
    attempt.labelled("probe_tls_version_info", "The version of TLS that was spoken.", "version", {version: 1})
    expiries = [expiry for each in _chain(found) if (expiry := not_after(each)) is not None]
    if expiries:
        earliest = min(expiries)
        attempt.gauge(
            "probe_ssl_earliest_cert_expiry",
            "When the first of the certificates that were sent expires, in seconds since 1970.",
            earliest,
        )
        attempt.note(f"{version}; the first certificate expires at {datetime.fromtimestamp(earliest, UTC).isoformat()}")


def _chain(found: ssl.SSLObject) -> list[bytes]:
    """All that were sent, where this Python can tell; the server's own at least."""
    public: Any = getattr(found, "get_unverified_chain", None)
    if public is not None:  # Python 3.13
        return list(public())
    hidden: Any = getattr(getattr(found, "_sslobj", None), "get_unverified_chain", None)
    chain = hidden() if hidden is not None else None
    if chain:
        return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in chain]
    own = found.getpeercert(binary_form=True)
    return [] if own is None else [own]


def not_after(der: bytes) -> float | None:
    """When a certificate expires, in seconds since 1970; None for what is none."""
    try:
        return _not_after(der)
    except (ValueError, IndexError):
        return None


def _not_after(der: bytes) -> float:
    """Certificate, TBSCertificate: perhaps a version, serial number, algorithm, issuer, and then the validity."""
    _, certificate, _ = _element(der)
    _, rest, _ = _element(certificate)
    kind, _, after = _element(rest)
    if kind == _EXPLICIT_VERSION:
        _, _, after = _element(after)
    for _ in ("algorithm", "issuer"):
        _, _, after = _element(after)
    kind, validity, _ = _element(after)
    if kind != _SEQUENCE:
        raise ValueError("no certificate")
    _, _, after = _element(validity)
    kind, moment, _ = _element(after)
    return _seconds(kind, moment.decode("ascii"))


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Its kind, what it holds, and what comes after it."""
    kind, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    end = start + length
    if end > len(data):
        raise ValueError("cut off")
    return kind, data[start:end], data[end:]


def _seconds(kind: int, moment: str) -> float:
    if kind == _UTC_TIME:  # two digits for the year: 50 to 99 are those of the last century
        moment = ("19" if moment[:2] >= "50" else "20") + moment
    elif kind != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(moment, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
