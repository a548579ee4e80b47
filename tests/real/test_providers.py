"""One incident, from its opening to its end, over a kill: one Slack message and one PagerDuty incident."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.real.servers import JSON, SURELY, alert, free_port, receiver, until, webhook
from tests.receiver.pagerdutysink import PATH, ROUTING_KEY, PagerDutySink
from tests.receiver.provider import serving
from tests.receiver.slacksink import TOKEN, SlackSink

pytestmark = pytest.mark.real


def policy(slack: SlackSink, pagerduty: PagerDutySink, folder: Path) -> str:
    (folder / "slack.token").write_text(TOKEN)
    (folder / "pagerduty.key").write_text(ROUTING_KEY)
    return f"""
channels:
  ops-chat: {{type: slack, token_file: slack.token, channel: '#ops', api_url: '{slack.url}/api/'}}
  pager: {{type: pagerduty, routing_key_file: pagerduty.key, url: '{pagerduty.url}{PATH}'}}
"""


def test_one_message_in_slack_and_one_incident_in_pagerduty_over_a_kill(tmp_path: Path) -> None:
    slack, pagerduty, port = SlackSink(), PagerDutySink(), free_port()
    with serving(slack), serving(pagerduty):
        written = policy(slack, pagerduty, tmp_path)
        with receiver(tmp_path, policy=written, port=port) as server:
            server.post(webhook(alert("Down", severity="critical"), group="Down"))
            until(lambda: slack.posted and pagerduty.incidents, what="both are told")
            more = (alert("Down", severity="critical"), alert("Down", severity="critical", instance="b"))
            server.post(webhook(*more, group="Down"))
            until(lambda: len(pagerduty.actions) == 2, what="PagerDuty hears of the second alert")
            until(lambda: len(next(iter(slack.posted.values())).thread) == 1, what="so does Slack")
            status = "/api/v1/status"
            until(lambda: not server.get(status)["lag"], what="the answers are decided")
            until(lambda: all(not each["owed"] for each in server.get(status)["channels"].values()), what="all is told")
            assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        with receiver(tmp_path, policy=written, port=port) as server:
            (incident,) = server.incidents()
            answered, _ = server.ask(f"/api/v1/incidents/{incident['id']}/acknowledge", b'{"by": "ana"}', headers=JSON)
            assert answered == 200
            until(lambda: ("acknowledge", *pagerduty.incidents) in pagerduty.actions, what="PagerDuty hears of ana")
            over = (alert("Down", status="resolved", severity="critical", instance=each) for each in ("b",))
            first = alert("Down", status="resolved", severity="critical")
            server.post(webhook(first, *over, group="Down"))
            (made,) = pagerduty.incidents.values()
            until(lambda: made.status == "resolved", what="PagerDuty hears of the end", seconds=SURELY)
            (posted,) = slack.posted.values()
            until(lambda: len(posted.thread) == 3, what="the thread has the whole story")
    assert made.pages == 1
    assert [action for action, _ in pagerduty.actions] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert len({key for _, key in pagerduty.actions}) == 1
    assert posted.header == "✅ critical: Down"
    assert [line["text"].split(";")[0] for line in posted.thread] == [
        "updated: open",
        "acknowledged by ana",
        "resolved",
    ]
    assert len(posted.versions) == 4
    assert (slack.faults, pagerduty.faults) == ([], [])
    assert TOKEN not in (tmp_path / "receiver.log").read_text()
    assert ROUTING_KEY not in (tmp_path / "receiver.log").read_text()
