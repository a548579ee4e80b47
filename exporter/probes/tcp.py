"""Does somebody listen, speak TLS, and say what is awaited, line by line?"""

from __future__ import annotations

from exporter.probes.attempt import Attempt, Failed
from exporter.probes.ground import Ground
from exporter.probes.modules import Step, Tcp
from exporter.probes.settings import Module
from exporter.probes.targets import Place
from exporter.probes.tls import secured
from exporter.probes.wire import Wire, connected

LINE_BYTES_MAX = 65_536
# Of a conversation, over all its steps.
LINES_MAX = 200


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    tcp = module.tcp
    place = await ground.place(attempt, target, prefer=tcp.preferred_ip_protocol, fall_back=tcp.ip_protocol_fallback)
    async with connected(place) as wire:
        attempt.note("connected")
        if tcp.tls:
            await secured(attempt, wire, ground.contexts, tcp.tls_config, host=place.host)
        await _converse(attempt, wire, tcp, ground, place)


async def _converse(attempt: Attempt, wire: Wire, tcp: Tcp, ground: Ground, place: Place) -> None:
    """Raises Failed."""
    lines = 0
    for number, step in enumerate(tcp.query_response):
        if step.expect:
            lines += await _await_line(attempt, wire, step, ground, number, lines_max=LINES_MAX - lines)
        if step.send:
            wire.send(step.send.encode() + b"\n")
        if step.starttls:
            await secured(attempt, wire, ground.contexts, tcp.tls_config, host=place.host)


async def _await_line(attempt: Attempt, wire: Wire, step: Step, ground: Ground, number: int, *, lines_max: int) -> int:
    """How many lines it took. Raises Failed."""
    help_text = "1 if a regular expression of the module is why it failed."
    attempt.gauge("probe_failed_due_to_regex", help_text, 1)
    for lines in range(1, lines_max + 1):
        line = await wire.line(LINE_BYTES_MAX)
        if not line and wire.ended:
            raise Failed("content", f"query_response[{number}].expect: not found until the connection was ended")
        if all(await ground.matching.search([(step.expect, line.decode("utf-8", "replace"))])):
            attempt.note(f"query_response[{number}]: found in line {lines}")
            attempt.gauge("probe_failed_due_to_regex", help_text, 0)
            return lines
    raise Failed("too_large", f"more than {LINES_MAX} lines")
