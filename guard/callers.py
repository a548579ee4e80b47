"""Who asks, and what that allows.

A caller has one role; a door says what it needs. Nothing here knows how somebody proves who they are.
"""

from enum import Enum, StrEnum

import msgspec


class Role(StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"
    SOURCE = "source"


class Need(Enum):
    """What a door asks of a caller."""

    NOTHING = "nothing"  # load balancers, and whoever restarts us
    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"
    SOURCE = "source"  # the door knows which source; it asks itself
    ANY_SOURCE = "any source"  # which one, each event says
    SIGNATURE = "signature"  # what comes in proves itself; the door verifies it


ALLOWED: dict[Role, frozenset[Need]] = {
    Role.VIEWER: frozenset({Need.VIEWER}),
    Role.RESPONDER: frozenset({Need.VIEWER, Need.RESPONDER}),
    Role.ADMIN: frozenset({Need.VIEWER, Need.RESPONDER, Need.ADMIN, Need.SOURCE, Need.ANY_SOURCE}),
    Role.SOURCE: frozenset({Need.SOURCE, Need.ANY_SOURCE}),
}


class Caller(msgspec.Struct, frozen=True):
    """Who asks. Whoever did not say who they are has no name."""

    role: Role
    name: str = ""
    sources: tuple[str, ...] = ()  # a source's token may be for some of them only; none: for all

    def may(self, need: Need) -> bool:
        return need in ALLOWED[self.role]

    def may_post(self, source: str) -> bool:
        return self.may(Need.SOURCE) and (not self.sources or source in self.sources)

    def as_who(self, said: str | None) -> str:
        """Under which name somebody acts who says that they are `said`. Where another name was proved, that one
        stands beside it."""
        if not self.name or said == self.name:
            return said or self.name
        return f"{said} ({self.name})" if said else self.name


THIS_MACHINE = Caller(Role.ADMIN)
