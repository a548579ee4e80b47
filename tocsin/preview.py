"""What each channel of a policy would send for a sample incident, and one such message that is really sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO

from receiver import settings
from receiver.channels import Refused, Unreachable
from receiver.channels.making import action_of, channel_of, templates_of
from receiver.clock import SystemClock
from receiver.incident import TITLE_CHARACTERS_MAX, AlertRecord, Cause, Group, Incident, Status
from receiver.message import Kind, Message, compose, entry_named
from receiver.policy.actionfile import ActionFile
from receiver.policy.actionnames import channel_named
from receiver.policy.channelfile import ChannelFile
from receiver.policy.policy import Policy
from receiver.policy.redaction import Redact, rules_for
from receiver.redaction import Hiding

_LABELS = {"alertname": "SampleAlert", "service": "shop", "severity": "info"}


def show(path: Path, *, out: TextIO, environ: Mapping[str, str]) -> int:
    """Prints one message for each channel, and what each action would run. Nothing is sent, nothing runs. Raises
    InvalidConfig."""
    read = settings.load(path, environ=environ)
    at = SystemClock().now()
    out.writelines(
        f"--- {name} ({_kind(file)})\n{asyncio.run(_shown(file, sample(name, at=at, redact=read.policy.redact)))}\n"
        for name, file in read.channels.items()
    )
    if not read.channels:
        out.write("the policy has no channels: nobody is told\n")
    out.writelines(
        f"--- {channel_named(name)}\n{asyncio.run(_would_run(name, file, at=at, policy=read.policy))}\n"
        for name, file in read.actions.items()
    )
    return 0


def send(path: Path, *, channel: str, out: TextIO, environ: Mapping[str, str]) -> int:
    """Sends one message through one channel, once, and says what the other side answered. Raises InvalidConfig."""
    read = settings.load(path, environ=environ)
    if channel in read.actions:
        out.write(f"{channel}: an action, which only a stage runs; --preview shows what it would be\n")
        return 1
    if channel not in read.channels:
        names = ", ".join(sorted(read.channels)) or "a name that is defined (none is)"
        out.write(f"{channel}: found no such channel, expected one of: {names}\n")
        return 1
    try:
        message = sample(channel, at=SystemClock().now(), redact=read.policy.redact)
        answer = asyncio.run(_sent(read.channels[channel], message))
    except Refused as error:
        out.write(f"{channel}: refused, and would not be tried again: {error}\n")
        return 1
    except Unreachable as error:
        out.write(f"{channel}: not taken, and would be tried again: {error}\n")
        return 1
    out.write(f"{channel}: taken: {answer}\n")
    return 0


def sample(channel: str, *, at: datetime, redact: tuple[Redact, ...] = ()) -> Message:
    """About an incident that does not exist. Two moments are two messages, so that nobody takes one for a repeat. What
    the rules name is there, as the channel may show it; hashes are of this sample alone."""
    named = dict.fromkeys(name.strip("*") for rule in redact for name in rule.names)
    about = {name: f"sample-{name}" for name in named if name and "*" not in name and name not in _LABELS}
    alerts = list(_alerts(at, about))
    group = ", ".join(f"{name}={value}" for name, value in {"service": "shop", **about}.items())
    rules = rules_for(redact, channel)
    incident = Incident(
        id="T-0",
        position=0,
        group=Group("sample", "tocsin", '{}:{alertname="SampleAlert"}'),
        status=Status.OPEN,
        severity="info",
        title=f"A sample: nothing is wrong ({group})"[:TITLE_CHARACTERS_MAX],
        labels={**_LABELS, **about},
        group_labels={"alertname": "SampleAlert"},
        kinds=("SampleAlert",),
        opened_at=at,
        updated_at=at,
        why="somebody tries out this channel with `tocsin check`",
        firing=len(alerts),
        route="everything",
    )
    journal = f"check{at:%Y%m%d%H%M%S}"
    return compose(
        journal=journal,
        incident=incident,
        step=1,
        channel=channel,
        kind=Kind.OPENED,
        alerts=alerts,
        at=at,
        hiding=Hiding(rules, key=b"", incident=incident, alerts=alerts) if rules else None,
        cause=Cause(entry_named(journal, 0)),
    )


def _alerts(at: datetime, about: Mapping[str, str]) -> Iterator[AlertRecord]:
    for number, instance in enumerate(("shop-1", "shop-2")):
        yield AlertRecord(
            source="sample",
            fingerprint=f"{number:016x}",
            incident="T-0",
            episode=1,
            status="firing",
            labels={**_LABELS, **about, "instance": instance},
            annotations={
                "summary": f"{instance} would be down, if this were real",
                "description": "Nothing is wrong, and nobody needs to do anything.",
                "runbook_url": "https://runbooks.example.org/sample",
            },
            generator_url="",
            starts_at=at - timedelta(minutes=1),
            ended_at=None,
            changed_at=at,
            changed=1,
        )


async def _would_run(name: str, file: ActionFile, *, at: datetime, policy: Policy) -> str:
    channel = channel_named(name)
    rules = () if name in policy.commands else policy.redact
    action = action_of(name, file, incident=lambda _: None, tally=Counter(), home="/")
    try:
        return action.preview(sample(channel, at=at, redact=rules))
    finally:
        await action.close()


async def _shown(file: ChannelFile, message: Message) -> str:
    channel = channel_of(file)
    words = templates_of(file).words_now(message)
    made = [f"from a template: {', '.join(words.texts)}"] if words.texts else []
    try:
        return "\n".join([*made, *words.failed, channel.preview(message)])
    finally:
        await channel.close()


async def _sent(file: ChannelFile, message: Message) -> str:
    channel = channel_of(file)
    try:
        return await channel.send(message)
    finally:
        await channel.close()


def _kind(file: ChannelFile) -> str:
    return str(file.__struct_config__.tag)
