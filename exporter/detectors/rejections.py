"""Too much of what one address asks for is rejected: GraphQL queries before they run, WebSocket connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

from exporter.detectors import Held
from exporter.detectors.outcomes import refused
from exporter.detectors.settings import Counted
from exporter.detectors.toomany import TooMany, findings
from exporter.event import Batch, Fields
from exporter.finding import Finding


class Rejections:
    """`what` they are of one address, in words that follow a number."""

    def __init__(self, settings: Counted, *, name: str, event: str, what: str) -> None:
        self.name = name
        self.asked: Mapping[str, Fields] = {event: Fields(texts=("accepted",), addresses=("ip",))}
        self._settings = settings
        self._what = what
        self._rejected = TooMany(settings)

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        many = self._rejected.take(compress(batch.addresses("ip"), refused(batch)), now=now)
        return findings(many, self.name, self._settings, self._what, now=now)

    def thin(self) -> bool:
        return self._rejected.thin()

    def tick(self, *, now: float) -> Sequence[Finding]:
        self._rejected.slide(now)
        return ()

    @property
    def held(self) -> Held:
        return self._rejected.held


def graphql_bomb(settings: Counted) -> Rejections:
    what = "GraphQL queries of one address were rejected"
    return Rejections(settings, name="graphql_bomb", event="graphql_validation", what=what)


def websocket_flood(settings: Counted) -> Rejections:
    what = "WebSocket connections of one address were rejected"
    return Rejections(settings, name="websocket_flood", event="websocket_attempt", what=what)
