"""Whatever happens: in the end nothing waits, and the last word that each channel has had is the truth.

Drawn from seeds: storms, channels that break, refuse and mend, people, reloads, maintenance, cooldowns, flapping.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from receiver.incident import Incident, Status
from receiver.message import Message
from receiver.message import read as read_message
from receiver.view import IncidentView
from tests.stories.story import Store, Story

CHANNELS = """
routes:
  - {matchers: ['severity="critical"'], escalation: page}
  - {escalation: chat}
escalations:
  page: {stages: [{notify: [chat]}, {delay: 2m, notify: [pager]}]}
  chat: {stages: [{notify: [chat]}, {delay: 10m, notify: [pager]}]}
channels:
  chat: {type: terminal}
  pager: {type: terminal}
"""
TIGHT = (
    CHANNELS
    + """
storms: {per_channel: {limit: 2, per: 1m}}
flapping: {after: 2, calm: 5m}
maintenance: [{name: move, matchers: ['service="shop"'], from: '2026-03-01T00:20', to: '2026-03-01T00:40'}]
cooldowns: [{matchers: ['severity="info"'], duration: 15m}]
"""
)
TIGHTER = TIGHT.replace("limit: 2, per: 1m}", "limit: 1, per: 3m}, never_hold: []")
LOOSE = CHANNELS
POLICIES = {"tight": TIGHT, "tighter": TIGHTER, "loose": LOOSE}
SEVERITIES = ("critical", "warning", "info", "none")
ALERTS = [
    f"A{number}@{group}{{severity={SEVERITIES[(number + len(group)) % 4]},service={service}}}"
    for group, service in (("db", "shop"), ("web", "shop"), ("x", "cart"), ("yy", "cart"), ("zzz", "mail"))
    for number in range(4)
]


class Heard(Story):
    """Remembers what each channel was told last about each incident."""

    def __init__(self, *, store: Store | None = None) -> None:
        self.last: dict[tuple[str, str], IncidentView] = {}
        super().__init__(TIGHT, POLICIES, store=store)

    def _tell(self, message: Message) -> None:
        super()._tell(message)
        document = read_message(message)
        for incident in document.incidents or [document.incident]:
            self.last[incident.id, message.channel] = incident


def script(seed: int) -> Iterator[str]:
    """An hour. Nothing is refused, so that each message that was decided is heard in the end."""
    draw = random.Random(seed)
    firing: dict[str, None] = {}
    seen: dict[str, None] = {}
    second = 0
    while second < 3600:
        second += draw.choice((0, 1, 5, 20, 60, 200))
        at = f"00:{second // 60:02}:{second % 60:02}" if second < 3600 else "01:00:00"
        match draw.randrange(12):
            case 0 | 1 | 2 | 3:
                new = [alert for alert in draw.sample(ALERTS, draw.randrange(1, 8)) if alert not in firing]
                if new:
                    firing.update(dict.fromkeys(new))
                    seen.update(dict.fromkeys(new))
                    yield f"{at} fires {' '.join(new)}"
            case 4 | 5 | 6 if firing:
                over = draw.sample(list(firing), min(len(firing), draw.randrange(1, 6)))
                for alert in over:
                    del firing[alert]
                yield f"{at} resolves {' '.join(alert.split('{')[0] for alert in over)}"
            case 7 | 8 if seen:
                name = draw.choice(list(seen)).split("@")[0]
                act = draw.choice((f"acks {name} ana", f"snoozes {name} 3m ana", f"closes {name} ana"))
                yield f"{at} {act}"
            case 9:
                yield f"{at} breaks {draw.choice(('chat', 'pager'))}"
            case 10:
                yield f"{at} mends {draw.choice(('chat', 'pager', 'chat pager'))}"
            case 11 if draw.random() < 0.3:
                yield f"{at} loads {draw.choice(sorted(POLICIES))}"
    yield "01:01 mends chat pager"
    yield "01:50 waits"


@pytest.mark.parametrize("seed", range(40))
def test_in_the_end_nothing_waits_and_every_channel_knows_the_truth(seed: int):
    story = Heard()
    for line in script(seed):
        story.play(line)
    assert story.owed == []
    for channel in story.state.channels.values():
        assert (channel.due_at, channel.digests) == (None, {})
    for incident in story.state.incidents.values():
        assert (incident.held, incident.owed, incident.stale, incident.quiet_until) == ({}, {}, (), None), incident.id
        for channel in incident.told:
            _knows(story, incident, channel)


def _flaps(story: Heard, incident: Incident) -> bool:
    return incident.status is not Status.RESOLVED and 0 < story.state.policy.flapping.after <= incident.reopened


def _knows(story: Heard, incident: Incident, channel: str) -> None:
    heard = story.last[incident.id, channel]
    where = f"{incident.id} on {channel}"
    if channel in incident.unaware:
        assert heard.status == Status.RESOLVED, where
        return
    assert heard.status == incident.status, where
    if incident.status is not Status.RESOLVED and not _flaps(story, incident):
        assert (heard.alerts.firing, heard.alerts.resolved) == (incident.firing, incident.resolved), where
        assert heard.severity == incident.severity, where


@pytest.mark.parametrize("seed", range(4))
def test_the_same_is_heard_with_a_restart_before_every_entry(seed: int):
    once, anew = Heard(), Heard(store=Store())
    for line in script(seed):
        once.play(line)
        anew.play(line)
    assert anew.transcript == once.transcript
    assert anew.steps == once.steps
