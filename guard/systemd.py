"""What systemd hands to a program that it starts, and what it wants to hear from it. Plain sockets, no library.

Sockets that it has opened are the descriptors from 3 on, as LISTEN_FDS and LISTEN_PID say. Who is a service of the type
`notify` says at NOTIFY_SOCKET when it serves, and when it stops.
"""

import os
import socket
from collections.abc import Mapping, MutableMapping

from guard.listen import CannotListen

FIRST_DESCRIPTOR = 3
SOCKETS_MAX = 64
READY, STOPPING = "READY=1", "STOPPING=1"
_NAMES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def inherited_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """What we are to listen at, and nobody whom we start. Raises CannotListen."""
    count, pid = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_PID", "")
    for name in _NAMES:
        environ.pop(name, None)
    if pid != str(os.getpid()) or not (count.isdecimal() and 0 < int(count) <= SOCKETS_MAX):
        found = f"LISTEN_FDS={count!r} and LISTEN_PID={pid!r}" if count or pid else "neither LISTEN_FDS nor LISTEN_PID"
        expected = f"1 to {SOCKETS_MAX} sockets of systemd for the process {os.getpid()} (is there a .socket unit?)"
        raise CannotListen(f"cannot listen: found {found}, expected {expected}")
    return [_listening(descriptor) for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))]


def tell(state: str, environ: Mapping[str, str]) -> None:
    """Whoever waits for it; where nobody does, nothing happens. A listener that is gone is none of our business."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.setblocking(False)
        try:
            told.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return


def _listening(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        found = socket.socket(fileno=descriptor)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise CannotListen(f"cannot listen at the descriptor {descriptor} of systemd: {error.strerror}") from None
    if found.type != socket.SOCK_STREAM or not listens:
        found.close()
        raise CannotListen(
            f"cannot listen at the descriptor {descriptor} of systemd: expected ListenStream= and no Accept="
        )
    found.setblocking(False)
    return found
