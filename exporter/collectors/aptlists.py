"""What Debian's tools know of packages: those that are installed, and those that apt could install.

All of it stands in paragraphs of `Field: value`. The lists are large, so they are read piece by piece, and only
paragraphs of packages that are installed are looked at.
"""

import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from exporter.collectors.debversion import key
from exporter.collectors.files import Malformed, shown

# Of all lists of one look, uncompressed; what is behind that is as if it could not be read.
LISTS_BYTES_MAX = 1 << 30
# A longer paragraph is none of a package.
PARAGRAPH_BYTES_MAX = 1 << 20
# A longer version is none.
VERSION_BYTES_MAX = 300
LISTS_MAX = 1_000
PIECE_BYTES = 1 << 18
# Of a Release file: the sums of all its files come behind that.
HEAD_BYTES = 1 << 13

_LIST = re.compile(r".+_Packages(?:\.(?P<compression>[a-z0-9]+))?")
_RELEASE = re.compile(r"(?P<repository>.+_)(?:In)?Release")
_NAME, _VERSION, _ARCHITECTURE, _STATUS = (
    re.compile(rb"^" + field + rb": *(\S[^\n]*)", re.MULTILINE)
    for field in (b"Package", b"Version", b"Architecture", b"Status")
)
_ALL = b"all"
_INSTALLED = b"installed"

# Gives at most so many bytes more, and none at the end.
Read = Callable[[int], bytes]
# Of each package its architectures, each with the version that is installed.
Installed = Mapping[bytes, Mapping[bytes, bytes]]


class Release(NamedTuple):
    """What a repository says of itself: whether it is for security, and whether apt takes updates from it by itself."""

    is_security: bool
    is_automatic: bool


class Pending(NamedTuple):
    """Packages, with their architecture, for which there is a later version."""

    security: frozenset[tuple[bytes, bytes]]
    other: frozenset[tuple[bytes, bytes]]
    read: int
    unreadable: int


def installed(status: str) -> Installed:
    """By dpkg's file of that path."""
    found: dict[bytes, dict[bytes, bytes]] = {}
    with open(status, "rb") as file:
        for paragraph in paragraphs(file.read, where=status):
            name, state = _NAME.search(paragraph), _STATUS.search(paragraph)
            version, architecture = _VERSION.search(paragraph), _ARCHITECTURE.search(paragraph)
            if name and state and version and architecture and state[1].split()[-1] == _INSTALLED:
                found.setdefault(name[1].strip(), {})[architecture[1].strip()] = version[1].strip()
    return found


def pending(folder: str, there: Installed) -> Pending:
    """By the lists in apt's folder. A list that cannot be read is counted."""
    names = sorted(os.listdir(folder))[: 2 * LISTS_MAX]
    releases = _releases(folder, names)
    security: set[tuple[bytes, bytes]] = set()
    other: set[tuple[bytes, bytes]] = set()
    read = unreadable = 0
    left = LISTS_BYTES_MAX
    for name in [each for each in names if _LIST.fullmatch(each)][:LISTS_MAX]:
        release = _release_of(name, releases)
        if not release.is_automatic:
            continue
        try:
            with reading(f"{folder}/{name}") as read_list:
                for paragraph in paragraphs(read_list, where=shown(name), bytes_max=left):
                    left -= len(paragraph)
                    (security if release.is_security else other).update(_later(paragraph, there))
            read += 1
        except (OSError, ValueError):
            unreadable += 1
    return Pending(frozenset(security), frozenset(other - security), read, unreadable)


def paragraphs(read: Read, *, where: str, bytes_max: int = LISTS_BYTES_MAX) -> Iterator[bytes]:
    held = b""
    size = 0
    while piece := read(PIECE_BYTES):
        size += len(piece)
        *whole, held = (held + piece).split(b"\n\n")
        yield from whole
        if len(held) > PARAGRAPH_BYTES_MAX:
            raise Malformed(where, found="a longer paragraph", expected=f"at most {PARAGRAPH_BYTES_MAX} bytes")
        if size > bytes_max:
            raise Malformed(where, found="more", expected=f"at most {bytes_max} bytes that are left for it")
    if held.strip():
        yield held


@contextmanager
def reading(path: str) -> Iterator[Read]:
    """What reads the list. Malformed, also while it is read, for what is compressed in another way, or not well."""
    match = _LIST.fullmatch(os.path.basename(path))
    # Imported where they are needed: hardly anybody has compressed lists.
    match match and match["compression"]:
        case None:
            with open(path, "rb") as file:
                yield file.read
        case "gz":
            import gzip

            try:
                with gzip.open(path) as file:
                    yield file.read
            except (EOFError, zlib.error):
                raise Malformed(shown(path), found="something else", expected="a whole gzip file") from None
        case "xz":
            import lzma

            try:
                with lzma.open(path) as file:
                    yield file.read
            except (EOFError, lzma.LZMAError):
                raise Malformed(shown(path), found="something else", expected="a whole xz file") from None
        case _:
            raise Malformed(shown(path), found="another compression", expected="none, gz or xz")


def _later(paragraph: bytes, there: Installed) -> Iterator[tuple[bytes, bytes]]:
    """The installed packages of which this is a later version."""
    # Nearly every paragraph begins so, and most are of packages that are not installed.
    if paragraph.startswith(b"Package: "):
        name = paragraph[9 : paragraph.find(b"\n")].strip()
    else:
        match = _NAME.search(paragraph)
        name = match[1].strip() if match else b""
    versions = there.get(name)
    if not versions:
        return
    version, architecture = _VERSION.search(paragraph), _ARCHITECTURE.search(paragraph)
    if not version or not architecture or len(version[1]) > VERSION_BYTES_MAX:
        return
    offered, its = version[1].strip(), architecture[1].strip()
    for ours, current in versions.items():
        if (its == ours or _ALL in (its, ours)) and offered != current and key(offered) > key(current):
            yield name, ours


def _releases(folder: str, names: Sequence[str]) -> Mapping[str, Release]:
    """By what the names of the repository's lists begin with."""
    found = {}
    for name in names:
        match = _RELEASE.fullmatch(name)
        if match is None:
            continue
        try:
            with open(f"{folder}/{name}", "rb") as file:
                said = file.read(HEAD_BYTES).lower()
        except OSError:
            said = b""
        found[match["repository"]] = Release(
            is_security=_is_security(match["repository"])
            or re.search(rb"^(?:label|suite|codename): *\S*security", said, re.MULTILINE) is not None,
            is_automatic=re.search(rb"^notautomatic: *yes", said, re.MULTILINE) is None,
        )
    return found


def _release_of(name: str, releases: Mapping[str, Release]) -> Release:
    """The longest beginning counts: one repository may lie within another."""
    matching = [each for each in releases if name.startswith(each)]
    return releases[max(matching, key=len)] if matching else Release(_is_security(name), is_automatic=True)


def _is_security(name: str) -> bool:
    """By its address, as in security.debian.org or bookworm-security."""
    return re.search(r"(?:^|[_.-])security[_.-]", name) is not None
