"""Whatever happens, in whatever order: what always holds of the list, seen from beside it."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from exporter.finding import SEVERITIES, Finding
from exporter.identity import Address
from exporter.reputation.allowed import Allowed, Entry
from exporter.reputation.deed import Deed
from exporter.reputation.place import Network, Place, span, written
from exporter.reputation.policy import POINTS, Policy
from exporter.reputation.reputation import Refused, Reputation

BEGAN = 1_800_000_000.0
STEPS = 400
FIRST = 45 << 24
ADDRESSES = [Address(FIRST + at) for at in range(12)] + [
    Address((1 << 64) | (0x20010DB8 << 32) | at) for at in range(4)
]
PLACES: list[Place] = [*ADDRESSES, Network(Address(FIRST), 30), Network(Address(FIRST + 8), 30)]


class Reader:
    """Somebody who asks for what has changed, now and then, and keeps a list of their own."""

    def __init__(self) -> None:
        self.cursor = 0
        self.listed: set[str] = set()

    def look(self, reputation: Reputation) -> None:
        changes = reputation.blocks.since(self.cursor)
        assert changes is not None
        self.listed -= set(changes.removed)
        self.listed |= {block.address for block in changes.added}
        self.cursor = reputation.blocks.version


class Story:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = BEGAN
        self.deeds: list[Deed] = []
        self.reputation = Reputation(told=[self.deeds.append])
        self.readers = [Reader() for _ in range(3)]
        self.other = Reputation()
        # Every finding that counted since nothing was held against the address, as plain as can be.
        self.held: dict[Address, list[tuple[float, float]]] = {}
        self.reload()

    def score(self, address: Address) -> float:
        score, at = 0.0, self.now
        for moment, points in self.held.get(address, []):
            score = min(score * 0.5 ** ((moment - at) / 1_800) + points, 1_000.0)
            at = moment
        return score * 0.5 ** ((self.now - at) / 1_800)

    def reload(self) -> None:
        allowed = self.chance.sample(PLACES, self.chance.randrange(4))
        dry_run = self.chance.random() < 0.2
        policy = Policy(allowed=Allowed([Entry(place, "x") for place in allowed]), dry_run=dry_run)
        self.reputation.use(policy, now=self.now)
        self.other.use(replace(policy, dry_run=False), now=self.now)

    def finding(self) -> None:
        address = self.chance.choice(ADDRESSES)
        severity = self.chance.choice(SEVERITIES)
        found = Finding("d", severity, self.now, "why", 1, 1, 60, address=address)
        if self.chance.random() < 0.3:
            self.other.take([found], now=self.now)
            return
        if POINTS[severity]:
            self.held.setdefault(address, []).append((self.now, POINTS[severity]))
        before = len(self.deeds)
        self.reputation.take([found], now=self.now)
        if any(deed.what in ("blocked", "extended") for deed in self.deeds[before:]):
            assert self.score(address) > 100.0 - 1e-6

    def by_hand(self) -> None:
        place = self.chance.choice(PLACES)
        try:
            self.reputation.block(place, now=self.now, seconds=self.chance.choice([60.0, 7_200.0]), reason="x")
        except Refused:
            assert self.reputation.policy.allowed.meets(place)

    def release(self) -> None:
        place = self.chance.choice(PLACES)
        if self.reputation.release(place, now=self.now, reason="x") is not None and not isinstance(place, Network):
            self.held[place] = []

    def hear(self) -> None:
        for block in list(self.other.blocks):
            self.reputation.adopt(replace(block, node="b"), now=self.now)
            assert not self.reputation.adopt(replace(block, node="b"), now=self.now)

    def check(self) -> None:
        self.reputation.expire(self.now)
        blocks = list(self.reputation.blocks)
        for block in blocks:
            assert not self.reputation.policy.allowed.meets(block.place)
            assert block.until > self.now
            assert block.until - block.at <= 86_400.0
            assert not (self.reputation.policy.dry_run and block.origin == "automatic")
        assert self.reputation.policy.dry_run or not len(self.reputation.dry)
        for address in ADDRESSES:
            covered = any(span(block.place)[0] <= address <= span(block.place)[1] for block in blocks)
            assert (self.reputation.blocks.covering(address) is not None) == covered
        counted = {origin: self.reputation.blocks.count(origin) for origin in ("automatic", "manual", "shared")}
        assert sum(counted.values()) == len(blocks)
        total = sum(self.reputation.blocked_total.values()) - sum(self.reputation.released_total.values())
        assert total == len(blocks)

    def read(self) -> None:
        reader = self.chance.choice(self.readers)
        reader.look(self.reputation)
        assert reader.listed == {written(block.place) for block in self.reputation.blocks}


@pytest.mark.parametrize("seed", range(40))
def test_what_always_holds_of_the_list_holds_after_each_step(seed: int) -> None:
    story = Story(seed)
    steps = [story.finding] * 12 + [story.by_hand, story.release, story.hear, story.reload, story.read, story.read]
    for _ in range(STEPS):
        story.now += story.chance.choice([0.0, 0.5, 20.0, 300.0, 2_000.0])
        story.chance.choice(steps)()
        story.check()
    assert {deed.what for deed in story.deeds} >= {"blocked", "released"}
    story.now += 2 * 86_400
    story.check()
    assert len(story.reputation.blocks) == len(story.reputation.dry) == 0
    story.reputation.sweep(story.now)
    assert len(story.reputation.scores) == 0
