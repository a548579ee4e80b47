"""The words of a policy in place of our own, where it has templates for a channel.

A template that fails, or that gives nothing, leaves what the channel says without one: the page goes out in any case. A
failure is counted, and said in the answer that the incident's story has. Templates run in a thread, with bounded work
(sandbox.py), so that no channel waits for another one's words.

What makes the words (templating.py) is imported when a policy has some, and not before: the library takes a moment.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping
from typing import NamedTuple

from receiver.links import NO_LINKS, Links
from receiver.message import Document, Message, read

SAID_CHARACTERS_MAX = 200


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
        from receiver.channels.templating import links_of, made, values_of

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
