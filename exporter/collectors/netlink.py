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
ALIGNED = 4
ERROR, DONE = 2, 3
REQUEST, DUMP = 0x001, 0x300
STATUS = struct.Struct("=i")


def dump(protocol: int, kind: int, question: bytes, *, deadline: float) -> Iterator[tuple[bytes, int, int]]:
    """Of each record the bytes that it came in, where it begins there, behind its header, and where it ends.

    OSError is what the kernel says when it refuses, and TimeoutError when it does not answer in time.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as kernel:
        kernel.send(HEADER.pack(HEADER.size + len(question), kind, REQUEST | DUMP, 1, 0) + question)
        while True:
            kernel.settimeout(max(min(deadline - time.monotonic(), ANSWER_SECONDS_MAX), 0.001))
            answer = kernel.recv(ANSWER_BYTES)
            for found, begin, end in records(answer):
                if found in (ERROR, DONE):
                    _raise_if_refused(answer, begin, end)
                    return
                yield answer, begin, end
            if time.monotonic() > deadline:
                raise TimeoutError("the kernel had more to say than there was time")


def records(answer: bytes) -> Iterator[tuple[int, int, int]]:
    """The kind of each record, where it begins behind its header, and where it ends."""
    place = 0
    while place < len(answer):
        if len(answer) - place < HEADER.size:
            raise Malformed("netlink", found=answer[place:], expected="the header of a record")
        length, kind, *_ = HEADER.unpack_from(answer, place)
        if not HEADER.size <= length <= len(answer) - place:
            raise Malformed("netlink", found=f"a record of {length} bytes", expected="one that fits into its answer")
        yield kind, place + HEADER.size, place + length
        place += -(-length // ALIGNED) * ALIGNED


def _raise_if_refused(answer: bytes, begin: int, end: int) -> None:
    if end - begin >= STATUS.size:
        (status,) = STATUS.unpack_from(answer, begin)
        if status < 0:
            raise OSError(-status, f"the kernel refuses to tell: {os.strerror(-status)}")
