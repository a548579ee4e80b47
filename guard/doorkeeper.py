"""Stands before every door of a program: who asks, may they do this, and not too often.

A table says what each door needs; one that is not in it needs an admin. Doors that anybody may use, and those that see
to it themselves who comes, are left alone. What was refused is counted by whoever handed in `on_refused`; uses by
callers who said who they are, and logins that failed, are told to `on_use`.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from guard.access import Access, Approach, Denied
from guard.callers import THIS_MACHINE, Caller, Need, Role
from guard.limits import Buckets, network_of
from guard.peers import is_loopback

REQUESTS_BURST_MAX = 300
REQUESTS_PER_SECOND = 30.0
# Every reason for which a request is refused here, so that each series is there at zero.
REASONS = ("anonymous", "login", "logins", "busy", "role", "not_loopback", "requests")

_CALLER = web.RequestKey("tocsin.caller", Caller)
_UNKNOWN = "(no such door)"


class Use(NamedTuple):
    """Somebody used a door, or tried to."""

    name: str  # empty: a login that failed, of nobody we know
    role: Role | None
    address: str
    door: str
    refused: bool


def ignore_use(_: Use) -> None:
    """For programs without a journal."""


class Doorkeeper:
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

    def guard(self, app: web.Application) -> None:
        """Before anything else that stands before the doors."""
        app.middlewares.insert(0, self._middleware())
        app.on_response_prepare.append(self._add_headers)

    def _middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = await self._judge(request)
            return await handler(request) if refusal is None else refusal

        return check

    async def _judge(self, request: web.Request) -> web.Response | None:
        """An answer when it is refused."""
        door, need = self._door_of(request)
        if need in (Need.NOTHING, Need.SOURCE):
            return None
        if need is Need.SIGNATURE:
            return None if is_loopback(request.remote) else self._in_time(network_of(request.remote))
        try:
            caller = await self._access.who(approach_of(request))
        except Denied as denied:
            self._on_refused(denied.reason)
            if denied.login:
                self._on_use(Use(denied.name, None, request.remote or "", door, refused=True))
            return _refusal(denied.status, str(denied), denied.headers)
        allowed = caller.may(need)
        if caller.name and door != "GET /metrics":  # a scrape says nothing, four times a minute
            self._on_use(Use(caller.name, caller.role, request.remote or "", door, refused=not allowed))
        if not allowed:
            self._on_refused("role")
            who = f"{caller.name} has the role {caller.role}" if caller.name else "callers from elsewhere only look"
            return _refusal(403, f"this needs the role {need.value}, and {who}", {})
        request[_CALLER] = caller
        return None if caller == THIS_MACHINE else self._in_time(caller.name or network_of(request.remote))

    def _in_time(self, who: str) -> web.Response | None:
        seconds = self._requests.take(who)
        if not seconds:
            return None
        self._on_refused("requests")
        wait = ceil(seconds)
        return _refusal(429, f"too many requests: try again in {wait} s", {"Retry-After": str(wait)})

    def _door_of(self, request: web.Request) -> tuple[str, Need]:
        resource = request.match_info.route.resource
        if resource is None:  # what is not there is told to those who may look
            return _UNKNOWN, Need.VIEWER
        method = "GET" if request.method == "HEAD" else request.method
        door = f"{method} {resource.canonical}"
        return door, self._needs.get(door, Need.ADMIN)

    async def _add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        for name, value in self._access.headers.items():
            response.headers.setdefault(name, value)


def caller_of(request: web.Request) -> Caller:
    """Who asks, where the door's need says that it must be known."""
    return request[_CALLER]


def approach_of(request: web.Request) -> Approach:
    certificate = request.get_extra_info("peercert")
    return Approach(request.remote, request.headers.get("Authorization"), certificate or None)


def _refusal(status: int, text: str, headers: Mapping[str, str]) -> web.Response:
    return web.json_response({"error": text}, status=status, headers=headers)
