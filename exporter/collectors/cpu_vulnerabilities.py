"""`cpu_vulnerabilities`: which weaknesses the processors have, and what the kernel does about each. Off by default."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, entries, shown, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape

INFO = Shape(
    "node_cpu_vulnerabilities_info",
    "gauge",
    "A weakness that processors can have: whether these have it, and what is done about it; the value is always 1.",
    ("codename", "state", "mitigation"),
)
NOT_AFFECTED = "not affected"
# A word that the file begins with, in whatever case, and a sentence that says more.
STATES = ("vulnerable", "mitigation", "unknown")


class CpuVulnerabilities:
    name = "cpu_vulnerabilities"
    help = "Weaknesses of the processors, from /sys/devices/system/cpu/vulnerabilities."
    enabled = False
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/devices/system/cpu/vulnerabilities"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        names = entries(self._folder, absent="this kernel does not tell of its processors' weaknesses")
        contents = ((name, self._kept.read_optional(f"{self._folder}/{name}")) for name in names)
        samples = [((shown(name), *parse(content)), 1) for name, content in contents if content is not None]
        return (INFO.of(samples),) if samples else ()


def parse(content: bytes) -> tuple[str, str]:
    """State and mitigation. What begins otherwise is not known, and shown whole."""
    sentence = text(content.strip())
    lowered = sentence.lower()
    if lowered.startswith(NOT_AFFECTED):
        return NOT_AFFECTED, ""
    for state in STATES:
        if lowered.startswith(state):
            return state, " ".join(sentence.split()[1:])
    return "unknown", sentence
