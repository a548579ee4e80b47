"""`uname`: the kernel's name, release and version, the machine and its names, as one information metric."""

import os
from collections.abc import Callable, Iterable

from exporter.collectors.files import Kept, Paths, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape

INFO = Shape(
    "node_uname_info",
    "gauge",
    "What uname says about this system, as labels; the value is always 1.",
    ("domainname", "machine", "nodename", "release", "sysname", "version"),
)


class Uname:
    name = "uname"
    help = "Kernel release, machine and host name from uname."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths, *, uname: Callable[[], os.uname_result] = os.uname) -> None:
        self._uname = uname
        self._domain_path = f"{paths.procfs}/sys/kernel/domainname"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        domain = domain_name(self._kept.read_optional(self._domain_path))
        sysname, nodename, release, version, machine = self._uname()
        return (INFO.of((((domain, machine, nodename, release, sysname, version), 1),)),)


def domain_name(content: bytes | None) -> str:
    """Python's uname leaves the NIS domain out, so the kernel is asked; `(none)` is the kernel's own word."""
    return text(content.strip()) if content is not None else "(none)"
