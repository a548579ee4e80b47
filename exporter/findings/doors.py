"""GET /findings: the last findings, as JSON. Who it was is told to those who may act on it; others see its network."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from math import isfinite

import msgspec

from exporter.finding import Finding
from exporter.findings.kept import FINDINGS_MAX, Kept
from exporter.identity import network_of, written
from guard.callers import Need
from guard.web.messages import JSON, Answer, Request, error_answer
from guard.web.routes import Route

LIMIT = 100
_SINCE = "expected a time such as 2026-11-21T08:00:00Z, or seconds since 1970"


def route(kept: Kept) -> Route:
    return Route("GET", "/findings", partial(_answered, kept))


async def _answered(kept: Kept, request: Request) -> Answer:
    asked: dict[str, str] = {}
    try:
        for name, value in request.fields():
            if name not in _READ or name in asked:
                raise ValueError(f"expected each of {', '.join(_READ)} at most once, and nothing else")
            asked[name] = value
        limit, since = _limit(asked.get("limit", str(LIMIT))), _since(asked.get("since", ""))
    except ValueError as wrong:
        return error_answer(400, str(wrong))
    found = kept.last(limit, since=since, detector=asked.get("detector", ""))
    whole = request.caller is not None and request.caller.may(Need.RESPONDER)
    answer = {
        "findings": [_shown(number, finding, whole=whole) for number, finding in found],
        "found": kept.taken,
        "forgotten": kept.forgotten,
    }
    return Answer(msgspec.json.encode(answer), JSON)


def _shown(number: int, finding: Finding, *, whole: bool) -> dict[str, object]:
    shown: dict[str, object] = {
        "number": number,
        "at": moment(finding.at),
        "detector": finding.detector,
        "severity": finding.severity,
        "why": finding.why,
        "value": finding.value,
        "threshold": finding.threshold,
        "window_seconds": finding.window_seconds,
        "source": finding.source or None,
        "dry_run": finding.dry_run,
        "network": None if finding.address is None else network_of(finding.address),
    }
    if whole:
        # A person is a number under a key of this process: the same one is the same person, and nobody is found by it.
        shown["address"] = None if finding.address is None else written(finding.address)
        shown["person"] = None if finding.person is None else f"{finding.person:016x}"
    return shown


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _limit(text: str) -> int:
    if not (
        text.isascii() and text.isdecimal() and len(text) <= len(str(FINDINGS_MAX)) and 1 <= int(text) <= FINDINGS_MAX
    ):
        raise ValueError(f"limit: found something else, expected a whole number from 1 to {FINDINGS_MAX}")
    return int(text)


def _since(text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _time(text)
    if not isfinite(seconds):
        raise ValueError(f"since: found something else, {_SINCE}")
    return seconds


def _time(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"since: found something else, {_SINCE}") from None
    if found.tzinfo is None:
        raise ValueError(f"since: found a time without its zone, {_SINCE}")
    return found.timestamp()


_READ: tuple[str, ...] = ("since", "detector", "limit")
