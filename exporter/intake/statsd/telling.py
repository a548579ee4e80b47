"""What the exporter says about StatsD, in the role `self`: what came, what was no line, what the kernel has dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter.family import Family, single
from exporter.intake.statsd.lines import Reason

SOCKETS = ("udp", "unixgram")


class Told:
    """What has been counted since the process started, and how it is with the sockets."""

    def __init__(self) -> None:
        self.packets = 0
        self.lines = 0
        self.faults = dict.fromkeys(Reason, 0)
        self.ignored = 0
        self.dropped = 0
        self.tags_dropped = 0
        self.listening = dict.fromkeys(SOCKETS, 0)
        self.buffer_bytes = dict.fromkeys(SOCKETS, 0)
        # Each says how many packets the kernel has dropped at a socket.
        self.asked: dict[str, Callable[[], int]] = {}


def families(told: Told) -> Sequence[Family]:
    return (
        Family.of(
            name="tocsin_exporter_statsd_packets_total",
            type="counter",
            help="Packets of StatsD that were received.",
            samples=single(told.packets),
        ),
        Family.of(
            name="tocsin_exporter_statsd_lines_total",
            type="counter",
            help="Lines in packets of StatsD, without empty ones, but with those that are faults, ignored or dropped.",
            samples=single(told.lines),
        ),
        Family.of(
            name="tocsin_exporter_statsd_faults_total",
            type="counter",
            help="Lines of StatsD that were not counted, by reason.",
            labels=("reason",),
            samples=tuple(((reason.value,), count) for reason, count in told.faults.items()),
        ),
        Family.of(
            name="tocsin_exporter_statsd_ignored_total",
            type="counter",
            help="Lines of DogStatsD that are events or service checks, and so no metrics.",
            samples=single(told.ignored),
        ),
        Family.of(
            name="tocsin_exporter_statsd_dropped_total",
            type="counter",
            help="Lines of StatsD that the mapping file wants dropped.",
            samples=single(told.dropped),
        ),
        Family.of(
            name="tocsin_exporter_statsd_tags_dropped_total",
            type="counter",
            help="Tags that were left out, each time that their lines were looked at anew: empty, or too many.",
            samples=single(told.tags_dropped),
        ),
        *_about_the_sockets(told),
    )


def _about_the_sockets(told: Told) -> Sequence[Family]:
    return (
        Family.of(
            name="tocsin_exporter_statsd_listening",
            type="gauge",
            help="1 while packets of StatsD are received at this socket, 0 where it is off, or its address is taken.",
            labels=("socket",),
            samples=tuple(((socket,), value) for socket, value in told.listening.items()),
        ),
        Family.of(
            name="tocsin_exporter_statsd_kernel_drops_total",
            type="counter",
            help="Packets that the kernel has dropped before the exporter could read them, as its buffer was full.",
            labels=("socket",),
            samples=tuple(((socket,), told.asked.get(socket, int)()) for socket in SOCKETS),
        ),
        Family.of(
            name="tocsin_exporter_statsd_receive_buffer_bytes",
            type="gauge",
            help="What the kernel grants for packets that wait, with its own overhead.",
            labels=("socket",),
            samples=tuple(((socket,), value) for socket, value in told.buffer_bytes.items()),
        ),
    )
