"""`uname`: the kernel's name, release and version, the machine and its names, as one information metric."""

import os
from collections.abc import Callable, Iterable

from exporter.collectors.files import Paths, read_optional, text
from exporter.collectors.options import Option
from exporter.family import Family


class Uname:
    name = "uname"
    help = "Kernel release, machine and host name from uname."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths, *, uname: Callable[[], os.uname_result] = os.uname) -> None:
        self._uname = uname
        self._domain_path = f"{paths.procfs}/sys/kernel/domainname"

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        system = self._uname()
        yield Family.of(
            name="node_uname_info",
            type="gauge",
            help="What uname says about this system, as labels; the value is always 1.",
            labels=("domainname", "machine", "nodename", "release", "sysname", "version"),
            samples=(
                (
                    (
                        domain_name(read_optional(self._domain_path)),
                        system.machine,
                        system.nodename,
                        system.release,
                        system.sysname,
                        system.version,
                    ),
                    1,
                ),
            ),
        )


def domain_name(content: bytes | None) -> str:
    """Python's uname leaves the NIS domain out, so the kernel is asked; `(none)` is the kernel's own word."""
    return text(content.strip()) if content is not None else "(none)"
