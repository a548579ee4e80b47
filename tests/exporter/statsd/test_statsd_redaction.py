"""Personal data hidden in lines of StatsD: in names, in tags, in values of tags, in members of sets."""

import re

from hypothesis import Phase, given, settings

from exporter.escaping import Escaping
from exporter.exposition import Format, page
from exporter.intake.statsd.counting import Counting, unmapped
from exporter.intake.statsd.lines import Styles
from exporter.intake.statsd.telling import Told
from exporter.pipeline import Pipeline
from exporter.redaction import Redaction
from tests.exporter.hidden import anything, needles
from tests.exporter.statsd.world import NOW

FORMS = (b"a.%b.c:1|c", b"x:1|c|#key:%b", b"x:1|c|#%b:value", b"x,tag=%b:1|c", b"members:%b|s")


@settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(anything)
def test_lines_of_statsd_say_nothing_personal(value: str) -> None:
    redaction = Redaction(seen=str)
    pipeline = Pipeline((), redact=redaction.redact)
    counting = Counting(pipeline.take, told=Told(), redact=redaction.redact, styles=Styles(), choose=unmapped)
    counting.packets([form % value.encode() for form in FORMS], now=NOW)
    counting.hand_on(NOW)
    for escaping in Escaping:
        text = b"".join(page(pipeline.families(), Format.OPENMETRICS, escaping)).decode().lower()
        assert "members" in text
        for needle in map(str.lower, needles(value)):
            assert needle not in text
            assert re.sub(r"[^a-z0-9_:]", "_", needle) not in text
