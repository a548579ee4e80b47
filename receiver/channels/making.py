"""A channel as the policy file has it becomes one that sends."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import assert_never

from yarl import URL

from guard.configfile import Fault
from receiver.channels import Channel, Unreachable
from receiver.channels.action import Action, Deed, Post, Tally
from receiver.channels.apprise import Apprise, NotInstalled, read_addresses, service_of
from receiver.channels.command import Command
from receiver.channels.email import Email, read_password
from receiver.channels.pagerduty import PagerDuty
from receiver.channels.slack import Slack, SlackWebhook
from receiver.channels.templates import Templates, nobody_asks
from receiver.channels.terminal import Terminal
from receiver.channels.trust import Certificates, show, trust
from receiver.channels.webhook import Webhook
from receiver.incident import Incident
from receiver.links import NO_LINKS, Links
from receiver.policy.actionfile import ActionFile
from receiver.policy.channelfile import (
    AppriseFile,
    ChannelFile,
    EmailFile,
    PagerDutyFile,
    SlackFile,
    TerminalFile,
    WebhookFile,
)
from receiver.policy.duration import parse_duration
from receiver.policy.mail import parse_mailbox, parse_smarthost, tls_of
from receiver.policy.templatefile import written_in

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


def unusable_files(name: str, channels: Mapping[str, ChannelFile]) -> Iterator[Fault]:
    """What a channel needs of files and cannot use: that is said before the policy is in force."""
    for channel, file in channels.items():
        path = f"channels.{channel}"
        match file:
            case EmailFile():
                yield from _unusable_mail(name, path, file)
            case WebhookFile():
                yield from _unusable_certificates(name, path, file)
            case AppriseFile():
                yield from _unusable_addresses(name, path, file)


def _unusable_mail(name: str, path: str, file: EmailFile) -> Iterator[Fault]:
    try:
        if file.password_file is not None:
            read_password(Path(file.password_file))
    except Unreachable as error:
        yield Fault(name, 0, f"{path}.password_file", str(error), "a file with a password in one line")
    try:
        if file.ca_file is not None:
            trust(Path(file.ca_file))
    except Unreachable as error:
        yield Fault(name, 0, f"{path}.ca_file", str(error), "a file with certificates, in PEM")


def _unusable_addresses(name: str, path: str, file: AppriseFile) -> Iterator[Fault]:
    """The addresses are secrets: only their numbers are told."""
    expected = "a file with an address of Apprise's in each line, such as json://host/path"
    try:
        addresses = read_addresses(Path(file.url_file))
        bad = [number for number, address in enumerate(addresses, start=1) if service_of(address) is None]
    except Unreachable as error:
        yield Fault(name, 0, f"{path}.url_file", str(error), expected)
    except NotInstalled:
        yield Fault(name, 0, f"{path}.type", "Apprise is not installed", "the extra: pip install 'tocsin[apprise]'")
    else:
        for number in bad:
            found = f"address {number} of {len(addresses)}, which Apprise cannot use"
            yield Fault(name, 0, f"{path}.url_file", found, expected)


def _unusable_certificates(name: str, path: str, file: WebhookFile) -> Iterator[Fault]:
    try:
        if file.ca_file is not None:
            trust(Path(file.ca_file))
    except Unreachable as error:
        yield Fault(name, 0, f"{path}.ca_file", str(error), "a file with certificates, in PEM")
    try:
        if file.cert_file is not None:
            show(ssl.create_default_context(), Path(file.cert_file), Path(file.key_file) if file.key_file else None)
    except Unreachable as error:
        yield Fault(name, 0, f"{path}.cert_file", str(error), "a certificate and its key, in PEM, without a password")


def channel_of(
    file: ChannelFile, *, links: Links = NO_LINKS, on_failed: Callable[[str, str], None] = nobody_asks
) -> Channel:
    """`on_failed` hears of each template that fails: which, and why; it may be called from any thread."""
    templates = templates_of(file, links=links, on_failed=on_failed)
    match file:
        case TerminalFile():
            return Terminal(sys.stdout, templates=templates)
        case WebhookFile():
            return Webhook(
                url=file.url,
                headers=file.headers,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
                secret_file=Path(file.secret_file) if file.secret_file else None,
                certificates=Certificates(
                    ca_file=Path(file.ca_file) if file.ca_file else None,
                    cert_file=Path(file.cert_file) if file.cert_file else None,
                    key_file=Path(file.key_file) if file.key_file else None,
                ),
                links=links,
                templates=templates,
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
                attach_chart=file.attach_chart,
                links=links,
                templates=templates,
                timeout_seconds=_seconds(file.timeout or "30s"),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case SlackFile(webhook_url_file=str(webhook_url_file)):
            return SlackWebhook(
                webhook_url_file=Path(webhook_url_file),
                links=links,
                templates=templates,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case SlackFile():
            return Slack(
                channel=file.channel or "",
                token_file=Path(file.token_file or ""),
                api_url=file.api_url,
                links=links,
                templates=templates,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
                signing_secret_file=Path(file.signing_secret_file) if file.signing_secret_file else None,
            )
        case PagerDutyFile():
            return PagerDuty(
                url=file.url or PAGERDUTY_URL,
                routing_key_file=Path(file.routing_key_file),
                links=links,
                templates=templates,
                timeout_seconds=_seconds(file.timeout),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case AppriseFile():
            return Apprise(
                addresses_file=Path(file.url_file),
                links=links,
                templates=templates,
                timeout_seconds=_seconds(file.timeout or "30s"),
                retry_seconds_max=_seconds(file.retry_for),
            )
        case _:
            assert_never(file)


def templates_of(
    file: ChannelFile, *, links: Links = NO_LINKS, on_failed: Callable[[str, str], None] = nobody_asks
) -> Templates:
    kind = str(file.__struct_config__.tag)
    return Templates(kind, written_in(file.templates), links=links, on_failed=on_failed)


def action_of(
    name: str, file: ActionFile, *, incident: Callable[[str], Incident | None], tally: Tally, home: str
) -> Action:
    """`incident` looks up what is decided; `home` is where programs find their own settings."""
    deed: Deed
    if file.webhook is not None:
        webhook = Webhook(
            url=file.webhook.url,
            headers=file.webhook.headers,
            timeout_seconds=_seconds(file.timeout),
            retry_seconds_max=0.0,
            secret_file=Path(file.webhook.secret_file) if file.webhook.secret_file else None,
        )
        deed = Post(webhook, host=URL(file.webhook.url).host or "")
    else:
        deed = Command(
            command=file.command or (), patterns=file.arguments, timeout_seconds=_seconds(file.timeout), home=home
        )
    return Action(
        name=name,
        deed=deed,
        dry_run=file.dry_run,
        retry_seconds=_seconds(file.retry_for) if file.retry_for else None,
        incident=incident,
        tally=tally,
    )


def _seconds(duration: str) -> float:
    return parse_duration(duration) / timedelta(seconds=1)
