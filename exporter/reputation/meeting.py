"""Where exporters meet: a stream in Redis, to which each adds what it decided and where each reads what others did.

Redis is nobody's memory here. Each exporter has its own list and goes on alone when Redis is away; when it is back,
each reads the stream from its beginning, and adds what the stream does not know. The same happens when the stream was
cut off, emptied, or is another one. The stream is bounded, and gone when nobody has used it for a month.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from exporter.reputation import shared
from exporter.reputation.counts import Sharing as Counts
from exporter.reputation.deed import Deed
from exporter.reputation.place import place_of, written
from exporter.reputation.reputation import Reputation
from exporter.reputation.shared import Entry, Garbage
from guard.log import Ours

log = logging.getLogger("tocsin.exporter")

# Of the stream. More than are blocked at once, as each change is an entry.
STREAM_ENTRIES_MAX = 200_000
STREAM_SECONDS = 2_592_000
# Told and read at once, so that everybody else has a turn in between.
AT_ONCE_MAX = 500
# What waits for its turn; when there is more, everything is compared anew.
WAITING_MAX = 20_000
POLL_SECONDS = 0.5
ANSWER_SECONDS_MAX = 5.0
RETRY_SECONDS_MIN = 0.5
RETRY_SECONDS_MAX = 15.0
FIELD = b"entry"
BEGINNING = b"0-0"


class Chosen(NamedTuple):
    """`url` may hold a password: it is never shown."""

    url: str
    key: str
    name: str
    ca_file: str | None


class _CutOff(Exception):
    """The stream does not reach back to where it was read: something is missing."""


class Meeting:
    """Belongs to one event loop, whose task `run` is."""

    def __init__(self, chosen: Chosen, reputation: Reputation, counts: Counts, clock: Callable[[], float]) -> None:
        self._chosen = chosen
        self._reputation = reputation
        self._counts = counts
        self._clock = clock
        # What is told while somebody listens. Else blocks are compared later, and findings are too old by then.
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._listening = False
        self._missed = False
        self._is_waiting = asyncio.Event()
        self._is_over = asyncio.Event()
        # Entries that are ours, and have not been read again yet.
        self._own: set[bytes] = set()
        self._cursor = BEGINNING
        # In a row.
        self._failures = 0

    def tell(self, entry: Entry) -> None:
        if not self._listening or len(self._waiting) >= WAITING_MAX:
            self._missed = self._listening
            self._counts.dropped += 1
            return
        self._waiting.append(_written(entry))
        self._is_waiting.set()

    def end(self) -> None:
        self._is_over.set()
        self._is_waiting.set()

    async def run(self) -> None:
        """Until it is ended. It is not cancelled, as a connection that is being made may not hear of that."""
        while not self._is_over.is_set():
            try:
                await self._once()
            except _CutOff:
                log.info("what exporters share is read from its beginning")
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end for good and in silence
                self._counts.failures += 1
                if not self._failures:
                    kind = Ours(type(error).__name__)
                    log.warning("the blocklist is not shared, this exporter goes on alone", extra={"error": kind})
                self._failures += 1
            # Doubled each time; the number of doublings is bounded as the number itself is.
            pause = min(RETRY_SECONDS_MIN * 2.0 ** min(self._failures, 10), RETRY_SECONDS_MAX)
            await _set_within(self._is_over, pause)

    async def _once(self) -> None:
        """As long as all goes well."""
        client = self._client()
        try:
            await self._sync(client)
            if self._failures:
                log.info("the blocklist is shared again")
            self._failures = 0
            while not self._is_over.is_set():
                # Until there is something to tell, or something may have come.
                await _set_within(self._is_waiting, POLL_SECONDS)
                await self._round(client)
        finally:
            await self._leave(client)

    def _client(self) -> redis.Redis:
        trust: dict[str, Any] = {} if self._chosen.ca_file is None else {"ssl_ca_certs": self._chosen.ca_file}
        return redis.Redis.from_url(
            self._chosen.url,
            protocol=2,
            socket_timeout=ANSWER_SECONDS_MAX,
            socket_connect_timeout=ANSWER_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),  # we have our own
            single_connection_client=True,
            **trust,
        )

    async def _leave(self, client: redis.Redis) -> None:
        self._listening = False
        self._counts.dropped += len(self._waiting)
        self._waiting.clear()
        self._own.clear()
        try:
            await asyncio.wait_for(client.aclose(), ANSWER_SECONDS_MAX)
        except Exception:  # noqa: BLE001 - nobody needs this connection any more
            log.debug("the connection to Redis did not end as it should")

    async def _sync(self, client: redis.Redis) -> None:
        """Everything that others know; then what they do not."""
        self._counts.syncs += 1
        self._listening, self._missed = True, False
        self._cursor = BEGINNING
        blocks: dict[str, tuple[float, float]] = {}
        releases: dict[str, float] = {}
        while entries := await self._read(client):
            for entry in entries:
                match entry:
                    case shared.SharedBlock():
                        blocks[entry.address] = entry.at, entry.until
                    case shared.SharedRelease():
                        releases[entry.address] = entry.at
                    case shared.SharedFinding():  # was taken when it came, or is too old
                        continue
                self._take(entry)
        unknown = [entry for entry in self._ours() if _is_unknown(entry, blocks, releases)]
        for start in range(0, len(unknown), AT_ONCE_MAX):
            await self._send(client, [_written(entry) for entry in unknown[start : start + AT_ONCE_MAX]])
        await self._round(client)

    def _ours(self) -> Iterator[Entry]:
        reputation, name = self._reputation, self._chosen.name
        reputation.expire(self._clock())
        for place, at in reputation.released.items():
            yield shared.release_told(written(place), at=at, by="", node=name)
        for block in reputation.blocks:
            yield shared.block_told(block, node=name)

    async def _round(self, client: redis.Redis) -> None:
        """Tells what waits, and takes what came."""
        if self._missed:
            raise _CutOff
        self._is_waiting.clear()
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE_MAX))]
            await self._send(client, some)
        oldest = await self._asked(client.xrange(self._chosen.key, count=1))
        if self._cursor != BEGINNING and (
            not oldest or _place_in_stream(oldest[0][0]) > _place_in_stream(self._cursor)
        ):
            raise _CutOff
        while entries := await self._read(client):
            for entry in entries:
                self._take(entry)
        self._counts.success_at = self._clock()

    async def _send(self, client: redis.Redis, some: Sequence[tuple[str, bytes]]) -> None:
        key = self._chosen.key
        pipe = client.pipeline(transaction=False)
        for _, data in some:
            pipe.xadd(key, {FIELD: data}, maxlen=STREAM_ENTRIES_MAX, approximate=True)
        pipe.expire(key, STREAM_SECONDS)
        *added, _ = await self._asked(pipe.execute())
        self._own.update(added)
        for kind, _ in some:
            self._counts.sent[kind] += 1

    async def _read(self, client: redis.Redis) -> list[Entry]:
        """The next ones, without our own and without what is none; an empty list where there is nothing more."""
        found: list[Entry] = []
        while not found:
            answer = await self._asked(client.xread({self._chosen.key: self._cursor}, count=AT_ONCE_MAX))
            if not answer:
                return []
            ((_, entries),) = answer.items() if isinstance(answer, dict) else answer
            for place, fields in entries:
                self._cursor = place
                if place in self._own:
                    self._own.discard(place)
                    continue
                found += self._decoded(fields)
        return found

    def _decoded(self, fields: Mapping[bytes, bytes] | None) -> list[Entry]:
        try:
            return [shared.decoded((fields or {})[FIELD])]
        except (Garbage, KeyError):
            self._counts.refused["garbage"] += 1
            return []

    def _take(self, entry: Entry) -> None:
        outcome = shared.take(self._reputation, entry, now=self._clock())
        if outcome == "news":
            self._counts.received[_kind_of(entry)] += 1
        elif outcome != "known":
            self._counts.refused[outcome] += 1

    async def _asked(self, question: Any) -> Any:
        async with asyncio.timeout(2 * ANSWER_SECONDS_MAX):
            return await question


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def told(reputation: Reputation, deed: Deed, *, node: str) -> Entry | None:
    """What others should know of it; None where it came from them, or is our own matter."""
    if deed.dry_run:
        return None
    if deed.what == "released":
        by_hand = deed.why == "by_hand"
        return shared.release_told(deed.address, at=deed.at, by=deed.by, node=node) if by_hand else None
    block = reputation.blocks.get(place_of(deed.address)) if deed.what in ("blocked", "extended") else None
    return None if block is None or block.origin == "shared" else shared.block_told(block, node=node)


def _is_unknown(entry: Entry, blocks: Mapping[str, tuple[float, float]], releases: Mapping[str, float]) -> bool:
    match entry:
        case shared.SharedBlock():
            return blocks.get(entry.address) != (entry.at, entry.until)
        case shared.SharedRelease():
            return releases.get(entry.address, 0.0) < entry.at
    return False


def _written(entry: Entry) -> tuple[str, bytes]:
    return _kind_of(entry), shared.encoded(entry)


def _kind_of(entry: Entry) -> str:
    match entry:
        case shared.SharedBlock():
            return "block"
        case shared.SharedRelease():
            return "release"
        case shared.SharedFinding():
            return "finding"


def _place_in_stream(text: bytes) -> tuple[int, int]:
    first, _, second = text.partition(b"-")
    return int(first), int(second)
