"""/ack/TOKEN: whoever has a signed link answers the incident in it, from wherever a message reached them.

GET shows a page and does nothing, for scanners follow links. Only the page's form does something: it has a field that
nobody can know who has not read the page. Every refusal is a page in plain words. Who reads is not asked for a login:
the link is the proof, until it ends.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import parse_qsl

from aiohttp import web

from guard.limits import Buckets, network_of
from receiver.clock import Clock
from receiver.doors.acts import BY_CHARACTERS_MAX
from receiver.doors.answers import RETRY
from receiver.doors.doing import ACT_SECONDS_MAX, Doing, NotDone
from receiver.doors.incidentpage import Known, body, head, known_of
from receiver.doors.sheet import link, sheet, words
from receiver.entry import Acknowledged, Act, ResolvedByHand, Snoozed
from receiver.incident import Status
from receiver.links import Claim, Links, NotGenuine
from receiver.metrics import Metrics
from receiver.policy.reach import only_person
from receiver.policy.redaction import rules_for
from receiver.runner import Runner
from receiver.store import Store, StoreFailed

FORM_BYTES_MAX = 8_192
FORM_FIELDS_MAX = 10
# One address may try so many tokens that are none at once, and one more in so long. Good ones are always read: somebody
# behind the same proxy must not be kept from answering.
BAD_TOKENS_MAX = 20
BAD_TOKEN_SECONDS = 6.0
VIA = "link"

_BUTTONS = (
    ("acknowledge", "Acknowledge", "first wide"),
    ("snooze-1h", "Snooze 1 h", ""),
    ("snooze-4h", "Snooze 4 h", ""),
    ("resolve", "Resolve", "wide"),
)
_SNOOZES = {"snooze-1h": timedelta(hours=1), "snooze-4h": timedelta(hours=4)}


class _Refusal(Exception):
    """`outcome` is one of LINK_OUTCOMES; the text is HTML."""

    def __init__(
        self,
        status: int,
        outcome: str,
        title: str,
        text: str,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        known: Known | None = None,
    ) -> None:
        self.status, self.outcome, self.title, self.text = status, outcome, title, text
        self.headers = headers
        self.known = known


class AckDoor:
    def __init__(
        self, *, store: Store, runner: Runner, doing: Doing, links: Links, clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._runner = runner
        self._doing = doing
        self._links = links
        self._clock = clock
        self._metrics = metrics
        self._bad = Buckets(burst=BAD_TOKENS_MAX, per_second=1 / BAD_TOKEN_SECONDS)

    async def get(self, request: web.Request) -> web.Response:
        """The page. It changes nothing, however often it is asked for."""
        try:
            claim = self._claim(request)
            known = await self._known(claim)
        except _Refusal as refusal:
            return self._refused(refusal)
        self._count("shown")
        form = self._form(request, claim) if known.incident.status != Status.RESOLVED else ""
        return self._page(known, form)

    async def post(self, request: web.Request) -> web.Response:
        try:
            claim = self._claim(request)
            fields = await _fields(request)
            before = await self._known(claim)
            if not hmac.compare_digest(fields.get("page", "").encode(), self._seal(request).encode()):
                text = "This did not come from the page of the link. Open the link again, and use the buttons there."
                raise _Refusal(400, "incomplete", "Nothing was done", text, known=before)
            act = _act(claim, fields, self._who(claim), before)
            said = await self._do(act, before)
            after = await self._known(claim)
        except _Refusal as refusal:
            form = self._form(request, claim) if refusal.known is not None and refusal.status == 400 else ""
            return self._refused(refusal, form)
        self._count({Acknowledged: "acknowledged", Snoozed: "snoozed"}.get(type(act), "resolved"))
        return self._page(after, f'<p class="said" role="status">{said}</p>')

    # --- what a link says ------------------------------------------------------------------------------------

    def _claim(self, request: web.Request) -> Claim:
        now = self._clock.now()
        try:
            claim = self._links.read(request.match_info["token"])
        except NotGenuine:
            self._one_more(request.remote)
            text = "The link is not whole, or was not made by this receiver. Copy all of it from the message."
            raise _Refusal(403, "not_genuine", "This is no link of ours", text) from None
        if now >= claim.ends:
            page = self._links.incident(claim.incident)
            where = link(page, claim.incident) if page is not None else words(claim.incident)
            text = (
                f"It was good until {claim.ends:%Y-%m-%d %H:%M:%S}Z. Take that of a newer message, or look at {where}."
            )
            raise _Refusal(410, "expired", "This link has ended", text)
        return claim

    def _one_more(self, remote: str | None) -> None:
        """Raises when it is one too many."""
        wait = math.ceil(self._bad.take(network_of(remote)))
        if wait:
            text = f"Too many links that are none came from your address. Try again in {wait} seconds."
            raise _Refusal(429, "too_many", "Not so fast", text, headers={"Retry-After": str(wait)})

    async def _known(self, claim: Claim) -> Known:
        try:
            # Who has a link may see what the message with the link may have, and no more.
            known = await known_of(
                self._store,
                claim.incident,
                rules=rules_for(self._runner.state.policy.redact, claim.channel),
                hash_key=self._runner.state.hash_key,
            )
        except StoreFailed as error:
            raise _Refusal(503, "store", "Not now", words(str(error))) from error
        if known is None:
            raise _Refusal(404, "unknown", "No such incident", words(claim.incident))
        return known

    def _who(self, claim: Claim) -> str | None:
        return only_person(self._runner.state.policy, claim.channel)

    def _seal(self, request: web.Request) -> str:
        return self._links.seal(request.match_info["token"])

    # --- what follows ------------------------------------------------------------------------------------------

    async def _do(self, act: Act, before: Known) -> str:
        """What is to be said about it, as HTML."""
        try:
            after = await self._doing.do(act)
        except NotDone as error:
            if error.status == 409:
                text = f"Nothing was done: {words(str(error), 300)}."
                raise _Refusal(409, "not_allowed", "Nothing was done", text, known=before) from None
            outcome = "unknown" if error.status == 404 else "store"
            raise _Refusal(error.status, outcome, "Not known to be done", words(str(error), 300)) from None
        by, had = words(act.by), before.incident.acknowledged_by
        was = f" {words(had)} had acknowledged it." if had is not None and had != act.by else ""
        match act:
            case Acknowledged() if after["acknowledged_by"] != act.by:
                return f"{words(str(after['acknowledged_by']))} has it already: nothing is left for you to do."
            case Acknowledged():
                return f"{by} has it now: no further stage is taken."
            case Snoozed(duration=duration):
                hours = int(duration.total_seconds() // 3600)
                return f"{by} put it off for {hours} h: no stage is taken before.{was}"
            case _:
                return f"{by} resolved it.{was}"

    def _form(self, request: web.Request, claim: Claim) -> str:
        who = self._who(claim)
        asked = (
            f'<p class="wide muted">You answer as <b>{words(who)}</b>: this link was sent to nobody else.</p>'
            if who is not None
            else '<label class="wide">Your name, which everybody will see'
            f'<input name="by" required maxlength="{BY_CHARACTERS_MAX}" autocomplete="name"></label>'
        )
        buttons = "".join(
            f'<button name="act" value="{value}" class="{style}">{shown}</button>' for value, shown, style in _BUTTONS
        )
        hidden = f'<input type="hidden" name="page" value="{self._seal(request)}">'
        return f'<form method="post">{hidden}{asked}{buttons}</form>'

    def _page(self, known: Known, *parts: str) -> web.Response:
        return sheet(known.title, head(known.incident, self._clock.now()), *parts, *body(known))

    def _refused(self, refusal: _Refusal, form: str = "") -> web.Response:
        self._count(refusal.outcome)
        known = refusal.known
        parts = [f"<h1>{words(refusal.title)}</h1>", f'<p class="said" role="alert">{refusal.text}</p>']
        if known is not None:
            parts += [head(known.incident, self._clock.now()), form]
        headers = RETRY if refusal.status == 503 else refusal.headers
        return sheet(refusal.title, *parts, status=refusal.status, headers=headers)

    def _count(self, outcome: str) -> None:
        self._metrics.links.labels(outcome).inc()


async def _fields(request: web.Request) -> dict[str, str]:
    body = bytearray()
    try:
        async with asyncio.timeout(ACT_SECONDS_MAX):
            async for chunk in request.content.iter_chunked(FORM_BYTES_MAX):
                body += chunk
                if len(body) > FORM_BYTES_MAX:
                    raise _Refusal(413, "incomplete", "Nothing was done", "That is more than the page's form sends.")
    except TimeoutError:
        raise _Refusal(503, "incomplete", "Nothing was done", "The form did not arrive. Try again.") from None
    try:
        return dict(parse_qsl(body.decode(), errors="strict", max_num_fields=FORM_FIELDS_MAX))
    except ValueError:
        raise _Refusal(400, "incomplete", "Nothing was done", "That is not what the page's form sends.") from None


def _act(claim: Claim, fields: Mapping[str, str], who: str | None, known: Known) -> Act:
    by = " ".join((who or fields.get("by", "")).split())
    if not 1 <= len(by) <= BY_CHARACTERS_MAX or not by.isprintable():
        text = f"Say who you are, in 1 to {BY_CHARACTERS_MAX} characters that print: everybody will see who has it."
        raise _Refusal(400, "incomplete", "Nothing was done", text, known=known)
    chosen = fields.get("act")
    if chosen == "acknowledge":
        return Acknowledged(claim.incident, by, VIA)
    if chosen == "resolve":
        return ResolvedByHand(claim.incident, by, VIA)
    if chosen in _SNOOZES:
        return Snoozed(claim.incident, by, _SNOOZES[chosen], VIA)
    raise _Refusal(400, "incomplete", "Nothing was done", "Use one of the buttons.", known=known)
