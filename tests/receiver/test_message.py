"""A message is complete when it is decided, and its name follows from the decision."""

from __future__ import annotations

import json

from receiver.message import Kind, message_id, read
from tests.receiver.builders import message


def test_the_name_is_derived_from_journal_incident_step_and_channel() -> None:
    assert message_id(journal="j", incident="T-7", step=3, channel="chat") == "j-T-7-3-chat"
    names = {
        message_id(journal=journal, incident=incident, step=step, channel=channel)
        for journal in ("j", "k")
        for incident in ("T-1", "T-2")
        for step in (1, 2)
        for channel in ("chat", "pager")
    }
    assert len(names) == 16


def test_the_same_decision_made_again_is_the_same_message_byte_for_byte() -> None:
    assert message() == message()
    assert message().body == message().body


def test_the_document_holds_what_the_contract_promises() -> None:
    shown = json.loads(message(firing=2).body)
    assert set(shown) == {
        "version", "id", "kind", "incident", "alerts", "alerts_left_out", "incidents", "incidents_left_out",
    }  # fmt: skip
    assert (shown["version"], shown["id"], shown["kind"]) == ("1", "j-T-1-1-chat", "opened")
    assert set(shown["incident"]) >= {
        "id", "status", "severity", "title", "opened_at", "updated_at", "resolved_at", "acknowledged_by",
        "source", "labels", "alerts", "route", "escalation", "why",
    }  # fmt: skip
    assert shown["incident"]["alerts"] == {"firing": 2, "resolved": 0}
    assert [alert["fingerprint"] for alert in shown["alerts"]] == ["0" * 16, "0" * 15 + "1"]


def test_what_is_read_back_is_what_was_composed() -> None:
    composed = message(kind=Kind.RESOLVED, title="Köln \x1b")
    document = read(composed)
    assert (document.id, document.kind, document.incident.title) == (composed.id, "resolved", "Köln \x1b")
    assert document.alerts_left_out == 0
