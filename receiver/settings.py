"""receiver.yml on its way in: read, checked, and split into what decides (the policy) and what acts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from yarl import URL

from guard import configfile
from guard.configfile import Fault, InvalidConfig, Problem
from guard.matcher import parse_matcher
from guard.tokens import TokenFile, Unreadable, first_token
from guard.webconfig import WebConfig
from receiver.channels.making import unusable_files
from receiver.channels.templatechecks import Unreadable as NoTemplate
from receiver.channels.templatechecks import file_faults, with_files_read, written_faults
from receiver.policy.actionfile import ActionFile
from receiver.policy.channelfile import ChannelFile
from receiver.policy.checks import problems, topology_problems, warnings
from receiver.policy.duration import parse_duration
from receiver.policy.file import LinksFile, ReceiverFile, RetentionFile, SourceFile, TopologyFile
from receiver.policy.freeze import policy_of
from receiver.policy.mail import parse_mailbox, parse_smarthost
from receiver.policy.policy import Policy
from receiver.policy.reach import reach_of
from receiver.policy.schedulefile import people_of
from receiver.policy.templatefile import files_of
from receiver.policy.windows import parse_moment, parse_weekly, zone

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


def _problems(document: object) -> Iterator[Problem]:
    yield from problems(document)
    if isinstance(document, dict):
        yield from (Problem(*told) for told in written_faults(document.get("channels")))


def _problems_of_files(file: ReceiverFile) -> Iterator[Problem]:
    yield from (Problem(*told) for told in file_faults(file.channels))


def _warnings(file: ReceiverFile) -> Iterator[configfile.Problem]:
    yield from warnings(file)
    for name, action in file.actions.items():
        program = action.command[0] if action.command else None
        if program is not None and not (Path(program).is_file() and os.access(program, os.X_OK)):
            expected = "a program that is there where the receiver runs, and may be executed"
            yield configfile.Problem(("actions", name, "command", 0), f"{program!r}, which is not one here", expected)


KIND = configfile.Kind(
    name="receiver",
    struct=ReceiverFile,
    title="Tocsin's receiver.yml",
    description="Who may post webhooks, which incidents take which escalation, and the channels to people.",
    file_names=("receiver.yml", "receiver.yaml", "*.receiver.yml"),
    check=_problems,
    prove=_problems_of_files,
    warn=_warnings,
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
    actions: dict[str, ActionFile]
    retention: RetentionFile
    links: LinksFile = LinksFile()
    warnings: tuple[Fault, ...] = ()  # what is no fault, and hardly meant


def load(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """Raises InvalidConfig with every fault. The digest is that of the files as written, secrets unexpanded."""
    file, warned = configfile.read_and_warn(path, KIND, environ=environ)
    faults = [*_unusable_tokens(str(path), file.sources or {}), *unusable_files(str(path), file.channels)]
    written = hashlib.sha256(path.read_bytes())
    topology = None
    if file.topology_file is not None:
        try:
            topology = configfile.read(Path(file.topology_file), TOPOLOGY, environ=environ)
            written.update(Path(file.topology_file).read_bytes())
        except InvalidConfig as invalid:
            faults += invalid.faults
    channels: dict[str, ChannelFile] = {}
    for name, channel in file.channels.items():
        try:
            channels[name] = with_files_read(channel)
            written.update(
                "".join(getattr(channels[name].templates, key) for key, _ in files_of(channel.templates)).encode()
            )
        except NoTemplate as error:  # it was a good one a moment ago
            faults.append(Fault(str(path), 0, f"channels.{name}.templates", str(error), "a file with a template"))
    if faults:
        raise InvalidConfig(faults)
    return Settings(
        name=str(path),
        policy=policy_of(file, digest=written.hexdigest()[:16], topology=topology),
        sources=file.sources,
        channels={**channels, **reach_of(channels, people_of(file.people)).made},
        actions=file.actions,
        retention=file.retention,
        links=file.links,
        warnings=warned,
    )


def load_with_web(
    path: Path, web_path: Path | None, *, environ: Mapping[str, str]
) -> tuple[Settings, WebConfig | None]:
    """At the start. Raises InvalidConfig with the faults of both files."""
    faults: list[Fault] = []
    first: Settings | None = None
    web_config: WebConfig | None = None
    try:
        first = load(path, environ=environ)
    except InvalidConfig as invalid:
        faults += invalid.faults
    try:
        web_config = None if web_path is None else WebConfig(web_path, environ=environ)
    except InvalidConfig as invalid:
        faults += invalid.faults
    if faults or first is None:
        raise InvalidConfig(faults)
    return first, web_config


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
