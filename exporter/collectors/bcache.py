"""`bcache`: caches of slow disks on fast ones, and how often they are hit.

The kernel writes large numbers for people (`1.5k`, with 1024 as the step), so they are not exact.
"""

import re
from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths, entries, shown
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape, Type

NUMBER = re.compile(rb"(-?)([0-9]{1,20})(?:\.([0-9]{1,3}))?([kMGTPEZY]?)")
STEPS = b" kMGTPEZY"
# The kernel divides a remainder of 1024 by 100, and calls that a fraction.
FRACTION = 10.24
MICROSECONDS = 1_000_000


def _shape(name: str, description: str, *labels: str, kind: Type = "gauge") -> Shape:
    return Shape(f"node_bcache_{name}", kind, description, (*labels, "uuid"))


# By the file, below the folder of the cache.
OF_A_CACHE_SET: tuple[tuple[str, Shape], ...] = (
    ("average_key_size", _shape("average_key_size_sectors", "Sectors for each key of the tree, on average.")),
    ("btree_cache_size", _shape("btree_cache_size_bytes", "Memory that the tree takes.")),
    ("cache_available_percent", _shape("cache_available_percent", "Part of the cache that is free, or can be freed.")),
    ("congested", _shape("congested", "How congested the cache is.")),
    ("root_usage_percent", _shape("root_usage_percent", "How full the root of the tree is.")),
    ("tree_depth", _shape("tree_depth", "Levels of the tree.")),
    ("internal/active_journal_entries", _shape("active_journal_entries", "Entries that are newer than the tree.")),
    ("internal/btree_nodes", _shape("btree_nodes", "Nodes of the tree.")),
    (
        "internal/btree_read_average_duration_us",
        _shape("btree_read_average_duration_seconds", "How long it takes to read from the tree, on average."),
    ),
    (
        "internal/cache_read_races",
        _shape("cache_read_races_total", "What was thrown out of the cache while it was read.", kind="counter"),
    ),
)
OF_A_DISK: tuple[tuple[str, Shape], ...] = (
    ("dirty_data", _shape("dirty_data_bytes", "Bytes in the cache that the disk does not have yet.", "backing_device")),
    *(
        (f"stats_total/{file}", _shape(f"{name}_total", description, "backing_device", kind="counter"))
        for file, name, description in (
            ("bypassed", "bypassed_bytes", "Bytes that went past the cache."),
            ("cache_bypass_hits", "cache_bypass_hits", "Requests meant to go past the cache that it could answer."),
            ("cache_bypass_misses", "cache_bypass_misses", "Requests meant to go past the cache that did."),
            ("cache_hits", "cache_hits", "Requests that the cache answered."),
            ("cache_miss_collisions", "cache_miss_collisions", "What was written while it was put into the cache."),
            ("cache_misses", "cache_misses", "Requests that the cache could not answer."),
            ("cache_readaheads", "cache_readaheads", "How often the disk was read ahead."),
        )
    ),
)
# By the name in a disk's writeback_rate_debug.
OF_WRITEBACK: tuple[tuple[bytes, Shape], ...] = (
    (b"target", _shape("dirty_target_bytes", "Bytes that may be dirty.", "backing_device")),
    (b"rate", _shape("writeback_rate", "Bytes that are written back in a second.", "backing_device")),
    (b"proportional", _shape("writeback_rate_proportional_term", "The controller's first part.", "backing_device")),
    (b"integral", _shape("writeback_rate_integral_term", "The controller's second part.", "backing_device")),
    (b"change", _shape("writeback_change", "How the rate has changed at last.", "backing_device")),
)
OF_A_CACHE: tuple[tuple[str, Shape], ...] = (
    ("io_errors", _shape("io_errors", "Errors of the cache; they are forgotten with time.", "cache_device")),
    (
        "metadata_written",
        _shape("metadata_written_bytes_total", "Bytes for the tree and the like.", "cache_device", kind="counter"),
    ),
    ("written", _shape("written_bytes_total", "Bytes that were written to the cache.", "cache_device", kind="counter")),
)
OF_PRIORITIES: tuple[tuple[bytes, Shape], ...] = (
    (b"Unused", _shape("priority_stats_unused_percent", "Part of the cache that holds nothing.", "cache_device")),
    (b"Metadata", _shape("priority_stats_metadata_percent", "Part that the tree and the like take.", "cache_device")),
)

Samples = dict[str, tuple[Shape, list[tuple[tuple[str, ...], float]]]]


class Bcache:
    name = "bcache"
    help = "Caches of disks, from /sys/fs/bcache."
    enabled = True
    options: tuple[Option, ...] = (
        Option(
            "priorityStats", Kind.SWITCH, "false", "whether priority_stats is read, for which the kernel sorts much"
        ),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        self._folder = f"{paths.sysfs}/fs/bcache"
        self._with_priorities = (chosen or Chosen(self.options)).on("priorityStats")
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        samples: Samples = {}
        for entry in entries(self._folder):
            # Beside the caches is where new ones are made.
            if "-" in entry:
                self._add(samples, f"{self._folder}/{entry}", shown(entry))
        return [shape.of(found) for shape, found in samples.values()]

    def _add(self, samples: Samples, folder: str, uuid: str) -> None:
        self._add_files(samples, folder, OF_A_CACHE_SET, (uuid,))
        for entry in entries(folder):
            device = f"{folder}/{entry}"
            labels = (shown(entry), uuid)
            if re.match(r"bdev[0-9]", entry):
                self._add_files(samples, device, OF_A_DISK, labels)
                self._add_lines(samples, f"{device}/writeback_rate_debug", OF_WRITEBACK, labels)
            elif re.match(r"cache[0-9]", entry):
                self._add_files(samples, device, OF_A_CACHE, labels)
                if self._with_priorities:
                    self._add_lines(samples, f"{device}/priority_stats", OF_PRIORITIES, labels)

    def _add_files(
        self, samples: Samples, folder: str, files: Iterable[tuple[str, Shape]], labels: tuple[str, ...]
    ) -> None:
        """A file that this kernel does not have, or has no more, is left out."""
        for file, shape in files:
            path = f"{folder}/{file}"
            content = self._kept.read_optional(path)
            if content is not None:
                value = number(content.strip(), path)
                _put(samples, shape, labels, value / MICROSECONDS if file.endswith("_us") else value)

    def _add_lines(
        self, samples: Samples, path: str, lines: Iterable[tuple[bytes, Shape]], labels: tuple[str, ...]
    ) -> None:
        values = parse(self._kept.read_optional(path) or b"")
        for name, shape in lines:
            if name in values:
                _put(samples, shape, labels, number(values[name], path))


def _put(samples: Samples, shape: Shape, labels: tuple[str, ...], value: float) -> None:
    samples.setdefault(shape.name, (shape, []))[1].append((labels, value))


def parse(content: bytes) -> dict[bytes, bytes]:
    """Lines such as `rate:  1.1M/sec` and `Unused:  99%` without their units."""
    lines = [line.partition(b":") for line in content.split(b"\n")]
    return {name: value.strip().removesuffix(b"/sec").removesuffix(b"%") for name, colon, value in lines if colon}


def number(word: bytes, where: str = "bcache") -> int:
    """`20.4G` as bytes, rounded down."""
    match = NUMBER.fullmatch(word)
    if match is None:
        raise Malformed(where, found=word, expected="a number such as 1305 or 20.4G")
    minus, whole, fraction, step = match.groups()
    size = int(whole) if not step else int((int(whole) + int(fraction or 0) / FRACTION) * 1024 ** STEPS.index(step))
    return -size if minus else size
