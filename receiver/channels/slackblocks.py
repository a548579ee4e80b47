"""What a message looks like in Slack: blocks for people, a text for notifications, a line for the thread.

Labels come from anywhere. Nothing of them can mention anybody, make a link, or drive the formatting: they stand in
plain text, `&`, `<` and `>` are escaped, and Slack is told to look for nothing in it. Every limit of Slack's is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from guard.printable import printable
from receiver import message as messages
from receiver.channels.addresses import graph_address, runbook_address
from receiver.channels.slackbuttons import buttons
from receiver.channels.templates import NO_WORDS, Words
from receiver.incident import severity_rank
from receiver.links import ANSWER_WORDS, Links
from receiver.message import Document, Kind, Message
from receiver.pressed import Button
from receiver.view import IncidentView

HEADER_CHARACTERS_MAX = 150
BLOCK_CHARACTERS_MAX = 3000
TEXT_CHARACTERS_MAX = 3000
BLOCKS_MAX = 50
ALERTS_SHOWN = 5
LINE_CHARACTERS_MAX = 400
FIELD_CHARACTERS_MAX = 300

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SIGNS = ("⚪", "🔵", "🟡", "🟠", "🔴", "🔴")  # by rank of severity
_OVER = "✅"
_BROADCAST = (Kind.OPENED, Kind.ESCALATED)

Block = dict[str, object]


class Shown(NamedTuple):
    text: str
    blocks: list[Block]
    line: str  # for the thread
    urgent: bool  # the line is for everybody, not only for those who follow the thread


def render(message: Message, *, links: Links, place: str | None = None, words: Words = NO_WORDS) -> Shown:
    """With a `place`, the channel in which it is shown, it has buttons, which know who presses them; else a link."""
    document = messages.read(message)
    if message.kind is Kind.DIGEST:
        return _digest(document, links, words)
    incident = document.incident
    head = f"{incident.severity}: {incident.title}"
    counts = f"{incident.alerts.firing} firing, {incident.alerts.resolved} resolved"
    title, below = words.get("title"), words.get("text")
    own: list[Block] = [{"type": "section", "fields": list(_fields(incident, counts))}, *_plain(_alert_lines(document))]
    blocks: list[Block] = [
        _header(f"{_sign(incident)} {head}" if title is None else title),
        *(own if below is None else [_section(below)]),
        *([] if place is None else buttons(incident, Button(messages.journal_of(message), incident.id, place))),
        _context(_links(document, links, links.answer(message, incident) if place is None else None)),
    ]
    said = f"{head} ({counts})" if title is None else title
    text = _escaped(f"[{message.kind.upper()}] {incident.id} {said}", TEXT_CHARACTERS_MAX)
    state = _state(incident)
    what = state if state.startswith(message.kind) else f"{message.kind}: {state}"
    line = _escaped(f"{what}; {counts}", LINE_CHARACTERS_MAX)
    return Shown(text, blocks, line, message.kind in _BROADCAST)


def preview(how: str, shown: Shown) -> str:
    body = msgspec.json.encode({"text": shown.text, "blocks": shown.blocks})
    return f"{how}\n\n{msgspec.json.format(body, indent=2).decode()}\n"


def _digest(document: Document, links: Links, words: Words) -> Shown:
    count = len(document.incidents)
    head = f"{'1 incident was' if count == 1 else f'{count} incidents were'} held back; as of now:"
    lines = [
        f"{_sign(each)} {each.id} {each.severity}: {each.title} ({_state(each)}; {each.alerts.firing} firing, "
        f"{each.alerts.resolved} resolved)"
        for each in document.incidents
    ]
    if document.incidents_left_out:
        lines.append(f"and {document.incidents_left_out} more, in the next digest")
    title, below = words.get("title"), words.get("text")
    blocks = [_header(title or head), *(_plain(lines) if below is None else [_section(below)])]
    if links.overview is not None:
        blocks.append(_context([f"<{_link(links.overview)}|all in Tocsin>"]))
    text = _escaped(f"[DIGEST] {head} {'; '.join(lines[:3])}", TEXT_CHARACTERS_MAX)
    return Shown(text, blocks, _escaped(head, LINE_CHARACTERS_MAX), urgent=True)


def _sign(incident: IncidentView) -> str:
    return _OVER if incident.status == "resolved" else _SIGNS[severity_rank(incident.severity)]


def _state(incident: IncidentView) -> str:
    """Its status, and in whose hands it is; or where it went."""
    if incident.merged_into is not None:
        return f"merged into {incident.merged_into}"
    if incident.status == "resolved":
        return f"resolved by {incident.resolved_by}" if incident.resolved_by is not None else "resolved"
    if incident.snoozed_until is not None:
        return f"snoozed until {incident.snoozed_until:%Y-%m-%d %H:%M:%S}Z"
    if incident.status == "acknowledged" and incident.acknowledged_by is not None:
        return f"acknowledged by {incident.acknowledged_by}"
    if incident.assigned_to is not None:
        return f"{incident.status}, assigned to {incident.assigned_to}"
    return incident.status


def _fields(incident: IncidentView, counts: str) -> Iterator[Block]:
    again = f", opened again {incident.flaps}×" if incident.flaps else ""
    yield _field("Status", _escaped(_state(incident) + again, FIELD_CHARACTERS_MAX))
    yield _field("Alerts", counts)
    yield _field("Opened", _moment(incident.opened_at))
    if incident.resolved_at is not None:
        yield _field("Resolved", _moment(incident.resolved_at))
    yield _field("Source", _escaped(incident.source, FIELD_CHARACTERS_MAX))
    yield _field("Escalation", _escaped(incident.escalation or "none", FIELD_CHARACTERS_MAX))


def _field(name: str, escaped: str) -> Block:
    return {"type": "mrkdwn", "text": f"*{name}*\n{escaped or 'none'}", "verbatim": True}


def _moment(at: datetime) -> str:
    """Shown by the reader's own clock; in UTC where that is not possible."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{at:%Y-%m-%d %H:%M:%S}Z>"


def _alert_lines(document: Document) -> list[str]:
    lines = []
    for alert in document.alerts[:ALERTS_SHOWN]:
        labels = ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
        texts = (alert.annotations.get(name, "") for name in ("summary", "description"))
        said = next((text for text in texts if text and text not in document.incident.title), "")
        lines.append(f"{alert.status}: {labels}" + (f" - {said}" if said else ""))
    left_out = document.incident.alerts.firing + document.incident.alerts.resolved - len(lines)
    if left_out > 0:
        lines.append(f"and {left_out} more")
    return lines


def _links(document: Document, links: Links, answer: str | None) -> list[str]:
    """Each is safe: its address is one, and its words are ours."""
    incident, alerts = document.incident, document.alerts
    address = links.incident(incident.id)
    shown = [f"<{_link(address)}|{incident.id} in Tocsin>" if address else _escaped(incident.id, FIELD_CHARACTERS_MAX)]
    for words, found in (
        (ANSWER_WORDS, answer),
        ("graph", graph_address(alerts)),
        ("runbook", runbook_address(alerts)),
    ):
        if found is not None:
            shown.append(f"<{_link(found)}|{words}>")
    return shown


def _link(address: str) -> str:
    return address.replace("&", "&amp;")


# --- blocks ------------------------------------------------------------------------------------------------------


def _header(text: str) -> Block:
    return {"type": "header", "text": _plain_text(_escaped(text, HEADER_CHARACTERS_MAX))}


def _plain(lines: Iterable[str]) -> list[Block]:
    """As few blocks as hold the lines, and never more than a message takes beside its others."""
    texts: list[str] = []
    for line in lines:
        escaped = _escaped(line, LINE_CHARACTERS_MAX)
        if texts and _length(texts[-1]) + 1 + _length(escaped) <= BLOCK_CHARACTERS_MAX:
            texts[-1] += f"\n{escaped}"
        else:
            texts.append(escaped)
    return [{"type": "section", "text": _plain_text(text)} for text in texts[: BLOCKS_MAX - 5]]


def _section(mrkdwn: str) -> Block:
    """Of a template: what came with an alert is escaped in it, and what the policy says may be formatted."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}}


def _context(escaped: Iterable[str]) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(escaped), "verbatim": True}]}


def _plain_text(escaped: str) -> Block:
    return {"type": "plain_text", "text": escaped, "emoji": False}


def _escaped(text: str, characters_max: int) -> str:
    """One line for Slack, never cut inside an escape. Slack counts what is written, so the escapes count as well."""
    parts = [_ESCAPES.get(each, each) for each in printable(text, characters_max)]
    if sum(map(_length, parts)) <= characters_max:
        return "".join(parts)
    room, kept = characters_max - 1, []
    for part in parts:
        room -= _length(part)
        if room < 0:
            break
        kept.append(part)
    return "".join(kept) + "…"


def _length(text: str) -> int:
    """In the units in which browsers count: a sign beyond the basic plane is two."""
    return len(text) + sum(1 for each in text if each > "\uffff")
