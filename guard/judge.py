"""Whether a caller may use a door, and not too often: the same for every program, whatever serves its doors.

A table says what each door needs; one that is not in it needs an admin. Doors that anybody may use, and those that see
to it themselves who comes, are left alone. What was refused is counted by whoever handed in `on_refused`; uses by
callers who said who they are, and logins that failed, are told to `on_use`.
"""

from collections.abc import Callable, Mapping
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

from guard.access import Access, Approach, Denied
from guard.callers import THIS_MACHINE, Caller, Need, Role
from guard.limits import Buckets, network_of
from guard.peers import is_loopback

REQUESTS_BURST_MAX = 300
REQUESTS_PER_SECOND = 30.0
# Every reason for which a request is refused here, so that each series is there at zero.
REASONS = ("anonymous", "login", "logins", "busy", "certificate", "role", "not_loopback", "requests")
# What is not there is told to those who may look.
UNKNOWN = "(no such door)"


class Use(NamedTuple):
    """Somebody used a door, or tried to."""

    name: str  # empty: a login that failed, of nobody we know
    role: Role | None
    address: str
    door: str
    refused: bool


class Refusal(Exception):
    """HTTP's status and headers; the text is for the caller."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.status = status
        self.headers = headers
        super().__init__(text)


def ignore_use(_: Use) -> None:
    """For programs without a journal."""


class Judge:
    def __init__(
        self,
        access: Access,
        needs: Mapping[str, Need],
        *,
        on_refused: Callable[[str], None],
        on_use: Callable[[Use], None] = ignore_use,
    ) -> None:
        self._access = access
        self._needs = needs
        self._on_refused = on_refused
        self._on_use = on_use
        self._requests = Buckets(burst=REQUESTS_BURST_MAX, per_second=REQUESTS_PER_SECOND)

    @property
    def headers(self) -> Mapping[str, str]:
        """For each answer that has none of its own by that name."""
        return self._access.headers

    async def judge(self, door: str, approach: Approach) -> Caller | None:
        """Who asks, where the door's need says that it must be known. `door` is as in the table, `GET /metrics`, or
        UNKNOWN. Raises Refusal."""
        need = Need.VIEWER if door == UNKNOWN else self._needs.get(door, Need.ADMIN)
        if need in (Need.NOTHING, Need.SOURCE):
            return None
        # What sources send, they send often, and have their own limits.
        counts = need is not Need.ANY_SOURCE
        if counts:
            self._hold_on(self._access.take_one())
        if need is Need.SIGNATURE:
            if not is_loopback(approach.remote):
                self._in_time(network_of(approach.remote))
            return None
        try:
            caller = await self._access.who(approach)
        except Denied as denied:
            self._on_refused(denied.reason)
            if denied.login:
                self._on_use(Use(denied.name, None, approach.remote or "", door, refused=True))
            raise Refusal(denied.status, str(denied), denied.headers) from None
        allowed = caller.may(need)
        if caller.name and counts and door != "GET /metrics":  # a scrape says nothing, four times a minute
            self._on_use(Use(caller.name, caller.role, approach.remote or "", door, refused=not allowed))
        if not allowed:
            self._on_refused("role")
            who = f"{caller.name} has the role {caller.role}" if caller.name else "callers from elsewhere only look"
            role = "source" if need is Need.ANY_SOURCE else need.value
            raise Refusal(403, f"this needs the role {role}, and {who}")
        if counts and caller != THIS_MACHINE:
            self._in_time(caller.name or network_of(approach.remote))
        return caller

    def _in_time(self, who: str) -> None:
        self._hold_on(self._requests.take(who))

    def _hold_on(self, seconds: float) -> None:
        if seconds:
            self._on_refused("requests")
            wait = ceil(seconds)
            raise Refusal(429, f"too many requests: try again in {wait} s", {"Retry-After": str(wait)})
