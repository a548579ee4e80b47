"""The families of one kernel file that often says the same for long: they are made again only when it has changed."""

from collections.abc import Callable, Iterable, Sequence

from exporter.collectors.files import Kept
from exporter.family import Family
from exporter.outcome import Absent


class Steady:
    """`made` gets what the file says, and its path for errors. `absent` is said where there is no such file."""

    def __init__(self, path: str, made: Callable[[bytes, str], Iterable[Family]], *, absent: str) -> None:
        self._path = path
        self._made = made
        self._absent = absent
        self._kept = Kept()
        self._content: bytes | None = None
        self._families: Sequence[Family] = ()

    def families(self) -> Sequence[Family]:
        try:
            content = self._kept.read(self._path)
        except FileNotFoundError:
            raise Absent(self._absent) from None
        if content != self._content:
            self._families = tuple(self._made(content, self._path))
            self._content = content
        return self._families
