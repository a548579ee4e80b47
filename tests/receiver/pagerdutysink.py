"""PagerDuty's Events API v2 as its documentation describes it: what it checks, and what it makes of a dedup_key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.receiver.provider import Provider, Reply, json_reply

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
PATH = "/v2/enqueue"
BYTES_MAX = 512 * 1024
SEVERITIES = ("critical", "error", "warning", "info")
EVENT = frozenset({"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"})
PAYLOAD = frozenset({"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"})


@dataclass
class Opened:
    """What PagerDuty makes of the events with one key. `pages` counts how often somebody's phone rang."""

    status: str
    pages: int
    events: list[dict[str, Any]] = field(default_factory=list)


class PagerDutySink(Provider):
    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, Opened] = {}
        self.actions: list[tuple[str, str]] = []

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if path != PATH:
            return Reply(404)
        if len(body) > BYTES_MAX:
            self.faults.append(f"{len(body)} bytes")
            return Reply(413)
        event = json.loads(body)
        if found := list(problems(event)):
            self.faults += found
            return json_reply(400, status="invalid event", message="Event object is invalid", errors=found)
        if event["routing_key"] != ROUTING_KEY:
            wrong = f"routing key {event['routing_key']} is not known"
            return json_reply(400, status="invalid event", message="Event object is invalid", errors=[wrong])
        key, action = event["dedup_key"], event["event_action"]
        self.actions.append((action, key))
        known = self.incidents.get(key)
        match action:
            case "trigger" if known is None:
                self.incidents[key] = Opened("triggered", 1, [event])
            case "trigger" if known is not None and known.status == "resolved":
                known.status, known.pages = "triggered", known.pages + 1
                known.events.append(event)
            case "trigger" if known is not None:
                known.events.append(event)  # a line in its log: nobody is paged
            case "acknowledge" if known is not None and known.status == "triggered":
                known.status = "acknowledged"
            case "resolve" if known is not None:
                known.status = "resolved"
        return json_reply(202, status="success", message="Event processed", dedup_key=key)


def problems(event: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"unknown key {key}" for key in sorted({*event} - EVENT))
    if not isinstance(event.get("routing_key"), str) or len(event["routing_key"]) != 32:
        yield "Length of 'routing_key' is incorrect (should be 32 characters)"
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        yield "'event_action' is wrong"
    key = event.get("dedup_key")
    if not isinstance(key, str) or not 0 < len(key) <= 255:
        yield "'dedup_key' is missing, or too long"
    for link in event.get("links", []):
        if {*link} != {"href", "text"} or not link["href"].startswith(("http://", "https://")):
            yield f"the link {link}"
    for image in event.get("images", []):
        if not {"src"} <= {*image} <= {"src", "href", "alt"} or not image["src"].startswith("https://"):
            yield f"the image {image}"
    if event.get("event_action") == "trigger":
        yield from _of_payload(event.get("payload"))


def _of_payload(payload: object) -> Iterator[str]:
    if not isinstance(payload, dict):
        yield "'payload' is missing or blank"
        return
    yield from (f"unknown key {key} of the payload" for key in sorted({*payload} - PAYLOAD))
    for name in ("summary", "source"):
        if not isinstance(payload.get(name), str) or not payload[name]:
            yield f"'payload.{name}' is missing or blank"
    if len(payload.get("summary", "")) > 1024:
        yield "'payload.summary' is too long"
    if payload.get("severity") not in SEVERITIES:
        yield "'payload.severity' is invalid"
    for name in ("component", "group", "class"):
        if not isinstance(payload.get(name, ""), str):
            yield f"'payload.{name}' is no text"
    if not isinstance(payload.get("custom_details", {}), dict):
        yield "'payload.custom_details' is no object"
    if "timestamp" in payload and datetime.fromisoformat(payload["timestamp"]).tzinfo is None:
        yield "'payload.timestamp' has no time zone"
