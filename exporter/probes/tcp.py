"""Does somebody listen, and speak TLS if that is asked for?"""

from __future__ import annotations

from exporter.probes.attempt import Attempt
from exporter.probes.ground import Ground
from exporter.probes.settings import Module
from exporter.probes.tls import secured
from exporter.probes.wire import connected


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    place = await ground.place(
        attempt, target, prefer=module.tcp.preferred_ip_protocol, fall_back=module.tcp.ip_protocol_fallback
    )
    async with connected(place) as wire:
        attempt.note("connected")
        if module.tcp.tls:
            await secured(attempt, wire, ground.contexts, module.tcp.tls_config, host=place.host)
