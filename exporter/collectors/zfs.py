"""`zfs`: what ZFS counts about its caches and transactions, and about each pool and each dataset.

ZFS chooses the names, and says of none whether it is a count or a state; so the type is unknown, as with node_exporter.
"""

import os
from collections.abc import Iterable, Mapping
from itertools import pairwise

from exporter.collectors.files import DIGITS_MAX, Kept, Malformed, Paths, entries, shown, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape, shape

# The beginning of the names, by the file that they are in.
FILES = {
    "abdstats": "zfs_abd",
    "arcstats": "zfs_arc",
    "dbufstats": "zfs_dbuf",
    "dmu_tx": "zfs_dmu_tx",
    "dnodestats": "zfs_dnode",
    "fm": "zfs_fm",
    "vdev_cache_stats": "zfs_vdev_cache",
    "vdev_mirror_stats": "zfs_vdev_mirror",
    "xuio_stats": "zfs_xuio",
    "zfetchstats": "zfs_zfetch",
    "zil": "zfs_zil",
}
# The numbers of ZFS that mean a whole number of 64 bits, with and without a sign.
WHOLE = (b"3", b"4")
STATES = ("online", "degraded", "faulted", "offline", "removed", "unavail", "suspended")
STATE = Shape(
    "node_zfs_zpool_state", "gauge", "1 for the state that the pool is in, 0 for the others.", ("state", "zpool")
)
# Samples of families that several pools or datasets share, by name.
Shared = dict[str, dict[tuple[str, ...], int]]


class Zfs:
    name = "zfs"
    help = "ZFS, from /proc/spl/kstat/zfs."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.procfs}/spl/kstat/zfs"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        pools: Shared = {}
        datasets: Shared = {}
        states: dict[tuple[str, ...], int] = {}
        for entry in entries(self._folder, absent="this machine has no ZFS"):
            path = f"{self._folder}/{entry}"
            if entry in FILES:
                yield from named(FILES[entry], parse(self._kept.read(path), path))
            elif os.path.isdir(path):
                self._add_pool(path, shown(entry), pools, datasets, states)
        yield from shared("zfs_zpool", ("zpool",), pools)
        yield from shared("zfs_zpool_dataset", ("dataset", "zpool"), datasets)
        yield STATE.of(tuple(states.items()))

    def _add_pool(
        self, folder: str, pool: str, pools: Shared, datasets: Shared, states: dict[tuple[str, ...], int]
    ) -> None:
        for file in entries(folder):
            path = f"{folder}/{file}"
            try:
                if file == "io":
                    for name, value in parse_table(self._kept.read(path), path).items():
                        pools.setdefault(name, {})[pool,] = value
                elif file == "state":
                    state = text(self._kept.read(path).strip()).lower()
                    states.update({(each, pool): int(each == state) for each in STATES})
                elif file.startswith("objset-"):
                    content = self._kept.read(path)
                    dataset = dataset_name(content, path)
                    for name, value in parse(content, path).items():
                        datasets.setdefault(name, {})[dataset, pool] = value
            except FileNotFoundError:
                # The pool, or the dataset, is on its way out.
                continue


def named(prefix: str, values: Mapping[str, int]) -> Iterable[Family]:
    for name, value in values.items():
        yield shape(f"node_{prefix}_{name}", "unknown", f"What ZFS calls {name}.").single(value)


def shared(prefix: str, labels: tuple[str, ...], families: Shared) -> Iterable[Family]:
    for name, samples in families.items():
        form = shape(f"node_{prefix}_{name}", "unknown", f"What ZFS calls {name}.", labels)
        yield form.of(tuple(samples.items()))


def parse(content: bytes, where: str = "kstat") -> dict[str, int]:
    """Lines such as `hits 4 8772612`, below `name type data`. What is not a whole number of 64 bits is left out."""
    values: dict[str, int] = {}
    for name, kind, value in _lines(content, where):
        if kind in WHOLE:
            values.setdefault(_metric(name, where), _number(value, name, where))
    return values


def dataset_name(content: bytes, where: str = "objset") -> str:
    """A dataset's name may have blanks in it."""
    for name, _, value in _lines(content, where):
        if name == b"dataset_name":
            return text(value)
    raise Malformed(where, found=content, expected="a line dataset_name")


def parse_table(content: bytes, where: str = "io") -> dict[str, int]:
    """A line of names that begins with nread, and below it a line of numbers."""
    lines = [line.split() for line in content.split(b"\n")]
    for heads, words in pairwise(lines):
        if heads[:1] == [b"nread"]:
            if len(heads) != len(words):
                raise Malformed(where, found=b" ".join(words), expected=f"{len(heads)} whole numbers")
            return {_metric(head, where): _number(word, head, where) for head, word in zip(heads, words, strict=True)}
    raise Malformed(where, found=content, expected="a line of names that begins with nread, and a line of numbers")


def _lines(content: bytes, where: str) -> list[tuple[bytes, bytes, bytes]]:
    """Name, type and value of each line below the heading."""
    found: list[tuple[bytes, bytes, bytes]] | None = None
    for line in content.split(b"\n"):
        words = line.rstrip().split(maxsplit=2)
        if words == [b"name", b"type", b"data"]:
            found = []
        elif found is not None and len(words) == 3:
            found.append((words[0], words[1], words[2]))
    if found is None:
        raise Malformed(where, found=content, expected="a line name type data")
    return found


def _metric(name: bytes, where: str) -> str:
    found = text(name).replace("-", "_")
    if not (found.isascii() and found.replace("_", "").isalnum()):
        raise Malformed(where, found=name, expected="a name of letters, digits and hyphens")
    return found


def _number(word: bytes, name: bytes, where: str) -> int:
    if not word.removeprefix(b"-").isdigit() or len(word) > DIGITS_MAX:
        raise Malformed(where, found=name + b" " + word, expected="a name and a whole number")
    return int(word)
