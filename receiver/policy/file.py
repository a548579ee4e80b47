"""receiver.yml as people write it, what only several places together can get wrong, and how it becomes the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from guard.configfile import Problem
from receiver.policy.duration import parse_duration
from receiver.policy.matcher import parse_matcher
from receiver.policy.policy import Escalation, Policy, Route, Stage

Duration = Annotated[
    str, Meta(description="a duration such as 30s, 5m or 1h30m", extra_json_schema={"format": "duration"})
]
MatcherText = Annotated[
    str, Meta(description='a matcher such as severity="critical"', extra_json_schema={"format": "matcher"})
]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class SourceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may post webhooks, at a door of its own: /webhook/NAME."""

    token_file: Annotated[
        str | None, Meta(description="file with the bearer token; without one only loopback may post")
    ] = None


class StageFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of an escalation."""

    notify: Annotated[list[str], Meta(min_length=1, description="names of channels")]
    delay: Annotated[Duration, Meta(description="counted from the opening of the incident")] = "0s"


class EscalationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to tell, in order, until the incident is resolved."""

    stages: Annotated[list[StageFile], Meta(min_length=1)]


class RouteFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which incidents take which escalation."""

    escalation: Annotated[
        str | None, Meta(description="the name of an escalation; without one incidents are shown and nobody is told")
    ] = None
    matchers: Annotated[list[MatcherText], Meta(description="all must hold; none: everything matches")] = msgspec.field(
        default_factory=list
    )


class TerminalFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="terminal"):
    """Prints each message on standard output."""


class WebhookFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="webhook"):
    """Posts each message as JSON."""

    url: Annotated[str, Meta(description="http or https", extra_json_schema={"format": "url"})]
    headers: Annotated[
        dict[str, str], Meta(description="sent with each request", extra_json_schema={"x-secret": True})
    ] = msgspec.field(default_factory=dict)
    timeout: Annotated[Duration, Meta(description="for one attempt, from connecting to the answer")] = "5s"
    secret_file: Annotated[
        str | None, Meta(description="file with the key that signs the body (X-Tocsin-Signature)")
    ] = None
    retry_for: Annotated[Duration, Meta(description="how long a message is tried before it is given up")] = "24h"


ChannelFile = TerminalFile | WebhookFile


class ReceiverFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The policy of Tocsin's receiver: who may post, who is told, and when."""

    sources: Annotated[
        dict[Name, SourceFile] | None, Meta(description="absent: any name may post, from loopback only")
    ] = None
    routes: Annotated[list[RouteFile], Meta(description="first match wins")] = msgspec.field(default_factory=list)
    escalations: dict[Name, EscalationFile] = msgspec.field(default_factory=dict)
    channels: dict[Name, ChannelFile] = msgspec.field(default_factory=dict)


EVERY_CHANNEL = "every-channel"


def policy_of(file: ReceiverFile, *, digest: str) -> Policy:
    """The frozen policy. Short files work: without escalations every channel is told at once; without routes
    everything takes the only escalation."""
    escalations = {
        name: Escalation(
            name=name,
            stages=tuple(
                Stage(delay=parse_duration(stage.delay), notify=tuple(dict.fromkeys(stage.notify)))
                for stage in escalation.stages
            ),
        )
        for name, escalation in sorted(file.escalations.items())
    }
    if not escalations and file.channels:
        everyone = Stage(delay=parse_duration("0s"), notify=tuple(sorted(file.channels)))
        escalations = {EVERY_CHANNEL: Escalation(name=EVERY_CHANNEL, stages=(everyone,))}
    routes = tuple(
        Route(matchers=tuple(parse_matcher(text) for text in route.matchers), escalation=route.escalation)
        for route in file.routes
    )
    if not routes and len(escalations) == 1:
        routes = (Route(matchers=(), escalation=next(iter(escalations))),)
    return Policy(digest=digest, routes=routes, escalations=escalations, channels=tuple(sorted(file.channels)))


def problems(document: object) -> Iterator[Problem]:
    """What no single place of the file shows: names that lead nowhere, delays that go back, incidents without a way."""
    if not isinstance(document, dict):
        return
    channels = _names(document.get("channels"))
    escalations = _names(document.get("escalations"))
    yield from _routes(document.get("routes"), escalations)
    for name, escalation in _items(document.get("escalations")):
        stages = escalation.get("stages") if isinstance(escalation, dict) else None
        yield from _stages(("escalations", name, "stages"), stages, channels)
    if not _list(document.get("routes")) and len(escalations) > 1:
        yield Problem(
            path=("escalations",),
            found=f"{len(escalations)} escalations and no routes",
            expected="routes that say which incidents take which escalation",
        )


def _routes(routes: object, escalations: list[str]) -> Iterator[Problem]:
    for index, route in enumerate(_list(routes)):
        name = route.get("escalation") if isinstance(route, dict) else None
        if isinstance(name, str) and name not in escalations:
            yield Problem(path=("routes", index, "escalation"), found=f"{name!r}", expected=_one_of(escalations))


def _stages(path: tuple[str | int, ...], stages: object, channels: list[str]) -> Iterator[Problem]:
    earlier = None
    for index, stage in enumerate(_list(stages)):
        if not isinstance(stage, dict):
            continue
        for place, name in enumerate(_list(stage.get("notify"))):
            if isinstance(name, str) and name not in channels:
                yield Problem(path=(*path, index, "notify", place), found=f"{name!r}", expected=_one_of(channels))
        try:
            delay = parse_duration(stage.get("delay", "0s"))
        except (ValueError, TypeError, AttributeError):
            continue  # a fault of its own, found by the schema
        if earlier is not None and delay < earlier:
            yield Problem(
                path=(*path, index, "delay"),
                found=f"{stage.get('delay', '0s')!r}, less than the stage before",
                expected="stages in the order of their delays, each counted from the opening of the incident",
            )
        earlier = delay


def _one_of(names: Iterable[str]) -> str:
    listed = ", ".join(sorted(names))
    return f"one of: {listed}" if listed else "a name that is defined (none is)"


def _names(value: object) -> list[str]:
    return [name for name, _ in _items(value)]


def _items(value: object) -> list[tuple[str, object]]:
    return [(name, item) for name, item in value.items() if isinstance(name, str)] if isinstance(value, dict) else []


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
