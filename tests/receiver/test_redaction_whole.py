"""A whole receiver with every kind of channel: what its policy hides reaches no other side, and no log."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path

import pytest

from receiver.channels import Channel
from receiver.channels.email import Email
from receiver.channels.pagerduty import PagerDuty
from receiver.channels.slack import Slack
from receiver.channels.terminal import Terminal
from receiver.channels.webhook import Webhook
from receiver.links import Links
from receiver.policy.mail import Smarthost, Tls, parse_mailbox
from receiver.redaction import MASK
from receiver.store.sqlite import open_sqlite
from tests.receiver.builders import SURELY, alert, webhook
from tests.receiver.mailserver import inbox
from tests.receiver.pagerdutysink import PATH, ROUTING_KEY, PagerDutySink
from tests.receiver.provider import Provider, Reply, serving
from tests.receiver.slacksink import TOKEN, SlackSink
from tests.receiver.world import receiver, run

LINKS = Links(external_url="https://tocsin.example.org", key=bytes(32))
HIDDEN = "ana.lopez@example.org"
POLICY = """\
channels:
  terminal: {type: terminal}
  hook: {type: terminal}
  mail: {type: terminal}
  chat: {type: terminal}
  pager: {type: terminal}
  trusted: {type: terminal}
redact:
  - {labels: [user], as: shown, channels: [trusted]}
  - {labels: ['user*'], as: masked}
storms: {per_channel: {limit: 2, per: 1s}, never_hold: []}
"""


class Hook(Provider):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.bodies.append(body)
        return Reply(200)


class Chat(SlackSink):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.bodies.append(body)
        return super().answer(path, headers, body)


class Pager(PagerDutySink):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.bodies.append(body)
        return super().answer(path, headers, body)


def _channels(folder: Path, *, hook: Provider, chat: Provider, pager: Provider, port: int) -> dict[str, Channel]:
    for name, secret in (("slack", TOKEN), ("pagerduty", ROUTING_KEY)):
        (folder / name).write_text(secret)
    return {
        "terminal": Terminal(io.StringIO()),
        "trusted": Terminal(io.StringIO()),
        "hook": Webhook(
            url=hook.url, headers={}, timeout_seconds=SURELY, retry_seconds_max=60.0, secret_file=None, links=LINKS
        ),
        "chat": Slack(
            channel="#ops",
            token_file=folder / "slack",
            api_url=f"{chat.url}/api",
            links=LINKS,
            timeout_seconds=SURELY,
            retry_seconds_max=60.0,
        ),
        "pager": PagerDuty(
            url=pager.url + PATH,
            routing_key_file=folder / "pagerduty",
            links=LINKS,
            timeout_seconds=SURELY,
            retry_seconds_max=60.0,
        ),
        "mail": Email(
            smarthost=Smarthost("127.0.0.1", port),
            sender=parse_mailbox("tocsin@example.org"),
            recipients=[parse_mailbox("ops@example.org")],
            tls=Tls.NONE,
            attach_json=True,
            attach_chart=True,
            links=LINKS,
            timeout_seconds=SURELY,
            retry_seconds_max=60.0,
        ),
    }


def _body(number: int, **changes: object) -> bytes:
    about = {"alertname": f"Login{number}", "severity": "warning", "user": HIDDEN, "home": f"/home/{HIDDEN}"}
    annotations = {
        "summary": f"{HIDDEN} failed to log in",
        "runbook_url": f"https://runbooks.example.org/?user={HIDDEN.replace('@', '%40')}",
    }
    url = f"http://prometheus/graph?g0.expr=x%7Buser%3D%22{HIDDEN.replace('@', '%40')}%22%7D"
    one = alert(labels=about, annotations=annotations, generatorURL=url, **changes)
    key = f'{{}}:{{alertname="Login{number}", user="{HIDDEN}"}}'
    return webhook([one], groupKey=key, groupLabels={"alertname": f"Login{number}", "user": HIDDEN})


def _words(mail: bytes) -> str:
    parsed = message_from_bytes(mail)
    texts = (part for part in parsed.walk() if part.get_content_maintype() in ("text", "application"))
    parts = [part.get_payload(decode=True) for part in texts]
    return parsed["Subject"] + "".join(part.decode() for part in parts if isinstance(part, bytes))


def test_what_is_hidden_reaches_no_other_side_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="tocsin")
    hook, chat, pager = Hook(), Chat(), Pager()

    async def test() -> None:
        async with inbox() as box:
            channels = _channels(tmp_path, hook=hook, chat=chat, pager=pager, port=box.port)
            async with receiver(tmp_path, policy=POLICY, channels=channels) as world:
                for number in range(4):  # more than the limit: the rest comes in a digest
                    assert (await world.post(_body(number)))[0] == 200
                await world.decided()
                ended = {"status": "resolved", "endsAt": "2026-03-01T09:00:00Z"}
                assert (await world.post(_body(0, **ended)))[0] == 200
                await world.until(lambda: b"digest" in b"".join(hook.bodies))
                await world.decided()
                _, found = await world.get("/api/v1/incidents?status=all")
                assert {each["labels"]["user"] for each in found["incidents"]} == {HIDDEN}
            terminal, trusted = (channels[name] for name in ("terminal", "trusted"))
            assert isinstance(terminal, Terminal)
            assert isinstance(trusted, Terminal)
            printed = {each: each._stream.getvalue() for each in (terminal, trusted)}  # type: ignore[attr-defined]
            said = {
                "terminal": printed[terminal],
                "hook": b"".join(hook.bodies).decode(),
                "chat": b"".join(chat.bodies).decode(),
                "pager": b"".join(pager.bodies).decode(),
                "mail": "".join(_words(mail.content) for mail in box.came),
            }
            for name, text in said.items():
                assert MASK in text, name
                assert "lopez" not in text, name
            assert HIDDEN in printed[trusted]

    with serving(hook), serving(chat), serving(pager):
        run(test())
    assert hook.faults + chat.faults + pager.faults == []
    own = [record for record in caplog.records if record.name.startswith("tocsin")]
    assert [record for record in own if "lopez" in str(record.__dict__)] == []


def test_the_key_of_hashes_is_the_stores_own_and_stays(tmp_path: Path) -> None:
    async def key_of(name: str) -> bytes:
        store = open_sqlite(tmp_path / name)
        try:
            return (await store.load()).state.hash_key
        finally:
            await store.close()

    first, again, other = (asyncio.run(key_of(name)) for name in ("a.db", "a.db", "b.db"))
    assert first == again != other
    assert len(first) == 32
