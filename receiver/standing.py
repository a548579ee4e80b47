"""How things stand at the moment of a scrape: families of metrics that are looked up, and counted nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from guard.log import Counts
from guard.webconfig import WebConfig
from receiver.audit import Audit
from receiver.clock import Clock
from receiver.incident import Status
from receiver.outbox import Outbox
from receiver.reconcile import Reconciliation
from receiver.retention import Taken
from receiver.runner import Runner
from receiver.state import State
from receiver.telling import flaps

ACTION_OUTCOMES = ("done", "failed", "not_run", "dry_run")


def families_of(runner: Runner, outbox: Outbox, clock: Clock, fallbacks: Mapping[str, int]) -> Iterator[Metric]:
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
    yield GaugeMetricFamily(
        "tocsin_receiver_incidents_flapping",
        "Incidents that come and go, and whose updates are held off.",
        value=sum(1 for incident in incidents if flaps(runner.state.policy, incident)),
    )
    yield GaugeMetricFamily(
        "tocsin_receiver_incidents_quiet",
        "Open incidents of which nobody is told yet: maintenance or cooldown.",
        value=sum(1 for incident in incidents if incident.quiet_until is not None),
    )
    yield from _audit_families(runner.audit)
    silent = GaugeMetricFamily(
        "tocsin_receiver_source_silent", "1 while the watchdog of the source is late or resolved.", labels=["source"]
    )
    for name in sorted(runner.state.policy.watchdogs):
        source = runner.state.sources.get(name)
        silent.add_metric([name], 1 if source is not None and source.silent_since is not None else 0)
    yield silent
    yield from _channel_families(outbox, clock, fallbacks)
    yield from _held_families(runner.state, outbox, clock)


def _audit_families(audit: Audit) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tocsin_receiver_incidents_without_next_step",
        "Open incidents with a stage left to take and no time at which that happens.",
        value=audit.without_next_step.count,
    )
    yield GaugeMetricFamily(
        "tocsin_receiver_steps_overdue",
        "Incidents, sources and channels for which something should have happened 30 seconds ago.",
        value=audit.overdue.count,
    )
    yield GaugeMetricFamily(
        "tocsin_receiver_oldest_overdue_step_seconds",
        "How long the first of them is overdue.",
        value=audit.oldest_overdue_seconds,
    )
    yield GaugeMetricFamily(
        "tocsin_receiver_escalations_exhausted",
        "Open incidents of which every stage was taken while nobody answered.",
        value=audit.exhausted.count,
    )


def _channel_families(outbox: Outbox, clock: Clock, fallbacks: Mapping[str, int]) -> Iterator[Metric]:
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
    pages = CounterMetricFamily(
        "tocsin_receiver_pages", "Messages taken that interrupt somebody: opened or escalated.", labels=["channel"]
    )
    refused = CounterMetricFamily(
        "tocsin_receiver_messages_refused",
        "Messages refused or given up: somebody was not told.",
        labels=["channel"],
    )
    withdrawn = CounterMetricFamily(
        "tocsin_receiver_messages_withdrawn",
        "Pages not sent any more: by then somebody had the incident, or it was put off.",
        labels=["channel"],
    )
    up = GaugeMetricFamily(
        "tocsin_receiver_channel_up",
        "0 while attempts for several incidents fail in a row, and one is tried for all.",
        labels=["channel"],
    )
    fallen_back = CounterMetricFamily(
        "tocsin_receiver_fallbacks",
        "Times that its fallback was told what the channel did not take.",
        labels=["channel"],
    )
    not_written = CounterMetricFamily(
        "tocsin_receiver_answers_not_written",
        "Times that the journal refused what a channel answered.",
        labels=["channel"],
    )
    for name, (count, oldest, watcher) in outbox.by_channel().items():
        owed.add_metric([name], count)
        age.add_metric([name], max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0)
        attempts.add_metric([name], watcher.attempts)
        failures.add_metric([name], watcher.failures)
        delivered.add_metric([name], watcher.delivered)
        pages.add_metric([name], watcher.pages)
        refused.add_metric([name], watcher.refused)
        withdrawn.add_metric([name], watcher.withdrawn)
        not_written.add_metric([name], watcher.not_written)
        up.add_metric([name], 0 if watcher.down else 1)
        fallen_back.add_metric([name], fallbacks.get(name, 0))
    yield from (owed, age, attempts, failures, delivered, pages, refused, withdrawn, not_written, up, fallen_back)


def _held_families(state: State, outbox: Outbox, clock: Clock) -> Iterator[Metric]:
    held = GaugeMetricFamily(
        "tocsin_receiver_messages_held", "Incidents held back for the channel's digest.", labels=["channel"]
    )
    age = GaugeMetricFamily(
        "tocsin_receiver_oldest_held_seconds", "How long the first of them has been held back.", labels=["channel"]
    )
    waiting = state.held()
    for name in sorted({*outbox.by_channel(), *waiting}):
        known = waiting.get(name)
        held.add_metric([name], 0 if known is None else known.incidents)
        age.add_metric([name], 0.0 if known is None else max(0.0, (clock.now() - known.since).total_seconds()))
    yield from (held, age)


def reconciliation_families(reconciliation: Reconciliation) -> Iterator[Metric]:
    looks = CounterMetricFamily(
        "tocsin_receiver_reconciliations", "Times that a source's Alertmanager was asked.", labels=["source"]
    )
    failures = CounterMetricFamily(
        "tocsin_receiver_reconciliation_failures", "Times that it did not answer as it should.", labels=["source"]
    )
    news = CounterMetricFamily(
        "tocsin_receiver_reconciliation_news",
        "Facts that went to the journal because it said something that webhooks had not.",
        labels=["source"],
    )
    success = GaugeMetricFamily(
        "tocsin_receiver_reconciliation_last_success_timestamp_seconds",
        "When it last answered everything that it was asked; 0 if it never did.",
        labels=["source"],
    )
    for name, watcher in reconciliation.by_source().items():
        looks.add_metric([name], watcher.looks)
        failures.add_metric([name], watcher.failures)
        news.add_metric([name], watcher.news)
        success.add_metric([name], watcher.last_success.timestamp() if watcher.last_success else 0.0)
    yield from (looks, failures, news, success)


def web_config_families(web: WebConfig | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tocsin_receiver_web_config_last_reload_successful",
        "1 if the web configuration and its certificates were without a fault when they were last read.",
        value=0 if web is not None and not web.successful else 1,
    )


def log_families(logged: Counts) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "tocsin_receiver_log_messages", "What was logged, by level; what is below --log.level is not.", labels=["level"]
    )
    for level, count in logged.messages.items():
        messages.add_metric([level], count)
    yield messages
    yield CounterMetricFamily(
        "tocsin_receiver_log_lines_dropped",
        "Log lines that were lost, because --log.output did not take them.",
        value=logged.lines_dropped,
    )


def retention_families(taken: Taken) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "tocsin_receiver_retention_entries",
        "Entries of the journal that retention took out.",
        value=taken.entries,
    )
    yield CounterMetricFamily(
        "tocsin_receiver_retention_incidents", "Incidents that retention took out.", value=taken.incidents
    )
    yield GaugeMetricFamily(
        "tocsin_receiver_retention_last_success_timestamp_seconds",
        "When retention last took out everything that was too old; 0 if it never did.",
        value=taken.last_success.timestamp() if taken.last_success else 0.0,
    )


def action_families(names: Iterable[str], tally: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    actions = CounterMetricFamily(
        "tocsin_receiver_actions", "Attempts to run an action, by what became of them.", labels=["action", "outcome"]
    )
    for name in sorted({*names, *(name for name, _ in tally)}):
        for outcome in ACTION_OUTCOMES:
            actions.add_metric([name, outcome], tally.get((name, outcome), 0))
    yield actions
