"""What is known of how safe this is, read off the metrics of the role `security`: so everybody can check it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf

from exporter.family import Family
from exporter.score.posture import Posture

BLOCKED = "security_blocked_addresses"
PORTS = "security_unexpected_listening_ports"
CERTIFICATES = "security_certificate_expiry_timestamp_seconds"
UPDATES = "security_pending_updates"
FILES = "security_watched_files"
FILE_CHANGES = "security_watched_file_last_change_timestamp_seconds"
_READ = frozenset((BLOCKED, PORTS, CERTIFICATES, UPDATES, FILES, FILE_CHANGES))


def posture_of(
    families: Iterable[Family], *, now: float, finding_points: float | None, logins: tuple[int, int] | None
) -> Posture:
    """`logins` are how many there were, and how many of them failed."""
    there = {family.name: family for family in families if family.name in _READ}
    expiries = list(_values(there, CERTIFICATES))
    changes = list(_values(there, FILE_CHANGES))
    attempts, failures = (None, None) if logins is None else logins
    return Posture(
        finding_points=finding_points,
        # Whom a person has blocked says nothing about how it is now.
        blocked_addresses=_sum(there, BLOCKED, origin="automatic"),
        login_attempts=attempts,
        login_failures=failures,
        certificate_seconds=min(expiries) - now if expiries else None,
        unexpected_ports=_sum(there, PORTS),
        security_updates=_sum(there, UPDATES, kind="security"),
        file_unchanged_seconds=None if FILES not in there else max(0.0, now - max(changes)) if changes else inf,
    )


def _sum(there: Mapping[str, Family], name: str, **labels: str) -> float | None:
    found = list(_values(there, name, **labels))
    return sum(found) if found else None


def _values(there: Mapping[str, Family], name: str, **labels: str) -> Iterator[float]:
    family = there.get(name)
    if family is None:
        return
    for key, value in family.samples:
        said = dict(zip(family.labels, key, strict=True))
        if labels.items() <= said.items() and isinstance(value, int | float):
            yield value
