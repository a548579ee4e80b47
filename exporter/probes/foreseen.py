"""What can be said of a target before anybody is asked: whether it can be one, and whether it is allowed by name.

A name may still lead to an address that is not allowed, a file be a link to one that is not, and a server send us on to
another: that is seen when it is asked.
"""

from __future__ import annotations

from ipaddress import ip_address

from exporter.probes.allow import Allowed
from exporter.probes.dns import PORT as DNS_PORT
from exporter.probes.dns import TLS_PORT as DNS_TLS_PORT
from exporter.probes.http import url_of
from exporter.probes.postgres import PORT as POSTGRES_PORT
from exporter.probes.redis import PORT as REDIS_PORT
from exporter.probes.settings import Module
from exporter.probes.targets import HostPort, WrongTarget, host_port

NOT_ALLOWED = "a target that probes.allow names, as nothing else is asked"


def expected_of(module: Module, target: str, allowed: Allowed) -> str | None:
    """What was expected instead of it, or None."""
    try:
        return None if _is_allowed(module, target, allowed) else NOT_ALLOWED
    except WrongTarget as wrong:
        return f"another target: {wrong}"


def _is_allowed(module: Module, target: str, allowed: Allowed) -> bool:
    if module.prober in ("process", "file"):
        return allowed.path(module.prober, target.removeprefix(f"{module.prober}:"))
    if module.prober != "http" and target.startswith("unix:"):
        return allowed.path("unix", target.removeprefix("unix:"))
    at = _asked(module, target)
    try:
        return allowed.address(ip_address(at.host), at.port)
    except ValueError:
        return allowed.named(at.host, at.port)


def _asked(module: Module, target: str) -> HostPort:
    """Raises WrongTarget."""
    match module.prober:
        case "http":
            return url_of(target).at
        case "dns":
            return host_port(target, port=DNS_TLS_PORT if module.dns.dns_over_tls else DNS_PORT)
        case "redis":
            return host_port(target, port=REDIS_PORT)
        case "postgres":
            return host_port(target, port=POSTGRES_PORT)
    return host_port(target)
