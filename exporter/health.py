"""Is the exporter well, and what it looks after? Told from memory: asking starts no collector and no probe.

Down means that a critical dependency is down. Degraded means that a dependency is sick otherwise, that something is
missing which should be on the page, or that a changed configuration was refused. A process that answers at all is
alive, which is what `/-/healthy` says.
"""

from datetime import UTC, datetime
from typing import Any

from exporter.dependencies.part import Background
from exporter.metrics import Tally
from exporter.outcome import Reason
from exporter.registry import Registry

HEALTHY, DEGRADED, DOWN = "healthy", "degraded", "down"
CONFIGURATION_REFUSED = "the configuration was refused at the last reload, the one before is in force"


def failing(registry: Registry, tally: Tally) -> dict[str, str]:
    """What is wrong now, by who it is that fails. Empty before the first scrape."""
    found: dict[str, str] = {}
    if registry.last is not None:
        for name, outcome in registry.last.outcomes.items():
            if outcome.reason not in (None, Reason.ABSENT) and name in registry.names:
                found[name] = outcome.error
        for clash in registry.last.quarantined:
            found.setdefault(clash.collector, f"{clash.family} is left out: the name belongs to {clash.owner}")
    if not tally.reload_successful:
        found["configuration"] = CONFIGURATION_REFUSED
    return found


def absent(registry: Registry) -> list[str]:
    """Collectors that found nothing of their kind on this machine."""
    last = {} if registry.last is None else registry.last.outcomes
    return [name for name in registry.names if name in last and last[name].reason is Reason.ABSENT]


def summary(registry: Registry, tally: Tally, background: Background) -> dict[str, Any]:
    what = failing(registry, tally)
    verdict = background.verdict()
    return {
        "status": DEGRADED if what and verdict == HEALTHY else verdict,
        "failing": what,
        "dependencies": background.sick(),
        "root_causes": background.root_causes(),
    }


def details(registry: Registry, tally: Tally, background: Background) -> dict[str, Any]:
    """The summary; each dependency; and each collector: how its last run went, and when it last succeeded."""
    return {
        **summary(registry, tally, background),
        "dependencies": background.details(),
        "collectors": {name: _collector(registry, name) for name in registry.names},
        "configuration": {
            "successful": tally.reload_successful,
            "in_force_since": _moment(tally.reload_success_at),
        },
    }


def _collector(registry: Registry, name: str) -> dict[str, Any]:
    outcome = registry.last.outcomes.get(name) if registry.last is not None else None
    return {
        "status": "not run yet" if outcome is None else "ok" if outcome.reason is None else outcome.reason,
        "error": outcome.error if outcome is not None and outcome.error else None,
        "duration_seconds": outcome.seconds if outcome is not None else None,
        "last_success": _moment(registry.last_success.get(name)),
        "stuck": registry.is_stuck(name),
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
