"""Questions that the kernel answers with a long list of records, over a netlink socket instead of a file.

Records need not be parsed as text, so a hundred thousand sockets are counted while a file would still be written. One
question, one socket, and never longer than until the deadline. What a record means is the business of who asks.
"""

import os
import socket
import struct
import time
from collections.abc import Iterator

from exporter.collectors.files import Malformed

# How long the kernel may take over one answer, even if the scraper would wait longer.
ANSWER_SECONDS_MAX = 5
# The kernel never sends more at once.
ANSWER_BYTES = 1 << 16
# From linux/netlink.h; length, kind, flags, number, sender.
HEADER = struct.Struct("=IHHII")
LENGTH_AND_KIND = struct.Struct("=IH")
ALIGNED = 4
ERROR, DONE = 2, 3
REQUEST, DUMP = 0x001, 0x300
STATUS = struct.Struct("=i")

# Where a record begins in an answer, behind its header, and where it ends.
Place = tuple[int, int]


def dump(protocol: int, kind: int, question: bytes, *, deadline: float) -> Iterator[tuple[bytes, list[Place]]]:
    """The answers as they come, each with the places of its records in it.

    OSError is what the kernel says when it refuses, and TimeoutError when it does not answer in time.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as kernel:
        kernel.send(HEADER.pack(HEADER.size + len(question), kind, REQUEST | DUMP, 1, 0) + question)
        while True:
            kernel.settimeout(max(min(deadline - time.monotonic(), ANSWER_SECONDS_MAX), 0.001))
            answer = kernel.recv(ANSWER_BYTES)
            places, is_last = records(answer)
            yield answer, places
            if is_last:
                return
            if time.monotonic() > deadline:
                raise TimeoutError("the kernel had more to say than there was time")


def records(answer: bytes) -> tuple[list[Place], bool]:
    """Where the records of an answer are, and whether no further answer follows."""
    unpack, header, size = LENGTH_AND_KIND.unpack_from, HEADER.size, len(answer)
    places: list[Place] = []
    begin = 0
    while begin < size:
        if size - begin < header:
            raise Malformed("netlink", found=answer[begin:], expected="the header of a record")
        length, kind = unpack(answer, begin)
        end = begin + length
        if not header <= length <= size - begin:
            raise Malformed("netlink", found=f"a record of {length} bytes", expected="one that fits into its answer")
        if kind in (ERROR, DONE):
            _raise_if_refused(answer[begin + header : end])
            return places, True
        places.append((begin + header, end))
        begin = end + -length % ALIGNED
    return places, False


def _raise_if_refused(said: bytes) -> None:
    if len(said) >= STATUS.size:
        (status,) = STATUS.unpack_from(said)
        if status < 0:
            raise OSError(-status, f"the kernel refuses to tell: {os.strerror(-status)}")
