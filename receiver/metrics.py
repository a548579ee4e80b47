"""What the receiver says about itself. Counters are kept where things happen; gauges are read at the scrape."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from receiver.clock import Clock
from receiver.incident import Status
from receiver.message import Kind, Message
from receiver.outbox import Outbox
from receiver.runner import Runner

# Every word that a decision may count, so that each series is there at zero from the start.
ALERT_OUTCOMES = ("new", "repeated", "refired", "resolved", "resolved_unseen", "late", "came_back", "duplicate")
REFUSALS = (
    "not_json", "not_version_4", "wrong_type", "too_many_alerts", "too_large", "arriving", "slow", "unreadable",
    "source", "not_loopback", "token_file", "unauthorized", "origin",
    "undecided", "alerts", "messages_owed", "store",
)  # fmt: skip
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def program_version() -> str:
    try:
        return version("tocsin")
    except PackageNotFoundError:
        return "unknown"


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
        build.labels(program_version(), platform.python_version()).set(1)
        self.webhooks = self._counter("tocsin_receiver_webhooks_total", "Webhooks that came to a door.")
        self.webhooks_refused = self._counter(
            "tocsin_receiver_webhooks_refused_total",
            "Webhooks that were not answered 200, by reason.",
            "reason",
            REFUSALS,
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
        self.alerts_cut = self._counter(
            "tocsin_receiver_alerts_cut_total",
            "Label or annotation sets cut because something in them was over a limit.",
        )
        self.incidents_opened = self._counter("tocsin_receiver_incidents_opened_total", "Incidents that were opened.")
        self.incidents_resolved = self._counter(
            "tocsin_receiver_incidents_resolved_total", "Incidents that were resolved."
        )
        self.incidents_unrouted = self._counter(
            "tocsin_receiver_incidents_unrouted_total",
            "Times that no route matched an incident, so that nobody is told.",
        )
        self.acts = self._counter("tocsin_receiver_acts_total", "What people did to incidents.")
        self.acts_refused = self._counter(
            "tocsin_receiver_acts_refused_total",
            "What people wanted to do and the state of the incident did not allow.",
        )
        self.messages = self._counter(
            "tocsin_receiver_messages_total", "Messages decided, by kind.", "kind", tuple(Kind)
        )
        self.settled_twice = self._counter(
            "tocsin_receiver_answers_unknown_total", "Answers about messages that were not owed."
        )
        self.chain_intact = Gauge(
            "tocsin_receiver_journal_chain_intact",
            "1 if the end of the journal held together at the start.",
            registry=self.registry,
        )
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

    def count_decisions(self, messages: Sequence[Message], counts: Mapping[str, int]) -> None:
        single = {
            "incidents_opened": self.incidents_opened,
            "incidents_resolved": self.incidents_resolved,
            "unrouted": self.incidents_unrouted,
            "settled_twice": self.settled_twice,
            "cut": self.alerts_cut,
            "acts": self.acts,
            "acts_refused": self.acts_refused,
        }
        for name, count in counts.items():
            (single[name] if name in single else self.alerts.labels(name)).inc(count)
        for message in messages:
            self.messages.labels(message.kind).inc()

    def chain_checked(self, *, intact: bool) -> None:
        self.chain_intact.set(1 if intact else 0)

    def policy_read(self, *, successful: bool) -> None:
        self.reload_successful.set(1 if successful else 0)
        if successful:
            self.reload_timestamp.set(self._clock.now().timestamp())

    def observe(self, runner: Runner, outbox: Outbox) -> None:
        self.registry.register(_Running(lambda: _families(runner, outbox, self._clock)))

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


def _families(runner: Runner, outbox: Outbox, clock: Clock) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tocsin_receiver_journal_position",
        "The entry up to which is decided and committed.",
        value=runner.position,
    )
    yield GaugeMetricFamily("tocsin_receiver_journal_lag_entries", "Entries not decided yet.", value=runner.lag)
    yield CounterMetricFamily(
        "tocsin_receiver_entries_set_aside",
        "Entries about which nothing could be decided.",
        value=runner.entries_set_aside,
    )
    yield GaugeMetricFamily(
        "tocsin_receiver_store_writable",
        "1 if the last write to the store succeeded.",
        value=0 if runner.failing else 1,
    )
    incidents = [incident for incident in runner.state.incidents.values() if incident.status is not Status.RESOLVED]
    yield GaugeMetricFamily("tocsin_receiver_incidents_open", "Incidents that are not resolved.", value=len(incidents))
    yield GaugeMetricFamily(
        "tocsin_receiver_alerts_active",
        "Alerts that fire.",
        value=sum(incident.firing for incident in runner.state.incidents.values()),  # also in what people resolved
    )
    yield from _channel_families(outbox, clock)


def _channel_families(outbox: Outbox, clock: Clock) -> Iterator[Metric]:
    owed = GaugeMetricFamily("tocsin_receiver_messages_owed", "Messages neither taken nor refused.", labels=["channel"])
    age = GaugeMetricFamily(
        "tocsin_receiver_oldest_message_age_seconds",
        "How long the oldest owed message waits.",
        labels=["channel"],
    )
    attempts = CounterMetricFamily("tocsin_receiver_delivery_attempts", "Attempts to deliver.", labels=["channel"])
    failures = CounterMetricFamily(
        "tocsin_receiver_delivery_failures", "Attempts that failed and will be repeated.", labels=["channel"]
    )
    delivered = CounterMetricFamily("tocsin_receiver_messages_delivered", "Messages taken.", labels=["channel"])
    refused = CounterMetricFamily(
        "tocsin_receiver_messages_refused",
        "Messages refused or given up: somebody was not told.",
        labels=["channel"],
    )
    for name, (count, oldest, watcher) in outbox.by_channel().items():
        owed.add_metric([name], count)
        age.add_metric([name], max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0)
        attempts.add_metric([name], watcher.attempts)
        failures.add_metric([name], watcher.failures)
        delivered.add_metric([name], watcher.delivered)
        refused.add_metric([name], watcher.refused)
    yield from (owed, age, attempts, failures, delivered, refused)
