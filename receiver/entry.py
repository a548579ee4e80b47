"""What the journal holds: facts, each with its position and the moment it was written down.

The journal is the only input of the engine. Time that passes is a fact, a loaded policy is a fact, what a
provider answered is a fact. Each is kept as bytes that this module alone writes and reads; a webhook is kept
as the very bytes that came.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import msgspec

from receiver.alert import Notification, parse
from receiver.policy.policy import Policy


class AlertsReceived(msgspec.Struct, frozen=True):
    """A webhook. `body` is what came over the wire; `notification` is the same, parsed."""

    source: str
    body: bytes
    notification: Notification


class TimePassed(msgspec.Struct, frozen=True, tag="time_passed"):
    """Something was due. The entry's own time says how late it is."""


class PolicyLoaded(msgspec.Struct, frozen=True, tag="policy_loaded"):
    """From here on this policy decides."""

    policy: Policy


class Delivered(msgspec.Struct, frozen=True, tag="delivered"):
    """A channel took a message."""

    message: str
    incident: str
    channel: str
    attempts: int
    seconds: float
    answer: str


class Undeliverable(msgspec.Struct, frozen=True, tag="undeliverable"):
    """A channel will not take a message, however often it is asked."""

    message: str
    incident: str
    channel: str
    attempts: int
    reason: str


Fact = AlertsReceived | TimePassed | PolicyLoaded | Delivered | Undeliverable

_Tagged = TimePassed | PolicyLoaded | Delivered | Undeliverable
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[TimePassed | PolicyLoaded | Delivered | Undeliverable] = msgspec.json.Decoder(_Tagged)


class Entry(msgspec.Struct, frozen=True):
    """One fact with its place in the journal."""

    position: int
    at: datetime
    fact: Fact


class Written(msgspec.Struct, frozen=True):
    """A fact as the journal keeps it."""

    kind: str
    source: str
    body: bytes


def write(fact: Fact) -> Written:
    match fact:
        case AlertsReceived():
            return Written("alerts_received", fact.source, fact.body)
        case TimePassed() | PolicyLoaded() | Delivered() | Undeliverable():
            kind = fact.__struct_config__.tag
            return Written(str(kind), "", _encoder.encode(fact))
        case _:
            assert_never(fact)


def read(written: Written) -> Fact:
    if written.kind == "alerts_received":
        return AlertsReceived(written.source, written.body, parse(written.body))
    return _decoder.decode(written.body)
