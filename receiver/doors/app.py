"""The table of doors, what each needs of a caller, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from guard.access import Access
from guard.callers import Need
from guard.doorkeeper import Doorkeeper
from guard.judge import Use, ignore_use
from receiver.doors.ack import AckDoor
from receiver.doors.acts import Acts
from receiver.doors.answers import refuse
from receiver.doors.api import Api
from receiver.doors.health import Health
from receiver.doors.incidentpage import IncidentPage
from receiver.doors.oncall import OnCall
from receiver.doors.page import Page
from receiver.doors.pagerduty import PagerDutyDoor
from receiver.doors.slack import SlackDoor
from receiver.doors.statistics import StatisticsDoor
from receiver.doors.webhook import BODY_BYTES_MAX, WebhookDoor
from receiver.metrics import Metrics

# A door that is not here is for admins; docs/access.md has the same table for people.
NEEDS: Mapping[str, Need] = {
    "POST /webhook/{source}": Need.SOURCE,
    "GET /": Need.VIEWER,
    "GET /api/v1/incidents": Need.VIEWER,
    "GET /api/v1/incidents/{id}": Need.VIEWER,
    "POST /api/v1/incidents/{id}/acknowledge": Need.RESPONDER,
    "POST /api/v1/incidents/{id}/resolve": Need.RESPONDER,
    "POST /api/v1/incidents/{id}/snooze": Need.RESPONDER,
    "POST /api/v1/incidents/{id}/note": Need.RESPONDER,
    "POST /api/v1/incidents/{id}/assign": Need.RESPONDER,
    "POST /api/v1/incidents/{id}/merge": Need.RESPONDER,
    "POST /api/v1/incidents/{id}/split": Need.RESPONDER,
    "GET /api/v1/alerts": Need.VIEWER,
    "GET /api/v1/deliveries": Need.VIEWER,
    "POST /api/v1/deliveries/{id}/resend": Need.RESPONDER,
    "GET /api/v1/oncall": Need.VIEWER,
    "GET /api/v1/oncall/{schedule}.ics": Need.VIEWER,
    "GET /api/v1/statistics": Need.VIEWER,
    "GET /api/v1/status": Need.VIEWER,
    "GET /metrics": Need.VIEWER,
    "GET /health/detailed": Need.VIEWER,
    "GET /health": Need.NOTHING,
    "GET /-/healthy": Need.NOTHING,
    "GET /-/ready": Need.NOTHING,
    "POST /-/reload": Need.ADMIN,
    "GET /incidents/{id}": Need.VIEWER,
    "GET /ack/{token}": Need.SIGNATURE,
    "POST /ack/{token}": Need.SIGNATURE,
    "POST /slack/interactions": Need.SIGNATURE,
    "POST /pagerduty/webhook": Need.SIGNATURE,
}


def application(
    *,
    webhook: WebhookDoor,
    api: Api,
    acts: Acts,
    slack: SlackDoor,
    pagerduty: PagerDutyDoor,
    oncall: OnCall,
    health: Health,
    page: Page,
    incident: IncidentPage,
    ack: AckDoor,
    statistics: StatisticsDoor,
    metrics: Metrics,
    access: Access | None = None,
    external_url: str | None = None,
    on_use: Callable[[Use], None] = ignore_use,
) -> web.Application:
    """Without `access` only this machine is served."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_only_own_origin(metrics, external_url)])
    app.add_routes(
        [
            web.post("/webhook/{source}", webhook.post),
            web.get("/api/v1/incidents", api.incidents),
            web.get("/api/v1/incidents/{id}", api.incident),
            web.post("/api/v1/incidents/{id}/acknowledge", acts.acknowledge),
            web.post("/api/v1/incidents/{id}/resolve", acts.resolve),
            web.post("/api/v1/incidents/{id}/snooze", acts.snooze),
            web.post("/api/v1/incidents/{id}/note", acts.note),
            web.post("/api/v1/incidents/{id}/assign", acts.assign),
            web.post("/api/v1/incidents/{id}/merge", acts.merge),
            web.post("/api/v1/incidents/{id}/split", acts.split),
            web.post("/slack/interactions", slack.post),
            web.post("/pagerduty/webhook", pagerduty.post),
            web.get("/api/v1/alerts", api.alerts),
            web.get("/api/v1/deliveries", api.deliveries),
            web.post("/api/v1/deliveries/{id}/resend", acts.resend),
            web.get("/api/v1/oncall", oncall.get),
            web.get("/api/v1/oncall/{schedule}.ics", oncall.calendar),
            web.get("/api/v1/statistics", statistics.get),
            web.get("/api/v1/status", api.status),
            web.get("/metrics", health.metrics),
            web.get("/-/healthy", health.healthy),
            web.get("/-/ready", health.ready),
            web.post("/-/reload", health.reload),
            web.get("/health", health.health),
            web.get("/health/detailed", health.detailed),
            web.get("/", page.get),
            web.get("/incidents/{id}", incident.get),
            web.get("/ack/{token}", ack.get),
            web.post("/ack/{token}", ack.post),
        ]
    )
    keeper = Doorkeeper(access or Access(None), NEEDS, on_refused=metrics.request_refused, on_use=on_use)
    keeper.guard(app)
    return app


def _only_own_origin(metrics: Metrics, external_url: str | None) -> Middleware:
    """A browser says where a POST comes from. A page from elsewhere must not fire alerts on somebody's laptop; nor one
    whose name was made to lead here after it was loaded: a name is ours only if people were told it.

    The page of a signed link tells nobody where it is, so that its token is not told either: browsers say `null` then.
    Who knows the token and the form's own field comes from there.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.path.startswith("/ack/"):
            return await handler(request)
        own = origin is None or (_host_of(origin) == request.host and _is_ours(request.host, external_url))
        if request.method != "GET" and not own:
            metrics.webhooks_refused.labels("origin").inc()
            refuse(403, "a page from elsewhere may not do this")
        return await handler(request)

    return check


def _is_ours(host: str, external_url: str | None) -> bool:
    """An address, this machine's own name for itself, or the name that the receiver was started with."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or (external_url is not None and host == _host_of(external_url)):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # a bracket that is never closed, for one
        return None
