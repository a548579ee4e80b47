"""Who attacks a city is found how soon, and who in it is taken for one: on traffic that is drawn anew each time.

    python -m bench.attacks [--rounds=3] [--hours=24] [--seed=…]

Each round is a day of a city that is drawn (`bench/city.py`), and ten attacks of each kind in it, at random moments and
as fast as is drawn. Events go as lines of JSON through the whole pipeline, in steps of 5 seconds, each event of an
attack by itself; detectors and reputation are as they are without a configuration, and time is that of the events. An
attack ends when its address is blocked; one of many addresses on one person, when that person is found.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random, SystemRandom
from typing import NamedTuple

from bench.city import PROBE, RATES, Attack, City, Event, Happening
from bench.events import whole
from exporter.control import Plan
from exporter.detecting import Detecting
from exporter.detection import Detection
from exporter.finding import Finding
from exporter.identity import people
from exporter.mapping.bundled import RULES
from exporter.pipeline import Pipeline
from exporter.redaction import Redaction
from exporter.reputation.allowed import Allowed, Entry
from exporter.reputation.deed import Deed
from exporter.reputation.place import place_of, written
from exporter.reputation.policy import PRIVATE_ENTRIES, Policy
from exporter.reputation.reputation import Reputation

BEGAN = 1_800_000_000.0
STEP_SECONDS = 5.0
ATTACKS_OF_A_KIND = 10
# Those that are about one address have it blocked.
BLOCKS = tuple(kind for kind in RATES if kind != "brute_force_person")
PEOPLE, SLOW, FAST, ALLOWED, ALL = "people", "slow machines", "fast machines", "allow-list", "all together"
# A machine is as bad as an attacker if it tries more often than this, which is what detectors let pass.
FAST_SECONDS = 72.0


class Late(NamedTuple):
    """By so much, since the first event of the attack."""

    seconds: float
    events: int


class Round:
    """A day, from its seed."""

    def __init__(self, seed: int, hours: float) -> None:
        self.found: dict[str, list[Late]] = defaultdict(list)
        self.blocked: dict[str, list[Late]] = defaultdict(list)
        self.events = 0
        # Whom it was found of though he is none, by who that is and by which detector.
        self.wrongly: Counter[tuple[str, str]] = Counter()
        self.blocked_wrongly: Counter[str] = Counter()
        # Logins that fail, of well-behaved addresses by the hour.
        self.failures: Counter[tuple[str, float]] = Counter()
        self._now = BEGAN
        self._person_of = people(b"key")
        self._told: list[Finding] = []
        detection = Detection(told=self._told.extend)
        self._detection = detection
        Detecting(detection, clock=lambda: self._now).prepare(Plan((), 8.0))()
        redact = Redaction(seen=lambda _: None).redact
        self._pipeline = Pipeline((), redact=redact, person_of=self._person_of, views=(detection,))
        self._pipeline.use(RULES, redact=redact)
        allowed = Allowed((*PRIVATE_ENTRIES, Entry(place_of(PROBE), "bench")))
        self._reputation = Reputation(Policy(allowed=allowed), told=[self._take_deed])
        self._city = City(seed)
        machines = {ip: SLOW if each > FAST_SECONDS else FAST for ip, each in self._city.machines.items()}
        self._known = {PROBE: ALLOWED, **machines}
        self._known_people = {self._person_of("probe"): ALLOWED}
        self._known_people |= {self._person_of(f"machine-{ip}"): each for ip, each in machines.items()}
        self._attacks = drawn(Random(seed + 1), hours * 3_600)
        self._by_address = {each.address: each for each in self._attacks}
        self._by_person = {self._person_of(each.victim): each for each in self._attacks}
        self._seen: set[Attack] = set()
        self._run(hours * 3_600)

    def _run(self, seconds: float) -> None:
        waiting: list[Event] = []
        ends = STEP_SECONDS
        for each in self._city.happens(seconds, self._attacks):
            while each.at >= ends:
                self._take(waiting, ends)
                ends += STEP_SECONDS
            waiting.append(each.event)
            if each.attack is None:
                self._watch(each)
            else:
                each.attack.first_at = each.at if each.attack.first_at is None else each.attack.first_at
                each.attack.tried += 1
                self._take(waiting, each.at)

    def _watch(self, each: Happening) -> None:
        ip = str(each.event["ip"])
        if each.event.get("outcome") == "failed" and ip not in self._known:
            self.failures[ip, each.at // 3_600] += 1

    def _take(self, waiting: list[Event], at: float) -> None:
        self._now = BEGAN + at
        self._detection.tick(now=self._now)
        if waiting:
            self.events += len(waiting)
            self._pipeline.lines("\n".join(map(json.dumps, waiting)).encode(), now=self._now)
            waiting.clear()
        for finding in self._told:
            self._judge(finding)
        self._reputation.take(self._told, now=self._now)
        self._told.clear()

    def _judge(self, finding: Finding) -> None:
        address = None if finding.address is None else written(finding.address)
        attack = self._by_address.get(address or "")
        if finding.person is not None:
            attack = self._by_person.get(finding.person)
        if attack is None:
            # Who attacks at that moment may be why there are more logins than usual.
            if address is None and finding.person is None and any(not each.is_over for each in self._seen_now()):
                return
            self.wrongly[self._who(address, finding), finding.detector] += 1
        elif finding.detector == attack.kind and attack not in self._seen:
            self._seen.add(attack)
            self.found[attack.kind].append(self._late(attack))
            attack.is_over = attack.kind not in BLOCKS

    def _seen_now(self) -> Iterable[Attack]:
        return (each for each in self._attacks if each.first_at is not None)

    def _who(self, address: str | None, finding: Finding) -> str:
        if address is None and finding.person is None:
            return ALL
        known = self._known_people.get(finding.person) if address is None else self._known.get(address)
        return known or PEOPLE

    def _take_deed(self, deed: Deed) -> None:
        if deed.what != "blocked":
            return
        attack = self._by_address.get(deed.address)
        if attack is None:
            self.blocked_wrongly[self._known.get(deed.address, PEOPLE)] += 1
        elif not attack.is_over:
            attack.is_over = True
            self.blocked[attack.kind].append(self._late(attack))

    def _late(self, attack: Attack) -> Late:
        assert attack.first_at is not None
        return Late(self._now - BEGAN - attack.first_at, attack.tried)


def drawn(chance: Random, seconds: float) -> Sequence[Attack]:
    """At any moment of the day from which there is time enough to find it."""
    kinds = [kind for kind in RATES for _ in range(ATTACKS_OF_A_KIND)]
    return [Attack(kind, number, chance.uniform(0, seconds / 2), chance) for number, kind in enumerate(kinds)]


def shown(late: Sequence[float], digits: int = 0) -> str:
    if not late:
        return "–"
    most = sorted(late)
    of_a_hundred = most[min(len(most) - 1, int(len(most) * 0.95))]
    return " / ".join(f"{each:,.{digits}f}" for each in (statistics.median(most), of_a_hundred, most[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    asked = parser.parse_args()
    seeds = range(asked.seed, asked.seed + asked.rounds)
    rounds = [Round(seed, asked.hours) for seed in seeds]
    events = sum(each.events for each in rounds)
    print(
        f"{asked.rounds} days of {asked.hours:g} hours, {events:,} events, seeds {', '.join(map(str, seeds))}."
        " Attacks, and what passes from the first event of each (median / 95 of 100 / most):\n"
    )
    print("| attacks | events a second | found | seconds | events | blocked | seconds | events |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, (least, most) in RATES.items():
        found = [late for each in rounds for late in each.found[kind]]
        blocked = [late for each in rounds for late in each.blocked[kind]]
        row = f"| `{kind}` | {least:g} to {most:g} | {len(found)} of {asked.rounds * ATTACKS_OF_A_KIND} |"
        row += f" {shown([each.seconds for each in found])} | {shown([each.events for each in found])} |"
        if kind in BLOCKS:
            row += f" {len(blocked)} | {shown([each.seconds for each in blocked])} |"
            row += f" {shown([each.events for each in blocked])} |"
        else:
            row += " nobody | – | – |"
        print(row)
    print("\nTaken for attackers (least / middle / most of a day):\n")
    print("| who | findings | blocks | a million events: findings | blocks |")
    print("|---|---|---|---|---|")
    for name, who in (
        ("38,000 homes, 20 offices, 2 mobile networks", PEOPLE),
        ("machines that try an old password up to 50 times an hour", SLOW),
        ("machines that do so more often", FAST),
        ("a probe on the allow-list that fails all the time", ALLOWED),
        ("nobody in particular", ALL),
    ):
        findings = [sum(n for (each, _), n in one.wrongly.items() if each == who) for one in rounds]
        blocks = [one.blocked_wrongly[who] for one in rounds]
        days = " | ".join(f"{min(of)} / {statistics.median(of):g} / {max(of)}" for of in (findings, blocks))
        millions = " | ".join(f"{sum(of) / events * 1e6:.1f}" for of in (findings, blocks))
        print(f"| {name} | {days} | {millions} |")
    failures = [max(one.failures.values()) for one in rounds]
    print(f"\nLogins of the worst well-behaved address that fail within an hour: {whole(failures)}.")
    of_people: Counter[str] = Counter()
    for one in rounds:
        of_people.update({name: n for (who, name), n in one.wrongly.items() if who == PEOPLE})
    if of_people:
        print(f"\nOf people, by detector: {', '.join(f'`{name}` {n}' for name, n in sorted(of_people.items()))}.")


if __name__ == "__main__":
    main()
