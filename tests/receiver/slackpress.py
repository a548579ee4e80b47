"""What Slack sends when somebody presses a button: a signed form, as its documentation describes it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.receiver.slacksink import Posted

SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PATH = "/slack/interactions"


class Person(NamedTuple):
    id: str
    username: str


ANA = Person("U024BE7LH", "ana.l")
STRANGER = Person("U0STRANGE", "guest")


def pressed(posted: Posted, words: str, *, by: Person = ANA, reply_to: str, option: str = "") -> dict[str, Any]:
    """The payload about the element with these words; of a select the option with those."""
    (element,) = [each for each in posted.elements if each.get("text", each.get("placeholder"))["text"] == words]
    action = {key: element[key] for key in ("action_id", "type", "value") if key in element}
    if element["type"] == "static_select":
        (chosen,) = [each for each in element["options"] if each["text"]["text"] == option]
        action["selected_option"] = chosen
    return payload(action, posted=posted, by=by, reply_to=reply_to)


def payload(action: dict[str, Any], *, posted: Posted | None, by: Person, reply_to: str) -> dict[str, Any]:
    channel, ts = (posted.channel, posted.ts) if posted is not None else ("C0PS1", "1.0")
    return {
        "type": "block_actions",
        "user": {"id": by.id, "username": by.username, "name": by.username, "team_id": "T1"},
        "api_app_id": "A1",
        "token": "an-old-verification-token",
        "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False},
        "trigger_id": "12466734323.1395872398",
        "team": {"id": "T1", "domain": "example"},
        "channel": {"id": channel, "name": "ops"},
        "message": {"type": "message", "ts": ts, "text": "…", "blocks": []},
        "response_url": f"{reply_to}/actions/A1/1/abc",
        "actions": [{"block_id": "b1", "action_ts": "1548426417.840180", **action}],
    }


class Signed(NamedTuple):
    body: bytes
    headers: dict[str, str]


def signed(
    document: object, *, secret: str = SIGNING_SECRET, at: float | None = None, form: bytes | None = None
) -> Signed:
    """`form` instead of a payload in one."""
    body = urlencode({"payload": json.dumps(document)}).encode() if form is None else form
    stamp = str(int(time.time() if at is None else at))
    made = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={made}",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
    }
    return Signed(body, headers)
