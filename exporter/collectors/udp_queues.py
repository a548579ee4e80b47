"""`udp_queues`: how many bytes wait in the queues of all UDP sockets."""

from collections import Counter
from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

QUEUES = Shape("node_udp_queues", "gauge", "Bytes that wait in the queues of UDP sockets.", ("ip", "queue"))
VERSIONS = {"v4": "udp", "v6": "udp6"}
HEADER = b"sl"
# Words in the line of a socket, which a newer kernel may follow with others, and which of them has both queues.
WORDS_MIN = 13
QUEUES_WORD = 4


class UdpQueues:
    name = "udp_queues"
    help = "Bytes in the queues of UDP sockets from /proc/net/udp and udp6."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._paths = {version: f"{paths.procfs}/net/{name}" for version, name in VERSIONS.items()}
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        samples = []
        for version, path in self._paths.items():
            try:
                content = self._kept.read(path)
            except FileNotFoundError:
                continue  # a kernel without this version of IP
            sent, received = parse(content, path)
            samples.append(((version, "tx"), sent))
            samples.append(((version, "rx"), received))
        if not samples:
            raise Absent(f"{' and '.join(self._paths.values())} are not there")
        yield QUEUES.of(samples)


def parse(content: bytes, where: str = "udp") -> tuple[int, int]:
    """What waits to be sent, and to be read. Most sockets have nothing waiting, so equal ones are added up at once."""
    header, _, rest = content.partition(b"\n")
    words = rest.split()
    width = max(WORDS_MIN, len(rest.partition(b"\n")[0].split()))
    if not header.split()[:1] == [HEADER] or len(words) % width:
        raise Malformed(
            where, found=header, expected=f"a header that begins with sl, and {width} words for each socket"
        )
    sent = received = 0
    for queues, sockets in Counter(words[QUEUES_WORD::width]).items():
        try:
            waiting, arrived = queues.split(b":")
            sent += int(waiting, 16) * sockets
            received += int(arrived, 16) * sockets
        except ValueError:
            raise Malformed(where, found=queues, expected="two hexadecimal numbers with a colon between") from None
    return sent, received
