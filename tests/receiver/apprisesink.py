"""Services that Apprise posts to, as each of them documents what it takes; all behind one address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from tests.receiver.provider import Provider, Reply, json_reply

SECRET = "S3CRETtoken"
HOOK = "s3crethooks3crethooks3crethook"
MATTERMOST_CHARACTERS_MAX = 16_383
FLUXER_HOOK = "4174296324183162/S3CRETtokenS3CRETtoken"
FLUXER_CHARACTERS_MAX = 2_000
ROCKET_CHARACTERS_MAX = 1_000  # what Apprise allows it; the server's own limit is a setting


class Got(NamedTuple):
    """What one service shows."""

    service: str
    title: str
    text: str
    mood: str


class AppriseSink(Provider):
    def __init__(self) -> None:
        super().__init__()
        self.got: list[Got] = []

    def address(self, service: str) -> str:
        host = self.url.removeprefix("http://")
        match service:
            case "json" | "form":
                return f"{service}://{host}/{service}/{SECRET}"
            case "gotify":
                return f"gotify://{host}/{SECRET}"
            case "ntfy":
                return f"ntfy://ana:{SECRET}@{host}/incidents"
            case "mattermost":
                return f"mmost://{host}/{HOOK}"
            case "fluxer":
                return f"fluxer://{host}/{FLUXER_HOOK}"
            case "rocket":
                return f"rocket://{SECRET}/{SECRET}@{host}/#ops"
            case _:
                raise LookupError(service)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if headers.get("User-Agent") != "Tocsin":
            self.faults.append(f"{path}: User-Agent {headers.get('User-Agent')}")
        place = path.partition("?")[0].rstrip("/")
        if place == f"/form/{SECRET}":
            fields = {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()}
            return self._taken("form", fields["title"], fields["message"], fields["type"])
        document: dict[str, Any] = json.loads(body)
        if not headers.get("Content-Type", "").startswith("application/json"):
            self.faults.append(f"{path}: content type {headers.get('Content-Type')}")
        if place == f"/json/{SECRET}":
            return self._taken("json", document["title"], document["message"], document["type"])
        if place == "/message":
            if headers.get("X-Gotify-Key") != SECRET:
                return json_reply(401, error="Unauthorized")
            return self._taken("gotify", document["title"], document["message"], str(document["priority"]))
        if place == f"/hooks/{HOOK}":
            if len(document["text"]) > MATTERMOST_CHARACTERS_MAX:
                self.faults.append(f"mattermost: {len(document['text'])} characters")
            return self._taken("mattermost", "", document["text"], "")
        if place == f"/hooks/{SECRET}/{SECRET}":
            if len(document["text"]) > ROCKET_CHARACTERS_MAX:
                self.faults.append(f"rocket: {len(document['text'])} characters")
            return self._taken("rocket", "", document["text"], "")
        if place == f"/api/webhooks/{FLUXER_HOOK}":
            if len(document["content"]) > FLUXER_CHARACTERS_MAX:
                self.faults.append(f"fluxer: {len(document['content'])} characters")
            return self._taken("fluxer", "", document["content"], "")
        if document.get("topic") == "incidents" and headers.get("Authorization"):
            return self._taken("ntfy", document["title"], document["message"], "")
        return Reply(404)

    def _taken(self, service: str, title: str, text: str, mood: str) -> Reply:
        if not text:
            self.faults.append(f"{service}: an empty message")
        self.got.append(Got(service, title, text, mood))
        return json_reply(200, id=str(len(self.got)))
