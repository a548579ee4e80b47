"""`entropy`: what the kernel's random number generator has collected; since Linux 5.18 always its full 256 bits."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, whole_number
from exporter.collectors.options import Option
from exporter.family import Family, Shape

AVAILABLE = Shape("node_entropy_available_bits", "gauge", "Entropy that is available, in bits.")
POOL_SIZE = Shape("node_entropy_pool_size_bits", "gauge", "Entropy that the pool holds at most, in bits.")


class Entropy:
    name = "entropy"
    help = "Available entropy, from /proc/sys/kernel/random."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._available = f"{paths.procfs}/sys/kernel/random/entropy_avail"
        self._pool_size = f"{paths.procfs}/sys/kernel/random/poolsize"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        return (
            AVAILABLE.single(whole_number(self._kept.read_value(self._available), self._available)),
            POOL_SIZE.single(whole_number(self._kept.read_value(self._pool_size), self._pool_size)),
        )
