"""`kernel_hung`: how often the kernel found a task that had hung for minutes. Since Linux 6.13; off by default."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, whole_number
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

HUNG_TASKS = Shape("node_kernel_hung_tasks_total", "counter", "Tasks that the kernel found hanging.")


class KernelHung:
    name = "kernel_hung"
    help = "Tasks that hung, from /proc/sys/kernel/hung_task_detect_count."
    enabled = False
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/sys/kernel/hung_task_detect_count"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        try:
            content = self._kept.read_value(self._path)
        except FileNotFoundError:
            raise Absent("this kernel does not count tasks that hang") from None
        return (HUNG_TASKS.single(whole_number(content, self._path)),)
