"""The exporter's HTTP doors. A door reads the request, asks the role or the control, and writes the answer.

Nothing is collected, parsed or decided here. Errors are JSON `{"error": …}`; a page is whole or is not sent.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from exporter import health, startpage
from exporter.control import Control
from exporter.dependencies.part import Background
from exporter.metrics import Tally
from exporter.negotiation import (
    Wishes,
    accepts_gzip,
    choose_collectors,
    choose_format,
    scrape_seconds,
)
from exporter.page import Pages
from exporter.registry import Registry
from exporter.roles import App, Role
from exporter.startpage import Collectors
from guard.access import Access
from guard.callers import Need
from guard.callers import Role as CallerRole
from guard.judge import Judge
from guard.version import VERSION
from guard.web.messages import Answer, Request, error_answer, json_answer, text_answer
from guard.web.routes import Route, Routes
from guard.web.server import Server

# What may stand in a target's address: a name, an IPv4 or a bracketed IPv6 address, perhaps with a port.
HOST = re.compile(r"(?:[a-zA-Z0-9]([a-zA-Z0-9._-]{0,252})|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?")
# A door that is not here is for admins; docs/access.md has the same table for people.
NEEDS: Mapping[str, Need] = {
    "GET /": Need.VIEWER,
    "GET /metrics": Need.VIEWER,
    "GET /metrics/{role}": Need.VIEWER,
    "GET /metrics/app/{source}": Need.VIEWER,
    "GET /sd": Need.VIEWER,
    "GET /probe": Need.VIEWER,
    "GET /series": Need.VIEWER,
    "GET /findings": Need.VIEWER,
    "GET /blocklist": Need.RESPONDER,
    "GET /blocklist/history": Need.RESPONDER,
    "GET /reputation/{address}": Need.RESPONDER,
    "PUT /blocklist/{address}": Need.ADMIN,
    "DELETE /blocklist/{address}": Need.ADMIN,
    "GET /stats/graphql": Need.VIEWER,
    "GET /stats/websocket": Need.VIEWER,
    "GET /stats/postgres": Need.VIEWER,
    "POST /events": Need.ANY_SOURCE,
    "GET /health": Need.NOTHING,
    "GET /health/detailed": Need.VIEWER,
    "GET /-/healthy": Need.NOTHING,
    "GET /-/ready": Need.NOTHING,
    "POST /-/reload": Need.ADMIN,
}
# Of what a door gets that needs nothing.
BODY_BYTES_MAX = 1_024
TELEMETRY_PATH = "/metrics"
# What `/sd` can be asked for: each source of events as a target of its own.
BY_SOURCE = "by_source"
# What `/health` can be asked for: 503 while it is degraded, too.
STRICT = ("strict", "true")
TELEMETRY_PATHS = re.compile(r"(?:/[A-Za-z0-9._~][A-Za-z0-9._~-]*)+")
START_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class Doors:
    def __init__(
        self,
        *,
        roles: Sequence[Role],
        registry: Registry,
        control: Control,
        tally: Tally,
        background: Background,
        others: Sequence[Route] = (),
        requests_max: int,
        timeout_offset_seconds: float,
        access: Access | None = None,
        telemetry_path: str = TELEMETRY_PATH,
        left_out: Sequence[str] = (),
    ) -> None:
        """`others` are doors that are made elsewhere. `left_out` are roles that are not on the whole page, and
        still have their own."""
        self._roles = {role.name: role for role in roles}
        self._app = next((role for role in roles if isinstance(role, App)), None)
        self._registry = registry
        self._control = control
        self._tally = tally
        self._background = background
        self._others = others
        self._requests_max = requests_max
        self._timeout_offset_seconds = timeout_offset_seconds
        # Whoever reaches an exporter may scrape it, as with others of its kind, until a web configuration asks them.
        self._access = access or Access(None, strangers=CallerRole.VIEWER)
        self._telemetry_path = telemetry_path
        self._left_out = left_out
        self._scrapes = 0
        self._pages = Pages(quarantined=tally.quarantine)

    def server(self) -> Server:
        judge = Judge(self._access, NEEDS, on_refused=self._tally.refuse_request)
        return Server(Routes(self.routes()), judge, on_cut=self._tally.cut_connection)

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/", self.start_page),
            Route("GET", self._telemetry_path, self.metrics, door="GET /metrics"),
            Route("GET", f"{self._telemetry_path}/{{role}}", self.metrics_of_role, door="GET /metrics/{role}"),
            Route(
                "GET",
                f"{self._telemetry_path}/app/{{source}}",
                self.metrics_of_source,
                door="GET /metrics/app/{source}",
            ),
            Route("GET", "/sd", self.service_discovery),
            Route("GET", "/series", self.series),
            Route("GET", "/health", self.health),
            Route("GET", "/health/detailed", self.health_detailed),
            Route("GET", "/-/healthy", self.healthy),
            Route("GET", "/-/ready", self.ready),
            Route("POST", "/-/reload", self.reload, BODY_BYTES_MAX),
            *self._others,
        )

    async def metrics(self, request: Request) -> Answer:
        # The exporter's own role comes last, so that it counts what this very scrape has met.
        roles = [role for role in self._roles.values() if role.name not in self._left_out]
        return await self._page(request, sorted(roles, key=lambda role: role.name == "self"))

    async def metrics_of_role(self, request: Request) -> Answer:
        role = self._roles.get(request.parts["role"])
        if role is None:
            names = ", ".join(sorted(self._roles))
            return error_answer(404, f"no role {request.parts['role']!r} here; the roles are: {names}")
        return await self._page(request, [role])

    async def metrics_of_source(self, request: Request) -> Answer:
        source = request.parts["source"]
        if self._app is None or source not in self._app.sources:
            return error_answer(404, f"no source {source!r} has said anything lately; /sd?app=by_source lists all")
        return await self._page(request, [self._app.of(source)])

    async def _page(self, request: Request, roles: Sequence[Role]) -> Answer:
        if 0 < self._requests_max <= self._scrapes:
            self._tally.scrapes_rejected += 1
            return error_answer(503, f"{self._requests_max} scrapes are being served already (--web.max-requests)")
        try:
            wishes = self._wishes(request)
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        self._scrapes += 1
        try:
            page = await self._pages.page(roles, wishes)
        finally:
            self._scrapes -= 1
        return Answer(page.body, page.content_type, headers=page.headers)

    def _wishes(self, request: Request) -> Wishes:
        """Raises ValueError for a query that cannot be followed."""
        form, escaping = choose_format(request.headers.get("accept"))
        seconds = scrape_seconds(
            request.headers.get("x-prometheus-scrape-timeout-seconds"),
            offset=self._timeout_offset_seconds,
            longest=self._control.plan.timeout_seconds,
        )
        only = None
        if request.query:
            fields = request.fields()
            collect, exclude = ([value for key, value in fields if key == name] for name in ("collect[]", "exclude[]"))
            only = choose_collectors(collect, exclude, there=self._registry.names)
        return Wishes(seconds, form, escaping, accepts_gzip(request.headers.get("accept-encoding")), only)

    async def service_discovery(self, request: Request) -> Answer:
        """One target for each role, at the address under which we were asked, over TLS if we were.

        With `app=by_source`, one for each source in the place of the one with all.
        """
        try:
            asked = [value for key, value in request.fields() if key == "app"]
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        if asked not in ([], [BY_SOURCE]):
            return error_answer(400, f"app: expected {BY_SOURCE}, or nothing for one target with all sources")
        by_source = self._app if asked else None
        groups = [
            self._target(request, role) for role in sorted(self._roles) if by_source is None or role != by_source.name
        ]
        if by_source is not None:
            groups += [self._target(request, by_source.name, source) for source in by_source.sources]
        return json_answer(groups)

    def _target(self, request: Request, role: str, source: str = "") -> dict[str, object]:
        labels = {
            "__metrics_path__": "/".join([self._telemetry_path, role, *([source] if source else [])]),
            "__meta_tocsin_role": role,
            **({"__meta_tocsin_source": source} if source else {}),
            **({"__scheme__": "https"} if request.secure else {}),
        }
        return {
            "targets": [request.host if HOST.fullmatch(request.host) else _local_address(request)],
            "labels": labels,
        }

    async def series(self, request: Request) -> Answer:  # noqa: ARG002
        if self._app is None:
            return error_answer(404, "this exporter takes nothing from applications")
        return json_answer(self._app.report())

    async def health(self, request: Request) -> Answer:
        return self._health(request, health.summary(self._registry, self._tally, self._background))

    async def health_detailed(self, request: Request) -> Answer:
        return self._health(request, health.details(self._registry, self._tally, self._background))

    def _health(self, request: Request, found: dict[str, Any]) -> Answer:
        """Degraded still serves, unless who asks wants to know of that as well."""
        try:
            asked = request.fields()
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        if asked not in ([], [STRICT]):
            return error_answer(400, f"expected {'='.join(STRICT)}, or nothing")
        unfit = (health.DEGRADED, health.DOWN) if asked else (health.DOWN,)
        return json_answer(found, status=503 if found["status"] in unfit else 200)

    async def healthy(self, request: Request) -> Answer:  # noqa: ARG002
        return text_answer("The Tocsin exporter is healthy.\n")

    async def ready(self, request: Request) -> Answer:  # noqa: ARG002
        return text_answer("The Tocsin exporter is ready.\n")

    async def reload(self, request: Request) -> Answer:  # noqa: ARG002
        faults = self._control.reload()
        if faults:
            refused = "the configuration was refused, the one before stays in force"
            return json_answer({"error": refused, "faults": faults}, status=500)
        return json_answer({"status": "reloaded"})

    async def start_page(self, request: Request) -> Answer:  # noqa: ARG002
        roles = [(f"{self._telemetry_path}/{role.name}", role.help) for role in self._roles.values()]
        doors = [
            (self._telemetry_path, "Everything on one page."),
            *roles,
            ("/sd", "These roles as targets, for Prometheus' HTTP service discovery."),
            ("/findings", "What detectors have found lately, as JSON."),
            ("/blocklist", "Addresses that are blocked now, for responders."),
            ("/blocklist/history", "Who was blocked and released lately, why and by whom, for responders."),
            ("/reputation/…", "What is held against an address, for responders."),
            ("/probe?target=…&module=…", "Asks a target that probes.allow has."),
            ("/stats/graphql", "GraphQL queries of the last hour, as JSON."),
            ("/stats/websocket", "WebSocket connections of the last hour, as JSON."),
            ("/stats/postgres", "PostgreSQL servers: what is slow, and what wastes space, as JSON."),
            ("/health", "Healthy, degraded or down, for load balancers."),
            ("/health/detailed", "Each dependency and each collector: last success, duration, error."),
            ("/-/healthy", "The process answers."),
            ("/-/ready", "The process serves scrapes."),
        ]
        last = self._registry.last
        page = startpage.render(
            version=VERSION,
            doors=doors,
            failing=health.failing(self._registry, self._tally) | self._background.sick(),
            collectors=None if last is None else Collectors(len(last.outcomes), health.absent(self._registry)),
        )
        headers = {"Content-Security-Policy": START_PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
        return Answer(page.encode(), "text/html; charset=utf-8", headers=headers)


def parse_telemetry_path(text: str) -> str:
    """Raises ValueError for what is no path, or another door's."""
    taken = {door.partition(" ")[2].split("/")[1] for door in NEEDS if not door.startswith("GET /metrics")}
    if not TELEMETRY_PATHS.fullmatch(text) or text.split("/")[1] in taken:
        raise ValueError(f"found {text!r}, expected a path such as {TELEMETRY_PATH}, which is no other door's")
    return text


def _local_address(request: Request) -> str:
    """Where this request really arrived, for a client whose Host header is no address."""
    host, port = request.local or ("127.0.0.1", 29100)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
