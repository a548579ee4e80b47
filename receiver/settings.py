"""receiver.yml on its way in: read, checked, and split into what decides (the policy) and what acts."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import assert_never

import msgspec
from yarl import URL

from guard import configfile
from guard.configfile import Fault, InvalidConfig
from guard.tokens import TokenFile, Unreadable, first_token
from receiver.channels import Channel, Unreachable
from receiver.channels.email import Email, read_password, trust
from receiver.channels.pagerduty import PagerDuty
from receiver.channels.slack import Slack, SlackWebhook
from receiver.channels.terminal import Terminal
from receiver.channels.webhook import Webhook
from receiver.policy.checks import problems, topology_problems, warnings
from receiver.policy.duration import parse_duration
from receiver.policy.file import (
    ChannelFile,
    EmailFile,
    PagerDutyFile,
    ReceiverFile,
    RetentionFile,
    SlackFile,
    SourceFile,
    TerminalFile,
    TopologyFile,
    WebhookFile,
)
from receiver.policy.freeze import policy_of
from receiver.policy.mail import parse_mailbox, parse_smarthost, tls_of
from receiver.policy.matcher import parse_matcher
from receiver.policy.policy import Policy
from receiver.policy.reach import reach_of
from receiver.policy.schedulefile import people_of
from receiver.policy.windows import parse_moment, parse_weekly, zone

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
EXAMPLE = Path(__file__).parent / "example" / "receiver.yml"


def _url(text: str) -> None:
    expected = "an address such as https://example.org/hook"
    try:
        url = URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(expected)


def _duration(text: str) -> None:
    parse_duration(text)


def _matcher(text: str) -> None:
    parse_matcher(text)


def _mailbox(text: str) -> None:
    parse_mailbox(text)


def _smarthost(text: str) -> None:
    parse_smarthost(text)


def _time_zone(text: str) -> None:
    zone(text)


def _weekly(text: str) -> None:
    parse_weekly(text)


def _moment(text: str) -> None:
    parse_moment(text)


TOPOLOGY = configfile.Kind(
    name="topology",
    struct=TopologyFile,
    title="Tocsin's topology.yml",
    description="Which service needs which.",
    file_names=("topology.yml", "topology.yaml", "*.topology.yml"),
    check=topology_problems,
)


def _others(file: ReceiverFile) -> Iterator[tuple[Path, configfile.Kind[TopologyFile]]]:
    if file.topology_file is not None:
        yield Path(file.topology_file), TOPOLOGY


KIND = configfile.Kind(
    name="receiver",
    struct=ReceiverFile,
    title="Tocsin's receiver.yml",
    description="Who may post webhooks, which incidents take which escalation, and the channels to people.",
    file_names=("receiver.yml", "receiver.yaml", "*.receiver.yml"),
    check=problems,
    warn=warnings,
    formats={
        "duration": _duration,
        "mailbox": _mailbox,
        "matcher": _matcher,
        "moment": _moment,
        "smarthost": _smarthost,
        "time_zone": _time_zone,
        "url": _url,
        "weekly": _weekly,
    },
    others=_others,
)


class Settings(msgspec.Struct, frozen=True):
    """One reading of the file."""

    name: str
    policy: Policy
    sources: dict[str, SourceFile] | None
    channels: dict[str, ChannelFile]
    retention: RetentionFile


def load(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """Raises InvalidConfig with every fault. The digest is that of the files as written, secrets unexpanded."""
    file = configfile.read(path, KIND, environ=environ)
    faults = [*_unusable_tokens(str(path), file.sources or {}), *_unusable_mail_files(str(path), file.channels)]
    written = hashlib.sha256(path.read_bytes())
    topology = None
    if file.topology_file is not None:
        try:
            topology = configfile.read(Path(file.topology_file), TOPOLOGY, environ=environ)
            written.update(Path(file.topology_file).read_bytes())
        except InvalidConfig as invalid:
            faults += invalid.faults
    if faults:
        raise InvalidConfig(faults)
    return Settings(
        name=str(path),
        policy=policy_of(file, digest=written.hexdigest()[:16], topology=topology),
        sources=file.sources,
        channels={**file.channels, **reach_of(file.channels, people_of(file.people)).made},
        retention=file.retention,
    )


def _unusable_tokens(name: str, sources: Mapping[str, SourceFile]) -> Iterator[Fault]:
    """A token file that is there and holds no token would refuse everybody, or be refused: that is said before it is in
    force."""
    for source, file in sources.items():
        for key, path, read in (
            ("token_file", file.token_file, TokenFile),
            ("alertmanager_token_file", file.alertmanager_token_file, first_token),
        ):
            if path is None:
                continue
            try:
                read(path)
            except Unreadable as error:
                yield Fault(name, 0, f"sources.{source}.{key}", str(error), "a file with one token a line")


def _unusable_mail_files(name: str, channels: Mapping[str, ChannelFile]) -> Iterator[Fault]:
    """Likewise for what a mail needs."""
    for channel, file in channels.items():
        if not isinstance(file, EmailFile):
            continue
        try:
            if file.password_file is not None:
                read_password(Path(file.password_file))
        except Unreachable as error:
            yield Fault(name, 0, f"channels.{channel}.password_file", str(error), "a file with a password in one line")
        try:
            if file.ca_file is not None:
                trust(Path(file.ca_file))
        except Unreachable as error:
            yield Fault(name, 0, f"channels.{channel}.ca_file", str(error), "a file with certificates, in PEM")


def channel_of(file: ChannelFile, *, external_url: str | None = None) -> Channel:
    """`external_url` is how people reach this receiver, for links."""
    match file:
        case TerminalFile():
            return Terminal(sys.stdout)
        case WebhookFile():
            return Webhook(
                url=file.url,
                headers=file.headers,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
                secret_file=Path(file.secret_file) if file.secret_file else None,
            )
        case EmailFile():
            smarthost = parse_smarthost(file.smarthost)
            return Email(
                smarthost=smarthost,
                sender=parse_mailbox(file.sender),
                recipients=[parse_mailbox(each) for each in file.to],
                username=file.username,
                password_file=Path(file.password_file) if file.password_file else None,
                tls=tls_of(smarthost, file.tls),
                ca_file=Path(file.ca_file) if file.ca_file else None,
                attach_json=file.attach_json,
                timeout_seconds=_seconds(file.timeout or "30s"),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case SlackFile(webhook_url_file=str(webhook_url_file)):
            return SlackWebhook(
                webhook_url_file=Path(webhook_url_file),
                external_url=external_url,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case SlackFile():
            return Slack(
                channel=file.channel or "",
                token_file=Path(file.token_file or ""),
                api_url=file.api_url,
                external_url=external_url,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case PagerDutyFile():
            return PagerDuty(
                url=file.url or PAGERDUTY_URL,
                routing_key_file=Path(file.routing_key_file),
                external_url=external_url,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case _:
            assert_never(file)


def _seconds(duration: str) -> float:
    return parse_duration(duration) / timedelta(seconds=1)
