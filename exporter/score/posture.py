"""What is known of how safe this is, what each part makes of it, and the score: their mean by weight. Pure.

Each part is 1 where nothing is wrong, and falls as something gets worse, and never rises by that. What is not known has
no part, and the weights of the others are shared anew. docs/security-score.md has the same for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

# At which a part is a half.
FINDING_POINTS_HALF = 20.0
BLOCKED_HALF = 100.0
UPDATES_HALF = 10.0
# Logins that are taken for granted, all of them right, so that the first one that fails is no catastrophe.
LOGINS_GRANTED = 20.0
# From here on a certificate is as good as new.
CERTIFICATE_SECONDS = 30 * 86_400.0
# So long after it was seen, a change is no news any more.
FILE_CHANGE_SECONDS = 86_400.0


class Posture(msgspec.Struct, frozen=True):
    """What is known; None is not."""

    finding_points: float | None = None
    blocked_addresses: float | None = None
    login_attempts: float | None = None
    login_failures: float | None = None
    # Until the first certificate ends; below 0 where one has ended.
    certificate_seconds: float | None = None
    unexpected_ports: float | None = None
    security_updates: float | None = None
    # Since a watched file was last changed; infinite where none was.
    file_unchanged_seconds: float | None = None


class Part(NamedTuple):
    """`ratio` is from 0 to 1, or None where nothing is known of it."""

    weight: int
    ratio: Callable[[Posture], float | None]


def _findings(posture: Posture) -> float | None:
    return _falling(posture.finding_points, FINDING_POINTS_HALF)


def _blocked(posture: Posture) -> float | None:
    return _falling(posture.blocked_addresses, BLOCKED_HALF)


def _logins(posture: Posture) -> float | None:
    attempts, failures = posture.login_attempts, posture.login_failures
    if not attempts or failures is None:
        return None
    return _within(1 - failures / (attempts + LOGINS_GRANTED))


def _certificates(posture: Posture) -> float | None:
    left = posture.certificate_seconds
    return None if left is None else _within(left / CERTIFICATE_SECONDS)


def _ports(posture: Posture) -> float | None:
    return _falling(posture.unexpected_ports, 1.0)


def _updates(posture: Posture) -> float | None:
    return _falling(posture.security_updates, UPDATES_HALF)


def _files(posture: Posture) -> float | None:
    age = posture.file_unchanged_seconds
    return None if age is None else _within(age / FILE_CHANGE_SECONDS)


PARTS: Mapping[str, Part] = {
    "findings": Part(5, _findings),
    "logins": Part(2, _logins),
    "blocked_addresses": Part(1, _blocked),
    "watched_files": Part(4, _files),
    "listening_ports": Part(3, _ports),
    "updates": Part(3, _updates),
    "certificates": Part(2, _certificates),
}


def ratios(posture: Posture) -> dict[str, float]:
    """Of the parts of which something is known."""
    found = {name: part.ratio(posture) for name, part in PARTS.items()}
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def weights(known: Mapping[str, float]) -> dict[str, float]:
    """The share of each part: 0 of what is not known, and 1 of all together unless nothing is."""
    whole = sum(PARTS[name].weight for name in known)
    return {name: part.weight / whole if name in known else 0.0 for name, part in PARTS.items()}


def score(known: Mapping[str, float]) -> float | None:
    """None where nothing is known."""
    if not known:
        return None
    shares = weights(known)
    return _within(sum(shares[name] * ratio for name, ratio in known.items()))


def _falling(number: float | None, half: float) -> float | None:
    """1 for nothing, a half at `half`, and ever less."""
    return None if number is None else half / (half + max(number, 0.0))


def _within(ratio: float) -> float:
    return min(max(ratio, 0.0), 1.0)
