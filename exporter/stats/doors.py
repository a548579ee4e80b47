"""GET /stats/graphql and GET /stats/websocket: what happened lately, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from exporter.event import Fields
from exporter.stats.minutes import WINDOW_MINUTES_MAX
from guard.web.messages import Answer, Request, error_answer, json_answer
from guard.web.routes import Route

WINDOW_MINUTES = 60


class View(Protocol):
    name: str
    help: str
    asked: Mapping[str, Fields]

    def said(self, minutes: int, *, now: float) -> dict[str, object]: ...


def routes(views: Sequence[View], *, clock: Callable[[], float]) -> list[Route]:
    return [Route("GET", f"/stats/{view.name}", partial(_answered, view, clock)) for view in views]


async def _answered(view: View, clock: Callable[[], float], request: Request) -> Answer:
    try:
        minutes = _minutes(request)
    except ValueError as wrong:
        return error_answer(400, str(wrong))
    return json_answer(view.said(minutes, now=clock()))


def _minutes(request: Request) -> int:
    """Raises ValueError."""
    expected = f"expected window_minutes, a whole number from 1 to {WINDOW_MINUTES_MAX}"
    found = WINDOW_MINUTES
    for name, value in request.fields():
        if name != "window_minutes":
            raise ValueError(f"found a field that is not known here, {expected}")
        if not (value.isascii() and value.isdecimal() and len(value) <= len(str(WINDOW_MINUTES_MAX))):
            raise ValueError(f"found something else, {expected}")
        found = int(value)
    if not 1 <= found <= WINDOW_MINUTES_MAX:
        raise ValueError(f"found {found}, {expected}")
    return found
