"""The sockets of StatsD: packets in, as many as are there, and then it is others' turn.

Packets are read in the event loop, without a thread: a thread would have to wait for the interpreter at each packet. A
turn ends after so many packets or bytes, so that a flood holds up no scrape. What the kernel has dropped because the
exporter was too slow is asked of the socket itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from exporter.intake.statsd.choices import DEFAULT_UDP, Chosen
from exporter.intake.statsd.counting import Counting
from exporter.intake.statsd.lines import Reason
from exporter.intake.statsd.telling import Told
from guard.listen import Address, CannotListen
from guard.log import Ours

log = logging.getLogger("tocsin.exporter")

# One more than the largest packet of UDP has.
PACKET_BYTES_MAX = 65_536
# Of one turn; the rest waits in the kernel until others had theirs.
PACKETS_A_TURN_MAX = 1_000
BYTES_A_TURN_MAX = 65_536
# Linux: asks for a buffer beyond that limit, which who may administer the network gets.
SO_RCVBUFFORCE = 33
# Linux: what the socket has of memory, and as the ninth number how many packets it has dropped.
SO_MEMINFO = 55
MEMINFO = struct.Struct("9I")
WRAPS = 1 << 32
# How often sets are brought up to date though nobody sends anything.
TICK_SECONDS = 10.0
# How far the page may be behind: what comes within it costs the series one step.
HAND_ON_SECONDS = 0.1

Packets = Callable[[Sequence[bytes]], None]


class Receiver:
    """One socket. `name` is what it is called in metrics."""

    def __init__(self, name: str, listening: socket.socket, take: Packets, told: Told) -> None:
        self.name = name
        self._told = told
        self._socket = listening
        self._take = take
        self._last = self._dropped = 0

    @property
    def address(self) -> str:
        at = self._socket.getsockname()
        return str(Address(at[0], at[1])) if isinstance(at, tuple) else str(at)

    @property
    def buffer_bytes(self) -> int:
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self._socket, self._turn)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._socket)
        self._socket.close()

    def dropped(self) -> int:
        """By the kernel since the start; 0 where it does not say."""
        with contextlib.suppress(OSError, struct.error):
            now = MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[8]
            self._dropped += (now - self._last) % WRAPS
            self._last = now
        return self._dropped

    def _turn(self) -> None:
        receive = self._socket.recv
        packets: list[bytes] = []
        size = 0
        try:
            while size < BYTES_A_TURN_MAX and len(packets) < PACKETS_A_TURN_MAX:
                packet = receive(PACKET_BYTES_MAX)
                size += len(packet)
                packets.append(packet if len(packet) < PACKET_BYTES_MAX else self._whole_lines(packet))
        except BlockingIOError:
            pass
        except OSError as error:
            # As after an ICMP message; the socket goes on.
            log.debug("no packet of StatsD", extra={"error": str(error)})
        if packets:
            self._take(packets)

    def _whole_lines(self, packet: bytes) -> bytes:
        """Of a packet that was too large for us, the last line is not known to its end."""
        self._told.lines += 1
        self._told.faults[Reason.TOO_LONG] += 1
        return packet[: packet.rfind(b"\n") + 1]


@contextlib.contextmanager
def receiving(chosen: Chosen, counting: Counting, told: Told) -> Iterator[Sequence[Receiver]]:
    """Inside a loop that runs. Raises `CannotListen` for an address that was asked for and cannot be had."""
    loop = asyncio.get_running_loop()

    handing_on: asyncio.TimerHandle | None = None

    def took(packets: Sequence[bytes]) -> None:
        nonlocal handing_on
        counting.packets(packets, now=time.time())
        if handing_on is None:
            handing_on = loop.call_later(HAND_ON_SECONDS, hand_on)

    def hand_on() -> None:
        nonlocal handing_on
        handing_on = None
        counting.hand_on(time.time())

    receivers: list[Receiver] = []
    ticking: asyncio.Future[None] | None = None
    try:
        if chosen.udp is not None and (opened := _udp_or_nothing(chosen.udp, chosen.buffer_bytes)) is not None:
            receivers.append(Receiver("udp", opened, took, told))
        if chosen.unixgram:
            receivers.append(Receiver("unixgram", _unixgram(chosen), took, told))
        for each in receivers:
            each.start(loop)
            told.listening[each.name] = 1
            told.buffer_bytes[each.name] = each.buffer_bytes
            told.asked[each.name] = each.dropped
            log.info("listening for StatsD", extra={"socket": each.name, "where": Ours(each.address)})
        ticking = asyncio.ensure_future(_every(TICK_SECONDS, counting.tick))
        yield receivers
    finally:
        if ticking is not None:
            ticking.cancel()
        if handing_on is not None:
            handing_on.cancel()
        for each in receivers:
            each.stop(loop)
            told.listening[each.name] = 0
            told.asked.pop(each.name, None)
        if any(each.name == "unixgram" for each in receivers):
            with contextlib.suppress(OSError):
                os.unlink(chosen.unixgram)


async def _every(seconds: float, tick: Callable[[float], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        tick(time.time())


def _udp_or_nothing(address: Address, buffer_bytes: int) -> socket.socket | None:
    """The address that nobody has chosen may be taken: then everything else goes on."""
    try:
        return _udp(address, buffer_bytes)
    except OSError as error:
        if address != DEFAULT_UDP:
            raise CannotListen(f"cannot listen for StatsD on udp {address}: {error.strerror}") from None
        log.warning(
            "not listening for StatsD, as its address is taken; --statsd.listen-udp chooses another, or none",
            extra={"where": Ours(str(address)), "error": error.strerror},
        )
        return None


def _udp(address: Address, buffer_bytes: int) -> socket.socket:
    (family, kind, protocol, _, where), *_ = socket.getaddrinfo(
        address.host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0"),  # noqa: S104 - asked for
        address.port,
        type=socket.SOCK_DGRAM,
        flags=socket.AI_PASSIVE,
    )
    opened = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address.host is not None))
        return _bound(opened, where, buffer_bytes)
    except BaseException:
        opened.close()
        raise


def _unixgram(chosen: Chosen) -> socket.socket:
    """A socket that was left behind is replaced; one that somebody serves, or another file, is not."""
    path = chosen.unixgram
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        _make_way(path)
        bound = _bound(opened, path, chosen.buffer_bytes)
        os.chmod(path, chosen.mode)
        return bound
    except OSError as error:
        opened.close()
        raise CannotListen(f"cannot listen for StatsD at {path}: {error.strerror or error}") from None


def _make_way(path: str) -> None:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise FileExistsError(17, "there is something that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise FileExistsError(17, "somebody listens there already")


def _bound(opened: socket.socket, where: Any, buffer_bytes: int) -> socket.socket:
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    with contextlib.suppress(OSError):  # not permitted, or not Linux: then it is what the limit allows
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
    opened.bind(where)
    return opened
