"""What goes out: one message for one decision and one channel, complete when it is decided.

Its identifier is derived from the decision (journal, incident, step, channel), never drawn: the same decision
made again after a crash gives the same message, and a receiver that knows the identifier shows it once.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime

import msgspec

from receiver.incident import NO_CAUSE, AlertRecord, Cause, Incident
from receiver.redaction import Hiding
from receiver.view import AlertView, IncidentView, alert_view, incident_view

ALERTS_MAX = 500
# A digest is about several incidents; this stands where other messages have the one that they are about.
DIGEST_LANE = "digest"


class Kind(enum.StrEnum):
    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    DIGEST = "digest"


# By these somebody is called, not only informed.
PAGES = (Kind.OPENED, Kind.ESCALATED)


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the outbox. `body` is the document that a `webhook` channel posts as it is. `correlation` and
    `traceparent` are those of the webhook that it follows from; older versions did not write them down."""

    id: str
    channel: str
    incident: str
    kind: Kind
    created_at: datetime
    body: bytes
    correlation: str = ""
    traceparent: str = ""


class Document(msgspec.Struct, frozen=True):
    """What a channel makes its text of. `alerts_left_out` counts what was over the limit of a message."""

    version: str
    id: str
    kind: str
    incident: IncidentView
    alerts: list[AlertView]
    alerts_left_out: int = 0
    incidents: list[IncidentView] = []  # of a digest: all that it tells of; `incident` is the most severe of them
    incidents_left_out: int = 0  # which come in the next digests


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Document)


def entry_named(journal: str, position: int) -> str:
    """What stands for the identifier of an entry that came without one: it is found by its place in the journal."""
    return f"entry-{journal}-{position}"


def message_id(*, journal: str, incident: str, step: int, channel: str) -> str:
    return f"{journal}-{incident}-{step}-{channel}"


def journal_of(message: Message) -> str:
    """The name of the journal that it came of, whatever the channel is called."""
    whose = message.id.removesuffix(f"-{message.channel}").rpartition("-")[0]
    return whose.removesuffix(f"-{message.incident}")


def compose(
    *,
    journal: str,
    incident: Incident,
    step: int,
    channel: str,
    kind: Kind,
    alerts: Sequence[AlertRecord],
    at: datetime,
    hiding: Hiding | None = None,
    cause: Cause = NO_CAUSE,
) -> Message:
    """The message that tells `channel` of one step of an incident, with the first of its alerts. `hiding` says what of
    them the channel is not told."""
    views = [alert_view(alert) for alert in alerts] if hiding is None else hiding.alerts(alerts)
    identifier = message_id(journal=journal, incident=incident.id, step=step, channel=channel)
    document = Document(
        version="1",
        id=identifier,
        kind=kind,
        incident=incident_view(incident) if hiding is None else hiding.incident(),
        alerts=views,
        alerts_left_out=max(0, incident.firing + incident.resolved - len(views)),
    )
    return Message(
        id=identifier,
        channel=channel,
        incident=incident.id,
        kind=kind,
        created_at=at,
        body=_encoder.encode(document),
        correlation=cause.correlation,
        traceparent=cause.traceparent,
    )


def compose_digest(
    *,
    journal: str,
    channel: str,
    incidents: Sequence[Incident],
    left_out: int,
    position: int,
    at: datetime,
    hiding: Sequence[Hiding] = (),
    cause: Cause = NO_CAUSE,
) -> Message:
    """One message for what a storm held back: the incidents as they are now, the most severe first. `hiding` has
    one for each of them, where the channel is not told everything."""
    identifier = message_id(journal=journal, incident=DIGEST_LANE, step=position, channel=channel)
    views = [each.incident() for each in hiding] or [incident_view(incident) for incident in incidents]
    document = Document(
        version="1",
        id=identifier,
        kind=Kind.DIGEST,
        incident=views[0],
        alerts=[],
        incidents=views,
        incidents_left_out=left_out,
    )
    return Message(
        id=identifier,
        channel=channel,
        incident=DIGEST_LANE,
        kind=Kind.DIGEST,
        created_at=at,
        body=_encoder.encode(document),
        correlation=cause.correlation,
        traceparent=cause.traceparent,
    )


def read(message: Message) -> Document:
    return _decoder.decode(message.body)
