"""POST /pagerduty/webhook: what people did in PagerDuty, by its webhooks, version 3.

PagerDuty repeats what is not answered 2xx, and now and then what was. So 200 means that it is on disk, or that there is
nothing to do; 503 asks for it once more; and what comes again changes nothing: the event's name is known for a while,
and after a restart the story of the incident says that it was done.

Only people act. What an integration did there is the echo of what we sent, and ends here. An event from before the
incident was opened (again) is about something else, however late it comes.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from receiver.clock import Clock
from receiver.doors.answers import answer
from receiver.doors.doing import Doing, NotDone
from receiver.doors.naming import by_display_name, cut
from receiver.doors.signed import LATELY_MAX, Arriving, Complaints, Lately, NotTaken, fitting, refusal
from receiver.entry import Acknowledged, Act, Assigned, Noted, ResolvedByHand
from receiver.incident import Incident, Status
from receiver.metrics import Metrics
from receiver.policy.channelfile import ChannelFile, PagerDutyFile
from receiver.policy.policy import Policy
from receiver.state import State
from receiver.store import Store, StoreFailed

log = logging.getLogger("tocsin.receiver")

VIA = "pagerduty"
DECISION_SECONDS_MAX = 3.0
SIGNATURES_MAX = 10
NOTE_CHARACTERS_MAX = 4_000
BY_CHARACTERS_MAX = 100
STEPS_MAX = 200
# How far PagerDuty's clock and ours may be apart before an event counts as one from before, or as one that is new.
BEFORE = timedelta(seconds=60)
APART = timedelta(seconds=10)
_IDENTIFIER = r"T-[0-9]{1,18}(?:-[0-9]{1,9})?"
_TITLE = re.compile(rf"(?:\[#[0-9]+\] )?({_IDENTIFIER}) ")
_STEPS: Mapping[type[Act], tuple[str, ...]] = {
    Acknowledged: ("acknowledged", "still acknowledged"),
    ResolvedByHand: ("resolved by hand",),
    Assigned: ("assigned",),
    Noted: ("note",),
}


class _Reference(msgspec.Struct):
    """Somebody or something of PagerDuty's. Who acts by the website, the app or a telephone is a user."""

    id: str = ""
    type: str = ""
    summary: str | None = None
    email: str | None = None

    @property
    def is_person(self) -> bool:
        return self.type in ("user_reference", "user")


class _Data(msgspec.Struct):
    """An incident, or a note with a reference to one."""

    id: str = ""
    type: str = ""
    incident_key: str | None = None
    assignees: list[_Reference] | None = None
    incident: _Reference | None = None
    content: str | None = None
    trimmed: bool | None = None


class _Event(msgspec.Struct):
    id: str
    event_type: str
    data: msgspec.Raw
    occurred_at: datetime | None = None
    agent: _Reference | None = None


class _Body(msgspec.Struct):
    event: _Event


T = TypeVar("T", _Body, _Data)


class PagerDutyDoor:
    """`channels` are those of the policy in force."""

    def __init__(
        self,
        *,
        doing: Doing,
        store: Store,
        known: Callable[[], State],
        metrics: Metrics,
        clock: Clock,
        arriving: Arriving | None = None,
        seconds_max: float = DECISION_SECONDS_MAX,
    ) -> None:
        self._doing = doing
        self._store = store
        self._known = known
        self._metrics = metrics
        self._started_at = clock.now()
        self._arriving = arriving or Arriving()
        self._seconds_max = seconds_max
        self._secrets: Mapping[Path, frozenset[str]] = {}  # each with the channels that have it
        self._seen = Lately()
        self._complaints = Complaints(VIA)
        self._in_progress: set[str] = set()
        self._failed = Lately()
        self._ours: dict[str, str] = {}  # PagerDuty's identifier of an incident -> ours

    def replace_channels(self, channels: Mapping[str, ChannelFile]) -> None:
        same: dict[Path, set[str]] = {}
        for name, file in channels.items():
            if isinstance(file, PagerDutyFile) and file.webhook_secret_file is not None:
                same.setdefault(Path(file.webhook_secret_file), set()).add(name)
        self._secrets = {path: frozenset(names) for path, names in same.items()}

    async def post(self, request: web.Request) -> web.Response:
        try:
            outcome = await self._take(request)
        except NotTaken as error:
            self._metrics.answered_back(VIA, error.outcome)
            self._complaints.log(error, remote=request.remote)
            return refusal(error)
        self._metrics.answered_back(VIA, outcome)
        return answer({"outcome": outcome})

    async def _take(self, request: web.Request) -> str:
        if not self._secrets:
            raise NotTaken(404, "unsigned", "no channel of the policy has a webhook_secret_file")
        body = await self._arriving.body(request)
        written = request.headers.get("X-PagerDuty-Signature", "").split(",")[:SIGNATURES_MAX]
        offered = [each.strip().removeprefix("v1=") for each in written if each.strip().startswith("v1=")]
        files = fitting(self._secrets, body, offered=offered)
        event = _read(body, _Body).event
        if event.id in self._seen:
            return "repeated"
        if event.id in self._in_progress:
            raise NotTaken(503, "busy", "this event is being taken: send it again")
        self._in_progress.add(event.id)
        try:
            outcome = await self._happened(event, frozenset().union(*(self._secrets[file] for file in files)))
        except NotTaken:
            self._failed.add(event.id)
            raise
        finally:
            self._in_progress.discard(event.id)
        self._seen.add(event.id)
        return outcome

    async def _happened(self, event: _Event, channels: frozenset[str]) -> str:
        if not event.event_type.startswith("incident."):
            return "ignored"
        data = _read(event.data, _Data)
        identifier = self._which(data, channels)
        act = None if identifier is None else self._act(event, data, identifier)
        if identifier is None or act is None:
            return "unknown" if identifier is None else "ignored"
        if not isinstance(act, Noted) and not (event.agent is not None and event.agent.is_person):
            return "echo"
        try:
            async with asyncio.timeout(self._seconds_max):
                if await self._is_done(event, act):
                    return "repeated"
                if self._is_from_before(event, act):
                    return "late"
                await self._doing.do(act)
        except TimeoutError:
            raise NotTaken(503, "failed", "it is not decided yet: send it again") from None
        except StoreFailed as error:
            raise NotTaken(503, "failed", f"the store fails ({error}): send it again") from None
        except NotDone as error:
            if error.status == 503:
                raise NotTaken(503, "failed", str(error)) from None
            log.info("what somebody did in PagerDuty was not done here", extra={"reason": str(error)})
            return "unknown" if error.status == 404 else "refused"
        return "done"

    def _which(self, data: _Data, channels: frozenset[str]) -> str | None:
        """Our incident: by its key; a note has none, and is found by what was learned from the events before it, or by
        our name at the beginning of its incident's title. A title is enough for a note, and for nothing else: anybody
        may call an incident as they like."""
        reference = data.incident.id if data.incident is not None else data.id
        if data.incident_key:
            match = re.fullmatch(f"{re.escape(self._known().journal)}-({_IDENTIFIER})", data.incident_key)
            if match is not None:
                self._learn(reference, match[1])
            return None if match is None else match[1]
        if reference in self._ours:
            return self._ours[reference]
        named = None if data.incident is None else _TITLE.match(data.incident.summary or "")
        incident = None if named is None else self._incident(named[1])
        return None if incident is None or channels.isdisjoint(incident.told) else incident.id

    def _learn(self, reference: str, identifier: str) -> None:
        self._ours.pop(reference, None)
        self._ours[reference] = identifier
        if len(self._ours) > LATELY_MAX:
            del self._ours[next(iter(self._ours))]

    def _act(self, event: _Event, data: _Data, identifier: str) -> Act | None:
        policy = self._known().policy
        by = _by(policy, event.agent)
        match event.event_type:
            case "incident.acknowledged":
                return Acknowledged(identifier, by, VIA)
            case "incident.resolved":
                return ResolvedByHand(identifier, by, VIA)
            case "incident.reassigned" if data.assignees:
                to = ", ".join(_by(policy, each) for each in data.assignees[:STEPS_MAX])
                return Assigned(identifier, by, cut(to, BY_CHARACTERS_MAX), VIA)
            case "incident.annotated" if data.content and data.content.strip():
                text = data.content[: NOTE_CHARACTERS_MAX - 1]
                return Noted(identifier, by, text if text == data.content and not data.trimmed else f"{text}…", VIA)
            case "incident.unacknowledged":
                incident = self._incident(identifier)
                if incident is None or incident.status is not Status.ACKNOWLEDGED:
                    return None
                text = "not acknowledged any more in PagerDuty, which pages there again; here it stays acknowledged"
                return Noted(identifier, by, text, VIA)
            case _:
                return None

    async def _is_done(self, event: _Event, act: Act) -> bool:
        """Whether the story has it already: of an event that came before this process began, or that failed in it.
        Both clocks may be a little wrong."""
        happened = _moment(event)
        if happened is None or not (event.id in self._failed or happened <= self._started_at + APART):
            return False
        return any(
            step.via == VIA
            and step.by == act.by
            and step.what in _STEPS[type(act)]
            and (not isinstance(act, Noted) or step.why == act.text)
            and step.at >= happened - APART
            for step in await self._store.steps(act.incident, STEPS_MAX)
        )

    def _is_from_before(self, event: _Event, act: Act) -> bool:
        happened, incident = _moment(event), self._incident(act.incident)
        if happened is None or incident is None or incident.escalates_from is None or isinstance(act, Noted):
            return False
        return happened < incident.escalates_from - BEFORE

    def _incident(self, identifier: str) -> Incident | None:
        return self._known().incidents.get(identifier)


def _read(body: bytes | msgspec.Raw, form: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=form)
    except (ValueError, RecursionError) as error:  # of these are UnicodeDecodeError and msgspec's
        raise NotTaken(400, "malformed", f"expected an event of a webhook, version 3: {error}"[:300]) from None


def _by(policy: Policy, agent: _Reference | None) -> str:
    if agent is None:
        return "PagerDuty"
    return by_display_name(policy, agent.summary or agent.id, agent.email or "")


def _moment(event: _Event) -> datetime | None:
    at = event.occurred_at
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
