"""The lines of numbers that the kernel's NFS client and server write about themselves, in the same form."""

from collections.abc import Iterable, Mapping, Sequence

from exporter.collectors.files import DIGITS_MAX, Malformed


def methods(names: str) -> tuple[str, ...]:
    return tuple(names.split())


# Procedures in the kernel's order; nfs and nfsd share those of the versions 2 and 3.
VERSION_2 = methods(
    "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir"
    " ReadDir FsStat"
)
VERSION_3 = methods(
    "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link"
    " ReadDir ReadDirPlus FsStat FsInfo PathConf Commit"
)


def parse(content: bytes, sizes: Mapping[bytes, int], where: str) -> dict[bytes, list[int]]:
    """The first so many numbers of each line that is named; a line that is not there, is all zeros.

    A line about procedures begins with how many there are. Kernels know different ones: what one lacks is zero, and
    what it knows besides is left out.
    """
    lines = {name: [0] * size for name, size in sizes.items()}
    for line in content.split(b"\n"):
        name, *words = line.split() or [b""]
        if name in sizes:
            lines[name] = _numbers(name, words, sizes[name], line, where)
    return lines


def _numbers(name: bytes, words: list[bytes], size: int, line: bytes, where: str) -> list[int]:
    counted = name.startswith(b"proc")
    first = words[1 : size + 1] if counted else words[:size]
    complete = words[0] == b"%d" % (len(words) - 1) if counted and words else len(first) == size
    if not complete or not all(word.isdigit() and len(word) <= DIGITS_MAX for word in first):
        raise Malformed(where, found=line, expected=f"the numbers of {name.decode()}")
    return [int(word) for word in first] + [0] * (size - len(first))


def requests(
    version: str, methods: Sequence[str], numbers: Sequence[int], shown: Iterable[str]
) -> list[tuple[tuple[str, str], int]]:
    """The samples of the methods that are shown, with their labels `method` and `proto`."""
    by_method = dict(zip(methods, numbers, strict=True))
    return [((method, version), by_method[method]) for method in shown]
