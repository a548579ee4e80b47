"""The buttons of a Slack message: what can be done to the incident as it is now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from receiver.pressed import ACKNOWLEDGE, RESOLVE, SNOOZE, SNOOZES, Button, snooze_value
from receiver.view import IncidentView

_WORDS: Mapping[str, str] = {"1h": "for 1 hour", "4h": "for 4 hours", "24h": "until tomorrow (24 hours)"}

Block = dict[str, object]


def buttons(incident: IncidentView, button: Button) -> list[Block]:
    """One block, or none where nothing can be done any more."""
    if incident.status == "resolved":
        return []
    return [{"type": "actions", "elements": list(_elements(incident, button))}]


def _elements(incident: IncidentView, button: Button) -> Iterator[Block]:
    if incident.status != "acknowledged":
        yield {**_button("Acknowledge", ACKNOWLEDGE, button), "style": "primary"}
    yield {
        "type": "static_select",
        "action_id": SNOOZE,
        "placeholder": _text("Snooze"),
        "options": [{"text": _text(_WORDS[each]), "value": snooze_value(button, each)} for each in SNOOZES],
    }
    yield {
        **_button("Resolve", RESOLVE, button),
        "confirm": {
            "title": _text(f"Resolve {incident.id}?"),
            "text": _text("Alerts of it that still fire, and go on firing, do not open it again."),
            "confirm": _text("Resolve"),
            "deny": _text("Cancel"),
        },
    }


def _button(words: str, action: str, button: Button) -> Block:
    return {"type": "button", "action_id": action, "text": _text(words), "value": button.value}


def _text(words: str) -> Block:
    return {"type": "plain_text", "text": words, "emoji": False}
