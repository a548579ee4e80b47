"""GET /probe: one probe now, as blackbox_exporter answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exporter.exposition import Format, render
from exporter.family import Family, Shape
from exporter.negotiation import Wishes, choose_format, scrape_seconds
from exporter.probes import Probed
from exporter.probes.part import Probes, UnknownModule
from guard.web.messages import Answer, Request, error_answer, text_answer
from guard.web.routes import Route

if TYPE_CHECKING:
    from exporter.probes.settings import Module

# At once, of those that were asked for here.
PROBES_MAX = 50
DEFAULT_MODULE = "http_2xx"
# Where none is written, none is meant.
_ANY_PORT = 1

_SUCCESS = Shape("probe_success", "gauge", "1 if all is as the module wants it, 0 if not.")
_DURATION = Shape("probe_duration_seconds", "gauge", "How long the probe took.")
_TIMEOUT = Shape("probe_timeout_seconds", "gauge", "How long it might have taken.")
_FAILURE = Shape("probe_failure_info", "gauge", "Why the probe failed; not there where it did not.", ("reason",))


class ProbeDoor:
    def __init__(self, probes: Probes, *, timeout_offset_seconds: float) -> None:
        self._probes = probes
        self._timeout_offset_seconds = timeout_offset_seconds
        self._running = 0

    def route(self) -> Route:
        return Route("GET", "/probe", self.probe)

    async def probe(self, request: Request) -> Answer:
        try:
            fields = request.fields()
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        # The first of each counts, as with others of its kind.
        asked = dict(reversed(fields))
        try:
            module = self._probes.module(asked.get("module") or DEFAULT_MODULE)
        except UnknownModule as unknown:
            return self._rejected("module", 400, str(unknown))
        target, hostname = asked.get("target", ""), asked.get("hostname", "")
        if not target:
            return self._rejected("target", 400, "target: expected what is to be probed")
        if hostname and not _can_be_called(hostname):
            return self._rejected("target", 400, "hostname: expected the name of a host, perhaps with a port")
        if self._running >= PROBES_MAX:
            return self._rejected("busy", 503, f"{PROBES_MAX} probes are going on already")
        seconds = scrape_seconds(
            request.headers.get("x-prometheus-scrape-timeout-seconds"),
            offset=self._timeout_offset_seconds,
            longest=module.seconds,
        )
        self._running += 1
        try:
            found = await self._probes.ask(module, target, seconds=seconds, hostname=hostname)
        finally:
            self._running -= 1
        return self._answer(request, module, found, seconds, debug=asked.get("debug") == "true")

    def _answer(self, request: Request, module: Module, found: Probed, seconds: float, *, debug: bool) -> Answer:
        why = found.notes[-1].partition(": ")[2] if found.notes else ""
        if found.reason == "target":
            return self._rejected("target", 400, why)
        if found.reason == "not_allowed":
            return self._rejected("not_allowed", 403, f"the target may not be probed: {why}")
        families = told(found, seconds)
        if debug:
            return text_answer(_debug(module, found, families))
        form, escaping = choose_format(request.headers.get("accept"))
        wishes = Wishes(seconds, form, escaping)
        return Answer(render(families, form, escaping), wishes.content_type, headers={"Vary": "Accept"})

    def _rejected(self, reason: str, status: int, text: str) -> Answer:
        self._probes.counts.rejected[reason] += 1
        return error_answer(status, text)


def _can_be_called(hostname: str) -> bool:
    from exporter.probes.targets import WrongTarget, host_port

    try:
        host_port(hostname, port=_ANY_PORT)
    except WrongTarget:
        return False
    # It becomes a header as it is.
    return hostname.isascii()


def told(found: Probed, seconds: float) -> Sequence[Family]:
    """Everything that a probe has found, as metrics."""
    return [
        _SUCCESS.single(float(found.success)),
        _DURATION.single(found.seconds),
        _TIMEOUT.single(seconds),
        *([Family(_FAILURE, (((found.reason,), 1),))] if found.reason else []),
        *found.families,
    ]


def _debug(module: Module, found: Probed, families: Sequence[Family]) -> str:
    from exporter.probes.settings import shown

    notes = "\n".join(found.notes)
    return (
        f"Logs for the probe:\n{notes}\n\n\n\n"
        f"Metrics that would have been returned:\n{render(families, Format.TEXT).decode()}\n\n\n"
        f"Module configuration:\n{shown(module)}\n"
    )
