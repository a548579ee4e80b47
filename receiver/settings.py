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
from guard.tokens import TokenFile, Unreadable
from receiver.channels import Channel
from receiver.channels.terminal import Terminal
from receiver.channels.webhook import Webhook
from receiver.policy.duration import parse_duration
from receiver.policy.file import (
    ChannelFile,
    ReceiverFile,
    SourceFile,
    TerminalFile,
    WebhookFile,
    policy_of,
    problems,
)
from receiver.policy.matcher import parse_matcher
from receiver.policy.policy import Policy

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


KIND = configfile.Kind(
    name="receiver",
    struct=ReceiverFile,
    title="Tocsin's receiver.yml",
    description="Who may post webhooks, which incidents take which escalation, and the channels to people.",
    file_names=("receiver.yml", "receiver.yaml", "*.receiver.yml"),
    check=problems,
    formats={"duration": _duration, "matcher": _matcher, "url": _url},
)


class Settings(msgspec.Struct, frozen=True):
    """One reading of the file."""

    name: str
    policy: Policy
    sources: dict[str, SourceFile] | None
    channels: dict[str, ChannelFile]


def load(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """Raises InvalidConfig with every fault. The digest is that of the file as it is written, secrets unexpanded."""
    file = configfile.read(path, KIND, environ=environ)
    if unusable := list(_unusable_tokens(str(path), file.sources or {})):
        raise InvalidConfig(unusable)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Settings(name=str(path), policy=policy_of(file, digest=digest), sources=file.sources, channels=file.channels)


def _unusable_tokens(name: str, sources: Mapping[str, SourceFile]) -> Iterator[Fault]:
    """A token file that is there and holds no token would refuse everybody: that is said before it is in force."""
    for source, file in sources.items():
        if file.token_file is None:
            continue
        try:
            TokenFile(file.token_file)
        except Unreadable as error:
            yield Fault(name, 0, f"sources.{source}.token_file", str(error), "a file with one token a line")


def channel_of(file: ChannelFile) -> Channel:
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
        case _:
            assert_never(file)


def _seconds(duration: str) -> float:
    return parse_duration(duration) / timedelta(seconds=1)
