"""What people read about incidents on a terminal: the list of them, and the whole path of one.

A document of the API in, text out. It comes from anywhere, so every line is made printable before it is laid out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from guard.printable import printable
from tocsin.layout import cut, lasting, moment, table, taking, wrapped, written

ALERTS_SHOWN = 20
WHY_LINES_MAX = 6
LABEL_LINES_MAX = 3
SEVERITY_CHARACTERS_MAX = 20
NAME_CHARACTERS_MAX = 40
COLUMNS_OF_A_TABLE = 72  # in less an incident of the list takes two lines

Document = Mapping[str, Any]


def list_of(incidents: Sequence[Document], *, now: datetime, columns: int | None) -> str:
    rows = [("ID", "STATUS", "SEVERITY", "AGE", "WHO", "FIRING", "TITLE")]
    rows += [
        (
            printable(each["id"]),
            printable(each["status"]),
            printable(each["severity"], SEVERITY_CHARACTERS_MAX),
            lasting((now - moment(each["opened_at"])).total_seconds()),
            printable(_name_of(each), NAME_CHARACTERS_MAX),
            str(each["alerts"]["firing"]),
            printable(each["title"]),
        )
        for each in incidents
    ]
    if columns is None or columns >= COLUMNS_OF_A_TABLE:
        return table(rows, columns)
    pairs = (["  ".join(row[:5]), f"    {row[6]}"] for row in rows)
    return "\n".join(cut(line, columns) for pair in pairs for line in pair) + "\n"


def _name_of(incident: Document) -> str:
    """Who has it, in one word."""
    return str(incident["resolved_by"] or incident["acknowledged_by"] or incident.get("assigned_to") or "-")


def story_of(incident: Document, *, now: datetime, columns: int | None) -> str:
    """The whole path: what it is and whose, why it exists, what is in it, and each step with its reason."""
    lines = [
        cut(printable(f"{incident['id']}  {incident['severity']}  {incident['status']}"), columns),
        *wrapped(printable(incident["title"]), columns, indent=0, lines_max=WHY_LINES_MAX),
        "",
        *_header(incident, now=now, columns=columns),
        "",
        *_alerts(incident, columns=columns),
        "",
        "story, in UTC",
        *_timeline(incident, columns=columns),
    ]
    return "\n".join(lines) + "\n"


def _header(incident: Document, *, now: datetime, columns: int | None) -> Iterator[str]:
    for name, text in _facts(incident, now):
        first, *rest = wrapped(printable(text), columns, indent=14, lines_max=WHY_LINES_MAX)
        yield f"  {name:<12}{first[14:]}"
        yield from rest


def _facts(incident: Document, now: datetime) -> Iterator[tuple[str, str]]:
    opened = moment(incident["opened_at"])
    yield "who", _whose(incident, now)
    yield "opened", f"{written(opened)}, {lasting((now - opened).total_seconds())} ago"
    if incident["resolved_at"]:
        resolved = moment(incident["resolved_at"])
        yield "resolved", f"{written(resolved)}, after {lasting((resolved - opened).total_seconds())}"
    yield "source", incident["source"]
    yield "route", f"{incident['route'] or 'none'}, escalation {incident['escalation'] or 'none'}"
    if incident["next_stage_at"]:
        due = moment(incident["next_stage_at"])
        yield "next stage", f"{written(due)}, in {lasting((due - now).total_seconds())}"
    elif incident["status"] == "open" and incident["escalation"]:
        yield "next stage", "none is left"
    if incident.get("acknowledged_until"):
        ends = moment(incident["acknowledged_until"])
        yield "in hand", f"until {written(ends)}: acknowledge it again to keep it"
    yield from _circumstances(incident)
    if incident.get("rule"):
        yield "rule", incident["rule"]
    yield "why", incident["why"]


def _circumstances(incident: Document) -> Iterator[tuple[str, str]]:
    """Why people hear less of it than they might expect, and where its alerts went. An older receiver says nothing."""
    if incident.get("quiet_until"):
        quiet = written(moment(incident["quiet_until"]))
        yield "quiet", f"nobody is told before {quiet}: maintenance, or an alert that cools down"
    if incident.get("held_from"):
        yield "held back", f"it comes in the next digest of {', '.join(incident['held_from'])}"
    if incident.get("flaps"):
        calm = f"; over at {written(moment(incident['calm_at']))} if it stays calm" if incident.get("calm_at") else ""
        times = "once" if incident["flaps"] == 1 else f"{incident['flaps']} times"
        yield "flaps", f"opened again {times}{calm}"
    if incident.get("stale_at"):
        yield "expires", f"{written(moment(incident['stale_at']))}, if nothing is heard of it before"
    if incident.get("merged"):
        yield "took over", ", ".join(incident["merged"])
    if incident.get("merged_into"):
        yield "merged", f"into {incident['merged_into']}, which has its alerts"


def _whose(incident: Document, now: datetime) -> str:
    assigned = f"assigned to {incident['assigned_to']}" if incident.get("assigned_to") else ""
    match incident["status"]:
        case "resolved":
            by = incident["resolved_by"] or incident["acknowledged_by"]
            state = f"{by} resolved it" if incident["resolved_by"] else f"{by} had it" if by else ""
        case "snoozed":
            state = "Alertmanager hides all that fires in it" if incident.get("muted") else "put off"
            if incident["snoozed_until"]:
                until = moment(incident["snoozed_until"])
                state += f" until {written(until)}, for {lasting((until - now).total_seconds())} more"
        case "acknowledged":
            state = f"{incident['acknowledged_by']} has it"
        case _:
            state = "" if assigned else "nobody has it yet"
    return "; ".join(filter(None, (state, assigned))) or "nobody had it"


def _alerts(incident: Document, *, columns: int | None) -> Iterator[str]:
    counts = incident["alert_counts"]
    yield f"alerts: {counts['firing']} firing, {counts['resolved']} resolved"
    alerts = sorted(incident["alerts"], key=lambda alert: (bool(alert.get("moved_on")), alert["status"] != "firing"))
    for alert in alerts[:ALERTS_SHOWN]:
        status = "moved on" if alert.get("moved_on") else alert["status"]
        yield cut(printable(f"  {status:<9} {alert['fingerprint']}  {_while(alert)}"), columns)
        labels = ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))
        yield from wrapped(printable(labels), columns, indent=6, lines_max=LABEL_LINES_MAX)
        texts = (alert["annotations"].get(name, "") for name in ("summary", "description"))
        said = next((text for text in texts if text and text not in incident["title"]), "")
        if said:
            yield from wrapped(printable(said), columns, indent=6, lines_max=LABEL_LINES_MAX)
    left_out = max(len(alerts), counts["firing"] + counts["resolved"]) - min(len(alerts), ALERTS_SHOWN)
    if left_out:
        yield f"  and {left_out} more; --output=json has them"


def _while(alert: Document) -> str:
    """When it fired, and what Alertmanager does with it."""
    began = moment(alert["starts_at"])
    if alert.get("moved_on"):
        return f"since {written(began)}, in another incident now"
    if alert["ends_at"]:
        return f"from {written(began)}, for {lasting((moment(alert['ends_at']) - began).total_seconds())}"
    hidden = {"": "", "unknown": ", no longer in its group"}.get(alert.get("hidden", ""), f", {alert.get('hidden')}")
    doubt = ", said to be over, not confirmed yet" if alert.get("unconfirmed") else ""
    return f"since {written(began)}{hidden}{doubt}"


def _timeline(incident: Document, *, columns: int | None) -> Iterator[str]:
    opened = moment(incident["opened_at"])
    since = [f"+{lasting((moment(step['at']) - opened).total_seconds())}" for step in incident["timeline"]]
    widest = max(map(len, since), default=0)
    day = ""
    for step, passed in zip(incident["timeline"], since, strict=True):
        at = moment(step["at"])
        if f"{at:%Y-%m-%d}" != day:
            day = f"{at:%Y-%m-%d}"
            yield f"  {day}"
        head = f"  {at:%H:%M:%S}  {passed:>{widest}}  "
        first, *rest = wrapped(printable(_deed(step)), columns, indent=len(head), lines_max=WHY_LINES_MAX)
        yield head + first[len(head) :]
        yield from rest
        yield from wrapped(printable(step["why"]), columns, indent=6, lines_max=WHY_LINES_MAX)


def _deed(step: Document) -> str:
    """What happened; who did it, by which way; how long it took; and where it is in the journal."""
    parts = [step["what"]]
    if step["by"] != "tocsin":
        parts.append(f"by {step['by']}" + (f" via {step['via']}" if step.get("via") else ""))
    if step.get("seconds") is not None:
        parts.append(f"took {taking(step['seconds'])}")
    if step.get("entry"):
        parts.append(f"entry {step['entry']}")
    return ", ".join(parts)
