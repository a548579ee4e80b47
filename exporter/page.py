"""From roles and wishes to the finished bytes of a page.

Scrapers that share a run and want the same share one page: it is written and compressed once. A page of a machine is
written where it is asked for, as its lines are there already from the threads of the collectors. A large one (an
application with a million series) is written in a thread of its own, piece by piece, so that other doors are answered
meanwhile. A page is whole, or there is none; what a page holds is not kept after it.
"""

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from isal import isal_zlib

from exporter.exposition import page as parts_of_page
from exporter.family import Family
from exporter.layout import PIECE_SERIES
from exporter.negotiation import Wishes
from exporter.outcome import Names, Quarantined, Snapshot
from exporter.pool import Pool
from exporter.roles import Role

# A page of more lines is written in a thread of its own.
QUICK_SERIES_MAX = 5_000
# The smallest page is mostly repetition: the fastest level takes away nine tenths of it already.
GZIP_LEVEL = 1
# zlib's number for the format of gzip; the head has no time in it, so the same page is the same bytes.
GZIP_WINDOW = 31
BLOCK_BYTES = 1 << 17
# Among the pages of a snapshot: it has been seen to that its samples go slowly.
LET_GO = None
PLAIN = {"Vary": "Accept, Accept-Encoding"}
COMPRESSED = {**PLAIN, "Content-Encoding": "gzip"}


# Puts together what several roles say; and whose names are taken.
Together = Callable[[], tuple[Sequence[Family], Sequence[Quarantined]]]


class Page(NamedTuple):
    body: bytes
    content_type: str
    headers: dict[str, str]


class Pages:
    """Belongs to one event loop. `quarantined` is told the role of a family whose name another role has."""

    def __init__(self, *, quarantined: Callable[[str], None]) -> None:
        self._quarantined = quarantined
        self._judges: dict[tuple[str, ...], Names] = {}
        self._pool = Pool("tocsin-page")

    async def page(self, roles: Sequence[Role], wishes: Wishes) -> Page:
        """Everything that these roles have to say. Where two have a family of one name, it is the first one's."""
        gathered = {role.name: await role.gather(wishes) for role in roles}
        names = tuple(gathered)
        shared = gathered[names[0]].pages
        key = (names, wishes.form, wishes.escaping, wishes.gzip)
        body = shared.get(key)
        if body is None:
            together = partial(_together, self._judges.setdefault(names, Names()), gathered)
            if sum(family.size for each in gathered.values() for family in each.families) > QUICK_SERIES_MAX:
                for snapshot in gathered.values():
                    self._let_go_slowly(snapshot)
                body = self._written_elsewhere(together, wishes)
            else:
                body = self._written_here(together, wishes)
            shared[key] = body
        # Whoever goes away does not take the page from the others.
        return Page(await asyncio.shield(body), wishes.content_type, COMPRESSED if wishes.gzip else PLAIN)

    def _written_here(self, together: Together, wishes: Wishes) -> asyncio.Future[bytes]:
        body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        families, clashes = together()
        self._count(clashes)
        body.set_result(written(families, wishes))
        return body

    def _written_elsewhere(self, together: Together, wishes: Wishes) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        body: asyncio.Future[bytes] = loop.create_future()

        def write() -> None:
            """In a thread of the pool. The loop may be gone: then the process is ending and nobody waits."""
            try:
                families, clashes = together()
                settle = partial(self._settle, body, clashes, written(families, wishes))
            except BaseException as error:  # noqa: BLE001 - it belongs to those who wait
                settle = partial(_fail, body, error)
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle)

        self._pool.submit(write)
        return body

    def _settle(self, body: asyncio.Future[bytes], clashes: Iterable[Quarantined], found: bytes) -> None:
        self._count(clashes)
        if not body.done():
            body.set_result(found)

    def _count(self, clashes: Iterable[Quarantined]) -> None:
        for clash in clashes:
            self._quarantined(clash.collector)

    def _let_go_slowly(self, snapshot: Snapshot) -> None:
        """Who drops a million samples at once holds up everybody. So the thread of the pages has them too, and drops
        them some at a time when nobody else needs them any more.
        """
        if LET_GO not in snapshot.pages:
            samples = [list(family.samples) for family in snapshot.families if len(family.samples) > PIECE_SERIES]
            snapshot.pages[LET_GO] = True
            held: list[list[Any]] = [list(snapshot.families), *samples]
            weakref.finalize(snapshot, self._pool.submit, partial(_let_go, held)).atexit = False


def _together(judge: Names, gathered: Mapping[str, Snapshot]) -> tuple[Sequence[Family], Sequence[Quarantined]]:
    """What several roles say. One alone has seen to its names itself."""
    offers = {name: each.families for name, each in gathered.items()}
    return judge.without_clashes(offers) if len(offers) > 1 else (next(iter(offers.values())), ())


def written(families: Iterable[Family], wishes: Wishes) -> bytes:
    blocks = _blocks(parts_of_page(families, wishes.form, wishes.escaping))
    if not wishes.gzip:
        return b"".join(blocks)
    squeeze = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, GZIP_WINDOW)
    return b"".join([*map(squeeze.compress, blocks), squeeze.flush()])


def _blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Enough at once to be worth a call, and never so much that others wait for it."""
    block: list[bytes] = []
    size = 0
    for part in parts:
        block.append(part)
        size += len(part)
        if size >= BLOCK_BYTES:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)


def _let_go(held: list[list[Any]]) -> None:
    for each in held:
        while each:
            del each[-PIECE_SERIES:]


def _fail(body: asyncio.Future[bytes], error: BaseException) -> None:
    if not body.done():
        body.set_exception(error)
