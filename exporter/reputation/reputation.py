"""Scores, and what follows from them: who is on the list, and who is taken off. Pure: findings and times come in.

Who is never blocked goes before everything: findings about them count, and block nobody; a person who wants to block
them is refused; what comes from other exporters is too. Belongs to one thread.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from itertools import islice

from msgspec.structs import replace

from exporter.finding import Finding
from exporter.identity import Address, network_of
from exporter.reputation.block import REASON_CHARACTERS_MAX, Block, Origin, block_of
from exporter.reputation.blocklist import BLOCKS_MAX, NETWORKS_MAX, Blocklist
from exporter.reputation.deed import Deed, Refusal, Release, Told, What
from exporter.reputation.place import Network, Place, written
from exporter.reputation.policy import TOP_NETWORKS_MAX, Policy
from exporter.reputation.score import Score, Scores

# A block is not made longer for less.
EXTENSION_SECONDS_MIN = 60.0
# Who was not blocked is not looked at again before.
REFUSED_SECONDS = 60.0
# Places that a person has released, and since when: what is older and comes from elsewhere is over.
RELEASED_MAX = 10_000
# Whoever was found something against last: among so many the networks that are shown are looked for.
TOP_LOOKED_AT_MAX = 5_000
# Blocks that end at once; others come next.
ENDED_MAX = 1_000
# A clock that goes back further was set.
SET_BACK_SECONDS_MIN = 60.0
# Looked at in one sweep.
SWEPT_MAX = 1_000


class Refused(Exception):
    """It cannot be done; the text says why. `why` is a bounded word."""

    def __init__(self, why: Refusal, text: str) -> None:
        super().__init__(text)
        self.why = why


class Reputation:
    def __init__(self, policy: Policy | None = None, *, told: Sequence[Told] = ()) -> None:
        """Each of `told` hears of each deed, in order."""
        self.policy = policy or Policy()
        self.scores = Scores()
        self.blocks = Blocklist()
        # What would be on the list, if this were no dry run.
        self.dry = Blocklist()
        self.told = list(told)
        self.released: OrderedDict[Place, float] = OrderedDict()
        self.blocked_total: Counter[Origin] = Counter()
        self.dry_total = 0
        self.released_total: Counter[Release] = Counter()
        self.refused_total: Counter[Refusal] = Counter()
        # Grows with everything that is worth keeping.
        self.changes = 0
        self._latest = 0.0

    def use(self, policy: Policy, *, now: float) -> None:
        """Other settings from now on: whoever may not be blocked any more is released at once."""
        before, self.policy = self.policy, policy
        for blocks in (self.blocks, self.dry):
            for block in [block for block in blocks if policy.allowed.meets(block.place)]:
                self._release(blocks, block, "allow_list", now=now, reason="it is never blocked from now on")
        if before.dry_run == policy.dry_run:
            return
        reason = "a dry run began" if policy.dry_run else "the dry run is over"
        for blocks in (self.blocks, self.dry):
            for block in [block for block in blocks if not block.by_hand]:
                self._release(blocks, block, "settings", now=now, reason=reason)

    def take(self, findings: Iterable[Finding], *, now: float) -> None:
        """Findings of nobody in particular, and those of dry runs, are held against nobody."""
        self.expire(now)
        for finding in findings:
            if finding.address is None or finding.dry_run or not self.policy.points_of(finding):
                continue
            self.changes += 1
            score = self.scores.raise_(finding.address, finding, policy=self.policy, now=now)
            if score.score > self.policy.threshold:
                self._judge(finding.address, score, now)

    def block(self, place: Place, *, now: float, seconds: float, reason: str, by: str = "", node: str = "") -> Block:
        """By hand. Raises Refused."""
        self.expire(now)
        before = self._standing(self.blocks, place, now)
        block = block_of(
            place,
            origin="manual",
            at=now,
            since=now if before is None else before.since,
            until=now + seconds,
            reason=reason[:REASON_CHARACTERS_MAX],
            by=by,
            by_hand=True,
            score=self._score_of(place, now),
            node=node,
        )
        self._admit(block, now=now)
        self.released.pop(place, None)
        self._put(self.blocks, block, now=now, extended=before is not None)
        return block

    def release(self, place: Place, *, now: float, reason: str, by: str = "") -> Block | None:
        """By hand: nothing is held against it any more, and it is left alone for a while. None if it is not blocked."""
        self.expire(now)
        block = self._standing(self.blocks, place, now)
        if block is not None:
            self._release(self.blocks, block, "by_hand", now=now, reason=reason[:REASON_CHARACTERS_MAX], by=by)
            self._spare(place, now)
        return block

    def adopt(self, block: Block, *, now: float) -> bool:
        """A block of another exporter: whether it is news. The same one again is none. Raises Refused."""
        self.expire(now)
        before = self._standing(self.blocks, block.place, now)
        over = block.until <= now or self.released.get(block.place, 0.0) >= block.at
        if over or (before is not None and before.rank >= block.rank):
            return False
        block = replace(block, origin="shared")
        self._admit(block, now=now)
        self._put(self.blocks, block, now=now, extended=before is not None)
        return True

    def adopt_release(self, place: Place, *, at: float, now: float, by: str = "") -> bool:
        """A person has released it at another exporter: whether that is news."""
        self.expire(now)
        if self.released.get(place, 0.0) >= at:
            return False
        block = self._standing(self.blocks, place, now)
        if block is not None and block.at > at:
            return False
        if block is not None:
            self._release(self.blocks, block, "shared", now=now, reason="released at another exporter", by=by)
        self._spare(place, at)
        return True

    def restore(self, block: Block, *, now: float) -> None:
        """As it was kept, where nothing newer is known. What ended meanwhile, or may not be any more, is not told."""
        # No clock that was wrong makes a block longer than it was to be.
        until = min(block.until, now + block.until - block.at)
        known = self.blocks.get(block.place) is not None or len(self.blocks) >= BLOCKS_MAX
        may_be = (block.by_hand or not self.policy.dry_run) and not self.policy.allowed.meets(block.place)
        if until > now and not known and may_be:
            self.blocks.put(replace(block, until=until))

    def restore_score(self, address: Address, score: Score, *, now: float) -> None:
        self._no_later(score, now)
        if self.scores.get(address) is None:
            self.scores.put(address, score, policy=self.policy, now=now)

    def restore_release(self, place: Place, at: float, *, now: float) -> None:
        if len(self.released) < RELEASED_MAX:
            self.released[place] = max(min(at, now), self.released.get(place, 0.0))

    def expire(self, now: float) -> bool:
        """Whether there may be more, as many at once would keep everybody else waiting."""
        if now < self._latest - SET_BACK_SECONDS_MIN:
            self._set_back(self._latest, now)
        self._latest = now
        ended = 0
        for blocks in (self.blocks, self.dry):
            for block in blocks.ended(now, ENDED_MAX):
                self._expire_one(blocks, block, now)
                ended += 1
        return ended >= ENDED_MAX

    def _set_back(self, before: float, now: float) -> None:
        """The clock was wrong, or is now. What was decided by it lasts no longer than it would have lasted."""
        for blocks in (self.blocks, self.dry):
            for block in [block for block in blocks if block.at > now]:
                until = now + block.until - before
                blocks.put(replace(block, at=now, since=min(block.since, now), until=until))
        for score in self.scores.all():
            self._no_later(score, now)
        for place, at in self.released.items():
            self.released[place] = min(at, now)
        self.changes += 1

    def _no_later(self, score: Score, now: float) -> None:
        """As if nothing had been known of the future."""
        score.at = min(score.at, now)
        score.blocked_until = min(score.blocked_until, now + self.policy.block_seconds_max)
        score.spared_until = min(score.spared_until, now + self.policy.grace_seconds)

    def _expire_one(self, blocks: Blocklist, block: Block, now: float) -> None:
        self._release(blocks, block, "expired", now=now, reason="its time is over")

    def _standing(self, blocks: Blocklist, place: Place, now: float) -> Block | None:
        """The block of this place, if it has not ended."""
        block = blocks.get(place)
        if block is not None and block.until <= now:
            self._expire_one(blocks, block, now)
            return None
        return block

    def sweep(self, now: float) -> None:
        """Now and then."""
        self.scores.sweep(SWEPT_MAX, policy=self.policy, now=now)

    def top_networks(self, now: float) -> list[tuple[str, float]]:
        """The networks with the highest scores, and the sum of these."""
        sums: Counter[str] = Counter()
        for address in islice(self.scores.lately(), TOP_LOOKED_AT_MAX if self.policy.top_networks else 0):
            score = self.scores.get(address)
            if score is not None:
                sums[network_of(address)] += score.left(self.policy, now)  # type: ignore[assignment]
        most = min(self.policy.top_networks, TOP_NETWORKS_MAX)
        return [(network, score) for network, score in sums.most_common(most) if score >= 1.0]

    def _judge(self, address: Address, score: Score, now: float) -> None:
        """Its score is above the threshold."""
        blocks = self.dry if self.policy.dry_run else self.blocks
        before = self._standing(blocks, address, now)
        if before is not None:
            self._extend(blocks, before, score, now)
            return
        if score.spared_until > now:
            return
        if score.times and now >= score.blocked_until + self.policy.forget_seconds:
            score.times = 0
        until = now + self.policy.seconds_of(score.times + 1)
        block = block_of(
            address,
            origin="automatic",
            at=now,
            since=now,
            until=until,
            reason=score.said()[:REASON_CHARACTERS_MAX],
            score=round(score.score, 1),
            times=score.times + 1,
        )
        try:
            self._admit(block, now=now, dry_run=blocks is self.dry)
        except Refused:
            score.spared_until = now + REFUSED_SECONDS
            return
        score.times, score.blocked_until = block.times, until
        self._put(blocks, block, now=now, extended=False)

    def _extend(self, blocks: Blocklist, before: Block, score: Score, now: float) -> None:
        """What a person or another exporter has decided stays as it is."""
        until = now + self.policy.seconds_of(before.times)
        if before.origin == "automatic" and until >= before.until + EXTENSION_SECONDS_MIN:
            score.blocked_until = until
            reason = score.said()[:REASON_CHARACTERS_MAX]
            block = replace(before, at=now, until=until, reason=reason, score=round(score.score, 1))
            self._put(blocks, block, now=now, extended=True)

    def _admit(self, block: Block, *, now: float, dry_run: bool = False) -> None:
        """Raises Refused, which was told then."""
        try:
            if self.policy.allowed.meets(block.place):
                why = self.policy.allowed.why(block.place)
                raise Refused("allow_list", f"it is never blocked, or has addresses that are not: {why}")
            if not dry_run and self.blocks.get(block.place) is None:
                self._make_room(block, now)
            elif dry_run and len(self.dry) >= BLOCKS_MAX:
                raise Refused("full", f"there would be {BLOCKS_MAX} on the list already")
        except Refused as refused:
            self.refused_total[refused.why] += 1
            self._tell(block, "refused", now=now, why=refused.why, reason=str(refused), dry_run=dry_run)
            raise

    def _make_room(self, block: Block, now: float) -> None:
        """A person goes before findings. Raises Refused."""
        if isinstance(block.place, Network) and self.blocks.networks >= NETWORKS_MAX:
            raise Refused("full", f"there are {NETWORKS_MAX} networks on the list already")
        if len(self.blocks) < BLOCKS_MAX:
            return
        first = self.blocks.ends_first("automatic") if block.by_hand else None
        if first is None:
            raise Refused("full", f"there are {BLOCKS_MAX} on the list already")
        self._release(self.blocks, first, "room", now=now, reason="there were too many, and it would have ended first")

    def _put(self, blocks: Blocklist, block: Block, *, now: float, extended: bool) -> None:
        blocks.put(block)
        self.changes += 1
        if not extended and blocks is self.blocks:
            self.blocked_total[block.origin] += 1
        elif not extended:
            self.dry_total += 1
        what: What = "extended" if extended else "blocked"
        self._tell(block, what, now=now, reason=block.reason, dry_run=blocks is self.dry)

    def _release(self, blocks: Blocklist, block: Block, why: Release, *, now: float, reason: str, by: str = "") -> None:
        blocks.remove(block.place)
        self.changes += 1
        if blocks is self.blocks:
            self.released_total[why] += 1
        self._tell(replace(block, by=by), "released", now=now, why=why, reason=reason, dry_run=blocks is self.dry)

    def _spare(self, place: Place, now: float) -> None:
        self.released[place] = now
        self.released.move_to_end(place)
        if len(self.released) > RELEASED_MAX:
            self.released.popitem(last=False)
        if not isinstance(place, Network):
            spared = Score(now, spared_until=now + self.policy.grace_seconds, reasons={})
            self.scores.put(place, spared, policy=self.policy, now=now)

    def _score_of(self, place: Place, now: float) -> float:
        score = None if isinstance(place, Network) else self.scores.get(place)
        return 0.0 if score is None else round(score.left(self.policy, now), 1)

    def _tell(self, block: Block, what: What, *, now: float, reason: str, why: str = "", dry_run: bool = False) -> None:
        deed = Deed(
            at=now,
            what=what,
            address=written(block.place),
            origin=block.origin,
            reason=reason,
            why=why,
            by=block.by,
            since=block.since,
            until=block.until,
            score=block.score,
            times=block.times,
            dry_run=dry_run,
        )
        for told in self.told:
            told(deed)
