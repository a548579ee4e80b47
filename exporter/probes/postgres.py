"""Does a PostgreSQL server serve? Its own handshake, and a login where we have a password.

Without one, a server that asks for it is there and takes connections: that is a success. A server that starts, stops or
recovers says so in its first words.
"""

from __future__ import annotations

import hashlib
import struct

from exporter.probes.attempt import Attempt, Failed
from exporter.probes.ground import Ground, secret_of
from exporter.probes.modules import PostgresHandshake
from exporter.probes.scram import NAME as SCRAM_NAME
from exporter.probes.scram import NotProven, Scram
from exporter.probes.settings import Module
from exporter.probes.tls import secured
from exporter.probes.wire import Wire, connected

PORT = 5432
MESSAGE_BYTES_MAX = 65_536
MESSAGES_MAX = 200

_SSL_REQUEST = struct.pack("!II", 8, 80_877_103)
_PROTOCOL = 196_608  # 3.0
_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
# By what an SQLSTATE begins with: why it fails.
_REASONS = {
    "57P03": "not_ready",
    "57P01": "not_ready",
    "57P02": "not_ready",
    "53300": "not_ready",
    "28": "authentication",
}


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    settings = module.postgres
    password = None if settings.password_file is None else secret_of(settings.password_file)
    place = await ground.place(
        attempt, target, port=PORT, prefer=settings.preferred_ip_protocol, fall_back=settings.ip_protocol_fallback
    )
    async with connected(place) as wire:
        if settings.tls:
            wire.send(_SSL_REQUEST)
            if await wire.exactly(1) != b"S":
                raise Failed("tls", "the server does not speak TLS")
            await secured(attempt, wire, ground.contexts, settings.tls_config, host=place.host)
        wire.send(_start_up(settings))
        talk = _Talk(attempt, wire, settings, password)
        if await talk.until_ready():
            await talk.look_at_role()
        elif settings.role:
            raise Failed("authentication", "it asks for a password before it tells its role, and there is none")
        wire.send(_message(b"X"))


def _start_up(settings: PostgresHandshake) -> bytes:
    fields = {"user": settings.user, "database": settings.database or settings.user, "application_name": "tocsin"}
    written = b"".join(f"{name}\0{value}\0".encode() for name, value in fields.items()) + b"\0"
    return struct.pack("!II", len(written) + 8, _PROTOCOL) + written


def _message(kind: bytes, content: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(content) + 4) + content


class _Talk:
    def __init__(self, attempt: Attempt, wire: Wire, settings: PostgresHandshake, password: str | None) -> None:
        self._attempt = attempt
        self._wire = wire
        self._settings = settings
        self._password = password
        self._scram: Scram | None = None
        self._messages = 0

    async def until_ready(self) -> bool:
        """Whether we are logged in; if not, we have no password, and are asked for one. Raises Failed."""
        while True:
            kind, content = await self._next()
            match kind:
                case b"R":
                    if not self._authenticate(content):
                        return False
                case b"S":
                    self._note_version(content)
                case b"Z":
                    self._attempt.note("logged in, and ready for a query")
                    return True
                case b"K" | b"N" | b"v":  # a key to cancel by, a notice, an older protocol
                    pass
                case _:
                    raise Failed("protocol", "no handshake of PostgreSQL")

    async def look_at_role(self) -> None:
        """Raises Failed."""
        self._wire.send(_message(b"Q", b"SELECT pg_is_in_recovery()\0"))
        found = b""
        while True:
            kind, content = await self._next()
            if kind == b"D":
                found = content[-1:]
            if kind == b"Z":
                break
        if found not in (b"t", b"f"):
            raise Failed("protocol", "the query for the role has no answer")
        standby = found == b"t"
        self._attempt.gauge("probe_postgres_in_recovery", "1 if the server is a standby.", float(standby))
        role = "standby" if standby else "primary"
        self._attempt.note(f"it is a {role}")
        if self._settings.role not in ("", role):
            raise Failed("status", f"it is a {role}, expected a {self._settings.role}")

    async def _next(self) -> tuple[bytes, bytes]:
        """One message. Raises Failed, also for an error that the server says."""
        self._messages += 1
        if self._messages > MESSAGES_MAX:
            raise Failed("too_large", f"more than {MESSAGES_MAX} messages")
        head = await self._wire.exactly(5)
        size = int.from_bytes(head[1:], "big") - 4
        if not head[:1].isalpha() or size < 0:
            raise Failed("protocol", "no message of PostgreSQL")
        if size > MESSAGE_BYTES_MAX:
            raise Failed("too_large", f"a message of more than {MESSAGE_BYTES_MAX} bytes")
        content = await self._wire.exactly(size)
        if head[:1] == b"E":
            raise _refused(content)
        return head[:1], content

    def _authenticate(self, content: bytes) -> bool:
        """Whether it goes on. Raises Failed."""
        code, rest = int.from_bytes(content[:4], "big"), content[4:]
        if code == _OK:
            return True
        if self._password is None:
            self._attempt.note("it asks for a password, so it serves")
            return False
        try:
            self._wire.send(self._proof(code, rest, self._password))
        except NotProven as error:
            raise Failed("authentication", f"SCRAM: {error}") from None
        return True

    def _proof(self, code: int, rest: bytes, password: str) -> bytes:
        """Raises NotProven, and Failed."""
        if code == _CLEARTEXT:
            return _message(b"p", password.encode() + b"\0")
        if code == _MD5:
            inner = hashlib.md5(f"{password}{self._settings.user}".encode(), usedforsecurity=False).hexdigest()
            outer = hashlib.md5(inner.encode() + rest[:4], usedforsecurity=False).hexdigest()
            return _message(b"p", b"md5" + outer.encode() + b"\0")
        if code == _SASL and SCRAM_NAME.encode() in rest.split(b"\0"):
            self._scram = Scram(password)
            first = self._scram.first
            return _message(b"p", SCRAM_NAME.encode() + b"\0" + struct.pack("!I", len(first)) + first)
        if code == _SASL_CONTINUE and self._scram is not None:
            return _message(b"p", self._scram.answer(rest))
        if code == _SASL_FINAL and self._scram is not None:
            self._scram.check(rest)
            return b""
        raise Failed("authentication", "it asks for a kind of login that is not there")

    def _note_version(self, content: bytes) -> None:
        name, _, rest = content.partition(b"\0")
        version = rest.partition(b"\0")[0].partition(b" ")[0].decode("ascii", "replace")[:40]
        if name == b"server_version":
            self._attempt.labelled(
                "probe_postgres_version_info", "The version that the server says.", "version", {version: 1}
            )


def _refused(content: bytes) -> Failed:
    """By the code alone: the text may repeat names."""
    fields = {part[:1]: part[1:] for part in content.split(b"\0") if part}
    code = fields.get(b"C", b"").decode("ascii", "replace")
    code = code if len(code) == 5 and code.isalnum() else "unknown"
    reason = next((why for begins, why in _REASONS.items() if code.startswith(begins)), "status")
    words = {"57P03": ": it is starting up, stopping or recovering", "53300": ": it has too many connections"}
    return Failed(reason, f"the server refuses with SQLSTATE {code}{words.get(code, '')}")
