"""What detectors find is an event, which rules of a user's own count, and which detectors never see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from exporter.detection import Detection, Watched
from exporter.detectors import Held
from exporter.detectors.settings import Common
from exporter.event import Batch, Fields
from exporter.exposition import Format, render
from exporter.finding import EVENT, Finding
from exporter.findings.event import into
from exporter.findings.part import Findings
from exporter.findings.tally import FindingCounts
from exporter.identity import Person
from exporter.mapping.rule import Rule
from exporter.pipeline import Pipeline
from exporter.settings import KIND
from guard import configfile
from tests.exporter.builders import sample
from tests.exporter.test_findings import FOUND
from tests.pages import fenced, text_of

NOW = FOUND.at


def example() -> tuple[Rule, ...]:
    """The rules of the page's example."""
    (block,) = (each for each in fenced(text_of("findings.md"), "yaml") if "match: finding" in each)
    settings = configfile.read_text(block, "exporter.yml", KIND, environ={})
    return tuple(rule for rule in settings.rules if rule.event == EVENT)


def pipeline_with(*views: Detection, rules: Sequence[Rule]) -> Pipeline:
    return Pipeline(rules, redact=lambda kind, field: lambda text: text, views=views, now=NOW)


def page(pipeline: Pipeline, source: str = "") -> str:
    return render(pipeline.families(source, now=NOW), Format.TEXT).decode()


def test_the_rule_of_the_page_counts_what_was_found_without_who_it_was() -> None:
    pipeline = pipeline_with(rules=example())
    tell = into(pipeline, clock=lambda: NOW)
    tell([FOUND, replace(FOUND, source="shop", value=700.0), replace(FOUND, address=None, person=Person(7))])
    tell([replace(FOUND, dry_run=True), replace(FOUND, address=None)])
    everything = page(pipeline)
    labels = '{detector="brute_force_address",about="%s"}'
    assert sample(everything, "security_finding_value_count" + labels % "address") == 2
    assert sample(everything, "security_finding_value_sum" + labels % "address") == 751
    assert sample(everything, "security_finding_value_count" + labels % "person") == 1
    assert sample(everything, "security_finding_value_count" + labels % "source") == 1
    assert "203.0.113" not in everything
    assert sample(page(pipeline, "shop"), "security_finding_value_sum" + labels % "address") == 700
    assert sample(page(pipeline, "tocsin"), "security_finding_value_count" + labels % "address") == 1


def test_where_no_rule_asks_nothing_is_handed_in() -> None:
    pipeline = pipeline_with(rules=())
    into(pipeline, clock=lambda: NOW)([FOUND])
    assert pipeline.families(now=NOW) == []


class FindsEverything:
    """A detector that finds something in each batch, and would like to see findings."""

    name = "everything"
    asked: Mapping[str, Fields] = {"auth": Fields(), EVENT: Fields()}
    held = Held()

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        return [replace(FOUND, detector=self.name, at=now)]


def test_what_was_found_is_not_looked_at_again() -> None:
    findings = Findings(FindingCounts())
    detection = Detection(told=findings.take)
    detection.use([Watched(FindsEverything(), Common(cooldown="0s"))], now=NOW)
    pipeline = pipeline_with(detection, rules=example())
    findings.tell(into(pipeline, clock=lambda: NOW))
    pipeline.lines(b'{"event": "auth"}\n{"event": "finding", "detector": "forged", "value": 1}\n', now=NOW)
    assert findings.kept.taken == 1
    assert sample(page(pipeline), 'security_finding_value_count{detector="everything",about="address"}') == 1
