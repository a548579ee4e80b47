"""Slack, with a bot's token or with an incoming webhook.

With a token an incident is one message: it is posted once, then changed in place, and each change is a line in its
thread. Where it is (the channel's identifier, the message's time stamp) is the receipt that the journal keeps. A
webhook names nothing that it posts, so there every message stands by itself.

Slack says 200 also when it means no: `ok` decides. The token and the webhook's address are read for each message, and
are in no error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import msgspec
from yarl import URL

from receiver.channels import Refused, Taken, Unreachable
from receiver.channels.posting import Poster, secret_in
from receiver.channels.slackblocks import Shown, preview, render
from receiver.channels.templates import NO_TEMPLATES, Templates, Words
from receiver.links import Links
from receiver.message import Message

# What Slack says when time may cure it.
_TRY_AGAIN = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
# The message that was to be changed is not there, or not ours any more: then it is posted anew.
_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})
_WORD = re.compile(r"[a-z0-9_]{1,80}")
_RECEIPT = re.compile(r"([A-Z0-9]{1,40}) ([0-9]{1,20}\.[0-9]{1,10}) (\S{1,100})")
_QUIETLY = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}


class _Said(msgspec.Struct):
    """Slack's answer, as far as it matters."""

    ok: bool
    error: str = ""
    channel: str = ""
    ts: str = ""


class _Place(NamedTuple):
    """Where a message is: what its receipt says."""

    channel: str
    ts: str

    @classmethod
    def of(cls, receipt: str, *, configured: str) -> _Place | None:
        """None where it cannot be, or where the policy means another channel now."""
        match = _RECEIPT.fullmatch(receipt)
        return cls(match[1], match[2]) if match is not None and match[3] == configured else None


class _Gone(Exception):
    """What was posted before is not there any more."""


class Slack:
    """A bot in one channel."""

    parallel_max = 4

    def __init__(
        self,
        *,
        channel: str,
        token_file: Path,
        api_url: str,
        links: Links,
        templates: Templates = NO_TEMPLATES,
        timeout_seconds: float,
        retry_seconds_max: float,
        signing_secret_file: Path | None = None,
    ) -> None:
        """With a signing secret somebody can prove that a press came from Slack: then there are buttons."""
        self._channel = channel
        self._place = None if signing_secret_file is None else channel
        self._token_file = token_file
        self._api_url = URL(api_url)
        self._links = links
        self._templates = templates
        self._poster = Poster(timeout_seconds=timeout_seconds)
        self.retry_seconds_max = retry_seconds_max

    def preview(self, message: Message) -> str:
        shown = self._rendered(message, self._templates.words_now(message))
        return preview(f"chat.postMessage in {self._channel}", shown)

    async def send(self, message: Message) -> str:
        return (await self.follow(message, "")).answer

    async def follow(self, message: Message, receipt: str) -> Taken:
        words = await self._templates.words(message)
        taken = await self._show(self._rendered(message, words), receipt)
        return taken._replace(answer=words.said(taken.answer))

    async def close(self) -> None:
        await self._poster.close()

    def _rendered(self, message: Message, words: Words) -> Shown:
        return render(message, links=self._links, place=self._place, words=words)

    async def _show(self, shown: Shown, receipt: str) -> Taken:
        place = _Place.of(receipt, configured=self._channel)
        if place is None:
            return await self._post(shown)
        try:
            await self._change(place, shown)
        except _Gone:
            return await self._post(shown)
        return Taken("changed in place, with a line in its thread", receipt)

    async def _post(self, shown: Shown) -> Taken:
        whole = {"channel": self._channel, "text": shown.text, "blocks": shown.blocks, **_QUIETLY}
        try:
            said = await self._call("chat.postMessage", whole)
        except _Gone as error:
            raise Refused(str(error)) from None
        receipt = f"{said.channel} {said.ts} {self._channel}"
        return Taken("posted", receipt if _RECEIPT.fullmatch(receipt) else "")

    async def _change(self, place: _Place, shown: Shown) -> None:
        """In this order: an attempt that fails between the two is repeated whole, and changes nothing twice."""
        where = {"channel": place.channel, "ts": place.ts}
        changed = {**where, "text": shown.text, "blocks": shown.blocks, "parse": "none", "link_names": False}
        await self._call("chat.update", changed)
        line = {"channel": place.channel, "thread_ts": place.ts, "text": shown.line, "mrkdwn": False, **_QUIETLY}
        await self._call("chat.postMessage", {**line, "reply_broadcast": shown.urgent})

    async def _call(self, method: str, document: dict[str, object]) -> _Said:
        headers = {"Authorization": f"Bearer {secret_in(self._token_file)}"}
        answer = await self._poster.post(self._api_url.joinpath(method), msgspec.json.encode(document), headers)
        try:
            said = msgspec.json.decode(answer.text, type=_Said)
        except msgspec.DecodeError:
            if answer.status == 200:
                raise Unreachable("answered 200 and nothing that Slack would say") from None
            raise Refused(f"answered {answer.status}") from None
        if said.ok:
            return said
        word = _word(said.error)
        if word in _TRY_AGAIN:
            raise Unreachable(f"Slack said {word}")
        if word in _GONE:
            raise _Gone(f"Slack said {word}")
        raise Refused(f"Slack said {word}")


class SlackWebhook:
    """An incoming webhook. Its address is the secret."""

    parallel_max = 4

    def __init__(
        self,
        *,
        webhook_url_file: Path,
        links: Links,
        templates: Templates = NO_TEMPLATES,
        timeout_seconds: float,
        retry_seconds_max: float,
    ) -> None:
        self._webhook_url_file = webhook_url_file
        self._links = links
        self._templates = templates
        self._poster = Poster(timeout_seconds=timeout_seconds)
        self.retry_seconds_max = retry_seconds_max

    def preview(self, message: Message) -> str:
        shown = render(message, links=self._links, words=self._templates.words_now(message))
        return preview("POST to the webhook", shown)

    async def send(self, message: Message) -> str:
        words = await self._templates.words(message)
        shown = render(message, links=self._links, words=words)
        body = msgspec.json.encode({"text": shown.text, "blocks": shown.blocks})
        answer = await self._poster.post(self._address(), body, {})
        if 200 <= answer.status < 300:
            return words.said("posted")
        raise Refused(f"answered {answer.status}: Slack said {_word(answer.text)}")

    async def close(self) -> None:
        await self._poster.close()

    def _address(self) -> URL:
        try:
            address = URL(secret_in(self._webhook_url_file))
            usable = address.scheme in ("http", "https") and bool(address.host)
        except ValueError:
            usable = False
        if not usable:
            raise Unreachable(f"the secret file {self._webhook_url_file.name} holds no address")
        return address


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else "something that is no word of its own"
