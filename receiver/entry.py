"""What the journal holds: facts, each with its position and the moment it was written down.

The journal is the only input of the engine. Time that passes is a fact, a loaded policy is a fact, what a
provider answered is a fact. Each is kept as bytes that this module alone writes and reads; a webhook is kept
as the very bytes that came, behind its identifiers if any came.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import get_args

import msgspec

from receiver.alert import Alert, Notification, parse
from receiver.policy.policy import Policy


class AlertsReceived(msgspec.Struct, frozen=True):
    """A webhook. `body` is what came over the wire; `notification` is the same, parsed. By the other two whoever sent
    it finds it again; they are empty where nothing of the kind came."""

    source: str
    body: bytes
    notification: Notification
    correlation: str = ""
    traceparent: str = ""


class TimePassed(msgspec.Struct, frozen=True, tag="time_passed"):
    """Something was due. The entry's own time says how late it is."""


class PolicyLoaded(msgspec.Struct, frozen=True, tag="policy_loaded"):
    """From here on this policy decides."""

    policy: Policy


class Delivered(msgspec.Struct, frozen=True, tag="delivered", omit_defaults=True):
    """A channel took a message. `receipt`: by what the other side knows it again, where that matters."""

    message: str
    incident: str
    channel: str
    attempts: int
    seconds: float
    answer: str
    receipt: str = ""


class Undeliverable(msgspec.Struct, frozen=True, tag="undeliverable"):
    """A channel will not take a message, however often it is asked."""

    message: str
    incident: str
    channel: str
    attempts: int
    reason: str


class NotTaken(msgspec.Struct, frozen=True, tag="not_taken"):
    """A channel with a fallback has not taken this message in the time that the policy gives it. It is still owed."""

    message: str
    incident: str
    channel: str
    since: datetime
    why: str


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn"):
    """A page that was owed is not sent any more: it would call somebody about what another one has, or put off.
    `kind` is the page's; after so many attempts."""

    message: str
    incident: str
    channel: str
    kind: str
    attempts: int
    why: str


class Acknowledged(msgspec.Struct, frozen=True, tag="acknowledged"):
    """A person has it in hand."""

    incident: str
    by: str
    via: str = "api"


class ResolvedByHand(msgspec.Struct, frozen=True, tag="resolved_by_hand"):
    """A person says that it is over, whatever still fires."""

    incident: str
    by: str
    via: str = "api"


class Snoozed(msgspec.Struct, frozen=True, tag="snoozed"):
    """A person puts it off. Until when follows from the entry's own time."""

    incident: str
    by: str
    duration: timedelta
    via: str = "api"


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    """A person adds a line to its story."""

    incident: str
    by: str
    text: str
    via: str = "api"


class Assigned(msgspec.Struct, frozen=True, tag="assigned"):
    """A person says whose it is."""

    incident: str
    by: str
    to: str
    via: str = "api"


class Merged(msgspec.Struct, frozen=True, tag="merged"):
    """A person says that it is the same trouble as another incident, which takes its alerts."""

    incident: str
    by: str
    into: str
    via: str = "api"


class Split(msgspec.Struct, frozen=True, tag="split"):
    """A person takes alerts out into an incident of their own: those named, or what was merged from `merged`."""

    incident: str
    by: str
    alerts: tuple[str, ...] = ()  # fingerprints
    merged: str | None = None
    via: str = "api"


class Resent(msgspec.Struct, frozen=True, tag="resent"):
    """A person wants a channel to be told again what it refused, or what was given up: `message`, of that `kind`."""

    incident: str
    by: str
    message: str
    channel: str
    kind: str
    via: str = "api"


# By which way somebody says that they act over HTTP: a program, or the command `tocsin incident`. What proves itself,
# as a signed link or a button in a chat does, has a door of its own, and that door says so.
VIAS = ("api", "cli")

# What a person does to an incident. It is refused where the incident's state does not allow it.
Act = Acknowledged | ResolvedByHand | Snoozed | Noted | Assigned | Merged | Split | Resent


class AlertsFetched(msgspec.Struct, frozen=True, tag="alerts_fetched"):
    """What a group has, asked of Alertmanager because a webhook left alerts out: only what it would notify of."""

    source: str
    receiver: str
    group_key: str
    alerts: tuple[Alert, ...]


class Suppressed(msgspec.Struct, frozen=True):
    """Alertmanager has this alert and mutes it. `until`, `by` and `comment` are the silence's, where there is one."""

    fingerprint: str
    how: str  # silenced or inhibited
    until: datetime | None = None
    by: str = ""
    comment: str = ""


class Gone(msgspec.Struct, frozen=True):
    """Alertmanager has not had this alert since then, each time that it was asked, and was up all that time."""

    fingerprint: str
    since: datetime


class Looked(msgspec.Struct, frozen=True, tag="looked"):
    """What Alertmanager's API said about alerts of which more was wanted than webhooks tell: only what is news."""

    source: str
    suppressed: tuple[Suppressed, ...] = ()
    shown: tuple[str, ...] = ()  # fingerprints: it has them and does not mute them
    gone: tuple[Gone, ...] = ()


class JournalTrimmed(msgspec.Struct, frozen=True, tag="journal_trimmed"):
    """Entries up to `position` were taken out by the retention of the policy. The chain goes on from `hash`, theirs."""

    position: int
    hash: str
    entries: int


class EntrySetAside(msgspec.Struct, frozen=True):
    """An entry about which nothing could be decided: the engine raised `error`. Replaying the journal skips it."""

    position: int
    at: datetime
    kind: str
    source: str
    error: str


class EntriesSetAside(msgspec.Struct, frozen=True, tag="entries_set_aside"):
    """These were set aside, and somebody must hear of it."""

    entries: tuple[EntrySetAside, ...]


class ChainBroken(msgspec.Struct, frozen=True, tag="chain_broken"):
    """The journal's hash chain holds up to `position` only: somebody or something changed what comes next."""

    position: int
    problem: str


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often somebody used a door. Without a name: a login failed, of nobody whom we know."""

    name: str
    role: str
    address: str
    door: str
    count: int
    refused: int = 0  # of these


class Accessed(msgspec.Struct, frozen=True, tag="accessed", omit_defaults=True):
    """Who used the API, gathered for a while. It decides nothing; it is for whoever reads the journal."""

    uses: tuple[Access, ...]
    left_out: int = 0  # uses by others: there were too many to name


class Unreadable(msgspec.Struct, frozen=True):
    """What the journal holds and this version cannot read. It has a place; nothing can be decided about it."""

    kind: str
    source: str
    body: bytes
    problem: str


_Tagged = (
    TimePassed
    | PolicyLoaded
    | Delivered
    | Undeliverable
    | NotTaken
    | Withdrawn
    | EntriesSetAside
    | Act
    | AlertsFetched
    | Looked
    | JournalTrimmed
    | ChainBroken
    | Accessed
)
Fact = AlertsReceived | _Tagged | Unreadable

KINDS = ("alerts_received", *(str(each.__struct_config__.tag) for each in get_args(_Tagged)))
_encoder = msgspec.json.Encoder(order="deterministic")
# Before a body, as in the request that it came with. JSON begins otherwise, so a body alone is told apart from this.
_IDENTIFIERS = re.compile(rb"X-Correlation-ID: ([A-Za-z0-9_-]+)\r\n(?:traceparent: ([0-9a-f-]+)\r\n)?\r\n")
_decoder: msgspec.json.Decoder[_Tagged] = msgspec.json.Decoder(_Tagged)


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


def kind_of(fact: Fact) -> str:
    match fact:
        case AlertsReceived():
            return "alerts_received"
        case Unreadable():
            return fact.kind
        case _:
            return str(fact.__struct_config__.tag)


def write(fact: Fact) -> Written:
    match fact:
        case AlertsReceived():
            return Written("alerts_received", fact.source, _with_identifiers(fact))
        case Unreadable():
            return Written(fact.kind, fact.source, fact.body)
        case AlertsFetched() | Looked():
            return Written(kind_of(fact), fact.source, _encoder.encode(fact))
        case _:
            return Written(kind_of(fact), "", _encoder.encode(fact))


def read(written: Written) -> Fact:
    """Never raises: what cannot be read is a fact too, so that what comes after it is reached."""
    try:
        if written.kind == "alerts_received":
            return _received(written.source, written.body)
        fact: Fact = _decoder.decode(written.body)
    except Exception as error:  # noqa: BLE001 - whatever it is, the entries after it must be read
        return Unreadable(written.kind, written.source, written.body, f"cannot be read: {error}")
    return fact


def _with_identifiers(fact: AlertsReceived) -> bytes:
    if not fact.correlation:
        return fact.body
    parent = f"traceparent: {fact.traceparent}\r\n" if fact.traceparent else ""
    return f"X-Correlation-ID: {fact.correlation}\r\n{parent}\r\n".encode() + fact.body


def _received(source: str, written: bytes) -> AlertsReceived:
    match = _IDENTIFIERS.match(written)
    if match is None:
        return AlertsReceived(source, written, parse(written))
    body, correlation, traceparent = written[match.end() :], match[1].decode(), (match[2] or b"").decode()
    return AlertsReceived(source, body, parse(body), correlation, traceparent)
