"""Makes a mail of a message: plain text, HTML that says the same, and on request the message as JSON.

Whatever came with an alert is hostile here. In a header it is one line of what prints; in HTML it is text, and a link
is one only if it is http and shows where it leads. The same message is the same mail, but for the boundaries between
its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from email import message_from_bytes
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime
from html import escape
from typing import NamedTuple

from guard.printable import printable
from receiver import message as messages
from receiver.channels.chart import chart_of
from receiver.channels.linked import STYLE, linked, page
from receiver.channels.templates import NO_WORDS
from receiver.channels.templates import Words as Templated
from receiver.links import ANSWER_WORDS, NO_LINKS, Links
from receiver.message import DIGEST_LANE, Document, Kind, Message
from receiver.policy.mail import Mailbox
from receiver.view import AlertView, IncidentView

ALERTS_SHOWN_MAX = 50
ALERTS_CHARACTERS_MAX = 40_000
ANNOTATIONS_SHOWN_MAX = 10
SUBJECT_CHARACTERS_MAX = 160
LABELS_CHARACTERS_MAX = 600
ANNOTATION_CHARACTERS_MAX = 1000
ATTACHED_BYTES_MAX = 1_048_576
# These continue what the reader has; anything else may be the first that somebody hears of it.
_REPLIES = frozenset({Kind.UPDATED, Kind.ACKNOWLEDGED, Kind.RESOLVED})
_FIRST_ANNOTATIONS = ("summary", "description", "message", "runbook_url")
# In this mail and nowhere else, so that it need not be another one in each.
_CHART = "chart@tocsin"
_MECHANICS = frozenset({"MIME-Version", "Content-Type"})
_COLORS = {
    Kind.OPENED: "#b3261e",
    Kind.ESCALATED: "#8e24aa",
    Kind.UPDATED: "#a15c00",
    Kind.ACKNOWLEDGED: "#00677d",
    Kind.RESOLVED: "#1e7b34",
    Kind.DIGEST: "#2c4fa3",
}


class Row(NamedTuple):
    """One thing that is known, under its name. The text may have several lines."""

    name: str
    text: str


class Item(NamedTuple):
    """An alert, or in a digest an incident."""

    head: str
    rows: Sequence[Row]


class Words(NamedTuple):
    """What a mail says, before it is plain text or HTML. `answer` is the address of the link to answer by."""

    head: str
    rows: Sequence[Row]
    items: Sequence[Item]
    end: str
    answer: str | None = None
    chart: str | None = None


def write(
    message: Message,
    *,
    sender: Mailbox,
    recipients: Iterable[Mailbox],
    attach_json: bool,
    attach_chart: bool = False,
    links: Links = NO_LINKS,
    templated: Templated = NO_WORDS,
) -> bytes:
    """The whole mail, as SMTP takes it."""
    document = messages.read(message)
    attached = attach_json and len(message.body) <= ATTACHED_BYTES_MAX
    words = _words(message, document, links)
    if attach_json and not attached:
        left_out = f"The JSON is not attached: it is larger than {ATTACHED_BYTES_MAX} bytes."
        words = words._replace(end=f"{words.end}\n{left_out}".strip())
    chart = chart_of(document, at=message.created_at) if attach_chart else None
    if chart is not None:
        words = words._replace(chart=chart.caption)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(sender)
    mail["To"] = [_address(each) for each in recipients]
    mail["Date"] = format_datetime(message.created_at)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Tocsin-Incident"] = ", ".join(_one_line(each.id) for each in _incidents(document))
    mail["X-Tocsin-Kind"] = message.kind
    text, html = templated.get("text"), templated.get("html")
    if html is None:
        html = _html(words, color=_COLORS[message.kind]) if text is None else page(text)
    mail.set_content(_plain(words) if text is None else f"{text}\n", cte="quoted-printable")
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    if chart is not None:
        _put_into_html(mail, chart.png)
    if attached:
        mail.add_attachment(message.body, maintype="application", subtype="json", filename="message.json")
    headers = _by_hand(_thread(message, sender.domain), subject(message, document, templated.get("subject")))
    return headers + mail.as_bytes()


def _put_into_html(mail: EmailMessage, png: bytes) -> None:
    """Beside the HTML, which shows it: nothing is fetched."""
    html = mail.get_body(("html",))
    assert isinstance(html, EmailMessage)
    html.add_related(
        png, maintype="image", subtype="png", cid=f"<{_CHART}>", filename="chart.png", disposition="inline"
    )


def shown(mail: bytes) -> str:
    """Its headers and its plain text, for people."""
    parsed = message_from_bytes(mail, policy=default)
    part = parsed.get_body(("plain",))
    text = str(part.get_content()).replace("\r\n", "\n") if part is not None else ""
    attached = [f"attached: {each.get_filename()}" for each in parsed.iter_attachments()]
    headers = [f"{name}: {value}" for name, value in parsed.items() if name not in _MECHANICS]
    return "\n".join([*headers, *attached, "", text])


def subject(message: Message, document: Document, templated: str | None = None) -> str:
    """The same for all mails about one incident, because many a reader's program tells threads by it."""
    again = "Re: " if message.kind in _REPLIES else ""
    if templated is not None:
        return f"{again}{templated}"
    incident = document.incident
    text = f"{_one_line(incident.severity, 20)}: {_one_line(incident.title, SUBJECT_CHARACTERS_MAX - 60)}"
    if message.kind is Kind.DIGEST:
        return f"Digest of {_counted(len(document.incidents), 'incident')}, first {text}"
    return f"{again}{text} ({_one_line(incident.id, 30)})"


# --- threads -----------------------------------------------------------------------------------------------------


def _by_hand(thread: Sequence[str], text: str) -> bytes:
    """What the library must not touch. It folds and encodes long identities, which nobody finds again then. And it
    decodes `=?utf-8?q?…?=` wherever it stands in a text: the end of a line that was hidden there begins a header."""
    plain = text.isascii() and "=?" not in text
    encoded = text if plain else Header(text, "utf-8", header_name="Subject").encode(linesep="\r\n")
    return "".join(f"{line}\r\n" for line in [*thread, f"Subject: {encoded}"]).encode("ascii")


def _thread(message: Message, domain: str) -> list[str]:
    """The headers that make one thread of an incident. No mail has the identity that all refer to, so that an incident
    which is opened a second time is not taken for the first mail again."""
    lines = [f"Message-ID: {_identity(message.id, domain)}"]
    if message.incident != DIGEST_LANE:
        journal_and_incident = message.id.removesuffix(f"-{message.channel}").rpartition("-")[0]
        first = _identity(journal_and_incident, domain)
        lines += [f"In-Reply-To: {first}", f"References: {first}"]
    return lines


def _identity(name: str, domain: str) -> str:
    """Distinct for distinct names, and nothing that a Message-ID may not hold."""
    harmless = re.sub(rb"[^A-Za-z0-9_-]", lambda found: b"%%%02X" % found[0][0], name.encode(errors="backslashreplace"))
    return f"<{harmless.decode('ascii')}@{domain}>"


# --- what it says ------------------------------------------------------------------------------------------------


def _words(message: Message, document: Document, links: Links) -> Words:
    kind = message.kind.upper()
    if message.kind is Kind.DIGEST:
        count = len(document.incidents)
        held = "1 incident was" if count == 1 else f"{count} incidents were"
        more = document.incidents_left_out
        return Words(
            head=f"{kind} {held} held back; as of now:",
            rows=(),
            items=[Item(_about(each), [*_facts(each), *_ways(message, each, links)]) for each in document.incidents],
            end=f"and {more} more, in the next digest" if more else "",
        )
    incident = document.incident
    shown = list(_within_bounds(_alert(each, common=incident.labels) for each in document.alerts[:ALERTS_SHOWN_MAX]))
    left_out = incident.alerts.firing + incident.alerts.resolved - len(shown)
    page = links.incident(incident.id)
    end = [f"and {left_out} more"] if left_out > 0 else []
    if page is not None and (end or any(map(_is_cut, document.alerts))):
        end += ["Some of it is cut. All of it:", page]
    return Words(
        head=f"{kind} {_about(incident)}",
        rows=[*_facts(incident), *([Row("in Tocsin", page)] if page is not None else [])],
        items=shown,
        end="\n".join(end),
        answer=links.answer(message, incident),
    )


def _ways(message: Message, incident: IncidentView, links: Links) -> list[Row]:
    """How to come from a digest to one of its incidents."""
    ways = (("in Tocsin", links.incident(incident.id)), (ANSWER_WORDS, links.answer(message, incident)))
    return [Row(name, address) for name, address in ways if address is not None]


def _is_cut(alert: AlertView) -> bool:
    texts = alert.annotations.values()
    return len(texts) > ANNOTATIONS_SHOWN_MAX or any(len(text) > ANNOTATION_CHARACTERS_MAX for text in texts)


def _within_bounds(items: Iterable[Item]) -> Iterator[Item]:
    """The first that together are no more than somebody reads, and than a program for mail shows whole."""
    characters = 0
    for item in items:
        characters += len(item.head) + sum(len(row.name) + len(row.text) for row in item.rows)
        if characters > ALERTS_CHARACTERS_MAX:
            return
        yield item


def _incidents(document: Document) -> Sequence[IncidentView]:
    return document.incidents or [document.incident]


def _about(incident: IncidentView) -> str:
    return f"{_one_line(incident.severity, 40)}: {_one_line(incident.title, 400)}"


def _facts(incident: IncidentView) -> list[Row]:
    firing, resolved = incident.alerts.firing, incident.alerts.resolved
    rows = [
        Row("incident", f"{incident.id}, {incident.status}"),
        Row("alerts", f"{firing} firing, {resolved} resolved"),
        Row("opened", _moment(incident.opened_at)),
    ]
    if incident.flaps:
        rows.append(Row("opened again", "once" if incident.flaps == 1 else f"{incident.flaps} times"))
    if incident.resolved_at is not None:
        by = f" by {incident.resolved_by}" if incident.resolved_by is not None else ""
        rows.append(Row("resolved", f"{_moment(incident.resolved_at)}{by}"))
    if incident.merged_into is not None:
        rows.append(Row("merged into", incident.merged_into))
    if incident.acknowledged_by is not None:
        rows.append(Row("acknowledged by", incident.acknowledged_by))
    if incident.snoozed_until is not None:
        rows.append(Row("snoozed until", _moment(incident.snoozed_until)))
    if incident.assigned_to is not None:
        rows.append(Row("assigned to", incident.assigned_to))
    if incident.next_stage_at is not None:
        rows.append(Row("next stage", f"{_moment(incident.next_stage_at)}, unless somebody acknowledges it"))
    if incident.labels:
        rows.append(Row("labels", _labels(incident.labels)))
    rows += [Row("source", incident.source), Row("why", incident.why)]
    return [Row(row.name, _one_line(row.text, LABELS_CHARACTERS_MAX)) for row in rows]


def _alert(alert: AlertView, *, common: dict[str, str]) -> Item:
    """What all alerts of the incident share is said once, above."""
    own = {name: value for name, value in alert.labels.items() if common.get(name) != value}
    ended = f", ended {_moment(alert.ends_at)}" if alert.ends_at is not None and alert.status != "firing" else ""
    hidden = f", {alert.hidden}" if alert.hidden else ""
    when = f"since {_moment(alert.starts_at)}{ended}{hidden}"
    head = f"{_one_line(alert.status, 40)}: {_labels(own or alert.labels)}"
    order = {name: place for place, name in enumerate(_FIRST_ANNOTATIONS)}
    names = sorted(alert.annotations, key=lambda name: (order.get(name, len(order)), name))
    rows = [Row("when", _one_line(when))]
    rows += [Row(_one_line(name, 60), _lines(alert.annotations[name])) for name in names[:ANNOTATIONS_SHOWN_MAX]]
    if len(names) > ANNOTATIONS_SHOWN_MAX:
        rows.append(Row("annotations", f"and {len(names) - ANNOTATIONS_SHOWN_MAX} more"))
    if alert.generator_url:
        rows.append(Row("from", _one_line(alert.generator_url, ANNOTATION_CHARACTERS_MAX)))
    return Item(head=head, rows=rows)


def _labels(labels: dict[str, str]) -> str:
    shown = (f"{name}={value[:LABELS_CHARACTERS_MAX]}" for name, value in sorted(labels.items()))
    return _one_line(", ".join(shown), LABELS_CHARACTERS_MAX)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _one_line(text: str, characters_max: int = 400) -> str:
    return printable(" ".join(text[: characters_max * 4].split()), characters_max)


def _lines(text: str) -> str:
    """The breaks stay; everything else that does not print is an escape."""
    cut = text if len(text) <= ANNOTATION_CHARACTERS_MAX else f"{text[: ANNOTATION_CHARACTERS_MAX - 1]}…"
    return "\n".join(printable(line.expandtabs(4).rstrip()) for line in cut.splitlines()).strip("\n")


# --- how it looks ------------------------------------------------------------------------------------------------


def _plain(words: Words) -> str:
    lines = [words.head]
    if words.answer is not None:
        lines += ["", f"{_ANSWER}:", words.answer]
    if words.rows:
        lines += ["", *(_plain_row(row, indent="") for row in words.rows)]
    if words.chart is not None:
        lines += [f"alerts that fire: {words.chart}"]
    for item in words.items:
        lines += ["", item.head, *(_plain_row(row, indent="    ") for row in item.rows)]
    if words.end:
        lines += ["", words.end]
    return "\n".join(lines) + "\n"


def _plain_row(row: Row, *, indent: str) -> str:
    first, *more = row.text.split("\n")
    return "\n".join([f"{indent}{row.name}: {first}".rstrip(), *(f"{indent}    {line}".rstrip() for line in more)])


_ANSWER = ANSWER_WORDS.capitalize()
_CELL = "padding:2px 12px 2px 0;vertical-align:top"


def _html(words: Words, *, color: str) -> str:
    """Styles stand at each element, because programs that read mail take style sheets away."""
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(words.head)}</title></head>",
        f'<body style="margin:0;padding:16px;{STYLE};color:#1f2328;background:#ffffff">',
        f'<div style="max-width:720px;border:1px solid #d0d7de;border-top:6px solid {color};padding:4px 16px 16px">',
        f'<h1 style="font-size:18px;margin:12px 0;color:{color}">{escape(words.head)}</h1>',
        _button(words.answer, color=color),
        _table(words.rows),
        _picture(words.chart),
        *(f'<h2 style="font-size:14px;margin:16px 0 4px">{escape(item.head)}</h2>{_table(item.rows)}'
          for item in words.items),
        *(f'<p style="margin:16px 0 0">{linked(line)}</p>' for line in words.end.splitlines()),
        "</div></body></html>",
    ]  # fmt: skip
    return "\n".join(filter(None, parts)) + "\n"


def _button(answer: str | None, *, color: str) -> str:
    """And the address, for who cannot press it or wants to see where it leads."""
    if answer is None:
        return ""
    style = f"display:inline-block;padding:10px 18px;background:{color};color:#ffffff;border-radius:6px"
    return (
        f'<p style="margin:12px 0 4px"><a href="{escape(answer)}" rel="noopener noreferrer" '
        f'style="{style};text-decoration:none;font-weight:bold">{_ANSWER}</a></p>'
        f'<p style="margin:0 0 12px;font-size:11px;overflow-wrap:anywhere">{linked(answer)}</p>'
    )


def _picture(caption: str | None) -> str:
    if caption is None:
        return ""
    image = f'<img src="cid:{_CHART}" alt="{escape(caption)}" width="640" height="120" style="max-width:100%">'
    return f'<p style="margin:12px 0 4px">alerts that fire: {escape(caption)}</p><p style="margin:0">{image}</p>'


def _table(rows: Sequence[Row]) -> str:
    cells = (
        f'<tr><td style="{_CELL};color:#59636e;white-space:nowrap">{escape(row.name)}</td>'
        f'<td style="{_CELL};overflow-wrap:anywhere">{"<br>".join(map(linked, row.text.splitlines()))}</td></tr>'
        for row in rows
    )
    return f'<table style="border-collapse:collapse;{STYLE}">{"".join(cells)}</table>' if rows else ""


def _address(mailbox: Mailbox) -> Address:
    return Address(display_name=mailbox.name, addr_spec=mailbox.address)
