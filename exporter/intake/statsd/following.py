"""What lines become follows the configuration: the mapping file and the redaction, at the start and at each reload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exporter.control import Plan
from exporter.event import Redact
from exporter.intake.statsd.counting import Counting
from exporter.intake.statsd.wanted import Choose, unmapped


def choose_of(plan: Plan) -> Choose:
    """Raises `Refused` with all that is wrong with the mapping file."""
    if not plan.statsd.mapping_config:
        return unmapped
    # Only with a file: what reads it is large.
    from exporter.intake.statsd import mappingfile

    return mappingfile.read(Path(plan.statsd.mapping_config)).choose


def prepare(counting: Counting, redact: Callable[[str, str], Redact], plan: Plan) -> Callable[[], None]:
    """A part of the exporter, for `Control`."""
    choose = choose_of(plan)
    return lambda: counting.use(choose, redact=redact)
