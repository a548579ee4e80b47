"""Slack as its documentation describes it: chat.postMessage, chat.update and incoming webhooks, with their limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.receiver.provider import Provider, Reply, json_reply

TOKEN = "xoxb-T0KEN-of-the-bot"
HOOK = "/services/T0/B0/S3CRET"
CHANNELS = {"#ops": "C0PS1", "#db": "CDB22"}
POSTING = frozenset(
    {"channel", "text", "blocks", "parse", "link_names", "unfurl_links", "unfurl_media"}
    | {"thread_ts", "reply_broadcast", "mrkdwn"}
)
CHANGING = frozenset({"channel", "ts", "text", "blocks", "parse", "link_names"})
LINK = re.compile(r"<(https?://[^\s<>|]+\|[^<>|]+|!date\^\d+\^[^<>|^]+\|[^<>|]+)>")
ESCAPED = re.compile(r"(?:[^<>&]|&(?:amp|lt|gt);)*")


@dataclass
class Posted:
    channel: str
    ts: str
    versions: list[dict[str, Any]]
    thread: list[dict[str, Any]] = field(default_factory=list)

    @property
    def header(self) -> str:
        return str(self.versions[-1]["blocks"][0]["text"]["text"])

    @property
    def elements(self) -> list[dict[str, Any]]:
        """What can be pressed in it, as it is now."""
        blocks = self.versions[-1]["blocks"]
        return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]

    @property
    def buttons(self) -> list[str]:
        return [element.get("text", element.get("placeholder"))["text"] for element in self.elements]


class SlackSink(Provider):
    def __init__(self) -> None:
        super().__init__()
        self.posted: dict[str, Posted] = {}  # by time stamp
        self.hooked: list[dict[str, Any]] = []
        self.whispered: list[str] = []  # shown to one person only
        self._count = 0

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        document = json.loads(body)
        if not headers.get("Content-Type", "").startswith("application/json"):
            self.faults.append(f"content type {headers.get('Content-Type')}")
        if path == HOOK:
            self.faults += problems(document, frozenset({"text", "blocks"}))
            self.hooked.append(document)
            return Reply(200, b"ok")
        if path.startswith("/actions/"):
            self.faults += _reply_problems(document)
            self.whispered.append(document.get("text", ""))
            return Reply(200, b"ok")
        if path.startswith("/services/"):
            return Reply(404, b"no_service")
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return said("invalid_auth")
        match path:
            case "/api/chat.postMessage":
                return self._post(document)
            case "/api/chat.update":
                return self._change(document)
            case _:
                return said("unknown_method")

    def _post(self, document: dict[str, Any]) -> Reply:
        channel = CHANNELS.get(document.get("channel", ""), document.get("channel"))
        if channel not in CHANNELS.values():
            return said("channel_not_found")
        if found := list(problems(document, POSTING)):
            self.faults += found
            return said("invalid_blocks")
        self._count += 1
        ts = f"1772352000.{self._count:06}"
        if "thread_ts" in document:
            parent = self.posted.get(document["thread_ts"])
            if parent is None or parent.channel != channel:
                return said("thread_not_found")
            parent.thread.append(document)
        else:
            if "reply_broadcast" in document:
                self.faults.append("reply_broadcast outside of a thread")
            self.posted[ts] = Posted(channel, ts, [document])
        return json_reply(200, ok=True, channel=channel, ts=ts, message={"text": document["text"]})

    def _change(self, document: dict[str, Any]) -> Reply:
        if found := list(problems(document, CHANGING)):
            self.faults += found
            return said("invalid_blocks")
        if document["channel"] not in CHANNELS.values():
            return said("channel_not_found")  # a name is not enough here
        known = self.posted.get(document["ts"])
        if known is None or known.channel != document["channel"]:
            return said("message_not_found")
        known.versions.append(document)
        return json_reply(200, ok=True, channel=known.channel, ts=known.ts, text=document["text"])


def said(error: str) -> Reply:
    return json_reply(200, ok=False, error=error)


def problems(document: Mapping[str, Any], keys: frozenset[str]) -> Iterator[str]:
    """What Slack would refuse, and what would let a label mention, link or format."""
    yield from (f"unknown key {key}" for key in sorted({*document} - keys))
    yield from _text("text", document.get("text"), 4000)
    if document.get("parse", "none") != "none" or document.get("link_names"):
        yield "it asks for names to be linked"
    blocks = document.get("blocks", [])
    if not isinstance(blocks, list) or len(blocks) > 50:
        yield "more than 50 blocks"
    if "blocks" in document and not blocks:
        yield "no blocks"
    for block in blocks:
        match block:
            case {"type": "header", "text": {"type": "plain_text"} as text, **rest}:
                yield from _object(text, 150)
            case {"type": "section", "text": text, **rest}:
                yield from _object(text, 3000)
            case {"type": "section", "fields": fields, **rest}:
                if not 1 <= len(fields) <= 10:
                    yield f"{len(fields)} fields"
                for each in fields:
                    yield from _object(each, 2000)
            case {"type": "context", "elements": elements, **rest}:
                if not 1 <= len(elements) <= 10:
                    yield f"{len(elements)} elements"
                for each in elements:
                    yield from _object(each, 3000)
            case {"type": "actions", "elements": elements, **rest}:
                if not 1 <= len(elements) <= 25:
                    yield f"{len(elements)} elements"
                if len({each.get("action_id") for each in elements}) != len(elements):
                    yield "two elements with one action_id"
                for each in elements:
                    yield from _element(each)
            case _:
                yield f"an unknown block {block}"
                continue
        if rest:
            yield f"unknown keys {rest} of a block"


def _element(element: Mapping[str, Any]) -> Iterator[str]:
    """What can be pressed, with the limits of Block Kit."""
    if not 0 < len(element.get("action_id", "")) <= 255:
        yield f"the action_id of {element}"
    match element:
        case {"type": "button", "action_id": _, "text": text, "value": str() as value, **rest}:
            yield from _object(text, 75)
            if len(value) > 2000:
                yield f"a value of {len(value)} characters"
            if rest.pop("style", "primary") not in ("primary", "danger"):
                yield "an unknown style"
            confirm = rest.pop("confirm", None)
            if confirm is not None:
                for name, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
                    yield from _object(confirm[name], most)
        case {"type": "static_select", "action_id": _, "placeholder": text, "options": [_, *_] as options, **rest}:
            yield from _object(text, 150)
            if len(options) > 100 or len({each["value"] for each in options}) != len(options):
                yield "too many options, or two with one value"
            for option in options:
                yield from _object(option["text"], 75)
                if {*option} != {"text", "value"} or not 0 < len(option["value"]) <= 150:
                    yield f"the option {option}"
        case _:
            yield f"an unknown element {element}"
            return
    if rest:
        yield f"unknown keys {rest} of an element"


def _reply_problems(document: Mapping[str, Any]) -> Iterator[str]:
    if {*document} != {"response_type", "replace_original", "text"}:
        yield f"unknown keys of a reply: {document}"
    if document.get("response_type") != "ephemeral" or document.get("replace_original") is not False:
        yield "a reply that everybody sees, or that replaces the message"
    yield from _text("text", document.get("text"), 4000)


def _object(text: Mapping[str, Any], characters_max: int) -> Iterator[str]:
    match text:
        case {"type": "plain_text", "text": inner, "emoji": False, **rest}:
            yield from _text("plain_text", inner, characters_max)
        case {"type": "mrkdwn", "text": inner, "verbatim": True, **rest}:
            yield from _text("mrkdwn", inner, characters_max, without=LINK)
        case _:
            yield f"a text object that is none, or that lets Slack look for names: {text}"
            return
    if rest:
        yield f"unknown keys {rest} of a text object"


def _text(what: str, text: object, characters_max: int, *, without: re.Pattern[str] | None = None) -> Iterator[str]:
    if not isinstance(text, str) or not text:
        yield f"{what} is {text!r}"
        return
    units = len(text.encode("utf-16-le")) // 2
    if units > characters_max:
        yield f"{what} has {units} characters"
    plain = without.sub("", text) if without is not None else text
    if ESCAPED.fullmatch(plain) is None:
        yield f"{what} is not escaped: {plain!r}"
