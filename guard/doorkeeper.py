"""The judge before every door of a program that is served by the web framework."""

from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from guard.access import Access, Approach
from guard.callers import Caller, Need
from guard.judge import UNKNOWN, Judge, Refusal, Use, ignore_use

_CALLER = web.RequestKey("tocsin.caller", Caller)


class Doorkeeper:
    def __init__(
        self,
        access: Access,
        needs: Mapping[str, Need],
        *,
        on_refused: Callable[[str], None],
        on_use: Callable[[Use], None] = ignore_use,
    ) -> None:
        self._judge = Judge(access, needs, on_refused=on_refused, on_use=on_use)

    def guard(self, app: web.Application) -> None:
        """Before anything else that stands before the doors."""
        app.middlewares.insert(0, self._middleware())
        app.on_response_prepare.append(self._add_headers)

    def _middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                caller = await self._judge.judge(_door_of(request), approach_of(request))
            except Refusal as refusal:
                error = {"error": str(refusal)}
                return web.json_response(error, status=refusal.status, headers=refusal.headers)
            if caller is not None:
                request[_CALLER] = caller
            return await handler(request)

        return check

    async def _add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        for name, value in self._judge.headers.items():
            response.headers.setdefault(name, value)


def caller_of(request: web.Request) -> Caller:
    """Who asks, where the door's need says that it must be known."""
    return request[_CALLER]


def approach_of(request: web.Request) -> Approach:
    certificate = request.get_extra_info("peercert")
    return Approach(request.remote, request.headers.get("Authorization"), certificate or None)


def _door_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return UNKNOWN if resource is None else f"{method} {resource.canonical}"
