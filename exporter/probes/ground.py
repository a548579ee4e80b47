"""What every prober stands on: who may be asked, where a name leads, which TLS contexts there are."""

from __future__ import annotations

from pathlib import Path

from exporter.probes.allow import Allowed
from exporter.probes.aside import Aside
from exporter.probes.attempt import Attempt, Failed
from exporter.probes.matching import Matching
from exporter.probes.targets import HostPort, Place, Resolver, host_port, not_allowed
from exporter.probes.tls import Contexts
from guard.secretfile import secret_in
from guard.tokens import Unreadable

_UNIX = "unix:"
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


class Ground:
    def __init__(self, allowed: Allowed, aside: Aside, *, procfs: str) -> None:
        self.allowed = allowed
        self.procfs = procfs
        self.aside = aside
        self.contexts = Contexts()
        self.matching = Matching()
        self._resolver = Resolver(aside)

    async def place(
        self, attempt: Attempt, target: str, *, port: int | None = None, prefer: str = "ip6", fall_back: bool = True
    ) -> Place:
        """Where a target is, which may be a Unix socket. Raises Failed, and WrongTarget."""
        if target.startswith(_UNIX):
            path = target.removeprefix(_UNIX)
            if not self.allowed.path("unix", path) or ".." in path.split("/"):
                raise not_allowed()
            return Place("localhost", 0, path=path)
        return await self.at(attempt, host_port(target, port=port), prefer=prefer, fall_back=fall_back)

    async def at(self, attempt: Attempt, target: HostPort, *, prefer: str = "ip6", fall_back: bool = True) -> Place:
        """Raises Failed."""
        place = await self._resolver.place(attempt, target, self.allowed, prefer=prefer, fall_back=fall_back)
        assert place.address is not None
        attempt.gauge("probe_ip_protocol", "4 or 6: by which kind of address was asked.", place.address.version)
        attempt.gauge(
            "probe_ip_addr_hash", "Another number where the address is another one.", _hash(place.address.packed)
        )
        return place


def secret_of(path: str) -> str:
    """What the file holds now. Raises Failed."""
    try:
        return secret_in(Path(path))
    except Unreadable as error:
        raise Failed("secret", str(error)) from None


def _hash(packed: bytes) -> int:
    """FNV-1a with 32 bits, as blackbox_exporter has it."""
    found = _FNV_OFFSET
    for each in packed:
        found = ((found ^ each) * _FNV_PRIME) & 0xFFFF_FFFF
    return found
