"""One incident, from its opening to its end, over a kill: one Slack message and one PagerDuty incident."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.real.servers import JSON, SURELY, alert, free_port, receiver, until, webhook
from tests.receiver import pagerdutysays as says
from tests.receiver.pagerdutysays import PATH as EVENTS
from tests.receiver.pagerdutysays import WEBHOOK_SECRET
from tests.receiver.pagerdutysink import PATH, ROUTING_KEY, PagerDutySink
from tests.receiver.provider import serving
from tests.receiver.slackpress import ANA, SIGNING_SECRET, STRANGER, pressed, signed
from tests.receiver.slackpress import PATH as PRESSES
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


def test_a_button_that_was_shown_before_a_kill_acknowledges_after_it(tmp_path: Path) -> None:
    slack, port = SlackSink(), free_port()
    (tmp_path / "slack.token").write_text(TOKEN)
    (tmp_path / "signing.secret").write_text(SIGNING_SECRET)
    with serving(slack):
        written = f"""
channels:
  ops-chat: {{type: slack, token_file: slack.token, channel: '#ops', api_url: '{slack.url}/api/',
              signing_secret_file: signing.secret}}
people: {{ana: {{notify: [{{slack: {ANA.id}}}]}}}}
"""
        with receiver(tmp_path, policy=written, port=port) as server:
            server.post(webhook(alert("Down", severity="critical"), group="Down"))
            (posted,) = until(lambda: [*slack.posted.values()], what="Slack is told")
            until(lambda: not server.get("/api/v1/status")["channels"]["ops-chat"]["owed"], what="that is decided")
            press = signed(pressed(posted, "Acknowledge", reply_to=slack.url))
            assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        with receiver(tmp_path, policy=written, port=port) as server:
            wrong = signed(pressed(posted, "Resolve", reply_to=slack.url), secret="guessed")
            assert server.ask(PRESSES, wrong.body, headers=wrong.headers)[0] == 401
            assert server.ask(PRESSES, press.body, headers=press.headers) == (200, b"")
            assert server.ended(signal.SIGKILL) == -signal.SIGKILL  # answered 200: it is on disk
        with receiver(tmp_path, policy=written, port=port) as server:
            (incident,) = server.incidents()
            assert (incident["status"], incident["acknowledged_by"]) == ("acknowledged", "ana")
            story = server.get(f"/api/v1/incidents/{incident['id']}")["timeline"]
            (step,) = [each for each in story if each["what"] == "acknowledged"]
            assert (step["by"], step["via"]) == ("ana", "slack")
            until(lambda: posted.thread, what="the thread says so")
            until(lambda: not server.get("/api/v1/status")["channels"]["ops-chat"]["owed"], what="that is decided")
            assert len(slack.posted) == 1
            assert posted.buttons == ["Snooze", "Resolve"]
            over = signed(pressed(posted, "Resolve", by=STRANGER, reply_to=slack.url))
            assert server.ask(PRESSES, over.body, headers=over.headers)[0] == 200
            until(lambda: posted.buttons == [], what="the buttons are gone")
            until(lambda: "resolved" in posted.thread[-1]["text"], what="so says the thread")
    said = [line["text"].split(";")[0] for line in posted.thread]
    assert list(dict.fromkeys(said)) == ["acknowledged by ana", "resolved by @guest (Slack)"]
    assert len(said) <= 3  # the kill may have come between the line and our note of it
    assert slack.faults == []
    log = (tmp_path / "receiver.log").read_text()
    assert SIGNING_SECRET not in log
    assert "Traceback" not in log


def test_what_somebody_did_in_pagerduty_is_done_here_once_over_kills(tmp_path: Path) -> None:
    pagerduty, port = PagerDutySink(), free_port()
    (tmp_path / "pagerduty.key").write_text(ROUTING_KEY)
    (tmp_path / "webhook.secret").write_text(WEBHOOK_SECRET)
    written = """
channels:
  pager: {type: pagerduty, routing_key_file: pagerduty.key, url: 'URL', webhook_secret_file: webhook.secret}
people: {ana-lopez: {notify: [{channel: pager}]}}
"""
    with serving(pagerduty):
        written = written.replace("URL", f"{pagerduty.url}{PATH}")
        with receiver(tmp_path, policy=written, port=port) as server:
            server.post(webhook(alert("Down", severity="critical"), group="Down"))
            (key,) = until(lambda: [*pagerduty.incidents], what="PagerDuty is told")
            until(lambda: not server.get("/api/v1/status")["channels"]["pager"]["owed"], what="that is decided")
            assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        said = says.signed(says.event("acknowledged", key=key, agent=says.user("Ana Lopez"), identifier="E1"))
        for _ in range(2):  # PagerDuty did not get the first answer
            with receiver(tmp_path, policy=written, port=port) as server:
                assert server.ask(EVENTS, said.body, headers=said.headers)[0] == 200
                assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        with receiver(tmp_path, policy=written, port=port) as server:
            (incident,) = server.incidents()
            assert (incident["status"], incident["acknowledged_by"]) == ("acknowledged", "ana-lopez")
            story = server.get(f"/api/v1/incidents/{incident['id']}")["timeline"]
            assert [(step["what"], step["via"]) for step in story if "via" in step] == [("acknowledged", "pagerduty")]
            until(lambda: ("acknowledge", key) in pagerduty.actions, what="PagerDuty hears what it knows")
            echo = says.signed(says.event("acknowledged", key=key, agent=says.INTEGRATION))
            assert json.loads(server.ask(EVENTS, echo.body, headers=echo.headers)[1]) == {"outcome": "echo"}
            status = "/api/v1/status"
            until(lambda: not server.get(status)["channels"]["pager"]["owed"], what="nothing more is to be said")
    assert [action for action, _ in pagerduty.actions if action == "trigger"] == ["trigger"]
    assert pagerduty.faults == []
    log = (tmp_path / "receiver.log").read_text()
    assert WEBHOOK_SECRET not in log
    assert "Traceback" not in log


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
