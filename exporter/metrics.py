"""What the exporter says about itself: the role `self`.

Counts are kept as plain numbers by the event loop alone, and become families when a scraper asks. Every
series that can be foreseen is there from the start with the value 0, so that its first increment is seen.
Each of these metrics is described in docs/metrics-exporter.md.
"""

import platform
from collections.abc import Callable, Sequence

from exporter.family import Family, single
from exporter.findings import tally as finding_tally
from exporter.intake import tally as intake_tally
from exporter.intake.logs import counts as log_counts
from exporter.intake.statsd import telling as statsd
from exporter.outcome import Reason
from exporter.probes import counts as probe_counts
from exporter.reputation import counts as sharing_counts
from exporter.reputation import kept
from exporter.series.trouble import Trouble
from guard.judge import REASONS
from guard.log import Counts
from guard.redaction import PATTERNS
from guard.version import VERSION
from guard.web.server import REASONS as CUTS


class Tally:
    """What has been counted since the process started, and how the last reading of the configuration went."""

    def __init__(
        self,
        *,
        started_at: float,
        web_config_successful: Callable[[], bool] = lambda: True,
        logged: Counts | None = None,
    ) -> None:
        self.logged = logged or Counts()
        self.web_config_successful = web_config_successful
        self.failures: dict[tuple[str, Reason], int] = {}
        self.quarantined: dict[str, int] = {}
        self.scrapes_rejected = 0
        self.intakes = intake_tally.Intakes()
        self.logs = log_counts.LogCounts()
        self.findings = finding_tally.FindingCounts()
        self.reputation = kept.KeptCounts()
        self.requests_refused = dict.fromkeys(REASONS, 0)
        self.connections_cut = dict.fromkeys(CUTS, 0)
        self.series = Trouble()
        self.sharing = sharing_counts.Sharing()
        self.statsd = statsd.Told()
        self.probes = probe_counts.ProbeCounts()
        self.redactions = dict.fromkeys(PATTERNS, 0)
        self.reload_successful = True
        self.reload_success_at = started_at

    def failed(self, collector: str, reason: Reason) -> None:
        self.failures[collector, reason] = self.failures.get((collector, reason), 0) + 1

    def refuse_request(self, reason: str) -> None:
        self.requests_refused[reason] += 1

    def cut_connection(self, reason: str) -> None:
        self.connections_cut[reason] += 1

    def redact(self, pattern: str) -> None:
        self.redactions[pattern] += 1

    def quarantine(self, collector: str) -> None:
        self.quarantined[collector] = self.quarantined.get(collector, 0) + 1


def families(tally: Tally, *, collectors: Sequence[str], stuck: Sequence[str]) -> list[Family]:
    """Everything about Tocsin itself; what belongs to its process is in process.py."""
    return [
        Family.of(
            name="tocsin_exporter_build_info",
            type="gauge",
            help="The versions of Tocsin and of Python; the value is always 1.",
            labels=("python_version", "version"),
            samples=(((platform.python_version(), VERSION), 1),),
        ),
        *_about_collectors(tally, collectors, stuck),
        *intake_tally.families(tally.intakes),
        *tally.series.families(),
        *log_counts.families(tally.logs),
        *sharing_counts.families(tally.sharing),
        *finding_tally.families(tally.findings),
        *kept.families(tally.reputation),
        *_about_the_doors(tally),
        *_about_the_log(tally.logged),
        *statsd.families(tally.statsd),
        *_about_events(tally),
        *probe_counts.families(tally.probes),
    ]


def _about_collectors(tally: Tally, collectors: Sequence[str], stuck: Sequence[str]) -> list[Family]:
    return [
        Family.of(
            name="tocsin_exporter_collector_stuck",
            type="gauge",
            help="1 while the collector has not come back from a scrape that has ended without it.",
            labels=("collector",),
            samples=tuple(((name,), float(name in stuck)) for name in collectors),
        ),
        Family.of(
            name="tocsin_exporter_collector_failures_total",
            type="counter",
            help="How often the collector failed, by reason: error, deadline or stuck.",
            labels=("collector", "reason"),
            samples=tuple(
                ((name, reason.value), tally.failures.get((name, reason), 0))
                for name in collectors
                for reason in Reason
                if reason is not Reason.ABSENT
            ),
        ),
        Family.of(
            name="tocsin_exporter_families_quarantined_total",
            type="counter",
            help="How often a family of the collector, or of the role, was left out because its name was taken.",
            labels=("collector",),
            samples=tuple(
                ((name,), count) for name, count in {**dict.fromkeys(collectors, 0), **tally.quarantined}.items()
            ),
        ),
    ]


def _about_the_doors(tally: Tally) -> list[Family]:
    return [
        Family.of(
            name="tocsin_exporter_scrapes_rejected_total",
            type="counter",
            help="Scrapes answered with 503 because --web.max-requests were being served already.",
            samples=single(tally.scrapes_rejected),
        ),
        Family.of(
            name="tocsin_exporter_requests_refused_total",
            type="counter",
            help="Requests refused for who asked, or how often, by reason.",
            labels=("reason",),
            samples=tuple(((reason,), count) for reason, count in tally.requests_refused.items()),
        ),
        Family.of(
            name="tocsin_exporter_connections_cut_total",
            type="counter",
            help="Connections ended before their time: no HTTP on them, too slow, or too many of them.",
            labels=("reason",),
            samples=tuple(((reason,), count) for reason, count in tally.connections_cut.items()),
        ),
        Family.of(
            name="tocsin_exporter_web_config_last_reload_successful",
            type="gauge",
            help="1 if the web configuration and its certificates were without a fault when last read.",
            samples=single(float(tally.web_config_successful())),
        ),
        Family.of(
            name="tocsin_exporter_config_last_reload_successful",
            type="gauge",
            help="1 if the configuration file was accepted when it was last read, 0 if it was refused.",
            samples=single(float(tally.reload_successful)),
        ),
        Family.of(
            name="tocsin_exporter_config_last_reload_success_timestamp_seconds",
            type="gauge",
            help="When the configuration in force was read, in seconds since 1970.",
            samples=single(tally.reload_success_at),
        ),
    ]


def _about_the_log(logged: Counts) -> list[Family]:
    return [
        Family.of(
            name="tocsin_exporter_log_messages_total",
            type="counter",
            help="What was logged, by level; what is below --log.level is not.",
            labels=("level",),
            samples=tuple(((level,), count) for level, count in logged.messages.items()),
        ),
        Family.of(
            name="tocsin_exporter_log_lines_dropped_total",
            type="counter",
            help="Log lines that were lost, because --log.output did not take them.",
            samples=single(logged.lines_dropped),
        ),
    ]


def _about_events(tally: Tally) -> list[Family]:
    return [
        Family.of(
            name="tocsin_exporter_redactions_total",
            type="counter",
            help="Personal data found in events, by what it was; a value that comes again soon counts once.",
            labels=("pattern",),
            samples=tuple(((pattern,), count) for pattern, count in tally.redactions.items()),
        ),
    ]
