"""What is no fault of exporter.yml, and hardly meant: what would never be asked, and points that nobody would get."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

from exporter.detectors.settings import DetectorsSettings
from exporter.mapping import lint as mapping_lint
from exporter.mapping.bundled import RULES
from exporter.probes.allow import SCHEMES, Allowed
from guard.faults import Problem

if TYPE_CHECKING:
    from exporter.probes.settings import Module
    from exporter.settings import Settings

BUNDLED = tuple(name for name in DetectorsSettings.__struct_fields__ if name != "own")


def warnings(settings: Settings) -> Iterator[Problem]:
    yield from mapping_lint.warnings(settings.mapping, bundled=RULES if settings.mapping_bundled else ())
    yield from _points_of_nobody(settings)
    yield from _never_asked(settings)


def _points_of_nobody(settings: Settings) -> Iterator[Problem]:
    names = (*BUNDLED, *(each.name for each in settings.detectors.own))
    for name in settings.reputation.detectors:
        if name not in names:
            yield Problem(
                ("reputation", "detectors", name), "this key", f"the name of a detector, one of {', '.join(names)}"
            )


def _never_asked(settings: Settings) -> Iterator[Problem]:
    """Dependencies whose target may not be probed, so that they would be down for ever."""
    allowed, modules = Allowed.of(settings.probes.allow), settings.probes.all_modules
    for name, each in settings.health.dependencies.items():
        where = ("health", "dependencies", name, "probe", "target")
        try:
            may = _may_be_asked(each.probe.target, modules[each.probe.module], allowed)
        except ValueError as error:
            yield Problem(where, "a target that is none for its module", f"one that it can ask ({error})")
        else:
            if not may:
                yield Problem(where, "a target that is not among probes.allow", "one that may be probed")


def _may_be_asked(target: str, module: Module, allowed: Allowed) -> bool:
    """As far as it can be told before a name is looked up. Raises ValueError for what is no target of that module."""
    # What speaks with servers is large, and only needed where there are dependencies.
    from exporter.probes import dns, http, postgres, redis
    from exporter.probes.targets import host_port

    scheme, _, path = target.partition(":")
    if module.prober in ("file", "process"):
        return allowed.path(module.prober, target.removeprefix(f"{module.prober}:"))
    if scheme in SCHEMES:
        return allowed.path(scheme, path)
    ports = {
        "dns": dns.TLS_PORT if module.dns.dns_over_tls else dns.PORT,
        "redis": redis.PORT,
        "postgres": postgres.PORT,
    }
    at = http.url_of(target).at if module.prober == "http" else host_port(target, port=ports.get(module.prober))
    try:
        return allowed.address(ip_address(at.host), at.port)
    except ValueError:
        return allowed.named(at.host, at.port)
