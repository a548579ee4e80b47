"""A small kind of configuration file with one of everything that a real one has."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from guard.configfile import Kind, Problem
from guard.wording import quote

Duration = Annotated[str, Meta(extra_json_schema={"format": "duration"})]
Secret = Annotated[str, Meta(extra_json_schema={"x-secret": True})]
Headers = Annotated[dict[str, str], Meta(extra_json_schema={"x-secret": True})]


class Chat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="chat", tag_field="type"):
    """A room."""

    token: Secret | None = None
    token_file: str | None = None
    room: str = "general"


class Hook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="hook", tag_field="type"):
    """A door of somebody else."""

    url: str
    headers: Headers = {}
    timeout: Duration = "5s"


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to."""

    channel: str
    labels: dict[str, str] = {}
    every: Duration | None = None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    channels: dict[str, Chat | Hook] = {}
    routes: Annotated[tuple[Route, ...], Meta(description="First match wins.")] = ()
    window: Annotated[Duration, Meta(description="How long.")] = "10m"
    limit: Annotated[int, Meta(ge=1, le=10)] = 5
    ratio: float = 0.5
    mode: Literal["open", "closed"] = "open"
    enabled: bool = True


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Has something that cannot be left out."""

    name: str


def duration(text: str) -> None:
    if not re.fullmatch(r"([0-9]+[smhd])+", text):
        raise ValueError("a duration such as 5m")


def quoting(text: str) -> None:
    raise ValueError(f"anything but {text}")


def known_channels(document: object) -> Iterable[Problem]:
    """Every route names a channel that exists; shapes that are wrong are somebody else's business."""
    match document:
        case {"routes": [*routes], **rest}:
            channels = rest.get("channels")
            known = sorted(channels) if isinstance(channels, dict) else []
            for at, route in enumerate(routes):
                name = route.get("channel") if isinstance(route, dict) else None
                if isinstance(name, str) and name not in known:
                    expected = f"one of: {', '.join(known)}"
                    yield Problem(("routes", at, "channel"), f"the unknown channel {quote(str(name))}", expected)


POLICY: Kind[Policy] = Kind(
    name="policy",
    struct=Policy,
    title="A policy",
    description="What goes where.",
    file_names=("policy.yml", "*.policy.yml"),
    check=known_channels,
    formats={"duration": duration},
)
STRICT: Kind[Strict] = Kind(name="strict", struct=Strict, title="Strict", file_names=("strict.yml",))
