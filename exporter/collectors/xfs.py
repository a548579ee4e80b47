"""`xfs`: what each mounted XFS file system has done, in the kernel's own counts."""

from collections.abc import Iterable, Mapping, Sequence

from exporter.collectors.files import DIGITS_MAX, Kept, Malformed, Paths, entries, shown
from exporter.collectors.options import Option
from exporter.family import Family, Shape


def _shapes(prefix: str, about: str, *counted: tuple[str, str]) -> tuple[Shape, ...]:
    return tuple(
        Shape(f"node_xfs_{prefix}{name}_total", "counter", f"{description}{about}.", ("device",))
        for name, description in counted
    )


def _tree(prefix: str, about: str) -> tuple[Shape, ...]:
    return _shapes(
        prefix,
        about,
        ("lookups", "Lookups"),
        ("compares", "Comparisons"),
        ("records_inserted", "Records that were inserted"),
        ("records_deleted", "Records that were deleted"),
    )


# By the first word of a line; the numbers that follow it have these meanings, in the kernel's order.
LINES: dict[bytes, tuple[Shape, ...]] = {
    b"extent_alloc": _shapes(
        "extent_allocation_",
        "",
        ("extents_allocated", "Extents that were allocated"),
        ("blocks_allocated", "Blocks that were allocated"),
        ("extents_freed", "Extents that were freed"),
        ("blocks_freed", "Blocks that were freed"),
    ),
    b"abt": _tree("allocation_btree_", " in the trees of free space"),
    b"blk_map": _shapes(
        "block_mapping_",
        " in maps from a file to its blocks",
        ("reads", "Lookups for reading"),
        ("writes", "Lookups for writing"),
        ("unmaps", "Removals"),
        ("extent_list_insertions", "Extents that were inserted"),
        ("extent_list_deletions", "Extents that were deleted"),
        ("extent_list_lookups", "Extents that were looked for"),
        ("extent_list_compares", "Extents that were compared"),
    ),
    b"bmbt": _tree("block_map_btree_", " in the trees that map files to blocks"),
    b"dir": _shapes(
        "directory_operation_",
        " in folders",
        ("lookup", "Names that were looked for"),
        ("create", "Names that were made"),
        ("remove", "Names that were removed"),
        ("getdents", "Listings"),
    ),
    b"ig": _shapes(
        "inode_operation_",
        "",
        ("attempts", "Inodes that were looked for in the cache"),
        ("found", "Inodes that were in the cache"),
        ("recycled", "Inodes that were found while they were on their way out of the cache"),
        ("missed", "Inodes that were not in the cache"),
        ("duplicates", "Inodes that somebody else had put into the cache meanwhile"),
        ("reclaims", "Inodes that left the cache"),
        ("attribute_changes", "Changes of inodes that were asked for"),
    ),
    b"rw": _shapes("", "", ("write_calls", "Calls of write"), ("read_calls", "Calls of read")),
    b"vnodes": _shapes(
        "vnode_",
        "",
        ("active", "Vnodes that are in use"),
        ("allocate", "Vnodes that were allocated"),
        ("get", "Vnodes that were got"),
        ("hold", "Vnodes that were held"),
        ("release", "Vnodes that were released"),
        ("reclaim", "Vnodes that were reclaimed"),
        ("remove", "Vnodes that were removed"),
    ),
}


SHAPES = tuple(shape for shapes in LINES.values() for shape in shapes)


class Xfs:
    name = "xfs"
    help = "XFS file systems, from /sys/fs/xfs."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/fs/xfs"
        self._kept = Kept()
        self._contents: list[tuple[str, bytes]] = []
        self._families: Sequence[Family] = ()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        contents = list(self._read())
        if contents != self._contents:
            rows = {device: parse(content, self._path(device)) for device, content in contents}
            self._families = tuple(families(rows))
            self._contents = contents
        return self._families

    def _read(self) -> Iterable[tuple[str, bytes]]:
        """`stats` beside the devices is the sum of all, and has no `stats` of its own."""
        for device in entries(self._folder):
            try:
                yield device, self._kept.read(self._path(device))
            except (FileNotFoundError, NotADirectoryError):
                continue

    def _path(self, device: str) -> str:
        return f"{self._folder}/{device}/stats/stats"


def families(rows: Mapping[str, Sequence[int | None]]) -> Iterable[Family]:
    devices = [(shown(device),) for device in rows]
    for shape, column in zip(SHAPES, zip(*rows.values(), strict=True), strict=False):
        samples = zip(devices, column, strict=True)
        yield shape.of([(labels, number) for labels, number in samples if number is not None])


def parse(content: bytes, where: str = "stats") -> list[int | None]:
    """A number for each shape, None where the kernel says nothing; it may add lines, and numbers at their end."""
    lines = {}
    for line in content.split(b"\n"):
        words = line.split()
        if words:
            lines[words[0]] = words
    row: list[int | None] = []
    for name, shapes in LINES.items():
        if name not in lines:
            row.extend([None] * len(shapes))
            continue
        words = lines[name]
        numbers = words[1 : len(shapes) + 1]
        if len(numbers) < len(shapes) or len(max(numbers, key=len)) > DIGITS_MAX or not b"".join(numbers).isdigit():
            raise Malformed(where, found=b" ".join(words), expected=f"{len(shapes)} whole numbers")
        row.extend(map(int, numbers))
    return row
