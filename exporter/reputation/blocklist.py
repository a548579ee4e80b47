"""All blocks, when they end, and what has changed since somebody looked. Pure.

Whether an address is on the list is a look into a dictionary, and one for each size of network on it. What has changed
is the order in which places were last touched: whoever was here at one point is told what of all that came after is on
the list now, and what is not.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from exporter.identity import Address
from exporter.reputation.block import Block, Origin
from exporter.reputation.place import BITS, Network, Place, family_of, written

# Addresses and networks together.
BLOCKS_MAX = 100_000
NETWORKS_MAX = 1_000
# Places whose last change is remembered.
CHANGES_MAX = 50_000
# Ends that are not those of blocks any more, beyond which they are sorted out.
_STALE_MAX = 1_000


class Changes(NamedTuple):
    """What is on the list by now of all that has changed, and what is not."""

    added: list[Block]
    removed: list[str]


class Blocklist:
    def __init__(self) -> None:
        self._blocks: dict[Place, Block] = {}
        self._sizes: Counter[tuple[int, int]] = Counter()
        # When, and a number in the place of an order of places.
        self._ends: list[tuple[float, int, Place]] = []
        self._pushed = 0
        self._counts: Counter[Origin] = Counter()
        self._changed: OrderedDict[Place, int] = OrderedDict()
        # How many changes there were, and how many of them are too long ago.
        self.version = 0
        self._unknown = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks.values())

    @property
    def networks(self) -> int:
        return self._sizes.total()

    def count(self, origin: Origin) -> int:
        return self._counts[origin]

    def get(self, place: Place) -> Block | None:
        return self._blocks.get(place)

    def covering(self, address: Address) -> Block | None:
        """The block of this address, or else of a network that it is in."""
        found = self._blocks.get(address)
        if found is not None or not self._sizes:
            return found
        family = family_of(address)
        for theirs, bits in self._sizes:
            if theirs == family:
                network = Network(Address(address >> (BITS[family] - bits) << (BITS[family] - bits)), bits)
                found = self._blocks.get(network)
                if found is not None:
                    return found
        return None

    def put(self, block: Block) -> None:
        """In the place of the one that there is."""
        before = self._blocks.get(block.place)
        if before is not None:
            self._counts[before.origin] -= 1
        elif isinstance(block.place, Network):
            self._sizes[family_of(block.place), block.place.bits] += 1
        self._blocks[block.place] = block
        self._counts[block.origin] += 1
        if before is None or before.until != block.until:
            self._push(block)
        self._touch(block.place)

    def remove(self, place: Place) -> Block:
        """It is there."""
        block = self._blocks.pop(place)
        self._counts[block.origin] -= 1
        if isinstance(place, Network):
            size = family_of(place), place.bits
            self._sizes[size] -= 1
            if not self._sizes[size]:
                del self._sizes[size]
        self._touch(place)
        return block

    def ended(self, now: float, count: int) -> list[Block]:
        """Some whose end has come; they are still there, and are not found again."""
        found: dict[Place, Block] = {}
        while self._ends and self._ends[0][0] <= now and len(found) < count:
            _, _, place = heappop(self._ends)
            block = self._blocks.get(place)
            if block is not None and block.until <= now:
                found[place] = block
        return list(found.values())

    def ends_first(self, origin: Origin) -> Block | None:
        """Goes through all of them."""
        return min((block for block in self if block.origin == origin), key=lambda block: block.until, default=None)

    def since(self, version: int) -> Changes | None:
        """None where that is too long ago, or was never."""
        if not self._unknown <= version <= self.version:
            return None
        changes = Changes([], [])
        for place in reversed(self._changed):
            if self._changed[place] <= version:
                break
            block = self._blocks.get(place)
            if block is None:
                changes.removed.append(written(place))
            else:
                changes.added.append(block)
        changes.added.reverse()
        changes.removed.reverse()
        return changes

    def _touch(self, place: Place) -> None:
        self.version += 1
        self._changed[place] = self.version
        self._changed.move_to_end(place)
        if len(self._changed) > CHANGES_MAX:
            _, self._unknown = self._changed.popitem(last=False)

    def _push(self, block: Block) -> None:
        self._pushed += 1
        heappush(self._ends, (block.until, self._pushed, block.place))
        if len(self._ends) > 2 * len(self._blocks) + _STALE_MAX:
            self._ends = [(each.until, at, each.place) for at, each in enumerate(self)]
            heapify(self._ends)
