"""PagerDuty, by its Events API v2: one PagerDuty incident for each of ours.

The key by which PagerDuty knows it again is that of the incident, so a repeat is no second page. What is acknowledged
there is not paged again by a trigger; when ours is open again (its severity rose, a snooze ended), the old one is
resolved first. That, and whether there is one at all, is what the receipt remembers: about what somebody has already,
nothing is triggered that was not there before.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from yarl import URL

from guard.printable import printable
from receiver import message as messages
from receiver.channels import Refused, Taken
from receiver.channels.addresses import graph_address, image_addresses, runbook_address
from receiver.channels.posting import Poster, secret_in
from receiver.channels.templates import NO_TEMPLATES, NO_WORDS, Templates
from receiver.incident import severity_rank
from receiver.links import ANSWER_WORDS, Links
from receiver.message import Document, Kind, Message
from receiver.view import AlertView, IncidentView

SUMMARY_CHARACTERS_MAX = 1024
DEDUP_KEY_CHARACTERS_MAX = 255
EVENT_BYTES_MAX = 400_000  # PagerDuty takes 512 KB
ALERTS_SHOWN_MAX = 20
IMAGES_MAX = 5
VALUE_CHARACTERS_MAX = 500
PLACE_CHARACTERS_MAX = 255
SAID_CHARACTERS_MAX = 300
_SEVERITIES = ("info", "info", "warning", "error", "critical", "critical")  # by rank
_ACTIONS = {Kind.ACKNOWLEDGED: "acknowledge", Kind.RESOLVED: "resolve"}
_STANDS = {"acknowledged": "acknowledge", "snoozed": "acknowledge", "resolved": "resolve"}
# What the receipt remembers, where PagerDuty may have no incident of ours: nothing was triggered, or it is over there.
_ALONE = "acknowledge alone"
_NOTHING_THERE = ("", "resolve", _ALONE)

Values = dict[str, object]


class _Said(msgspec.Struct):
    """PagerDuty's answer, as far as it matters."""

    message: str = ""
    errors: list[str] = []


class Event(NamedTuple):
    """`about` is None where PagerDuty is told what became of an incident, and not what it is."""

    action: str
    incident: str
    about: tuple[IncidentView, list[AlertView]] | None = None


class PagerDuty:
    """One service's integration key."""

    parallel_max = 4

    def __init__(
        self,
        *,
        url: str,
        routing_key_file: Path,
        links: Links,
        templates: Templates = NO_TEMPLATES,
        timeout_seconds: float,
        retry_seconds_max: float,
    ) -> None:
        self._url = URL(url)
        self._routing_key_file = routing_key_file
        self._links = links
        self._templates = templates
        self._poster = Poster(timeout_seconds=timeout_seconds)
        self._sent: tuple[str, int, list[str]] = ("", 0, [])  # how far a digest that was interrupted has come
        self.retry_seconds_max = retry_seconds_max

    def preview(self, message: Message) -> str:
        document = messages.read(message)
        bodies = []
        for event in events_of(message.kind, document):
            summary = self._templates.words_now(message, _about(event, document)).get("summary")
            bodies.append(body_of(event, message, key="…", links=self._links, summary=summary))
        shown = [msgspec.json.format(body, indent=2).decode() for body in bodies]
        return "\n".join([f"POST to {self._url.host}", "", *shown, ""])

    async def send(self, message: Message) -> str:
        return (await self.follow(message, "")).answer

    async def follow(self, message: Message, receipt: str) -> Taken:
        document = messages.read(message)
        if message.kind is Kind.DIGEST:
            return Taken(await self._send_digest(message, document))
        (event,) = events_of(message.kind, document)
        if event.action == "trigger" and document.incident.status != "open":
            if receipt not in _NOTHING_THERE:
                return Taken(await self._send(message, document, event), receipt)
            event = Event("acknowledge", event.incident)  # a trigger would begin one there, and page somebody
        if event.action == "acknowledge" and receipt in _NOTHING_THERE:
            return Taken(await self._send(message, document, event), receipt or _ALONE)
        if event.action == "trigger" and receipt in ("acknowledge", _ALONE):
            await self._send(message, document, Event("resolve", event.incident))
        return Taken(await self._send(message, document, event), event.action)

    async def close(self) -> None:
        await self._poster.close()

    async def _send_digest(self, message: Message, document: Document) -> str:
        """What is open is triggered, the rest is told what became of it. A digest that was interrupted goes on where
        it was: PagerDuty takes so many events a minute."""
        events = events_of(message.kind, document)
        before, sent, refused = self._sent
        if before != message.id:
            sent, refused = 0, []
        for event in events[sent:]:
            try:
                await self._send(message, document, event)
            except Refused as error:
                refused = [*refused, f"{event.incident}: {error}"]
            sent += 1
            self._sent = (message.id, sent, refused)
        if refused:
            raise Refused(f"{len(refused)} of {len(events)} events: {refused[0]}")
        return f"{len(events)} events"

    async def _send(self, message: Message, document: Document, event: Event) -> str:
        key = secret_in(self._routing_key_file)
        words = NO_WORDS if event.about is None else await self._templates.words(message, _about(event, document))
        body = body_of(event, message, key=key, links=self._links, summary=words.get("summary"))
        answer = await self._poster.post(self._url, body, {})
        said = _said(answer.text.replace(key, "(the routing key)"))
        if 200 <= answer.status < 300:
            return words.said(f"{answer.status} {said}".strip())
        raise Refused(f"answered {answer.status} {said}".strip())


def dedup_key(message: Message, incident: str) -> str:
    """The same for all messages about an incident, also in a digest: the journal's name and the incident's."""
    return f"{messages.journal_of(message)}-{incident}"[:DEDUP_KEY_CHARACTERS_MAX]


def events_of(kind: Kind, document: Document) -> list[Event]:
    """One, or of a digest one for each incident. What somebody put off is acknowledged: PagerDuty has no other word."""
    if kind is Kind.DIGEST:
        return [_event(_STANDS.get(each.status, "trigger"), each, []) for each in document.incidents]
    incident = document.incident
    standing = "acknowledge" if incident.status == "snoozed" else "trigger"
    return [_event(_ACTIONS.get(kind, standing), incident, document.alerts)]


def _event(action: str, incident: IncidentView, alerts: list[AlertView]) -> Event:
    return Event(action, incident.id, (incident, alerts) if action == "trigger" else None)


def _about(event: Event, document: Document) -> Document:
    """Of a digest, each event is about one incident."""
    return document if event.about is None else replace(document, incident=event.about[0], alerts=event.about[1])


def body_of(event: Event, message: Message, *, key: str, links: Links, summary: str | None = None) -> bytes:
    values: Values = {
        "routing_key": key,
        "event_action": event.action,
        "dedup_key": dedup_key(message, event.incident),
    }
    if event.about is not None:
        incident, alerts = event.about
        values |= _described(incident, alerts, summary) | _linked(
            incident, alerts, links, links.answer(message, incident)
        )
    return _bounded(values)


def _described(incident: IncidentView, alerts: list[AlertView], summary: str | None) -> Values:
    labels = incident.labels
    payload: Values = {
        "summary": summary or _cut(f"{incident.id} {incident.title}", SUMMARY_CHARACTERS_MAX),
        "severity": _SEVERITIES[severity_rank(incident.severity)],
        "source": _place(labels, "instance", "host", "node") or _cut(incident.source, PLACE_CHARACTERS_MAX) or "tocsin",
        "timestamp": incident.opened_at.isoformat(),
        "component": _place(labels, "service", "job"),
        "group": _place(labels, "cluster", "namespace"),
        "class": _place(labels, "alertname"),
        "custom_details": {
            "incident": incident.id,
            "severity": _cut(incident.severity),
            "status": incident.status,
            "firing": incident.alerts.firing,
            "resolved": incident.alerts.resolved,
            "route": _cut(incident.route or "none"),
            "labels": _texts(labels),
            "alerts": [
                {"status": each.status, "labels": _texts(each.labels), "annotations": _texts(each.annotations)}
                for each in alerts[:ALERTS_SHOWN_MAX]
            ],
        },
    }
    return {"payload": {name: value for name, value in payload.items() if value is not None}}


def _linked(incident: IncidentView, alerts: list[AlertView], links: Links, answer: str | None) -> Values:
    address = links.incident(incident.id)
    values: Values = {} if address is None else {"client": "Tocsin", "client_url": address}
    found = {
        f"{incident.id} in Tocsin": address,
        ANSWER_WORDS: answer,
        "graph": graph_address(alerts),
        "runbook": runbook_address(alerts),
    }
    shown = [{"href": href, "text": text} for text, href in found.items() if href is not None]
    images = [{"src": each, "alt": "a picture of an alert"} for each in image_addresses(alerts, IMAGES_MAX)]
    return {**values, **({"links": shown} if shown else {}), **({"images": images} if images else {})}


def _bounded(values: Values) -> bytes:
    """What is too large goes without alerts, and then without labels: the summary says what it is about."""
    body = msgspec.json.encode(values)
    payload = values.get("payload")
    details = payload.get("custom_details") if isinstance(payload, dict) else None
    for name in ("alerts", "labels"):
        if len(body) > EVENT_BYTES_MAX and isinstance(details, dict):
            details[name] = "left out: too large"
            body = msgspec.json.encode(values)
    return body


def _place(labels: dict[str, str], *names: str) -> str | None:
    return next((_cut(labels[name], PLACE_CHARACTERS_MAX) for name in names if labels.get(name)), None)


def _texts(texts: dict[str, str]) -> dict[str, str]:
    return {_cut(name): _cut(value) for name, value in texts.items()}


def _cut(text: str, characters_max: int = VALUE_CHARACTERS_MAX) -> str:
    """What does not print becomes longer when it is shown."""
    shown = printable(text, characters_max)
    return shown if len(shown) <= characters_max else shown[: characters_max - 1] + "…"


def _said(text: str) -> str:
    """`Event object is invalid: …`, in one line."""
    try:
        said = msgspec.json.decode(text, type=_Said)
    except msgspec.DecodeError:
        return ""
    return _cut(": ".join(filter(None, [said.message, "; ".join(said.errors)])), SAID_CHARACTERS_MAX)
