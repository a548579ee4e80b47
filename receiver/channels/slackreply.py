"""Says a text to whoever pressed a button in Slack, and to nobody else: by the address that came with the press.

It is said once, behind the answer to Slack, and what cannot be said is counted: the person sees then how the message
is, and nothing is lost but a reason.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Callable

import msgspec
from yarl import URL

from guard.printable import printable
from receiver.channels import Refused, Unreachable
from receiver.channels.posting import Poster

log = logging.getLogger("tocsin.receiver")

WAITING_MAX = 50
ADDRESS_CHARACTERS_MAX = 1_000
TEXT_CHARACTERS_MAX = 1_000
_SECONDS = 5.0


class SlackReplies:
    """`on_untold` is called for each text that nobody gets."""

    def __init__(self, *, on_untold: Callable[[], None]) -> None:
        self._on_untold = on_untold
        self._poster = Poster(timeout_seconds=_SECONDS)
        self._waiting: set[asyncio.Task[None]] = set()

    def tell(self, address: str, text: str, api_urls: frozenset[str]) -> None:
        """Returns at once."""
        url = _trusted(address, api_urls)
        if url is None or len(self._waiting) >= WAITING_MAX:
            self._untold("the address is not Slack's" if url is None else "too many wait")
            return
        task = asyncio.create_task(self._post(url, text))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """What is being said is said, for as long as one attempt takes."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=_SECONDS)
        await self._poster.close()

    async def _post(self, url: URL, text: str) -> None:
        shown = html.escape(printable(text, TEXT_CHARACTERS_MAX), quote=False)
        body = msgspec.json.encode({"response_type": "ephemeral", "replace_original": False, "text": shown})
        try:
            answer = await self._poster.post(url, body, {})
        except (Refused, Unreachable) as error:
            self._untold(str(error))
            return
        if not 200 <= answer.status < 300:
            self._untold(f"answered {answer.status}")

    def _untold(self, reason: str) -> None:
        self._on_untold()
        log.warning("somebody in Slack could not be told what became of a press", extra={"reason": reason})


def _trusted(address: str, api_urls: frozenset[str]) -> URL | None:
    """The address, if it is Slack's own, or belongs to the Slack that the policy names instead."""
    if len(address) > ADDRESS_CHARACTERS_MAX:
        return None
    try:
        url = URL(address)
        origin = url.origin()
    except ValueError:
        return None
    apis = [URL(each) for each in sorted(api_urls)]
    secure = {"hooks.slack.com", *(f"hooks.{api.host}" for api in apis)}
    if url.scheme == "https" and url.port == 443 and url.host in secure:
        return url
    return url if any(origin == api.origin() and api.host != "slack.com" for api in apis) else None
