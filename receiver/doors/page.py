"""The start page: what is open, and how to connect Alertmanager. Plain HTML that works on a phone at night."""

from __future__ import annotations

from datetime import datetime
from html import escape
from string import Template

from aiohttp import web

from guard.doorkeeper import caller_of
from guard.version import VERSION
from receiver.clock import Clock
from receiver.incident import Incident, Status, severity_rank
from receiver.runner import Runner
from receiver.store import Store

INCIDENTS_SHOWN = 50

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8884; --red: #c62828; --amber: #b26a00; --green: #2e7d32; }
@media (prefers-color-scheme: dark) { :root { --red: #ff6b6b; --amber: #ffb74d; --green: #81c784; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.quiet { color: var(--green); } .muted { opacity: .7; font-size: .9rem; }
article { border-left: .35rem solid var(--line); padding: .4rem .8rem; margin: .6rem 0; overflow-wrap: anywhere; }
article.s4, article.s5 { border-color: var(--red); } article.s2, article.s3 { border-color: var(--amber); }
article.resolved { opacity: .65; border-color: var(--green); }
pre { background: #8882; padding: .8rem; overflow-x: auto; font-size: .85rem; }
a { color: inherit; } .trouble { color: var(--red); font-weight: 600; }
</style>
</head>
<body>
<h1>$heading</h1>
<p class="muted">Tocsin $version · policy $policy · journal entry $position$lag · updates every 5 seconds</p>
$trouble
$open
<h2>Resolved lately</h2>
$resolved
<h2>Connect Alertmanager</h2>
<p>Add a receiver to <code>alertmanager.yml</code>, and point a route at it:</p>
<pre>receivers:
  - name: tocsin
    webhook_configs:
      - url: $url/webhook/my-alertmanager
        send_resolved: true$login</pre>
<p>Or try it without one: <code>tocsin fire --url=$url$token alertname=Demo severity=critical</code></p>
<p class="muted"><a href="/api/v1/incidents">incidents</a> · <a href="/api/v1/alerts">alerts</a> ·
<a href="/api/v1/status">status</a> · <a href="/health/detailed">health</a> · <a href="/metrics">metrics</a></p>
</body>
</html>
""")

_LOGIN = """
        http_config:
          authorization: {credentials_file: FILE}   # tocsin token NAME --role=source"""


class Page:
    def __init__(self, *, store: Store, runner: Runner, clock: Clock, external_url: str | None) -> None:
        self._store = store
        self._runner = runner
        self._clock = clock
        self._external_url = external_url

    async def get(self, request: web.Request) -> web.Response:
        active = await self._store.incidents(status="active", text="", limit=INCIDENTS_SHOWN)
        resolved = await self._store.incidents(status=Status.RESOLVED, text="", limit=5)
        return web.Response(text=self._render(request, active, resolved), content_type="text/html")

    def _render(self, request: web.Request, active: list[Incident], resolved: list[Incident]) -> str:
        now = self._clock.now()
        open_count = sum(1 for each in self._runner.state.incidents.values() if each.status is not Status.RESOLVED)
        heading = "Nothing is open" if not open_count else f"{open_count} open"
        quiet = '<p class="quiet">Nothing is open. Alerts that fire will show here within seconds.</p>'
        left_out = open_count - len(active)
        more = (
            f'<p class="muted">and {left_out} more: see <a href="/api/v1/incidents">all</a></p>' if left_out > 0 else ""
        )
        by_severity = sorted(active, key=lambda each: -severity_rank(each.severity))
        trouble = self._runner.failing
        return _PAGE.substitute(
            title=escape(f"{heading} · Tocsin"),
            heading=escape(heading),
            version=escape(VERSION),
            policy=escape(self._runner.state.policy.digest or "none"),
            position=self._runner.position,
            lag=f" ({self._runner.lag} waiting)" if self._runner.lag else "",
            trouble=f'<p class="trouble">The store cannot be written: {escape(trouble)}</p>' if trouble else "",
            open="\n".join(_article(each, now) for each in by_severity) + more or quiet,
            resolved="\n".join(_article(each, now) for each in resolved) or '<p class="muted">None yet.</p>',
            url=escape(self._external_url or f"{request.scheme}://{request.host}"),
            # Who had to say who they are has an Alertmanager that must.
            login=_LOGIN if caller_of(request).name else "",
            token=" --token-file=FILE" if caller_of(request).name else "",
        )


def _article(incident: Incident, now: datetime) -> str:
    since = incident.resolved_at or incident.opened_at
    what = "resolved" if incident.resolved_at else "open for"
    ago = _for_people((now - since).total_seconds()) + (" ago" if incident.resolved_at else "")
    classes = "resolved" if incident.resolved_at else f"s{severity_rank(incident.severity)}"
    link = f"/incidents/{escape(incident.id)}"
    return (
        f'<article class="{classes}"><a href="{link}"><b>{escape(incident.id)}</b></a> '
        f"{escape(incident.severity)}: <b>{escape(incident.title)}</b><br>"
        f'<span class="muted">{what} {ago} · {incident.firing} firing, {incident.resolved} resolved · '
        f"source {escape(incident.group.source)} · route {escape(incident.route or 'none')}</span></article>"
    )


def _for_people(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{max(0, int(seconds))} s"
