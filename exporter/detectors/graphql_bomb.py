"""Too many GraphQL queries of one address are rejected before they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

from exporter.detectors import Held
from exporter.detectors.outcomes import refused
from exporter.detectors.settings import GraphQLBomb as Settings
from exporter.detectors.toomany import TooMany, findings
from exporter.event import Batch, Fields
from exporter.finding import Finding


class GraphQLBomb:
    name = "graphql_bomb"
    asked: Mapping[str, Fields] = {"graphql_validation": Fields(texts=("accepted",), addresses=("ip",))}

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rejected = TooMany(settings)

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        many = self._rejected.take(compress(batch.addresses("ip"), refused(batch)), now=now)
        return findings(many, self.name, self._settings, "GraphQL queries of one address were rejected", now=now)

    def thin(self) -> bool:
        return self._rejected.thin()

    def tick(self, *, now: float) -> Sequence[Finding]:
        self._rejected.slide(now)
        return ()

    @property
    def held(self) -> Held:
        return self._rejected.held
