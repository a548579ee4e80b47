"""All files of one log: which there are, and what was added to them. Works in a thread, as a file can take for ever.

A file is followed by its number, whatever its name. One that is renamed is read to its end and for a while longer, as
whoever writes may not have noticed yet. One that is emptied is read from the beginning, and the rest of what stood in
it from the copy that was made of it, if there is one beside it.
"""

from __future__ import annotations

import os
import re
import resource
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from exporter.intake.logs.backfill import Compressed
from exporter.intake.logs.file import File, Piece, Unusable, opened, resumed
from exporter.intake.logs.fingerprint import Identity, Place, mark_of
from exporter.intake.logs.search import COMPRESSED, HEAD_BYTES_MIN, copy_of, paths_of, renamed
from exporter.intake.logs.settings import Log

# Files of one log; further ones are left out and counted.
FILES_MAX = 1_000
# Of the files that the process may have open, how many of a hundred logs may have.
FILES_PERCENT_MAX = 50
# Read in one turn, unless one line is longer. About 4 ms of work for what comes after.
TURN_BYTES_MAX = 131_072
SEARCH_SECONDS = 2.0
# How long a file to which no path leads is still looked at after something was last added.
GONE_SECONDS_MAX = 30.0
# How long a file that may become a copy of one that is followed has for it.
COPY_SECONDS_MAX = 10.0


@dataclass
class Turn:
    """What one turn has brought. `more` says that there is more to be read at once."""

    blocks: list[bytes] = field(default_factory=list)
    size: int = 0
    too_long: int = 0
    more: bool = False
    rotations: int = 0
    truncations: int = 0
    errors: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    files: int = 0
    left_out: int = 0
    lag: int = 0


class Follower:
    """`places` are those of an earlier run; None at the first one. `from_end`: what is there at first is not read."""

    def __init__(self, log: Log, places: Sequence[Place] | None, *, from_end: bool) -> None:
        self.log = log
        starts = log.multiline.starts.encode() if log.multiline else b""
        self._starts = re.compile(b"^(?:" + starts + b")", re.MULTILINE) if starts else None
        self._first = places is None
        self._from_end = from_end
        self._places = {place.identity: place for place in places or () if not place.compressed}
        self._compressed = [Compressed(place) for place in places or () if place.compressed]
        self._files: dict[Identity, File] = {}
        self._paths: dict[str, Identity] = {}
        self._wrong: dict[str, str] = {}
        self._copies: set[Identity] = set()
        self._waiting: dict[Identity, float] = {}
        self._search_at = 0.0
        self._left_out = 0
        self._next = 0

    def turn(self, now: float) -> Turn:
        """`now` is of a clock that never goes back."""
        turn = Turn()
        if now >= self._search_at or self._moved():
            self._search(now, turn)
            self._search_at = now + SEARCH_SECONDS
        if self._compressed:
            self._read_compressed(turn)
        else:
            self._read(now, turn)
        turn.files = len(self._files)
        turn.left_out = self._left_out
        turn.lag = sum(file.lag for file in self._files.values())
        return turn

    def places(self) -> list[Place]:
        """How far everything was read that the turns so far have brought."""
        kept = [each.place for each in self._compressed]
        return [*kept, *self._places.values(), *(file.place() for file in self._files.values())]

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        for compressed in self._compressed:
            compressed.close()

    # --- which files there are

    def _moved(self) -> bool:
        """Whether a path leads elsewhere now."""
        return any(_identity(path) != identity for path, identity in self._paths.items())

    def _search(self, now: float, turn: Turn) -> None:
        there: dict[str, Identity] = {}
        wrong: dict[str, str] = {}
        for path in paths_of(self.log):
            if path.endswith(COMPRESSED):
                continue
            try:
                there[path] = _regular(path)
            except OSError as error:
                wrong[path] = _said(error)
        if self._first and self.log.compressed:
            self._find_compressed()
        known = [path for path, identity in there.items() if identity in self._files or identity in self._places]
        new = [path for path, identity in there.items() if identity not in self._files and path not in known]
        self._left_out = 0
        for path in (*known, *new):
            try:
                self._meet(path, there, now, turn)
            except OSError as error:
                wrong[path] = _said(error)
        # What stays wrong is told once.
        turn.errors += [text for path, text in wrong.items() if self._wrong.get(path) != text]
        self._wrong = wrong
        self._forget_the_gone({*there.values()}, now, turn)
        self._find_renamed({*there.values()}, now)
        self._paths = there
        self._first = False

    def _meet(self, path: str, there: Mapping[str, Identity], now: float, turn: Turn) -> None:
        identity = there[path]
        file = self._files.get(identity)
        if file is not None:
            if there.get(file.path) != identity:
                file.path = path
            file.gone_at = None
            return
        if identity in self._copies:
            return
        if not self._room():
            self._left_out += 1
            return
        file = self._opened(path, identity, now, turn)
        if file is not None:
            file.moved_at = now
            self._files[file.identity] = file
            turn.rotations += path in self._paths

    def _opened(self, path: str, identity: Identity, now: float, turn: Turn) -> File | None:
        place = self._places.get(identity)
        if place is not None:
            file = resumed(path, place) or opened(path, 0)
            del self._places[identity]
            if file.position < place.position:
                turn.truncations += 1
                self._follow_copy(place, path)
            return file
        if self._first:
            return opened(path, None if self._from_end else 0)
        file = opened(path, 0)
        if self._may_be_copy(file, now):
            file.close()
            return None
        return file

    def _may_be_copy(self, file: File, now: float) -> bool:
        """Of a file that is followed, and that may be emptied next: then it is read from where that one was left."""
        for other in self._files.values():
            place = other.place()
            # What has taken the place of a file is its successor, however alike they are.
            succeeds = self._paths.get(file.path) == other.identity
            if succeeds or place.head.size < HEAD_BYTES_MIN or not _could_be_a_copy(file.path, other.path):
                continue
            if file.descends_from(place):
                self._copies.add(file.identity)
                return True
            if file.begins_like(place) and now - self._waiting.setdefault(file.identity, now) < COPY_SECONDS_MAX:
                return True
        return False

    def _follow_copy(self, place: Place, path: str) -> None:
        file = copy_of(place, path)
        if file is not None and file.identity not in self._files:
            self._copies.discard(file.identity)
            file.gone_at = 0.0
            self._files[file.identity] = file
        elif file is not None:
            file.close()

    def _find_renamed(self, there: set[Identity], now: float) -> None:
        """What was followed in an earlier run, and has a name now that no path finds."""
        places = self._places
        self._places = {identity: place for identity, place in places.items() if identity in there}
        for identity, place in places.items():
            file = renamed(place) if identity not in there else None
            if file is not None:
                file.gone_at = file.moved_at = now
                self._files[file.identity] = file

    def _forget_the_gone(self, there: set[Identity], now: float, turn: Turn) -> None:
        for identity, file in sorted(self._files.items()):
            if identity in there:
                continue
            if file.gone_at is None:
                file.gone_at = now
            if not file.behind and now - max(file.gone_at, file.moved_at) >= GONE_SECONDS_MAX:
                with suppress(OSError):
                    _take(turn, file.rest() if file.lag else Piece())
                file.close()
                del self._files[identity]
        self._copies &= there
        self._waiting = {identity: since for identity, since in self._waiting.items() if identity in there}

    def _find_compressed(self) -> None:
        """The oldest first."""
        found: dict[Identity, tuple[float, Place]] = {}
        for path in paths_of(self.log):
            if path.endswith(COMPRESSED):
                with suppress(OSError):
                    identity = _regular(path)
                    nothing = mark_of(b"")
                    place = Place(path, *identity, 0, nothing, nothing, compressed=True)
                    found[identity] = (os.stat(path).st_mtime, place)
        self._compressed = [Compressed(place) for _, place in sorted(found.values())][:FILES_MAX]

    def _room(self) -> bool:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        share = FILES_MAX if limit == resource.RLIM_INFINITY else limit * FILES_PERCENT_MAX // 100
        return len(self._files) < min(FILES_MAX, share)

    # --- what was added to them

    def _read(self, now: float, turn: Turn) -> None:
        """Each turn begins with another file, so that one that grows without an end holds up no other."""
        files = list(self._files.values())
        self._next = self._next % len(files) if files else 0
        for number in range(len(files)):
            file = files[(self._next + number) % len(files)]
            left = TURN_BYTES_MAX - turn.size
            if left <= 0:
                turn.more = True
                self._next += number
                return
            try:
                piece = file.read(left, now=now, starts=self._starts)
            except OSError as error:
                turn.errors.append(_said(error))
                self._let_go(file)
                continue
            if piece.lost is not None:
                turn.truncations += 1
                self._follow_copy(piece.lost, file.path)
            _take(turn, piece)
            turn.more = turn.more or file.behind
        self._next += 1

    def _let_go(self, file: File) -> None:
        """It is met again at the next search, where it was left."""
        file.close()
        del self._files[file.identity]
        self._places[file.identity] = file.place()
        self._paths = {path: identity for path, identity in self._paths.items() if identity != file.identity}

    def _read_compressed(self, turn: Turn) -> None:
        first = self._compressed[0]
        turn.more = True
        try:
            _take(turn, first.read(TURN_BYTES_MAX, starts=self._starts))
        except OSError as error:
            turn.errors.append(_said(error))
            first.ended = True
        if first.ended:
            first.close()
            del self._compressed[0]
            turn.done.append(f"{os.path.basename(first.place.path)}, {len(self._compressed)} more to read")


def _take(turn: Turn, piece: Piece) -> None:
    if piece.whole:
        turn.blocks.append(piece.whole)
    turn.size += piece.cost
    turn.too_long += piece.too_long


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Identity(status.st_dev, status.st_ino)


def _regular(path: str) -> Identity:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise Unusable(None, "found no regular file", path)
    return Identity(status.st_dev, status.st_ino)


def _could_be_a_copy(path: str, of: str) -> bool:
    """A copy has a longer name."""
    return len(path) > len(of) and path.startswith(os.path.splitext(of)[0])


def _said(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what[:1].lower()}{what[1:]}" if error.filename else what
