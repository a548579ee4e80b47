"""A day of a city that never was: who logs in, asks and chats at a site, from where; and who attacks it meanwhile.

Homes, IPv6 customers, offices and mobile networks with many people behind one address; people who mistype, and some
who have forgotten their password; machines that go on trying an old one. All of it by chance, of which a seed decides.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import exp, log
from random import Random
from typing import NamedTuple

from bench.traffic import DAY_SECONDS, daily

HOMES, CUSTOMERS, OFFICES, MOBILE_NETWORKS, MACHINES = 30_000, 8_000, 20, 2, 40
OFFICE_PEOPLE = (50, 800)
MOBILE_PEOPLE = 3_000
SESSIONS_A_DAY = 60_000
# Everybody in an office logs in once within this part of the day, and now and then later.
MORNING_SECONDS = (7_200.0, 10_800.0)
SESSION_SECONDS = 300.0
# Of sessions: those that begin with a slip, and those of people who do not know their password any more.
MISTYPED, FORGOTTEN = 0.06, 0.003
# Of what well-behaved programs ask.
QUERIES_REJECTED, SOCKETS_REJECTED = 0.002, 0.005
# What tries an old password does so as often as this.
MACHINE_SECONDS = (30.0, 3_600.0)
# On the allow-list: it fails to log in, as it is to.
PROBE = "192.0.2.1"
PROBE_SECONDS = 10.0
ATTACK_SECONDS_MAX = 5_400.0
BOTS = 500
# Of an attack, events a second: from what is hardly more than what is let pass.
RATES: Mapping[str, tuple[float, float]] = {
    "brute_force_address": (0.02, 5.0),
    "brute_force_person": (0.02, 5.0),
    "credential_stuffing": (0.02, 5.0),
    "graphql_bomb": (0.06, 5.0),
    "websocket_flood": (0.5, 20.0),
}

Event = Mapping[str, object]
# From which address, and who.
Somebody = tuple[str, str]


class Happening(NamedTuple):
    at: float
    # Tells apart what happens at the same moment.
    number: int
    event: Event
    attack: Attack | None = None


class Attack:
    """One of a kind. It goes on until somebody says that it is over, or for an hour and a half."""

    def __init__(self, kind: str, number: int, begins: float, chance: Random) -> None:
        self.kind = kind
        self.address = f"198.18.{number // 250}.{number % 250 + 1}"
        self.victim = f"victim-{number}"
        self.first_at: float | None = None
        self.tried = 0
        self.is_over = False
        self._begins = begins
        self._bots = [f"198.19.{chance.randrange(256)}.{chance.randrange(1, 255)}" for _ in range(BOTS)]
        least, most = RATES[kind]
        self._per_second = exp(chance.uniform(log(least), log(most)))
        self._chance = chance

    def happens(self) -> Iterator[Happening]:
        at = self._begins
        while not self.is_over and at < self._begins + ATTACK_SECONDS_MAX:
            yield Happening(at, 0, self._event(), self)
            at += self._chance.expovariate(self._per_second)

    def _event(self) -> Event:
        match self.kind:
            case "brute_force_person":
                return login(self._chance.choice(self._bots), self.victim, outcome="failed")
            case "credential_stuffing":
                outcome = "success" if self._chance.random() < 0.02 else "failed"
                return login(self.address, f"leaked-{self._chance.getrandbits(40)}", outcome=outcome)
            case "graphql_bomb":
                return query(self.address, accepted=False)
            case "websocket_flood":
                return socket(self.address, accepted=False)
        return login(self.address, self.victim, outcome="failed")


def login(ip: str, user: str, *, outcome: str) -> Event:
    return {"event": "auth", "source": "shop", "method": "password", "outcome": outcome, "ip": ip, "user": user}


def query(ip: str, *, accepted: bool) -> Event:
    return {"event": "graphql_validation", "source": "shop", "accepted": accepted, "complexity": 7, "ip": ip}


def socket(ip: str, *, accepted: bool) -> Event:
    return {"event": "websocket_attempt", "source": "chat", "accepted": accepted, "user_type": "user", "ip": ip}


def message(ip: str) -> Event:
    return {"event": "message_sent", "source": "chat", "message_type": "text", "status": "ok", "ip": ip}


class City:
    def __init__(self, seed: int) -> None:
        self._chance = chance = Random(seed)
        self._offices = [
            (f"81.1.{each}.1", int(exp(chance.uniform(*map(log, OFFICE_PEOPLE))))) for each in range(OFFICES)
        ]
        self.machines = {
            f"81.2.0.{each + 1}": exp(chance.uniform(*map(log, MACHINE_SECONDS))) for each in range(MACHINES)
        }

    def happens(self, seconds: float, attacks: Sequence[Attack]) -> Iterator[Happening]:
        """In the order of time, from 0."""
        machines = [self._every(each, ip, f"machine-{ip}", seconds) for ip, each in self.machines.items()]
        probe = self._every(PROBE_SECONDS, PROBE, "probe", seconds)
        attacking = (each.happens() for each in attacks)
        return heapq.merge(self._sessions(seconds), probe, *machines, *attacking, key=lambda each: each.at)

    def _every(self, step: float, ip: str, user: str, seconds: float) -> Iterator[Happening]:
        at = self._chance.uniform(0.0, step)
        while at < seconds:
            yield Happening(at, 0, login(ip, user, outcome="failed"))
            at += step

    def _sessions(self, seconds: float) -> Iterator[Happening]:
        chance, waiting = self._chance, list[Happening]()
        number = 0
        for begins, (ip, user) in heapq.merge(self._all_day(seconds), self._morning(), key=lambda each: each[0]):
            while waiting and waiting[0].at < begins:
                yield heapq.heappop(waiting)
            at = begins
            for event in self._session(ip, user):
                number += 1
                heapq.heappush(waiting, Happening(at, number, event))
                at += chance.expovariate(12 / SESSION_SECONDS)

    def _all_day(self, seconds: float) -> Iterator[tuple[float, Somebody]]:
        at = 0.0
        while at < seconds:
            at += self._chance.expovariate(SESSIONS_A_DAY / DAY_SECONDS * daily(at))
            yield at, self._somebody()

    def _morning(self) -> Sequence[tuple[float, Somebody]]:
        everybody = [(ip, f"{ip}-{each}") for ip, people in self._offices for each in range(people)]
        return sorted((self._chance.uniform(*MORNING_SECONDS), each) for each in everybody)

    def _session(self, ip: str, user: str) -> Iterator[Event]:
        chance = self._chance
        wrong, knows = 0, True
        if chance.random() < FORGOTTEN:
            wrong, knows = chance.randint(5, 20), chance.random() < 0.7
        elif chance.random() < MISTYPED:
            wrong = 1 + int(chance.expovariate(1.0))
        for _ in range(wrong):
            yield login(ip, user, outcome="failed")
        if not knows:
            return
        yield login(ip, user, outcome="success")
        yield socket(ip, accepted=chance.random() >= SOCKETS_REJECTED)
        for _ in range(chance.randrange(5)):
            yield query(ip, accepted=chance.random() >= QUERIES_REJECTED)
        for _ in range(chance.randrange(6)):
            yield message(ip)

    def _somebody(self) -> Somebody:
        chance = self._chance
        drawn: Callable[[int], int] = chance.randrange
        where = chance.random()
        if where < 0.1:
            ip, people = chance.choice(self._offices)
            return ip, f"{ip}-{drawn(people)}"
        if where < 0.4:
            ip = f"81.3.0.{drawn(MOBILE_NETWORKS) + 1}"
            return ip, f"{ip}-{drawn(MOBILE_PEOPLE)}"
        if where < 0.5:
            home = f"2001:db8:{drawn(CUSTOMERS):x}:1"
            return f"{home}::{drawn(65_536):x}", f"{home}-{drawn(4)}"
        number = drawn(HOMES)
        return f"81.4.{number // 250}.{number % 250 + 1}", f"home-{number}-{drawn(3)}"
