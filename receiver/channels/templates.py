"""The words of a policy in place of our own, where it has templates for a channel.

A template that fails, or that gives nothing, leaves what the channel says without one: the page goes out in any case. A
failure is counted, and said in the answer that the incident's story has. Templates run in a thread, with bounded work
(sandbox.py), so that no channel waits for another one's words.
"""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from jinja2 import Template, TemplateError

from guard.printable import printable
from receiver.channels import sandbox
from receiver.channels.addresses import graph_address, runbook_address
from receiver.channels.filters import Open
from receiver.links import NO_LINKS, Links
from receiver.message import Document, Message, read
from receiver.view import AlertView, IncidentView

SAID_CHARACTERS_MAX = 200
_COMPILED_MAX = 1024
_ENDS = "…"


class Form(enum.Enum):
    """What the words become a part of, and so what must not be in them."""

    LINE = "line"
    TEXT = "text"
    HTML = "html"
    MRKDWN = "mrkdwn"
    JSON = "json"


class Use(NamedTuple):
    """One place for words of a policy. What is longer is cut, where half of it is still something."""

    form: Form
    characters_max: int


# By the type of a channel, the keys of its `templates`.
USES: Mapping[str, Mapping[str, Use]] = {
    "terminal": {"text": Use(Form.TEXT, 10_000)},
    "webhook": {"body": Use(Form.JSON, 500_000)},
    "email": {
        "subject": Use(Form.LINE, 160),
        "text": Use(Form.TEXT, 100_000),
        "html": Use(Form.HTML, 200_000),
    },
    "slack": {"title": Use(Form.LINE, 150), "text": Use(Form.MRKDWN, 3_000)},
    "pagerduty": {"summary": Use(Form.LINE, 1_024)},
    "apprise": {"title": Use(Form.LINE, 200), "body": Use(Form.TEXT, 3_000)},
}
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


class Broken(Exception):
    """A template cannot be used: where, and why."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        self.text = text
        super().__init__(f"line {line}: {text}" if line else text)


class Words(NamedTuple):
    """What the templates of a channel made of one message. What is not in it is for the channel to say."""

    texts: Mapping[str, str] = {}
    failed: tuple[str, ...] = ()

    def get(self, key: str) -> str | None:
        return self.texts.get(key)

    def said(self, answer: str) -> str:
        return "; ".join([answer, *self.failed])


NO_WORDS = Words()


def nobody_asks(key: str, error: str) -> None:
    """For those who try out a channel."""


class Templates:
    """Those of one channel. `on_failed` is told which, and why; it may be called from any thread."""

    def __init__(
        self,
        kind: str = "",
        sources: Mapping[str, str] | None = None,
        *,
        links: Links = NO_LINKS,
        on_failed: Callable[[str, str], None] = nobody_asks,
    ) -> None:
        self._uses = USES.get(kind, {})
        self._sources = dict(sources or {})
        self._links = links
        self._on_failed = on_failed

    async def words(self, message: Message, document: Document | None = None) -> Words:
        """`document` is what the words are about, where this is not the message as it is."""
        return await asyncio.to_thread(self.words_now, message, document) if self._sources else NO_WORDS

    def words_now(self, message: Message, document: Document | None = None) -> Words:
        """Takes a while: for threads, and for those who try out a channel."""
        if not self._sources:
            return NO_WORDS
        texts: dict[str, str] = {}
        failed: list[str] = []
        about = read(message) if document is None else document
        values = values_of(about, links_of(self._links, message, about))
        for key, source in self._sources.items():
            try:
                text = made(source, self._uses[key], values)
            except Broken as broken:
                self._on_failed(key, str(broken))
                failed.append(f"the template {key!r} failed, its default went out: {broken}"[:SAID_CHARACTERS_MAX])
            else:
                texts |= {key: text} if text else {}
        return Words(texts, tuple(failed))


NO_TEMPLATES = Templates()


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
