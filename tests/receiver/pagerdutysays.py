"""What PagerDuty's webhooks, version 3, say: one signed event each, as its documentation describes it."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

WEBHOOK_SECRET = "4bd3c0aab65f4de1b1e9"
PATH = "/pagerduty/webhook"
INTEGRATION = {"id": "PINT1", "type": "events_api_v2_inbound_integration_reference", "summary": "Tocsin"}
SERVICE = {"id": "PSERV", "type": "service_reference", "summary": "Shop"}


def user(name: str, identifier: str = "PLH1HKV") -> dict[str, str]:
    address = f"https://acme.pagerduty.com/users/{identifier}"
    return {"html_url": address, "id": identifier, "self": address, "summary": name, "type": "user_reference"}


def event(
    kind: str,
    *,
    key: str | None,
    agent: object,
    at: datetime | None = None,
    identifier: str | None = None,
    title: str = "T-2 Down",
    **data: object,
) -> dict[str, Any]:
    """About an incident, or a note of one where there is a `content`."""
    reference = {"id": "PGR0VU2", "type": "incident_reference", "summary": title}
    incident = {
        "id": "PGR0VU2",
        "type": "incident",
        "number": 2,
        "status": "triggered",
        "incident_key": key,
        "created_at": "2026-03-01T08:00:00Z",
        "title": title,
        "service": SERVICE,
        "assignees": [user("Ana Lopez")],
        "urgency": "high",
        "priority": None,
        "resolve_reason": None,
    }
    note = {"incident": reference, "id": "P2LA89X", "trimmed": False, "type": "incident_note"}
    return {
        "event": {
            "id": identifier or str(uuid.uuid4()),
            "event_type": f"incident.{kind}",
            "resource_type": "incident",
            "occurred_at": (at or datetime.now(UTC)).isoformat(),
            "agent": agent,
            "client": {"name": "PagerDuty"},
            "data": {**(note if "content" in data else incident), **data},
        }
    }


class Signed(NamedTuple):
    body: bytes
    headers: dict[str, str]


def signed(document: object, *, secrets: tuple[str, ...] = (WEBHOOK_SECRET,), body: bytes | None = None) -> Signed:
    """With one signature for each secret: so PagerDuty does while a secret is replaced."""
    written = json.dumps(document).encode() if body is None else body
    made = [hmac.new(secret.encode(), written, hashlib.sha256).hexdigest() for secret in secrets]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "PagerDuty-Webhook/V3.0",
        "X-PagerDuty-Signature": ",".join(f"v1={each}" for each in made),
    }
    return Signed(written, headers)
