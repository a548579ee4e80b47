"""Who asks, by the word that a module says: one explicit table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from exporter.probes import dns, file, http, postgres, process, redis, tcp
from exporter.probes.attempt import Attempt
from exporter.probes.ground import Ground
from exporter.probes.settings import Module

# Raises Failed, and WrongTarget for what is no target of its kind; whatever it has found until then is told.
Probe = Callable[[Attempt, str, Module, Ground], Awaitable[None]]

PROBERS: Mapping[str, Probe] = {
    "http": http.probe,
    "tcp": tcp.probe,
    "dns": dns.probe,
    "redis": redis.probe,
    "postgres": postgres.probe,
    "process": process.probe,
    "file": file.probe,
}
