"""`filefd`: how many files the whole machine has open, and how many it may have."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape

ALLOCATED = Shape("node_filefd_allocated", "gauge", "File handles that the kernel has handed out.")
MAXIMUM = Shape("node_filefd_maximum", "gauge", "File handles that the kernel would hand out at most.")


class Filefd:
    name = "filefd"
    help = "Open files of the whole machine, from /proc/sys/fs/file-nr."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/sys/fs/file-nr"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        allocated, maximum = parse(self._kept.read_value(self._path), self._path)
        return ALLOCATED.single(allocated), MAXIMUM.single(maximum)


def parse(content: bytes, where: str = "file-nr") -> tuple[int, int]:
    """The first and the third of `1024 0 1631329`; the one between is always 0 since Linux 2.6."""
    fields = content.split()
    if len(fields) < 3 or not fields[0].isdigit() or not fields[2].isdigit():
        raise Malformed(where, found=content, expected="three whole numbers")
    return int(fields[0]), int(fields[2])
