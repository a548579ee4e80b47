"""What is known of dependencies, as metrics and as words. Pure.

Nothing is asked for a report: it tells of the last answers. No address of anybody is in it, only names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from exporter.dependencies.breaker import State
from exporter.dependencies.status import ENTERED, Dependencies, Known, Status
from exporter.family import Family, Samples, Shape

# A reason that is not foreseen counts as this.
OTHER = "other"

_BY_NAME = ("dependency",)
_UP = Shape(
    "dependency_up",
    "gauge",
    "0 while the dependency is down, else 1; asked in the background, see dependency_last_probe_timestamp_seconds.",
    _BY_NAME,
)
_DEGRADED = Shape(
    "dependency_degraded", "gauge", "1 while the dependency is slow, or fails and is not down yet.", _BY_NAME
)
_CRITICAL = Shape(
    "dependency_critical", "gauge", "1 where the dependency is critical: while it is down, /health is 503.", _BY_NAME
)
_ROOT_CAUSE = Shape(
    "dependency_root_cause", "gauge", "1 while the dependency is sick, and nothing that it needs is.", _BY_NAME
)
_DURATION = Shape("dependency_probe_duration_seconds", "gauge", "How long the last probe took.", _BY_NAME)
_LAST_PROBE = Shape(
    "dependency_last_probe_timestamp_seconds", "gauge", "When the last probe was over, 0 before the first.", _BY_NAME
)
_LAST_SUCCESS = Shape(
    "dependency_last_success_timestamp_seconds", "gauge", "When a probe last succeeded, 0 before the first.", _BY_NAME
)
_PROBES = Shape("dependency_probes_total", "counter", "Probes of the dependency.", _BY_NAME)
_FAILURES = Shape(
    "dependency_probe_failures_total", "counter", "Probes that failed, by reason.", ("dependency", "reason")
)
_CHANGES = Shape(
    "dependency_status_changes_total",
    "counter",
    "How often the dependency came into a status.",
    ("dependency", "status"),
)
_BREAKER = Shape(
    "dependency_circuit_breaker",
    "stateset",
    "While it is open the dependency is not asked; while it is half_open, trials decide.",
    ("dependency", "dependency_circuit_breaker"),
)


class Verdict(StrEnum):
    """`down`: something critical is down. `degraded`: something is sick, or not known yet."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


def verdict(dependencies: Dependencies) -> Verdict:
    every = dependencies.known.values()
    if any(known.status is Status.DOWN and known.dependency.critical for known in every):
        return Verdict.DOWN
    return Verdict.DEGRADED if any(known.status is not Status.UP for known in every) else Verdict.HEALTHY


def sick(dependencies: Dependencies) -> dict[str, str]:
    """Why, by name: of all that are not well."""
    return {
        name: why(dependencies, known) for name, known in dependencies.known.items() if known.status is not Status.UP
    }


def root_causes(dependencies: Dependencies) -> list[str]:
    return [name for name, way in dependencies.causes().items() if len(way) == 1]


def why(dependencies: Dependencies, known: Known) -> str:
    """`down: timeout, because of db: refused`."""
    if known.status is Status.UNKNOWN:
        return "not asked yet"
    way = dependencies.causes().get(known.dependency.name, ())
    said = _said(known)
    return f"{said}, because of {way[-1]}: {_said(dependencies.known[way[-1]])}" if len(way) > 1 else said


def details(dependencies: Dependencies, *, now: float, at: float) -> dict[str, dict[str, Any]]:
    """`now` and `at` are as in status.py."""
    return {name: _detail(dependencies, known, now=now, at=at) for name, known in dependencies.known.items()}


def families(dependencies: Dependencies, *, reasons: Sequence[str]) -> list[Family]:
    """`reasons` are those that can be foreseen."""
    every = dependencies.known
    known = {name: each for name, each in every.items() if each.answer is not None}
    roots = root_causes(dependencies)
    return [
        _UP.of(_numbers((name, each.status is not Status.DOWN) for name, each in known.items())),
        _DEGRADED.of(_numbers((name, each.status in (Status.SLOW, Status.FAILING)) for name, each in every.items())),
        _CRITICAL.of(_numbers((name, each.dependency.critical) for name, each in every.items())),
        _ROOT_CAUSE.of(_numbers((name, name in roots) for name in every)),
        _DURATION.of(_numbers((name, each.answer.seconds) for name, each in known.items() if each.answer)),
        _LAST_PROBE.of(_numbers((name, each.answered_at) for name, each in every.items())),
        _LAST_SUCCESS.of(_numbers((name, each.succeeded_at) for name, each in every.items())),
        _PROBES.of(_numbers((name, each.successes + sum(each.failures.values())) for name, each in every.items())),
        _FAILURES.of(
            tuple(
                ((name, reason), float(count))
                for name, each in every.items()
                for reason, count in _by_reason(each.failures, reasons).items()
            )
        ),
        _CHANGES.of(
            tuple(
                ((name, status.value), float(each.entered.get(status, 0)))
                for name, each in every.items()
                for status in ENTERED
            )
        ),
        _BREAKER.of(
            tuple(
                ((name, state.value), float(each.breaker.state is state))
                for name, each in every.items()
                for state in State
            )
        ),
    ]


def _numbers(pairs: Iterable[tuple[str, float]]) -> Samples:
    return tuple(((name,), float(value)) for name, value in pairs)


def _by_reason(failures: Mapping[str, int], reasons: Sequence[str]) -> dict[str, int]:
    found = dict.fromkeys((*reasons, OTHER), 0)
    for reason, count in failures.items():
        found[reason if reason in found else OTHER] += count
    return found


def _said(known: Known) -> str:
    reason = "" if known.answer is None else known.answer.reason
    return f"{known.status}: {reason}" if reason else str(known.status)


def _detail(dependencies: Dependencies, known: Known, *, now: float, at: float) -> dict[str, Any]:
    dependency, breaker, answer = known.dependency, known.breaker, known.answer
    way = dependencies.causes().get(dependency.name, ())
    return {
        "status": known.status,
        "since": _moment(known.since),
        "critical": dependency.critical,
        "reason": (answer.reason or None) if answer is not None else None,
        "why": None if known.status is Status.UP else why(dependencies, known),
        "root_cause": len(way) == 1,
        "because_of": list(way[1:]),
        "needs": list(dependency.needs),
        "last_probe": _moment(known.answered_at),
        "last_success": _moment(known.succeeded_at),
        "duration_seconds": None if answer is None else answer.seconds,
        "next_probe": None if known.is_asked else _moment(at + max(0.0, known.due_at - now)),
        "circuit_breaker": {
            "state": breaker.state,
            "failures_in_a_row": breaker.failures,
            "trials_in_a_row": breaker.successes,
            "wait_seconds": breaker.wait_seconds if breaker.state is State.OPEN else None,
        },
    }


def _moment(seconds: float) -> str | None:
    """0 is never."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None
