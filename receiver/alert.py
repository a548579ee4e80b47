"""What Alertmanager says: its webhook, version 4, parsed at the door into typed values.

Unknown keys are ignored (Alertmanager grows new ones each year); a wrong type names its place. Nothing is
guessed from the body's own `status`: with truncated alerts it is computed over what was left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ALERTS_MAX = 100_000

Time = Annotated[datetime, Meta(tz=True)]


class InvalidPayload(Exception):
    """The body is not a version 4 webhook. Says where, what was expected and what was found."""

    def __init__(self, where: str, *, reason: str, problem: str) -> None:
        self.where = where
        self.reason = reason  # a bounded word for the metric
        super().__init__(f"{where}: {problem}")


class Alert(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One alert of a body. The fingerprint covers the labels only, and is the same in every episode."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: Time
    annotations: dict[str, str] = {}
    ends_at: Time | None = None
    generator_url: str = msgspec.field(name="generatorURL", default="")
    fingerprint: Annotated[str, Meta(max_length=128)] = ""

    @property
    def identity(self) -> str:
        return self.fingerprint or fingerprint_of(self.labels)

    @property
    def ended_at(self) -> datetime | None:
        """None while it fires: Alertmanager then writes the year 1."""
        return None if self.ends_at is None or self.ends_at.year == 1 else utc(self.ends_at)


class Notification(msgspec.Struct, frozen=True, rename="camel"):
    """One body: a snapshot of a group after muting, not a delta. Who is missing is hidden, not resolved."""

    version: str
    group_key: Annotated[str, Meta(min_length=1, max_length=65_536)]
    receiver: str
    status: Literal["firing", "resolved"]
    alerts: list[Alert]
    truncated_alerts: Annotated[int, Meta(ge=0)] = 0
    group_labels: dict[str, str] = {}
    external_url: str = msgspec.field(name="externalURL", default="")
    notification_reason: str = msgspec.field(name="notification_reason", default="")

    @property
    def receiver_name(self) -> str:
        """Alertmanager quotes the name as for a regular expression: `team.a` arrives as `team\\.a`."""
        return re.sub(r"\\(.)", r"\1", self.receiver) if "\\" in self.receiver else self.receiver


_decoder = msgspec.json.Decoder(Notification)


def parse(body: bytes) -> Notification:
    """The notification in `body`, or InvalidPayload."""
    try:
        notification = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(body, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidPayload(
            "body", reason="not_json", problem=f"expected JSON, found something else ({error})"
        ) from None
    if notification.version != "4":
        raise _not_version_4(f'expected version "4", found {notification.version!r:.40}')
    if len(notification.alerts) > ALERTS_MAX:
        raise InvalidPayload(
            "alerts",
            reason="too_many_alerts",
            problem=f"expected at most {ALERTS_MAX} alerts, found {len(notification.alerts)}",
        )
    return notification


def _wrong_type(body: bytes, problem: str) -> InvalidPayload:
    """Tells a custom payload from a version 4 body with a wrong part: the cure is different."""
    what, _, path = problem.partition(" - at `$")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("version") != "4":
        return _not_version_4(what[:1].lower() + what[1:])
    where = _with_the_key(path.rstrip("`").lstrip("."), document)
    return InvalidPayload(where or "body", reason="wrong_type", problem=what[:1].lower() + what[1:])


def _with_the_key(path: str, document: object) -> str:
    """The decoder writes `labels[...]` for a value inside a map; the key is what the reader needs."""
    if not path.endswith("[...]"):
        return path
    place = document
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", path.removesuffix("[...]")):
        # A key that is there twice was read here with its last value, and by the typed decoder with its first.
        match place:
            case dict():
                place = place.get(name)
            case list() if index and int(index) < len(place):
                place = place[int(index)]
    wrong = [key for key, value in place.items() if not isinstance(value, str)] if isinstance(place, dict) else []
    return f"{path.removesuffix('[...]')}.{wrong[0]:.100}" if wrong else path


def _not_version_4(problem: str) -> InvalidPayload:
    return InvalidPayload(
        "body",
        reason="not_version_4",
        problem=f"this is not Alertmanager's webhook, version 4 (a custom `payload`?): {problem}",
    )


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """Alertmanager's own fingerprint: FNV-1a over the sorted labels, each part followed by 0xff."""
    value = 14695981039346656037
    for name in sorted(labels):
        for part in (name, labels[name]):
            for byte in part.encode() + b"\xff":
                value = ((value ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def utc(time: datetime) -> datetime:
    """The same moment in UTC; at the edges of the calendar, where that has no name, the edge."""
    if time.tzinfo is UTC:
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return time.replace(tzinfo=UTC)
