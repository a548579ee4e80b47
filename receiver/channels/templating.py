"""A template and a message become words, which fit where they are used; or Broken, which says where and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from jinja2 import Template, TemplateError

from guard.printable import printable
from receiver.channels import sandbox
from receiver.channels.addresses import graph_address, runbook_address
from receiver.channels.filters import Open
from receiver.channels.templates import Broken, Form, Use
from receiver.links import Links
from receiver.message import Document, Message
from receiver.view import AlertView, IncidentView

_COMPILED_MAX = 1024
_ENDS = "…"
_CUT = (Form.LINE, Form.TEXT, Form.MRKDWN)
# White space and escapes count less when they have become what they stand for.
_ROOM = {Form.LINE: 8, Form.MRKDWN: 8}
KNOWN: Mapping[str, frozenset[str] | None] = {
    "kind": None,
    "id": None,
    "incident": frozenset(IncidentView.__struct_fields__),
    "alerts": None,
    "alerts_left_out": None,
    "incidents": None,
    "incidents_left_out": None,
    "links": frozenset({"acknowledge", "incident", "graph", "runbook"}),
}
_ENVIRONMENTS = {form: sandbox.Environment(autoescape=form in (Form.HTML, Form.MRKDWN), known=KNOWN) for form in Form}
# What HTML needs beyond Slack's three escapes would stand there as it is written.
_NOT_IN_MRKDWN = {"&#39;": "'", "&#34;": '"'}
_MRKDWN_PARTS = re.compile(r"&(?:amp|lt|gt);|<[^<>]*>|.", re.DOTALL)


def made(source: str, use: Use, values: Mapping[str, object]) -> str:
    """The words, as they can stand where they are used; nothing where the template gives nothing. Raises Broken."""
    template = compiled(source, use.form)
    try:
        text, whole = sandbox.render(template, values, characters_max=use.characters_max * _ROOM.get(use.form, 1))
    except Exception as error:  # noqa: BLE001 - whatever it is, the page goes out
        raise Broken(sandbox.line_of(error), sandbox.why(error, source)) from None
    if not whole and use.form not in _CUT:
        raise Broken(0, f"it makes more than {use.characters_max} characters")
    return _fit(text, use, whole=whole)


@lru_cache(maxsize=_COMPILED_MAX)
def compiled(source: str, form: Form) -> Template:
    """Raises Broken."""
    try:
        return _ENVIRONMENTS[form].from_string(source)
    except TemplateError as error:
        raise Broken(sandbox.line_of(error), sandbox.why(error, source)) from None
    except Exception as error:  # noqa: BLE001 - Python's own limits: what is nested too deeply, and more
        raise Broken(0, f"what cannot be compiled: it is nested too deeply ({type(error).__name__})") from None


def links_of(links: Links, message: Message, document: Document) -> dict[str, str]:
    """What there is no link to has an empty one."""
    incident = document.incident
    return {
        "acknowledge": links.answer(message, incident) or "",
        "incident": links.incident(incident.id) or "",
        "graph": graph_address(document.alerts) or "",
        "runbook": runbook_address(document.alerts) or "",
    }


def values_of(document: Document, links: Mapping[str, str]) -> dict[str, object]:
    """What a template is given: the message as a webhook channel posts it."""
    incident = document.incident
    return {
        "kind": document.kind,
        "id": document.id,
        "incident": _incident(incident),
        "alerts": [_alert(alert) for alert in document.alerts],
        "alerts_left_out": document.alerts_left_out,
        "incidents": [_incident(each) for each in document.incidents],
        "incidents_left_out": document.incidents_left_out,
        "links": dict(links),
    }


def _incident(view: IncidentView) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.structs.asdict(view)
    return {**fields, "labels": Open(view.labels), "alerts": msgspec.structs.asdict(view.alerts)}


def _alert(view: AlertView) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.structs.asdict(view)
    return {**fields, "labels": Open(view.labels), "annotations": Open(view.annotations)}


# --- how it fits -------------------------------------------------------------------------------------------------


def _fit(text: str, use: Use, *, whole: bool) -> str:
    if not text.strip():
        return ""
    match use.form:
        case Form.LINE:
            line = printable(" ".join(text.split()))
            return line if whole and len(line) <= use.characters_max else line[: use.characters_max - 1] + _ENDS
        case Form.TEXT:
            lines = _lines(text)
            return lines if whole else lines.rstrip() + _ENDS
        case Form.HTML:
            return _lines(text)
        case Form.MRKDWN:
            return _cut_mrkdwn(_lines(text), use.characters_max, whole=whole)
        case Form.JSON:
            return _json(text)


def _lines(text: str) -> str:
    """The breaks stay; everything else that does not print is an escape."""
    return "\n".join(printable(line.expandtabs(4).rstrip()) for line in text.splitlines()).strip("\n")


def _cut_mrkdwn(text: str, characters_max: int, *, whole: bool) -> str:
    """Never inside an escape or a link. Slack counts in the units of browsers."""
    for written, sign in _NOT_IN_MRKDWN.items():
        text = text.replace(written, sign)
    if whole and _length(text) <= characters_max:
        return text
    room, kept = characters_max - 1, []
    for part in _MRKDWN_PARTS.findall(text):
        room -= _length(part)
        if room < 0:
            break
        kept.append(part)
    return "".join(kept) + _ENDS


def _length(text: str) -> int:
    return len(text) + sum(1 for each in text if each > "\uffff")


def _json(text: str) -> str:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):  # of these are msgspec's; and a text may be nothing but brackets
        raise Broken(0, "what it makes is no JSON: texts go through `tojson`") from None
    return text
