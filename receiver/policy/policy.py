"""The frozen policy that `decide` is given. It is an entry of the journal, so it never holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from receiver.policy.matcher import Matcher, matches_all


class Stage(msgspec.Struct, frozen=True):
    """Whom to tell, so long after the opening of the incident."""

    delay: timedelta
    notify: tuple[str, ...]


class Escalation(msgspec.Struct, frozen=True):
    name: str
    stages: tuple[Stage, ...]


class Route(msgspec.Struct, frozen=True):
    """Which incidents take which escalation. No matchers: all of them. No escalation: nobody is told."""

    matchers: tuple[Matcher, ...]
    escalation: str | None

    def __str__(self) -> str:
        return ", ".join(str(matcher) for matcher in self.matchers) or "everything"


class Policy(msgspec.Struct, frozen=True):
    """`digest` is that of the whole file, so that a change of a channel's address is a new policy as well."""

    digest: str
    routes: tuple[Route, ...]
    escalations: dict[str, Escalation]
    channels: tuple[str, ...]

    def route(self, labels: Mapping[str, str]) -> Route | None:
        """The first route whose matchers all hold."""
        return next((route for route in self.routes if matches_all(route.matchers, labels)), None)


NO_POLICY = Policy(digest="", routes=(), escalations={}, channels=())
