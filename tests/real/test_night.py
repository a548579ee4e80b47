"""One whole night: a real Alertmanager, the installed receiver, and everybody whom it tells. Only the policy is fast.

ana is on call, then ben. Somebody does not answer, a channel is down, the receiver is killed, a storm comes, and in the
morning all is over. Who was told what, in which order, is one list, and nothing else is in it.
"""

from __future__ import annotations

import json
import signal
import urllib.parse
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.real.amtalk import end, fire
from tests.real.night import People, people
from tests.real.servers import JSON, Server, alertmanager, free_port, receiver, tocsin, until
from tests.receiver import pagerdutysays, slackpress
from tests.receiver.forms import Sheet
from tests.receiver.pagerdutysink import PATH

pytestmark = pytest.mark.real

ALERTMANAGER = """
route: {receiver: tocsin, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: tocsin
    webhook_configs: [{url: 'URL/webhook/am'}]
"""
HANDED_OVER_AFTER = timedelta(seconds=40)
DATABASE = {"alertname": "DatabaseDown", "severity": "critical", "tier": "database"}
SHOP = {"alertname": "ShopDown", "severity": "critical", "tier": "shop"}
CACHE = {"alertname": "CacheDown", "severity": "critical", "tier": "cache"}
PRINTER = {"alertname": "PrinterDown", "severity": "warning", "tier": "printer"}
STORM = [{"alertname": f"Disk{number}", "severity": "warning", "tier": "disk"} for number in range(12)]


def policy(people: People, handed_over: datetime) -> str:
    begin, end = (handed_over + timedelta(hours=hours) for hours in (-1, 1))
    return f"""
sources: {{am: {{}}}}
routes:
  - {{matchers: ['tier="database"'], escalation: insist}}
  - {{matchers: ['tier="shop"'], escalation: night}}
  - {{matchers: ['tier="cache"'], escalation: answer}}
  - {{matchers: ['tier="printer"'], escalation: office}}
  - {{escalation: desk}}
escalations:
  insist:
    stages:
      - {{delay: 0s, notify: [{{schedule: primary}}]}}
      - {{delay: 4s, notify: [{{person: ben}}, chat]}}
      - {{delay: 20s, notify: [pager]}}
  night:
    stages:
      - {{delay: 0s, notify: [{{schedule: primary}}]}}
      - {{delay: 4s, notify: [{{person: ben}}, chat]}}
  answer:
    acknowledged_for: 10s
    stages: [{{notify: [{{schedule: primary}}, pager]}}]
  office: {{stages: [{{notify: [revoked]}}]}}
  desk: {{stages: [{{notify: [desk]}}]}}
schedules:
  primary:
    rotations: [{{people: [cleo], shift: 7d, starts: '2026-01-05T09:00'}}]
    overrides:
      - {{person: ana, from: '{begin:%Y-%m-%dT%H:%M:%S}Z', to: '{handed_over:%Y-%m-%dT%H:%M:%S}Z'}}
      - {{person: ben, from: '{handed_over:%Y-%m-%dT%H:%M:%S}Z', to: '{end:%Y-%m-%dT%H:%M:%S}Z'}}
people:
  ana: {{notify: [{{email: ana@example.org}}]}}
  ben: {{notify: [{{email: ben@example.org}}]}}
  cleo: {{notify: [{{slack: {slackpress.ANA.id}}}]}}
storms: {{per_channel: {{limit: 3, per: 5s}}}}
channels:
  mail: {{type: email, smarthost: '127.0.0.1:{people.mail.port}', from: tocsin@example.org, to: [ops@example.org]}}
  chat: {{type: slack, token_file: slack.token, channel: '#ops', api_url: '{people.chat.url}/api/',
         signing_secret_file: signing.secret}}
  pager: {{type: pagerduty, routing_key_file: pagerduty.key, url: '{people.pager.url}{PATH}',
          webhook_secret_file: webhook.secret}}
  revoked: {{type: pagerduty, routing_key_file: revoked.key, url: '{people.pager.url}{PATH}', fallback: chat}}
  desk: {{type: webhook, url: '{people.desk.url}/desk'}}
"""


def incident(server: Server, labels: dict[str, str]) -> dict[str, Any]:
    (found,) = [each for each in server.incidents() if each["labels"].get("alertname") == labels["alertname"]]
    return dict(found)


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def nothing_is_owed(server: Server) -> bool:
    status = server.get("/api/v1/status")
    return not status["lag"] and all(not each["owed"] for each in status["channels"].values())


class Night:
    """The servers, and what happens in each part of the night."""

    def __init__(self, folder: Path, people: People) -> None:
        self.folder = folder
        self.people = people
        self.heard = people.heard
        self.port = free_port()
        self.handed_over = datetime.now(UTC).replace(microsecond=0) + HANDED_OVER_AFTER
        self.policy = policy(people, self.handed_over)

    def receiver(self) -> Any:
        flags = [f"--web.external-url=http://127.0.0.1:{self.port}"]
        return receiver(self.folder, policy=self.policy, port=self.port, flags=flags)

    def acknowledge(self, server: Server, labels: dict[str, str], *, by: str) -> None:
        path = f"/api/v1/incidents/{incident(server, labels)['id']}/acknowledge"
        status, said = server.ask(path, json.dumps({"by": by}).encode(), headers=JSON)
        assert status == 200, said

    def press(self, server: Server, button: str) -> None:
        """In the chat, under the only message there; whoever does it there is cleo here."""
        (posted,) = self.people.chat.posted.values()
        press = slackpress.signed(slackpress.pressed(posted, button, reply_to=self.people.chat.url))
        assert server.ask(slackpress.PATH, press.body, headers=press.headers) == (200, b"")

    def acknowledge_in_pagerduty(self, server: Server, *, by: str) -> None:
        (key,) = self.people.pager.incidents
        event = pagerdutysays.event("acknowledged", key=key, agent=pagerdutysays.user(by))
        said = pagerdutysays.signed(event)
        assert server.ask(pagerdutysays.PATH, said.body, headers=said.headers)[0] == 200

    def follow_link(self, server: Server, labels: dict[str, str], person: str) -> None:
        """A scanner looks at it, and nothing happens; then the person presses the button."""
        path = self.people.mail.link_to(person).removeprefix(server.url)
        for _ in range(2):
            status, page = server.ask(path)
            assert status == 200, page
        assert incident(server, labels)["status"] == "open"
        form = urllib.parse.urlencode(Sheet(page.decode()).pressed("acknowledge")).encode()
        assert server.ask(path, form)[0] == 200
        assert incident(server, labels)["acknowledged_by"] == person

    def nobody_answers(self, server: Server, am: Server) -> None:
        fire(am, DATABASE)
        self.heard.expect("ana: opened DatabaseDown: a test")
        self.heard.expect("ben: escalated DatabaseDown: a test", "chat: a message: 🔴 critical: DatabaseDown: a test")
        self.press(server, "Acknowledge")
        self.heard.expect(
            "ana: acknowledged DatabaseDown: a test",
            "ben: acknowledged DatabaseDown: a test",
            "chat: a line: acknowledged by cleo",
        )

    def mails_cannot_be_sent_and_the_receiver_is_killed(self, server: Server, am: Server) -> None:
        self.people.mail.down = True
        fire(am, SHOP)
        until(lambda: "451" in str(server.get("/api/v1/status")["channels"]["ana@mail"]), what="a mail is not taken")
        due = when(incident(server, SHOP)["opened_at"]) + timedelta(seconds=4)
        assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: datetime.now(UTC) > due, what="the second stage falls due while nobody runs")

    def what_is_owed_is_told_once(self, server: Server) -> None:
        self.heard.expect("chat: a message: 🔴 critical: ShopDown: a test")
        self.people.mail.down = False
        self.heard.expect("ana: opened ShopDown: a test", "ben: escalated ShopDown: a test")

    def a_snooze_ends(self, server: Server) -> None:
        name = incident(server, SHOP)["id"]
        done = tocsin("incident", "snooze", name, "3s", "--by=ana", f"--url={server.url}", folder=self.folder)
        assert done.returncode == 0, done.stderr
        told = ("ana: updated ShopDown: a test", "ben: updated ShopDown: a test")
        self.heard.expect(*told, "chat: a line: updated: snoozed")
        self.heard.expect(*told, "chat: a line: updated: open")
        self.follow_link(server, SHOP, "ana")
        self.heard.expect(
            "ana: acknowledged ShopDown: a test",
            "ben: acknowledged ShopDown: a test",
            "chat: a line: acknowledged by ana",
        )

    def a_channel_refuses_and_its_fallback_is_told(self, am: Server) -> None:
        fire(am, PRINTER)
        self.heard.expect("chat: a message: 🟡 warning: PrinterDown: a test")

    def a_storm(self, server: Server, am: Server) -> None:
        fire(am, *STORM)
        desk = self.people.at_the_desk
        until(lambda: len(desk(("opened",))) >= len(STORM), what="the desk hears of all of them")
        until(lambda: nothing_is_owed(server), what="and takes it")
        assert Counter(desk(("opened",))) == Counter(each["alertname"] for each in STORM)
        assert 1 <= len(self.people.desk.of_kind("digest")) <= 3
        assert self.heard.since == []

    def the_next_one_is_on_call(self, server: Server, am: Server) -> None:
        until(lambda: datetime.now(UTC) > self.handed_over, what="it is ben's turn")
        fire(am, CACHE)
        self.heard.expect("ben: opened CacheDown: a test", "pager: trigger")
        self.acknowledge_in_pagerduty(server, by="Ben")
        self.heard.expect("ben: acknowledged CacheDown: a test", "pager: acknowledge")
        # He had it, and did not say so again. PagerDuty pages about what was acknowledged there when it was over first.
        self.heard.expect("ben: escalated CacheDown: a test", "pager: resolve", "pager: trigger")
        lasted = [step["at"] for step in server.get(f"/api/v1/incidents/{incident(server, CACHE)['id']}")["timeline"]
                  if step["what"] in ("acknowledged", "acknowledgement ended")]  # fmt: skip
        assert when(lasted[1]) - when(lasted[0]) >= timedelta(seconds=10)
        self.acknowledge(server, CACHE, by="ben")
        self.heard.expect("ben: acknowledged CacheDown: a test", "pager: acknowledge")
        end(am, CACHE)
        self.heard.expect("ben: resolved CacheDown: a test", "pager: resolve")

    def the_morning(self, server: Server, am: Server) -> None:
        end(am, DATABASE)
        self.heard.expect(
            "ana: resolved DatabaseDown: a test", "ben: resolved DatabaseDown: a test", "chat: a line: resolved"
        )
        end(am, SHOP)
        self.heard.expect("ana: resolved ShopDown: a test", "ben: resolved ShopDown: a test", "chat: a line: resolved")
        end(am, PRINTER)
        self.heard.expect("chat: a line: resolved")
        end(am, *STORM)
        until(lambda: not server.incidents("active"), what="all is over")
        desk = self.people.at_the_desk
        until(lambda: len(desk(("opened", "resolved"))) >= 2 * len(STORM), what="the desk hears of every end")
        until(lambda: nothing_is_owed(server), what="and takes it")
        assert set(Counter(desk(("opened", "resolved"))).values()) == {2}

    def it_can_be_looked_up(self, server: Server) -> None:
        found = server.get("/api/v1/statistics?from=1h")
        by_person = {each["person"]: (each["pages"], each["acknowledged"]) for each in found["by_person"]}
        assert by_person == {"ana": (2, 1), "ben": (4, 1), "cleo": (0, 1)}
        pages = {each["name"]: each["pages"] for each in found["by_alert"]}
        assert [pages[each["alertname"]] for each in (DATABASE, SHOP, CACHE, PRINTER)] == [3, 3, 4, 1]
        by = [(step["by"], step["via"]) for labels in (DATABASE, SHOP, CACHE)
              for step in server.get(f"/api/v1/incidents/{incident(server, labels)['id']}")["timeline"]
              if "via" in step]  # fmt: skip
        assert by == [("cleo", "slack"), ("ana", "cli"), ("ana", "link"), ("ben", "pagerduty"), ("ben", "api")]
        database = self.folder / "data" / "receiver.db"
        verified = tocsin("audit", "verify", f"--storage.url=sqlite:///{database}", folder=self.folder)
        assert verified.returncode == 0, verified.stdout + verified.stderr


def test_everybody_is_told_what_concerns_them_once_and_nobody_after_the_acknowledgement(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    program = needs("prometheus-alertmanager")
    with ExitStack() as running:
        told = running.enter_context(people(tmp_path))
        night = Night(tmp_path, told)
        configuration = ALERTMANAGER.replace("URL", f"http://127.0.0.1:{night.port}")
        am = running.enter_context(alertmanager(program, tmp_path, configuration=configuration))
        with night.receiver() as server:
            night.nobody_answers(server, am)
            night.mails_cannot_be_sent_and_the_receiver_is_killed(server, am)
        with night.receiver() as server:
            night.what_is_owed_is_told_once(server)
            night.a_snooze_ends(server)
            night.a_channel_refuses_and_its_fallback_is_told(am)
            night.a_storm(server, am)
            night.the_next_one_is_on_call(server, am)
            night.the_morning(server, am)
            night.it_can_be_looked_up(server)
            assert server.ended(signal.SIGTERM) == 0
        assert told.heard.since == []
        assert told.faults() == []
        assert {len(bodies) for bodies in told.desk.bodies.values()} == {1}
