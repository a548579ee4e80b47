"""Every channel with templates, against another side that is really there: their words arrive, and where one fails the
default does, and that is said."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from receiver.channels import Channel
from receiver.channels.apprise import Apprise
from receiver.channels.email import Email
from receiver.channels.pagerduty import PagerDuty
from receiver.channels.slack import Slack, SlackWebhook
from receiver.channels.templates import USES, Templates
from receiver.channels.terminal import Terminal
from receiver.channels.webhook import Webhook
from receiver.links import NO_LINKS
from receiver.message import Kind
from receiver.policy.mail import Smarthost, Tls, parse_mailbox
from tests.receiver.apprisesink import SECRET, AppriseSink
from tests.receiver.builders import SURELY, digest, message
from tests.receiver.mailserver import inbox
from tests.receiver.pagerdutysink import PATH, ROUTING_KEY, PagerDutySink
from tests.receiver.provider import Provider, Reply, serving
from tests.receiver.slacksink import HOOK, TOKEN, SlackSink

NASTY = '<!channel> "q" \' \\ \r\nBcc: eve@example.org\r\n\r\n \x1b[31m\u202e'
WORDS = {
    ("webhook", "body"): '{"in my words": {{ (kind ~ " " ~ incident.title ~ incident.labels.user)|tojson }}}',
    ("email", "html"): '<p title="{{ incident.labels.user }}">in my words {{ kind }} {{ incident.labels.user }}</p>',
    **{
        (kind, key): f"in my words ({key}) {{{{ kind }}}} {{{{ incident.title }}}} {{{{ incident.labels.user }}}}"
        for kind, keys in {
            "terminal": ("text",),
            "email": ("subject", "text"),
            "slack": ("title", "text"),
            "pagerduty": ("summary",),
            "apprise": ("title", "body"),
        }.items()
        for key in keys
    },
}
FAILS = "{{ 1 // 0 if incident.title else '' }}"


class Keeping(Provider):
    """Any of the servers, and what it was sent."""

    def __init__(self, sink: Provider) -> None:
        super().__init__()
        self.sink = sink
        self.bodies: list[bytes] = []

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.bodies.append(body)
        return self.sink.answer(path, headers, body)


class TakesAll(Provider):
    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        return Reply(200)


class Side(NamedTuple):
    kind: str
    sink: Callable[[], Provider]
    made: Callable[[str, Path, Templates], Channel]


def _webhook(url: str, _: Path, templates: Templates) -> Channel:
    return Webhook(
        url=url, headers={}, timeout_seconds=SURELY, retry_seconds_max=60.0, secret_file=None, templates=templates
    )


def _slack(url: str, folder: Path, templates: Templates) -> Channel:
    (folder / "secret").write_text(TOKEN)
    return Slack(
        channel="#ops",
        token_file=folder / "secret",
        api_url=f"{url}/api",
        links=NO_LINKS,
        templates=templates,
        timeout_seconds=SURELY,
        retry_seconds_max=60.0,
    )


def _slack_webhook(url: str, folder: Path, templates: Templates) -> Channel:
    (folder / "secret").write_text(url + HOOK)
    return SlackWebhook(
        webhook_url_file=folder / "secret",
        links=NO_LINKS,
        templates=templates,
        timeout_seconds=SURELY,
        retry_seconds_max=60.0,
    )


def _pagerduty(url: str, folder: Path, templates: Templates) -> Channel:
    (folder / "secret").write_text(ROUTING_KEY)
    return PagerDuty(
        url=url + PATH,
        routing_key_file=folder / "secret",
        links=NO_LINKS,
        templates=templates,
        timeout_seconds=SURELY,
        retry_seconds_max=60.0,
    )


def _apprise(url: str, folder: Path, templates: Templates) -> Channel:
    (folder / "services").write_text(f"json://{url.removeprefix('http://')}/json/{SECRET}\n")
    return Apprise(
        addresses_file=folder / "services",
        links=NO_LINKS,
        templates=templates,
        timeout_seconds=SURELY,
        retry_seconds_max=60.0,
    )


SIDES = {
    "apprise": Side("apprise", AppriseSink, _apprise),
    "webhook": Side("webhook", TakesAll, _webhook),
    "slack": Side("slack", SlackSink, _slack),
    "slack webhook": Side("slack", SlackSink, _slack_webhook),
    "pagerduty": Side("pagerduty", PagerDutySink, _pagerduty),
}


def templates_for(kind: str, **instead: str) -> tuple[Templates, list[str]]:
    failed: list[str] = []
    sources = {key: WORDS[kind, key] for key in USES[kind]} | instead
    return Templates(kind, sources, on_failed=lambda key, _: failed.append(key)), failed


def hostile(**more: Any) -> Any:
    return message(labels={"alertname": "Down", "severity": "critical", "user": NASTY}, title=NASTY, **more)


@pytest.fixture(params=SIDES, ids=lambda name: name.replace(" ", "-"))
def side(request: pytest.FixtureRequest) -> Side:
    return SIDES[request.param]


def _sent(side: Side, folder: Path, templates: Templates, messages: list[Any]) -> tuple[list[str], list[str]]:
    """What was answered, and what came."""
    sink = side.sink()
    keeping = Keeping(sink)

    async def test() -> list[str]:
        channel = side.made(keeping.url, folder, templates)
        try:
            return [await channel.send(each) for each in messages]
        finally:
            await channel.close()

    with serving(keeping):
        answers = asyncio.run(asyncio.wait_for(test(), 60))
    assert keeping.faults + sink.faults == []
    return answers, [body.decode() for body in keeping.bodies]


def test_the_words_of_a_template_arrive_for_every_kind_of_message(side: Side, tmp_path: Path) -> None:
    templates, failed = templates_for(side.kind)
    messages = [hostile(step=step, kind=kind) for step, kind in enumerate(Kind) if kind is not Kind.DIGEST]
    answers, came = _sent(side, tmp_path, templates, [*messages, digest(2)])
    assert failed == []
    assert [answer for answer in answers if "template" in answer] == []
    ends = ('"event_action":"acknowledge"', '"event_action":"resolve"')  # these have no words at PagerDuty
    about = [body for body in came if not any(end in body for end in ends)]
    assert len(about) >= 3
    assert [body for body in about if "in my words" not in body] == []


def test_where_a_template_fails_the_default_arrives_and_that_is_said(side: Side, tmp_path: Path) -> None:
    templates, failed = templates_for(side.kind, **dict.fromkeys(USES[side.kind], FAILS))
    plain, _ = _sent(side, tmp_path, Templates(side.kind), [message()])
    answers, came = _sent(side, tmp_path, templates, [message()])
    assert failed == [*USES[side.kind]]
    told = [f"the template '{key}' failed, its default went out: line 1: a division by zero" for key in USES[side.kind]]
    assert answers == ["; ".join([*plain, *told])]
    assert "Down" in came[0]
    assert "my words" not in came[0]


def test_a_mail_has_the_words_and_no_header_of_an_alert() -> None:
    templates, _ = templates_for("email")

    async def test() -> None:
        async with inbox() as box:
            mail = Email(
                smarthost=Smarthost("127.0.0.1", box.port),
                sender=parse_mailbox("tocsin@example.org"),
                recipients=[parse_mailbox("ana@example.org")],
                tls=Tls.NONE,
                templates=templates,
                timeout_seconds=SURELY,
                retry_seconds_max=60.0,
            )
            await mail.send(hostile())
            await mail.send(hostile(kind=Kind.RESOLVED, step=2))
            first, second = (each.parsed for each in box.came)
            assert first["Subject"].startswith("in my words (subject) opened <!channel>")
            assert second["Subject"].startswith("Re: in my words (subject) resolved")
            assert (first["Bcc"], second["Bcc"], len(first["Subject"].splitlines())) == (None, None, 1)
            assert "in my words (text) opened" in box.came[0].text()
            html = box.came[0].text("html")
            assert '<p title="&lt;!channel&gt; &#34;q&#34; &#39;' in html
            assert "<!channel>" not in html

    asyncio.run(asyncio.wait_for(test(), 60))


def test_a_mail_whose_text_is_a_template_has_it_in_html_as_well_and_one_that_fails_is_as_ever() -> None:
    async def test() -> None:
        async with inbox() as box:
            for source in ("in my words <b>", FAILS):
                mail = Email(
                    smarthost=Smarthost("127.0.0.1", box.port),
                    sender=parse_mailbox("tocsin@example.org"),
                    recipients=[parse_mailbox("ana@example.org")],
                    tls=Tls.NONE,
                    templates=Templates("email", {"text": source}),
                    timeout_seconds=SURELY,
                    retry_seconds_max=60.0,
                )
                said = await mail.send(message())
                assert said.startswith("250 ")
                assert ("the template 'text' failed" in said) == (source == FAILS)
            templated, default = box.came
            assert templated.text().splitlines() == ["in my words <b>"]
            assert "in my words &lt;b&gt;" in templated.text("html")
            assert "OPENED critical: Down" in default.text()
            assert "OPENED critical: Down" in default.text("html")

    asyncio.run(asyncio.wait_for(test(), 60))


def test_a_terminal_prints_the_words_and_what_failed_as_ever() -> None:
    async def test() -> str:
        stream = io.StringIO()
        for source in (WORDS["terminal", "text"], FAILS):
            terminal = Terminal(stream, templates=Templates("terminal", {"text": source}))
            said = await terminal.send(hostile())
            assert ("failed" in said) == (source == FAILS)
            await terminal.close()
        return stream.getvalue()

    templated, default = asyncio.run(asyncio.wait_for(test(), 60)).split("\n08:00:00 ")
    assert templated.startswith("08:00:00 [OPENED] in my words (text) opened <!channel>")
    assert "\n    Bcc: eve@example.org\n" in templated
    assert "\x1b" not in templated + default
    assert default.startswith("[OPENED] T-1 critical: <!channel>")
