"""`selinux`: whether SELinux is enabled, whether it enforces, and whether it was configured to."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, read_optional, whole_number
from exporter.collectors.options import Option
from exporter.family import Family, Shape

# As SELinux' own library numbers the words of its configuration; what is not said counts as disabled.
MODES = {b"enforcing": 1, b"permissive": 0}
DISABLED = -1
ENABLED = Shape("node_selinux_enabled", "gauge", "1 where SELinux is enabled, 0 where it is not.")
CONFIGURED = Shape(
    "node_selinux_config_mode",
    "gauge",
    "The mode that is configured: 1 enforcing, 0 permissive, -1 disabled.",
)
CURRENT = Shape("node_selinux_current_mode", "gauge", "The mode in force: 1 enforcing, 0 permissive.")


class Selinux:
    name = "selinux"
    help = "Whether SELinux is enabled and enforces, from /sys/fs/selinux."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._enforce = f"{paths.sysfs}/fs/selinux/enforce"
        self._configuration = f"{paths.rootfs.rstrip('/')}/etc/selinux/config"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        enforce = self._kept.read_optional(self._enforce)
        if enforce is None:
            return (ENABLED.single(0),)
        return (
            ENABLED.single(1),
            CONFIGURED.single(configured_mode(read_optional(self._configuration) or b"")),
            CURRENT.single(whole_number(enforce, self._enforce)),
        )


def configured_mode(content: bytes) -> int:
    """The last line `SELINUX=word` counts; spaces around it do not."""
    mode = DISABLED
    for line in content.splitlines():
        key, _, value = line.partition(b"=")
        if key.strip() == b"SELINUX":
            mode = MODES.get(value.strip().lower(), DISABLED)
    return mode
