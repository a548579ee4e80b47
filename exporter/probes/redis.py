"""Is a Redis server ready? PING in its own protocol, and what it says of its role."""

from __future__ import annotations

from typing import TypeAlias

from exporter.probes.attempt import Attempt, Failed
from exporter.probes.ground import Ground, secret_of
from exporter.probes.modules import Redis
from exporter.probes.settings import Module
from exporter.probes.tls import secured
from exporter.probes.wire import Wire, connected

PORT = 6379
LINE_BYTES_MAX = 4_096
TEXT_BYTES_MAX = 65_536
VALUES_MAX = 10_000
DEPTH_MAX = 5

Reply: TypeAlias = "str | int | list[Reply] | None"

# By the first word of an error: why it fails.
_REASONS = {
    "NOAUTH": "authentication",
    "WRONGPASS": "authentication",
    "NOPERM": "authentication",
    "DENIED": "authentication",
    "LOADING": "not_ready",
    "MASTERDOWN": "not_ready",
    "BUSY": "not_ready",
}


class _Error(Exception):
    """The first word of an error that the server says. The rest may repeat what it was given."""


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    redis = module.redis
    place = await ground.place(
        attempt, target, port=PORT, prefer=redis.preferred_ip_protocol, fall_back=redis.ip_protocol_fallback
    )
    async with connected(place) as wire:
        if redis.tls:
            await secured(attempt, wire, ground.contexts, redis.tls_config, host=place.host)
        try:
            if redis.password_file is not None:
                await _ask(wire, "AUTH", *([redis.username] if redis.username else []), secret_of(redis.password_file))
            if await _ask(wire, "PING") != "PONG":
                raise Failed("protocol", "another answer to PING than PONG")
        except _Error as error:
            word = str(error)
            raise Failed(_REASONS.get(word, "status"), f"the server answers with the error {word}") from None
        attempt.note("the answer to PING is PONG")
        await _look_at_role(attempt, wire, redis)


async def _look_at_role(attempt: Attempt, wire: Wire, redis: Redis) -> None:
    try:
        reply = await _ask(wire, "ROLE")
    except _Error as error:
        if redis.role:
            raise Failed("authentication", f"it does not tell its role: {error}") from None
        attempt.note(f"it does not tell its role: {error}")
        return
    if not isinstance(reply, list) or not reply or reply[0] not in ("master", "slave", "sentinel"):
        raise Failed("protocol", "another answer to ROLE than a role")
    role = "replica" if reply[0] == "slave" else str(reply[0])
    attempt.labelled("probe_redis_role_info", "What the server is: master, replica or sentinel.", "role", {role: 1})
    attempt.note(f"it is a {role}")
    linked = True
    if role == "replica":
        linked = len(reply) > 3 and reply[3] == "connected"
        attempt.gauge("probe_redis_master_link_up", "1 if the replica has a connection to its master.", float(linked))
    if role == "master" and len(reply) > 2 and isinstance(reply[2], list):
        attempt.gauge("probe_redis_connected_replicas", "How many replicas the master has.", len(reply[2]))
    if redis.role and role != redis.role:
        raise Failed("status", f"it is a {role}, expected a {redis.role}")
    if redis.role == "replica" and not linked:
        raise Failed("not_ready", "the replica has no connection to its master")


async def _ask(wire: Wire, *words: str) -> Reply:
    parts = [word.encode() for word in words]
    wire.send(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    return await _Reading(wire).reply(0)


class _Reading:
    """One reply, bounded in every direction."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._values = 0

    async def reply(self, depth: int) -> Reply:
        """Raises Failed, and _Error for an error that the server says."""
        self._values += 1
        if self._values > VALUES_MAX or depth > DEPTH_MAX:
            raise Failed("too_large", "a reply with too many values")
        line = await self._wire.line(LINE_BYTES_MAX)
        if not line:
            raise Failed("closed", "the connection was ended instead of an answer")
        kind, rest = line[:1], line[1:].decode("utf-8", "replace")
        match kind:
            case b"+":
                return rest
            case b"-":
                word = rest.partition(" ")[0]
                raise _Error(word if word.isascii() and word.isalpha() and len(word) <= 30 else "unknown")
            case b":":
                return _number(rest)
            case b"$":
                return await self._text(_number(rest))
            case b"*":
                count = _number(rest)
                if count > VALUES_MAX:
                    raise Failed("too_large", "a reply with too many values")
                return [await self.reply(depth + 1) for _ in range(count)] if count >= 0 else None
            case _:
                raise Failed("protocol", "no reply of Redis")

    async def _text(self, size: int) -> str | None:
        if size < 0:
            return None
        if size > TEXT_BYTES_MAX:
            raise Failed("too_large", f"a text of more than {TEXT_BYTES_MAX} bytes")
        return (await self._wire.exactly(size + 2))[:-2].decode("utf-8", "replace")


def _number(text: str) -> int:
    if len(text) > 20 or not text.removeprefix("-").isdecimal():
        raise Failed("protocol", "no reply of Redis")
    return int(text)
