"""A city of people who log in, mistype and chat, and those who attack it: who does what, and who is blocked for it.

What is drawn decides how often a person mistypes and in which order everything happens, never who goes too far: nobody
of the well-behaved does more than half of what a detector lets pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

Event = Mapping[str, object]

# What /blocklist has for whoever comes from there.
HOUSEHOLD = "2001:db8:cafe:7::/64"
ROTATING = "2001:db8:bad:1::/64"
OFFICE = "198.18.255.1"
MOBILE_NETWORK = "198.18.255.2"
PROBE = "198.18.255.3"
OLD_TELEPHONE = "198.18.255.4"
LISTED_NETWORK = "198.19.240.0/24"
# Attack from elsewhere: through nginx, at sshd, and after a restart.
BURGLAR = "198.19.250.1"
GUESSER = "198.19.250.2"
CITY, ATTACKERS, BOTNET, NEWCOMERS = "198.18", "198.19.1", "198.19", "198.19.2"

HOMES = 3_000
BOTS = 2_000
BOT_VICTIMS = 20
OFFICE_PEOPLE = 300
MOBILE_PEOPLE = 400


class Attacker(NamedTuple):
    address: str  # as the blocklist has it
    detector: str
    events: Sequence[Event]


def login(ip: str, user: str, *, outcome: str) -> Event:
    return {"event": "auth", "source": "shop", "method": "password", "outcome": outcome, "ip": ip, "user": user}


def failed(ip: str, user: str, times: int = 1) -> list[Event]:
    return [login(ip, user, outcome="failed")] * times


def query(ip: str, *, accepted: bool) -> Event:
    return {"event": "graphql_validation", "source": "shop", "accepted": accepted, "complexity": 12, "ip": ip}


def socket(ip: str, *, accepted: bool) -> Event:
    return {"event": "websocket_attempt", "source": "chat", "accepted": accepted, "user_type": "guest", "ip": ip}


def message(ip: str) -> Event:
    return {"event": "message_sent", "source": "chat", "message_type": "text", "status": "ok", "ip": ip}


def request(ip: str) -> Event:
    return {"event": "http_request", "method": "GET", "route": "/", "status": 200, "duration_seconds": 0.1, "ip": ip}


def attackers(below: str) -> list[Attacker]:
    """Sixty, in five ways."""

    def address(number: int) -> str:
        return f"{below}{number // 200}.{number % 200 + 1}"

    found = []
    for number in range(20):
        ip = address(number)
        found.append(Attacker(ip, "brute_force_address", failed(ip, f"victim-{ip}", 120)))
    for number in range(20, 35):
        ip = address(number)
        tried = [login(ip, f"leaked-{ip}-{each}", outcome="failed") for each in range(40)]
        found.append(Attacker(ip, "credential_stuffing", tried))
    for number in range(35, 45):
        ip = address(number)
        found.append(Attacker(ip, "graphql_bomb", [query(ip, accepted=False)] * 20))
    for number in range(45, 55):
        ip = address(number)
        found.append(Attacker(ip, "websocket_flood", [socket(ip, accepted=False)] * 40))
    for number in range(55, 60):
        ip = address(number)
        found.append(Attacker(ip, "message_burst", [message(ip)] * 300))
    return found


def others() -> Iterator[Attacker]:
    """Those on a list, and an IPv6 customer who takes another address for each attempt."""
    for number in range(1, 6):
        ip = LISTED_NETWORK.replace("0/24", str(number))
        yield Attacker(ip, "malicious_address", [request(ip)])
    rotating = [ROTATING.replace(":/64", f":{each:x}") for each in range(1, 41)]
    stuffed = [login(ip, f"leaked-{ip}", outcome="failed") for ip in rotating]
    yield Attacker(ROTATING, "credential_stuffing", stuffed)


def botnet() -> list[Event]:
    """No address does much: each tries one password of one of few people."""
    return [
        login(f"{BOTNET}.{100 + number // 250}.{number % 250 + 1}", f"sprayed-{number % BOT_VICTIMS}", outcome="failed")
        for number in range(BOTS)
    ]


def a_day(chance: Random) -> list[Event]:
    """What the well-behaved do, and the probe that fails to log in all the time."""
    events: list[Event] = []
    for number in range(HOMES):
        ip = f"{CITY}.{number // 250}.{number % 250 + 1}"
        events += _at_home(ip, f"neighbour-{number}", chance)
    for each in range(1, 6):
        events += _at_home(HOUSEHOLD.replace(":/64", f":{each}"), f"neighbour-at-home-{each}", chance)
    for ip, people in ((OFFICE, OFFICE_PEOPLE), (MOBILE_NETWORK, MOBILE_PEOPLE)):
        for each in range(people):
            user = f"neighbour-{ip}-{each}"
            events += failed(ip, user, chance.randint(1, 2)) if chance.random() < 0.2 else []
            events.append(login(ip, user, outcome="success"))
    events += failed(PROBE, "neighbour-probe", 300)
    events += failed(OLD_TELEPHONE, "neighbour-with-an-old-password", 20)
    return events


def _at_home(ip: str, user: str, chance: Random) -> Iterator[Event]:
    yield from failed(ip, user, chance.choice((0, 0, 0, 0, 1, 1, 2, 5)))
    yield login(ip, user, outcome="success")
    for _ in range(chance.randrange(4)):
        yield query(ip, accepted=chance.random() < 0.9)
    for _ in range(chance.randrange(3)):
        yield socket(ip, accepted=chance.random() < 0.9)
    for _ in range(chance.randrange(6)):
        yield message(ip)
    yield request(ip)
