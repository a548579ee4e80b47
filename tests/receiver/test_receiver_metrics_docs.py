"""docs/metrics-receiver.md and the receiver say the same."""

from __future__ import annotations

import re
from pathlib import Path

from guard.judge import REASONS
from receiver.metrics import ALERT_OUTCOMES, COUNTED, LINK_OUTCOMES, REFUSALS
from tests.receiver.builders import named, webhook
from tests.receiver.world import POLICY, receiver, run

PAGE = (Path(__file__).parents[2] / "docs" / "metrics-receiver.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (gauge|counter|histogram) \|([^|]*)\|", re.MULTILINE)
REASON = re.compile(r"^\| `(\w+)` \| (\d{3}) \|", re.MULTILINE)
OUTCOME = re.compile(r"^\| `(\w+)` \| [^|`]* \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, set[str]]]:
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}


def test_every_metric_is_documented_with_its_type_and_labels_and_nothing_else_is(tmp_path: Path) -> None:
    async def test() -> None:
        # Nothing listens there: that is a failure, and the metrics of a source whose Alertmanager is asked.
        channels = "channels: {chat: {type: terminal, templates: {text: '{{ incident.title }}'}}}\n"
        policy = channels + "sources: {am: {alertmanager_url: 'http://127.0.0.1:1/', watchdog: {}}}\n"
        policy += "actions: {fix: {command: [/bin/true]}}\n"
        policy += "people: {ana: {notify: [{channel: chat}]}}\n"
        async with receiver(tmp_path, policy=policy) as world:
            for status in ("firing", "resolved"):
                await world.post(webhook([named("Down", status=status)]))
            await world.decided()
            found = {}
            for family in world.metrics.registry.collect():
                name = f"{family.name}_total" if family.type == "counter" else family.name
                labels = {label for sample in family.samples for label in sample.labels} - {"le"}
                assert family.samples, name
                found[name] = (family.type, labels)
            assert found == documented()

    run(test())


def test_every_reason_and_every_outcome_is_documented() -> None:
    webhooks, _, requests = PAGE.partition("## What an alert")[0].partition("## Why a request was refused")
    assert sorted(name for name, _ in REASON.findall(webhooks)) == sorted(REFUSALS)
    assert sorted(name for name, _ in REASON.findall(requests)) == sorted(REASONS)
    assert sorted(OUTCOME.findall(PAGE.partition("## What an alert")[2])) == sorted(ALERT_OUTCOMES)


def test_everything_that_becomes_of_a_use_of_a_link_is_documented() -> None:
    told = PAGE.partition("## What became of a use of a link")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE)) == sorted(LINK_OUTCOMES)


def test_every_word_that_a_decision_may_count_has_its_metric() -> None:
    counted = set()
    for path in sorted((Path(__file__).parents[2] / "receiver").rglob("*.py")):
        counted |= set(re.findall(r'\.counts\["(\w+)"\]', path.read_text()))
    assert counted - set(ALERT_OUTCOMES) == set(COUNTED)


def test_a_source_that_is_silent_is_shown_until_it_is_heard_again(tmp_path: Path) -> None:
    async def test() -> None:
        policy = POLICY + "sources: {am: {watchdog: {}}, eu2: {watchdog: {}}, eu3: {}}\n"
        async with receiver(tmp_path, policy=policy) as world:
            shown = []
            for status in ("firing", "resolved", "firing"):
                await world.post(webhook([named("Watchdog", status=status)]))
                await world.decided()
                page = (await world.get("/metrics"))[1]
                shown.append(re.findall(r'^tocsin_receiver_source_silent\{source="(\w+)"\} (\S+)$', page, re.MULTILINE))
            assert shown == [
                [("am", "0.0"), ("eu2", "0.0")],
                [("am", "1.0"), ("eu2", "0.0")],
                [("am", "0.0"), ("eu2", "0.0")],
            ]

    run(test())


def test_every_series_with_fixed_labels_is_there_at_zero(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            page = (await world.get("/metrics"))[1]
            for reason in REFUSALS:
                assert f'tocsin_receiver_webhooks_refused_total{{reason="{reason}"}} 0.0' in page
            for outcome in ALERT_OUTCOMES:
                assert f'tocsin_receiver_alerts_total{{outcome="{outcome}"}} 0.0' in page
            for name, _ in COUNTED.values():
                assert f"\n{name} " in page
            for name in (
                "messages_held",
                "oldest_held_seconds",
                "messages_owed",
                "messages_delivered_total",
                "messages_refused_total",
            ):
                assert f'tocsin_receiver_{name}{{channel="chat"}} 0.0' in page

    run(test())
