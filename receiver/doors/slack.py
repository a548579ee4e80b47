"""POST /slack/interactions: somebody pressed a button in Slack. 200 means: Slack need not do anything more.

Slack waits three seconds and does not repeat a press. So the act is decided and on disk before the 200, or the person
sees that it failed. What the state of the incident does not allow is answered 200 and said to that person alone.

A press is believed if one of the policy's signing secrets made its signature not longer than five minutes ago, if it
was not seen before, and if its button is one that a channel with this secret shows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from receiver.clock import Clock
from receiver.doors.doing import Doing, NotDone
from receiver.doors.naming import by_member
from receiver.doors.signed import Arriving, Complaints, Lately, NotTaken, fitting, refusal
from receiver.entry import Acknowledged
from receiver.metrics import Metrics
from receiver.policy.channelfile import ChannelFile, SlackFile
from receiver.pressed import Pressed, read
from receiver.state import State

VIA = "slack"
# Slack gives up after three.
DECISION_SECONDS_MAX = 2.0
AGE_SECONDS_MAX = 300
FIELDS_MAX = 10
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = "v0="

# Says a text to whoever pressed, by the address that came with the press: address, text, where the app's Slack is.
Tell = Callable[[str, str, frozenset[str]], None]


class _User(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""


class _Option(msgspec.Struct):
    value: str = ""


class _Action(msgspec.Struct):
    action_id: str = ""
    value: str = ""
    selected_option: _Option | None = None


class _Payload(msgspec.Struct):
    """What Slack sends, as far as it matters."""

    type: str
    user: _User | None = None
    actions: list[_Action] = []
    response_url: str = ""


class _App(msgspec.Struct, frozen=True):
    """What the channels with one signing secret have: the places where they post, and where their Slack is."""

    places: frozenset[str]
    api_urls: frozenset[str]


class SlackDoor:
    """`channels` are those of the policy in force."""

    def __init__(
        self,
        *,
        doing: Doing,
        known: Callable[[], State],
        tell: Tell,
        metrics: Metrics,
        clock: Clock,
        arriving: Arriving | None = None,
        seconds_max: float = DECISION_SECONDS_MAX,
    ) -> None:
        self._doing = doing
        self._known = known
        self._tell = tell
        self._metrics = metrics
        self._clock = clock
        self._arriving = arriving or Arriving()
        self._seconds_max = seconds_max
        self._apps: Mapping[Path, _App] = {}
        self._seen = Lately()
        self._complaints = Complaints(VIA)

    def replace_channels(self, channels: Mapping[str, ChannelFile]) -> None:
        same: dict[Path, list[SlackFile]] = {}
        for file in channels.values():
            if isinstance(file, SlackFile) and file.signing_secret_file is not None:
                same.setdefault(Path(file.signing_secret_file), []).append(file)
        self._apps = {path: _app(files) for path, files in same.items()}

    async def post(self, request: web.Request) -> web.Response:
        try:
            outcome = await self._take(request)
        except NotTaken as error:
            self._metrics.answered_back(VIA, error.outcome)
            self._complaints.log(error, remote=request.remote)
            return refusal(error)
        self._metrics.answered_back(VIA, outcome)
        return web.Response()

    async def _take(self, request: web.Request) -> str:
        if not self._apps:
            raise NotTaken(404, "unsigned", "no channel of the policy has a signing_secret_file")
        body = await self._arriving.body(request)
        if _is_check_of_certificate(body):
            return "ignored"
        apps = self._signed_by(request, body)
        payload = _payload_of(body)
        pressed = _pressed(payload)
        if payload.user is None or pressed is None:
            return "ignored"
        return await self._press(payload, pressed, apps)

    def _signed_by(self, request: web.Request, body: bytes) -> list[_App]:
        """Those whose secret made the signature. Raises NotTaken."""
        written = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if _TIMESTAMP.fullmatch(written) is None or not signature.startswith(_SIGNATURE):
            raise NotTaken(401, "unsigned", "no X-Slack-Signature with an X-Slack-Request-Timestamp")
        signed = b"v0:" + written.encode() + b":" + body
        files = fitting(self._apps, signed, offered=[signature.removeprefix(_SIGNATURE)])
        if abs(self._clock.now().timestamp() - int(written)) > AGE_SECONDS_MAX:
            raise NotTaken(401, "stale", f"its time is not within {AGE_SECONDS_MAX} seconds of ours")
        if signature in self._seen:
            raise NotTaken(409, "repeated", "this very request was taken before")
        self._seen.add(signature)
        return [self._apps[file] for file in files]

    async def _press(self, payload: _Payload, pressed: Pressed, apps: list[_App]) -> str:
        button, state, user = pressed.button, self._known(), payload.user
        assert user is not None, "looked at before"
        slack = frozenset(url for app in apps for url in app.api_urls)

        def tell(text: str) -> None:
            self._tell(payload.response_url, text, slack)

        if button.journal != state.journal or not any(button.place in app.places for app in apps):
            tell(f"{button.incident}: this button is not of a channel that this Tocsin has now. Nothing was done.")
            return "unknown"
        by = by_member(state.policy, user.id, user.username or user.name)
        act = pressed.act(by=by, via=VIA)
        try:
            async with asyncio.timeout(self._seconds_max):
                incident = await self._doing.do(act)
        except TimeoutError:
            error = NotDone(503, "it is not decided yet, and may still be: look before you try again")
        except NotDone as refused:
            error = refused
        else:
            holder = incident.get("acknowledged_by")
            if isinstance(act, Acknowledged) and holder not in (None, by):
                tell(f"{button.incident}: {holder} has it already.")
            return "done"
        tell(f"Not done: {error}")
        if error.status == 503:
            raise NotTaken(503, "failed", str(error))
        return "unknown" if error.status == 404 else "refused"


def _app(files: Sequence[SlackFile]) -> _App:
    return _App(frozenset(file.channel or "" for file in files), frozenset(file.api_url for file in files))


def _is_check_of_certificate(body: bytes) -> bool:
    """Slack asks now and then whether somebody is there. It is a form with `ssl_check=1`, and nothing follows of it."""
    return len(body) < 1000 and b"ssl_check=1" in body.split(b"&")


def _payload_of(body: bytes) -> _Payload:
    try:
        (written,) = parse_qs(body.decode(), max_num_fields=FIELDS_MAX)["payload"]
        return msgspec.json.decode(written, type=_Payload)
    except (ValueError, KeyError, RecursionError):  # of these are UnicodeDecodeError and msgspec's
        raise NotTaken(400, "malformed", "expected a form with one `payload` of JSON, as Slack sends it") from None


def _pressed(payload: _Payload) -> Pressed | None:
    """The button that was pressed, or None: another kind of payload, or another app's button in our message."""
    if payload.type != "block_actions":
        return None
    for action in payload.actions:
        value = action.value if action.selected_option is None else action.selected_option.value
        pressed = read(action.action_id, value)
        if pressed is not None:
            return pressed
    return None
