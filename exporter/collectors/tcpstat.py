"""`tcpstat`: in which states TCP connections are, and how many bytes wait in their queues.

The kernel is asked over a socket, as on a busy machine /proc/net/tcp takes seconds.
"""

import socket
import struct
from collections.abc import Iterable

from exporter.collectors.files import Paths
from exporter.collectors.netlink import dump
from exporter.collectors.options import Option
from exporter.family import Family, Shape

STATES = Shape(
    "node_tcp_connection_states",
    "gauge",
    "TCP sockets in each state, and bytes that wait in the queues of all of them; of one that listens, connections.",
    ("state",),
)
# The kernel's numbers of the states, from 1.
NAMES = (
    *("established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"),
    *("close", "close_wait", "last_ack", "listen", "closing"),
)
LABELS = [(name,) for name in (*NAMES, "rx_queued_bytes", "tx_queued_bytes")]
# From linux/inet_diag.h and linux/sock_diag.h: version of IP, protocol, states that are asked for, of any address.
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
QUESTION = struct.Struct("=BBxxI48x")
EVERY_STATE = (1 << len(NAMES) + 1) - 1
# Of what it says about a socket: the state, what waits to be read, and to be sent.
RECORD = struct.Struct("=xB54xII")


class Tcpstat:
    name = "tcpstat"
    help = "States of TCP connections, asked of the kernel over a socket."
    enabled = False
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        """Nothing is read from the paths."""

    def collect(self, deadline: float) -> Iterable[Family]:
        sockets = [0] * 256  # as many as a byte has values
        received = sent = 0
        for version in (socket.AF_INET, socket.AF_INET6):
            question = QUESTION.pack(version, socket.IPPROTO_TCP, EVERY_STATE)
            for answer, places in dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, question, deadline=deadline):
                for begin, _ in places:
                    state, to_read, to_send = RECORD.unpack_from(answer, begin)
                    sockets[state] += 1
                    received += to_read
                    sent += to_send
        yield STATES.of(list(zip(LABELS, (*sockets[1 : len(NAMES) + 1], received, sent), strict=True)))
