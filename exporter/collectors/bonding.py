"""`bonding`: how many devices each bond is made of, and how many of them have a link."""

import os
from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

SLAVES = Shape("node_bonding_slaves", "gauge", "Devices that the bond is made of.", ("master",))
ACTIVE = Shape("node_bonding_active", "gauge", "Devices of the bond that have a link.", ("master",))
# How a bond's folder names those of its devices; kernels before 2013 have the second.
PREFIXES = ("lower_", "slave_")


class Bonding:
    name = "bonding"
    help = "Devices of network bonds, and how many have a link, from /sys/class/net."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/class/net"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        masters_path = f"{self._folder}/bonding_masters"
        masters = self._kept.read_optional(masters_path)
        if masters is None:
            raise Absent(f"{masters_path} is not there")
        states = [((text(name),), self._states(os.fsdecode(name))) for name in names(masters, masters_path)]
        bonds = [(label, said) for label, said in states if said is not None]
        if bonds:
            yield SLAVES.of([(label, len(said)) for label, said in bonds])
            yield ACTIVE.of([(label, said.count(b"up")) for label, said in bonds])

    def _states(self, master: str) -> list[bytes] | None:
        """The link of each device of the bond; None if the bond is gone."""
        slaves_path = f"{self._folder}/{master}/bonding/slaves"
        slaves = self._kept.read_optional(slaves_path)
        if slaves is None:
            return None
        found = (self._state(f"{self._folder}/{master}", os.fsdecode(name)) for name in names(slaves, slaves_path))
        return [state.strip() for state in found if state is not None]

    def _state(self, folder: str, slave: str) -> bytes | None:
        for prefix in PREFIXES:
            state = self._kept.read_optional(f"{folder}/{prefix}{slave}/bonding_slave/mii_status")
            if state is not None:
                return state
        return None


def names(content: bytes, where: str = "bonding_masters") -> list[bytes]:
    """The names of devices in a file, each of which is a file's name as well."""
    if b"\0" in content or b"/" in content:
        raise Malformed(where, found=content, expected="names of network devices")
    return content.split()
