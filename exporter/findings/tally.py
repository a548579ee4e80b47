"""What the exporter says about its own handling of findings, in the role `self`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exporter.family import Family, single

# Why a post fails; exporter/findings/client.py says which is which.
REASONS = ("unreachable", "timeout", "tls", "credentials", "refused", "unavailable", "answer")


class Posts:
    """Of one Alertmanager."""

    def __init__(self) -> None:
        self.posts = 0
        self.alerts = 0
        self.failures = dict.fromkeys(REASONS, 0)
        self.failing = False
        self.last_success = 0.0
        self.dropped = 0

    def fail(self, reason: str) -> None:
        self.posts += 1
        self.failures[reason] += 1
        self.failing = True

    def succeed(self, alerts: int, now: float) -> None:
        self.posts += 1
        self.alerts += alerts
        self.failing = False
        self.last_success = now


class FindingCounts:
    """`alertmanagers` are those of the configuration in force, by host and port; `owed` says how many alerts one has
    not taken."""

    def __init__(self) -> None:
        self.without_line = 0
        self.alertmanagers: dict[str, Posts] = {}
        self.owed: Callable[[str], int] = lambda _: 0

    def follow(self, names: Iterable[str]) -> None:
        self.alertmanagers = {name: self.alertmanagers.get(name) or Posts() for name in names}

    def drop(self, alertmanager: str) -> None:
        if alertmanager in self.alertmanagers:
            self.alertmanagers[alertmanager].dropped += 1


def families(told: FindingCounts) -> Iterable[Family]:
    yield Family.of(
        name="tocsin_exporter_findings_without_line_total",
        type="counter",
        help="Findings without a line of their own in the log, as there were too many in a minute.",
        samples=single(told.without_line),
    )
    each = tuple(told.alertmanagers.items())
    by_name = ("alertmanager",)
    yield Family.of(
        name="tocsin_exporter_findings_posts_total",
        type="counter",
        help="How often this Alertmanager was posted to; failures included.",
        labels=by_name,
        samples=tuple(((name,), posts.posts) for name, posts in each),
    )
    yield Family.of(
        name="tocsin_exporter_findings_post_failures_total",
        type="counter",
        help="How often this Alertmanager did not take what was posted, by reason.",
        labels=(*by_name, "reason"),
        samples=tuple(((name, reason), count) for name, posts in each for reason, count in posts.failures.items()),
    )
    yield Family.of(
        name="tocsin_exporter_findings_alerts_posted_total",
        type="counter",
        help="Alerts that this Alertmanager has taken; each is posted again every minute while it goes on.",
        labels=by_name,
        samples=tuple(((name,), posts.alerts) for name, posts in each),
    )
    yield Family.of(
        name="tocsin_exporter_findings_alerts_dropped_total",
        type="counter",
        help="Alerts that this Alertmanager will not be told of: there were too many, or it was away for too long.",
        labels=by_name,
        samples=tuple(((name,), posts.dropped) for name, posts in each),
    )
    yield Family.of(
        name="tocsin_exporter_findings_alerts_owed",
        type="gauge",
        help="Alerts that this Alertmanager has not taken yet.",
        labels=by_name,
        samples=tuple(((name,), told.owed(name)) for name, _ in each),
    )
    yield Family.of(
        name="tocsin_exporter_findings_last_post_success_timestamp_seconds",
        type="gauge",
        help="When this Alertmanager last took something, in seconds since 1970; 0 is never.",
        labels=by_name,
        samples=tuple(((name,), posts.last_success) for name, posts in each),
    )
