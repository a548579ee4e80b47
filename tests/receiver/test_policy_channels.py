"""Slack and PagerDuty in receiver.yml: which keys belong together, and what each becomes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.channels.making import channel_of
from receiver.channels.pagerduty import PagerDuty
from receiver.channels.slack import Slack, SlackWebhook
from receiver.links import Links
from receiver.settings import Settings

Load = Callable[[str], Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "secret").write_text("something")

    def read(text: str) -> Settings:
        path = tmp_path / "receiver.yml"
        path.write_text(text)
        return settings.load(path, environ={})

    return read


@pytest.mark.parametrize(
    ("written", "kind", "seconds"),
    [
        ("{type: slack, token_file: secret, channel: '#ops', retry_for: 2h}", Slack, 7200.0),
        ("{type: slack, token_file: secret, channel: C0PS1}", Slack, 86400.0),
        ("{type: slack, webhook_url_file: secret}", SlackWebhook, 86400.0),
        ("{type: pagerduty, routing_key_file: secret, retry_for: 1m}", PagerDuty, 60.0),
        (
            "{type: pagerduty, routing_key_file: secret, url: 'https://events.eu.pagerduty.com/v2/enqueue'}",
            PagerDuty,
            86400.0,
        ),
    ],
)
def test_each_becomes_its_channel(load: Load, written: str, kind: type[object], seconds: float) -> None:
    (file,) = load(f"channels: {{it: {written}}}").channels.values()
    channel = channel_of(file, links=Links(external_url="https://tocsin.example.org"))
    assert type(channel) is kind
    assert channel.retry_seconds_max == seconds


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("{type: slack}", "channels.it: found no way to Slack, expected either `token_file` with `channel`"),
        ("{type: slack, channel: '#ops'}", "channels.it: found no way to Slack"),
        (
            "{type: slack, token_file: secret, channel: '#ops', webhook_url_file: secret}",
            "channels.it: found `token_file` and `webhook_url_file`, expected either",
        ),
        ("{type: slack, token_file: secret}", "channels.it.channel: found nothing, expected a channel in quotes"),
        (
            "{type: slack, webhook_url_file: secret, channel: '#ops'}",
            "channels.it.channel: found '#ops', expected no `channel`",
        ),
        (
            "{type: slack, webhook_url_file: secret, signing_secret_file: secret}",
            "channels.it.signing_secret_file: found a signing secret beside a webhook, expected `token_file`",
        ),
        (
            "{type: slack, token_file: secret, channel: '#ops', signing_secret_file: gone}",
            "channels.it.signing_secret_file: found 'gone', expected a file",
        ),
        ("{type: slack, token_file: secret, channel: 'two words'}", "channels.it.channel: found 'two words'"),
        ("{type: slack, token_file: gone, channel: '#ops'}", "channels.it.token_file: found 'gone', expected a file"),
        (
            "{type: slack, webhook_url_file: secret, api_url: nowhere}",
            "channels.it.api_url: found 'nowhere', expected an address",
        ),
        ("{type: pagerduty}", "channels.it.routing_key_file: found nothing"),
        (
            "{type: pagerduty, routing_key_file: secret, routing_key: abc}",
            "channels.it.routing_key: found an unknown key",
        ),
        (
            "{type: pagerduty, routing_key_file: secret, url: 'ftp://x'}",
            "channels.it.url: found 'ftp://x', expected an address",
        ),
    ],
)
def test_what_does_not_belong_together_is_a_fault_at_its_place(load: Load, written: str, fault: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        load(f"channels: {{it: {written}}}")
    told = [f"{each.path}: found {each.found}, expected {each.expected}" for each in raised.value.faults]
    assert [each for each in told if each.startswith(fault)], told


@pytest.mark.parametrize(
    "written", ["slack", "[]", "{type: slack, token_file: [1], channel: {a: 1}}", "{type: [slack]}"]
)
def test_any_shape_is_borne(load: Load, written: str) -> None:
    with pytest.raises(InvalidConfig):
        load(f"channels: {{it: {written}}}")
