"""`mdadm`: the arrays of the kernel's software RAID, how many of their disks work, and how far they are in step."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.collectors.files import Malformed, Paths, text
from exporter.collectors.options import Option
from exporter.collectors.steady import Steady
from exporter.family import Family, Shape

STATES = ("active", "check", "inactive", "recovering", "resync")
# What an array can be busy with, and the state that node_exporter makes of it.
BUSY = {b"recovery": "recovering", b"resync": "resync", b"check": "check", b"reshape": "active"}
# These have nothing to spare: each disk is needed, and none is counted in the second line.
WITHOUT_SPARES = (b"raid0", b"linear")
# `[2/1]`: how many disks there should be, and how many there are. `(12/34)`: how many blocks are done, and of how many.
# The longest number of 64 bits has 20 digits.
DISKS = re.compile(rb"\[(\d{1,20})/(\d{1,20})\]")
DONE = re.compile(rb"\((\d{1,20})/\d{1,20}\)")
BLOCKS = re.compile(rb"\s*(\d{1,20}) blocks\b")

STATE = Shape("node_md_state", "gauge", "1 for the state that the array is in, 0 for the others.", ("device", "state"))
DISKS_BY_STATE = Shape("node_md_disks", "gauge", "Disks of the array that are in this state.", ("device", "state"))
DISKS_REQUIRED = Shape("node_md_disks_required", "gauge", "Disks that the array needs to be whole.", ("device",))
BLOCKS_ALL = Shape("node_md_blocks", "gauge", "Blocks of 1024 bytes that the array has.", ("device",))
BLOCKS_SYNCED = Shape("node_md_blocks_synced", "gauge", "Blocks of the array that are in step.", ("device",))


class Array(NamedTuple):
    name: str
    state: str
    active: int
    failed: int
    spare: int
    required: int
    blocks: int
    synced: int


class Mdadm:
    name = "mdadm"
    help = "Arrays of the software RAID from /proc/mdstat."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._steady = Steady(f"{paths.procfs}/mdstat", families, absent="the kernel has no software RAID")

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        return self._steady.families()


def parse(content: bytes, where: str = "mdstat") -> list[Array]:
    """An array is a line that begins with its name, and the lines below it that begin with a blank."""
    arrays: dict[str, Array] = {}
    lines = [line for line in content.split(b"\n") if line.strip()]
    heads = [place for place, line in enumerate(lines) if _is_head(line)]
    for head, end in zip(heads, [*heads[1:], len(lines)], strict=False):
        below = [line for line in lines[head + 1 : end] if line[:1] in b" \t"]
        array = _array(lines[head], below, where)
        arrays[array.name] = array
    return list(arrays.values())


def _is_head(line: bytes) -> bool:
    return line[:1] not in b" \t" and not line.startswith((b"Personalities", b"unused"))


def _array(head: bytes, below: Sequence[bytes], where: str) -> Array:
    """`md1 : active raid1 sdb1[1](F) sda1[0]`, then its blocks and disks, then what it is busy with."""
    words = head.split()
    sized = BLOCKS.match(below[0]) if below else None
    if len(words) < 3 or words[1] != b":":
        raise Malformed(where, found=head, expected="the name of an array, a colon and its state")
    has_disks = below or words[2] != b"inactive"
    if sized is None and has_disks:
        raise Malformed(
            where, found=b" ".join((head, *below[:1])), expected="an array, and its blocks in the next line"
        )
    blocks, state = int(sized[1]) if sized is not None else 0, text(words[2])
    synced = blocks
    if any(word in WITHOUT_SPARES for word in words[3:5]):
        required = active = head.count(b"[")
    elif state == "inactive":
        required = active = 0
    else:
        disks = DISKS.search(below[0])
        if disks is None:
            raise Malformed(where, found=below[0], expected="how many disks there should be and are, such as [2/1]")
        required, active = int(disks[1]), int(disks[2])
    for line in below[1:]:
        action = next((word for word in line.replace(b"=", b" ").split() if word in BUSY), None)
        if action is not None:
            done = DONE.search(line)
            # One that has to wait for its turn has not begun.
            state, synced = BUSY[action], int(done[1]) if done else 0
    failed, spare = head.count(b"(F)"), head.count(b"(S)")
    return Array(text(words[0]), state, active, failed, spare, required, blocks, synced)


def families(content: bytes, where: str) -> Iterable[Family]:
    arrays = parse(content, where)
    yield STATE.of([((array.name, state), int(array.state == state)) for array in arrays for state in STATES])
    yield DISKS_BY_STATE.of(
        [
            ((array.name, state), number)
            for array in arrays
            for state, number in (("active", array.active), ("failed", array.failed), ("spare", array.spare))
        ]
    )
    yield DISKS_REQUIRED.of([((array.name,), array.required) for array in arrays])
    yield BLOCKS_ALL.of([((array.name,), array.blocks) for array in arrays])
    yield BLOCKS_SYNCED.of([((array.name,), array.synced) for array in arrays])
