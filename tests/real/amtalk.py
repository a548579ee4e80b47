"""What tests tell a real Alertmanager: alerts, ends, silences, another configuration."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.real.servers import JSON, SURELY, Server


def tell(server: Server, path: str, document: object) -> Any:
    status, said = server.ask(path, json.dumps(document).encode(), headers=JSON)
    assert status == 200, said
    return json.loads(said) if said else None


def fire(server: Server, *labels: Mapping[str, str]) -> None:
    tell(server, "/api/v2/alerts", [{"labels": each, "annotations": {"summary": "a test"}} for each in labels])


def end(server: Server, *labels: Mapping[str, str]) -> None:
    now = datetime.now(UTC).isoformat()
    tell(server, "/api/v2/alerts", [{"labels": each, "endsAt": now} for each in labels])


def silence(server: Server, name: str, value: str, *, ends_at: datetime | None = None) -> str:
    """Its identifier."""
    now = datetime.now(UTC)
    document = {
        "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (ends_at or now + timedelta(hours=1)).isoformat(),
        "createdBy": "ana",
        "comment": "patch night",
    }
    return str(tell(server, "/api/v2/silences", document)["silenceID"])


def end_silences(server: Server) -> None:
    """As a person does it who takes them back."""
    for each in server.get("/api/v2/silences"):
        request = urllib.request.Request(f"{server.url}/api/v2/silence/{each['id']}", method="DELETE")
        with urllib.request.urlopen(request, timeout=SURELY) as answer:
            assert answer.status == 200


def reload(server: Server, folder: Path, configuration: str) -> None:
    (folder / "alertmanager.yml").write_text(configuration)
    assert server.ask("/-/reload", b"")[0] == 200
