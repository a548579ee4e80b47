"""What was read of each log, and what was wrong with it, as metrics. The name of a log is the label, never a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from exporter.family import Family, single

# No JSON and no key=value; a field that is not what it must be; longer than a line may be.
REASONS = ("format", "field", "too_long")


@dataclass
class Counts:
    """Of one log."""

    lines: int = 0
    unmatched: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    size: int = 0
    lag: int = 0
    files: int = 0
    left_out: int = 0
    rotations: int = 0
    truncations: int = 0
    errors: int = 0
    stuck: bool = False
    read_at: float = 0.0


@dataclass
class LogCounts:
    """Of all logs, by name."""

    logs: dict[str, Counts] = field(default_factory=dict)
    position_failures: int = 0


def families(told: LogCounts) -> list[Family]:
    counts = told.logs

    def of(name: str, kind: Literal["counter", "gauge"], text: str, values: Sequence[float]) -> Family:
        samples = tuple(((log,), value) for log, value in zip(counts, values, strict=True))
        return Family.of(name=name, type=kind, help=text, labels=("log",), samples=samples)

    each = list(counts.values())
    return [
        of(
            "tocsin_exporter_log_lines_total",
            "counter",
            "Lines that were read, or records of several lines, whatever became of them.",
            [one.lines for one in each],
        ),
        of(
            "tocsin_exporter_log_unmatched_lines_total",
            "counter",
            "Lines in which no pattern was found, or that are of a kind of event that no mapping asks for.",
            [one.unmatched for one in each],
        ),
        Family.of(
            name="tocsin_exporter_log_faults_total",
            type="counter",
            help="Lines that could not be used, by reason.",
            labels=("log", "reason"),
            samples=tuple(((log, reason), one.faults[reason]) for log, one in counts.items() for reason in REASONS),
        ),
        of(
            "tocsin_exporter_log_read_bytes_total",
            "counter",
            "What was read of the files of the log.",
            [one.size for one in each],
        ),
        of(
            "tocsin_exporter_log_lag_bytes",
            "gauge",
            "What has been written to files of the log and is not counted yet.",
            [one.lag for one in each],
        ),
        of(
            "tocsin_exporter_log_files",
            "gauge",
            "Files of the log that are followed, those that were rotated a moment ago included.",
            [one.files for one in each],
        ),
        of(
            "tocsin_exporter_log_files_left_out",
            "gauge",
            "Files that are not followed because there are too many.",
            [one.left_out for one in each],
        ),
        of(
            "tocsin_exporter_log_rotations_total",
            "counter",
            "How often another file was found at a path of the log.",
            [one.rotations for one in each],
        ),
        of(
            "tocsin_exporter_log_truncations_total",
            "counter",
            "How often a file of the log had been emptied.",
            [one.truncations for one in each],
        ),
        of(
            "tocsin_exporter_log_file_errors_total",
            "counter",
            "How often something began to be wrong with a file: no permission, no regular file, not readable.",
            [one.errors for one in each],
        ),
        of(
            "tocsin_exporter_log_stuck",
            "gauge",
            "1 while a file system does not answer, so that nothing of this log is read.",
            [float(one.stuck) for one in each],
        ),
        of(
            "tocsin_exporter_log_last_read_timestamp_seconds",
            "gauge",
            "When lines were last read, in seconds since 1970; 0 is never.",
            [one.read_at for one in each],
        ),
        Family.of(
            name="tocsin_exporter_log_positions_failures_total",
            type="counter",
            help="How often the file with the positions could not be read or written.",
            samples=single(told.position_failures),
        ),
    ]
