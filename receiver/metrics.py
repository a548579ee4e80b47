"""What the receiver says about itself. Counters are kept where things happen; gauges are read at the scrape."""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from guard.judge import REASONS
from guard.log import Counts
from guard.version import VERSION
from guard.webconfig import WebConfig
from receiver.clock import Clock
from receiver.incident import SEVERITIES
from receiver.message import Kind, Message
from receiver.outbox import Outbox
from receiver.reconcile import Reconciliation
from receiver.retention import Retention
from receiver.runner import Runner
from receiver.spell import ACKNOWLEDGED, RESOLVED, Timed
from receiver.standing import (
    action_families,
    families_of,
    log_families,
    reconciliation_families,
    retention_families,
    web_config_families,
)

# Every word that a decision may count, so that each series is there at zero from the start.
ALERT_OUTCOMES = (
    "new", "repeated", "refired", "resolved", "resolved_unseen", "unconfirmed", "late", "came_back", "duplicate",
)  # fmt: skip
COUNTED: Mapping[str, tuple[str, str]] = {
    "cut": (
        "tocsin_receiver_alerts_cut_total",
        "Label or annotation sets cut because something in them was over a limit.",
    ),
    "left_out": ("tocsin_receiver_alerts_left_out_total", "Alerts that bodies left out, by Alertmanager's own count."),
    "hidden": ("tocsin_receiver_alerts_hidden_total", "Times that an alert was hidden while it fired."),
    "gone": ("tocsin_receiver_alerts_gone_total", "Alerts that Alertmanager did not have any more when it was asked."),
    "stale": ("tocsin_receiver_alerts_stale_total", "Alerts taken for over because nothing was heard of them."),
    "incidents_opened": ("tocsin_receiver_incidents_opened_total", "Incidents that were opened."),
    "incidents_resolved": ("tocsin_receiver_incidents_resolved_total", "Incidents that were resolved."),
    "incidents_reopened": ("tocsin_receiver_incidents_reopened_total", "Incidents that were opened again."),
    "incidents_merged": ("tocsin_receiver_incidents_merged_total", "Incidents whose alerts went to another one."),
    "unrouted": (
        "tocsin_receiver_incidents_unrouted_total",
        "Times that no route matched an incident, so that nobody is told.",
    ),
    "stages_unreached": (
        "tocsin_receiver_stages_unreached_total",
        "Stages that told nobody: nobody was on call, or there was no way to whoever was.",
    ),
    "keys_left_out": (
        "tocsin_receiver_correlation_keys_left_out_total",
        "Keys over the limit: by these, alerts do not find their incident.",
    ),
    "sources_silent": ("tocsin_receiver_sources_silent_total", "Times that a source fell silent."),
    "held": ("tocsin_receiver_messages_held_back_total", "Messages held back for the digest of a channel."),
    "acts": ("tocsin_receiver_acts_total", "What people did to incidents."),
    "acts_refused": (
        "tocsin_receiver_acts_refused_total",
        "What people wanted to do and the state of the incident did not allow.",
    ),
    "settled_twice": ("tocsin_receiver_answers_unknown_total", "Answers about messages that were not owed."),
}
REFUSALS = (
    "not_json", "not_version_4", "wrong_type", "too_many_alerts", "too_large", "arriving", "slow", "unreadable",
    "source", "not_loopback", "token_file", "unauthorized", "role", "logins", "busy", "origin",
    "undecided", "alerts", "messages_owed", "store",
)  # fmt: skip
# What became of a use of a signed link.
LINK_OUTCOMES = (
    "shown", "acknowledged", "snoozed", "resolved",
    "not_allowed", "incomplete", "expired", "not_genuine", "too_many", "unknown", "store",
)  # fmt: skip
TIMED: Mapping[str, tuple[str, str]] = {
    ACKNOWLEDGED: (
        "tocsin_receiver_time_to_acknowledge_seconds",
        "From the first message that told anybody of an incident to its first acknowledgement.",
    ),
    RESOLVED: (
        "tocsin_receiver_time_to_resolve_seconds",
        "From when an incident was opened, or opened again, to its end.",
    ),
}
_OF_RANK = {rank: word for word, rank in reversed(list(SEVERITIES.items()))}  # the first word of each
# Each is two series; the API has all of them.
ALERTS_NAMED_MAX = 200
ANSWER_SECONDS = (15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400, 604_800)
# By which way somebody answers from elsewhere, and what became of it.
BACK = ("slack", "pagerduty")
BACK_OUTCOMES = (
    "done", "refused", "unknown", "ignored", "repeated", "late", "echo",
    "unsigned", "stale", "malformed", "too_large", "busy", "secret_file", "failed",
)  # fmt: skip
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def known_severity(severity: str) -> str:
    """A label must not explode: words of the same rank are one, and what nobody knows is `other`."""
    rank = SEVERITIES.get(severity.lower())
    return "other" if rank is None else _OF_RANK[rank]


class Metrics:
    """The registry and the counters. `observe` adds what is read from the running parts at each scrape."""

    def __init__(self, *, clock: Clock) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # in the text format they would be gauges that nobody asked for
        self.registry = CollectorRegistry()
        self._clock = clock
        ProcessCollector(registry=self.registry)
        build = Gauge(
            "tocsin_receiver_build_info",
            "1, labelled by the versions of Tocsin and Python.",
            ["version", "python_version"],
            registry=self.registry,
        )
        build.labels(VERSION, platform.python_version()).set(1)
        self.webhooks = self._counter("tocsin_receiver_webhooks_total", "Webhooks that came to a door.")
        self.webhooks_refused = self._counter(
            "tocsin_receiver_webhooks_refused_total",
            "Webhooks that were not answered 200, by reason.",
            "reason",
            REFUSALS,
        )
        self.requests_refused = self._counter(
            "tocsin_receiver_requests_refused_total",
            "Requests at other doors that were refused for who asked, or how often, by reason.",
            "reason",
            REASONS,
        )
        self.webhook_seconds = Histogram(
            "tocsin_receiver_webhook_duration_seconds",
            "From the first byte of a webhook to its answer, for those that were answered 200.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.alerts = self._counter(
            "tocsin_receiver_alerts_total",
            "Alerts in webhooks, by what they turned out to be.",
            "outcome",
            ALERT_OUTCOMES,
        )
        self.back = Counter(
            "tocsin_receiver_answers_back",
            "Requests by which Slack and PagerDuty say what people did there, by what became of them.",
            ["via", "outcome"],
            registry=self.registry,
        )
        for via in BACK:
            for outcome in BACK_OUTCOMES:
                self.back.labels(via, outcome)
        self.untold = self._counter(
            "tocsin_receiver_slack_replies_untold_total",
            "Times that somebody who pressed a button could not be told why nothing was done.",
        )
        self.counted = {word: self._counter(name, text) for word, (name, text) in COUNTED.items()}
        self.links = self._counter(
            "tocsin_receiver_links_total", "Uses of signed links, by what became of them.", "outcome", LINK_OUTCOMES
        )
        self.messages = self._counter(
            "tocsin_receiver_messages_total", "Messages decided, by kind.", "kind", tuple(Kind)
        )
        self.timed = {
            what: Histogram(name, text, ["severity"], buckets=ANSWER_SECONDS, registry=self.registry)
            for what, (name, text) in TIMED.items()
        }
        for histogram in self.timed.values():
            for severity in (*_OF_RANK.values(), "other"):
                histogram.labels(severity)
        self.ended = Counter(
            "tocsin_receiver_alert_incidents_ended",
            "Incidents that ended, by the alert that opened them; noise: by themselves, soon, acknowledged by nobody.",
            ["alert", "noise"],
            registry=self.registry,
        )
        self._alerts_named: set[str] = set()
        self.person_pages = self._counter(
            "tocsin_receiver_person_pages_total", "Messages taken that interrupt this person.", "person"
        )
        self._people_of: dict[str, list[str]] = {}  # by channel
        self._fallbacks: Tally[str] = Tally()
        self.templates_failed = self._counter(
            "tocsin_receiver_templates_failed_total",
            "Times that a template of the policy failed, so that the default went out.",
            "channel",
        )
        self.chain_intact = Gauge(
            "tocsin_receiver_journal_chain_intact",
            "1 if the journal's chain holds: its end is checked at the start, the whole after it.",
            registry=self.registry,
        )
        self._actions: tuple[tuple[str, ...], Mapping[tuple[str, str], int]] = ((), {})
        self.registry.register(_Running(lambda: action_families(*self._actions)))
        self.reload_successful = Gauge(
            "tocsin_config_last_reload_successful",
            "1 if the last reading of the policy file succeeded.",
            registry=self.registry,
        )
        self.reload_timestamp = Gauge(
            "tocsin_config_last_reload_success_timestamp_seconds",
            "When the policy file was last read without a fault.",
            registry=self.registry,
        )

    def known_people(self, reach: Mapping[str, Sequence[str]]) -> None:
        """Whose channels these are from here on."""
        self._people_of = {}
        for person, channels in reach.items():
            self.person_pages.labels(person)
            for channel in channels:
                self._people_of.setdefault(channel, []).append(person)

    def count_page(self, channel: str) -> None:
        for person in self._people_of.get(channel, ()):
            self.person_pages.labels(person).inc()

    def answered_back(self, via: str, outcome: str) -> None:
        self.back.labels(via, outcome).inc()

    def count_decisions(
        self, messages: Sequence[Message], counts: Mapping[str, int], timed: Sequence[Timed] = ()
    ) -> None:
        for word, count in counts.items():
            kind, _, name = word.partition(" ")
            if kind == "fallback":
                self._fallbacks[name] += count
            else:
                (self.counted[word] if word in COUNTED else self.alerts.labels(word)).inc(count)
        for message in messages:
            self.messages.labels(message.kind).inc()
        for each in timed:
            self.timed[each.what].labels(known_severity(each.severity)).observe(each.seconds)
            if each.what == RESOLVED:
                self.ended.labels(self._alert_named(each.alert), str(each.noise).lower()).inc()

    def _alert_named(self, alert: str) -> str:
        """The first so many names that end have a series of their own."""
        if len(self._alerts_named) < ALERTS_NAMED_MAX:
            self._alerts_named.add(alert)
        return alert if alert in self._alerts_named else "other"

    def request_refused(self, reason: str) -> None:
        self.requests_refused.labels(reason).inc()

    def templates_of(self, channels: Iterable[str]) -> None:
        """Channels that have any are there from the start."""
        for channel in channels:
            self.templates_failed.labels(channel)

    def template_failed(self, channel: str) -> None:
        self.templates_failed.labels(channel).inc()

    def chain_checked(self, *, intact: bool) -> None:
        self.chain_intact.set(1 if intact else 0)

    def policy_read(self, *, successful: bool) -> None:
        self.reload_successful.set(1 if successful else 0)
        if successful:
            self.reload_timestamp.set(self._clock.now().timestamp())

    def observe(self, runner: Runner, outbox: Outbox) -> None:
        self.registry.register(_Running(lambda: families_of(runner, outbox, self._clock, self._fallbacks)))

    def observe_reconciliation(self, reconciliation: Reconciliation) -> None:
        self.registry.register(_Running(lambda: reconciliation_families(reconciliation)))

    def observe_web_config(self, web: WebConfig | None) -> None:
        self.registry.register(_Running(lambda: web_config_families(web)))

    def observe_log(self, logged: Counts) -> None:
        self.registry.register(_Running(lambda: log_families(logged)))

    def observe_retention(self, retention: Retention) -> None:
        self.registry.register(_Running(lambda: retention_families(retention.taken)))

    def observe_actions(self, names: Iterable[str], tally: Mapping[tuple[str, str], int]) -> None:
        """After each reading of the policy; what an action did that it does not have any more is still counted."""
        self._actions = tuple(names), tally

    def _counter(self, name: str, text: str, label: str | None = None, values: Iterable[str] = ()) -> Counter:
        counter = Counter(name.removesuffix("_total"), text, [label] if label else [], registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter


class _Running(Collector):
    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()
