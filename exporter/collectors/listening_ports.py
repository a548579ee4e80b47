"""`listening_ports`: ports at which programs of this machine wait for others, and those that nobody has allowed.

The kernel is asked for TCP sockets that listen, and for no others. Where it does not answer, its list is read; there
those that listen come first, so on a busy machine only the beginning is read. UDP sockets do not listen; those that are
connected to nobody, at a port that the kernel does not give to clients, are taken for servers.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from exporter.collectors.files import Malformed, Paths, read, read_optional, text
from exporter.collectors.listening import HEADER, TCP_LISTENS, Listener, allowed, listeners, of_kernel
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

# Of one list. What is behind that is not looked at.
LISTING_BYTES_MAX = 4 << 20
# Of the list of TCP sockets, what is read behind the last that listens.
QUIET_BYTES = 1 << 16
PIECE_BYTES = 1 << 16
# Ports that are named one by one.
UNEXPECTED_MAX = 50
# Whose socket it is stands in the folder of a process; so many are looked through for ports that are new.
PROCESSES_MAX = 4_096
PROCESS_FILES_MAX = 65_536
# The last ports of those that the kernel gives to clients, where it does not say it.
CLIENT_PORTS = (32_768, 60_999)
PROTOCOLS = ("tcp", "udp")

LISTENING = Shape(
    "security_listening_ports",
    "gauge",
    "Ports at which somebody listens, by protocol and by who can reach them: all, one address, loopback.",
    ("protocol", "scope"),
)
UNEXPECTED = Shape(
    "security_unexpected_listening_ports",
    "gauge",
    "Ports at which somebody listens and that the list of allowed ports does not have; absent without a list.",
    ("protocol",),
)
WHICH = Shape(
    "security_unexpected_listening_port",
    "gauge",
    "1 for a port that the list of allowed ports does not have; the process where it may be known.",
    ("protocol", "port", "scope", "process"),
)


class ListeningPorts:
    name = "listening_ports"
    help = "Ports at which programs listen, and those that are not allowed."
    enabled = True
    options: tuple[Option, ...] = (
        Option(
            "allowed",
            Kind.TEXT,
            "",
            "ports that are expected, such as 22,443/tcp,8000-8100,127.0.0.1:*; none allows no port, and without it no"
            " port is unexpected",
            several=True,
        ),
        Option("loopback", Kind.SWITCH, "false", "ports that only this machine can reach can be unexpected too"),
        Option("client-ports", Kind.SWITCH, "false", "UDP sockets at ports that the kernel gives to clients count too"),
    )

    def __init__(
        self,
        paths: Paths,
        chosen: Chosen | None = None,
        *,
        ask: Callable[[float], Iterable[Listener]] = of_kernel,
    ) -> None:
        """Raises ValueError where the list of allowed ports is wrong."""
        chosen = chosen or Chosen(self.options)
        self._ask = ask
        self._procfs = paths.procfs
        self._judges = bool(chosen.text("allowed").strip())
        self._allowed = allowed(chosen.text("allowed"))
        self._loopback = chosen.on("loopback")
        self._client_ports = chosen.on("client-ports")
        # Of sockets that were unexpected at the last scrape, the process; empty where it could not be known.
        self._processes: dict[bytes, str] = {}

    def collect(self, deadline: float) -> Iterable[Family]:
        found = self._listeners(deadline)
        ports = Counter((each.protocol, each.scope) for each in _once(found, scope=True))
        yield LISTENING.of(
            [
                ((protocol, scope), ports[protocol, scope])
                for protocol in PROTOCOLS
                for scope in ("all", "loopback", "one")
            ]
        )
        unexpected = [each for each in found if self._is_unexpected(each)] if self._judges else []
        counts = Counter(each.protocol for each in _once(unexpected, scope=False))
        # Without a list nobody knows, and 0 would say that all is well.
        yield UNEXPECTED.of([((protocol,), counts[protocol]) for protocol in PROTOCOLS if self._judges])
        named = list(islice(_once(unexpected, scope=True), UNEXPECTED_MAX))
        self._look_for(named, deadline)
        yield WHICH.of(
            [((each.protocol, str(each.port), each.scope, self._processes.get(each.inode, "")), 1) for each in named]
        )

    def _listeners(self, deadline: float) -> Sequence[Listener]:
        tcp = self._asked(deadline)
        if tcp is None:
            tcp = self._listed("tcp", lambda _: True)
        clients = self._clients()
        udp = self._listed("udp", lambda port: self._client_ports or port not in clients)
        if tcp is None and udp is None:
            raise Absent(f"{self._procfs}/net has no lists of sockets")
        return [*(tcp or ()), *(udp or ())]

    def _asked(self, deadline: float) -> Sequence[Listener] | None:
        """None where the kernel does not tell, or where files are to stand for another one."""
        if not os.path.lexists(f"{self._procfs}/self"):
            return None
        try:
            return list(self._ask(deadline))
        except OSError:
            return None

    def _listed(self, protocol: str, ports: Callable[[int], bool]) -> Sequence[Listener] | None:
        """By the lists of both versions of IP; None where there is neither."""
        found: list[Listener] = []
        there = False
        quiet_bytes = QUIET_BYTES if protocol == "tcp" else LISTING_BYTES_MAX
        for path in (f"{self._procfs}/net/{protocol}", f"{self._procfs}/net/{protocol}6"):
            try:
                lines = _lines(path, quiet_bytes=quiet_bytes)
            except FileNotFoundError:
                continue
            there = True
            found += listeners(protocol, lines, where=path, ports=ports)
        return found if there else None

    def _is_unexpected(self, listener: Listener) -> bool:
        if listener.scope == "loopback" and not self._loopback:
            return False
        return not any(each.covers(listener) for each in self._allowed)

    def _clients(self) -> range:
        words = (read_optional(f"{self._procfs}/sys/net/ipv4/ip_local_port_range") or b"").split()
        first, last = map(int, words) if len(words) == 2 and all(map(bytes.isdigit, words)) else CLIENT_PORTS
        return range(first, last + 1)

    def _look_for(self, named: Sequence[Listener], deadline: float) -> None:
        """Whose sockets these are; each socket is looked for once, as that means a look at all processes."""
        unknown = {each.inode for each in named if each.inode not in self._processes}
        self._processes = {each.inode: self._processes.get(each.inode, "") for each in named}
        if unknown:
            until = time.monotonic() + max(0.0, deadline - time.monotonic()) / 2
            self._processes |= _owners(self._procfs, unknown, until)


def _once(found: Iterable[Listener], *, scope: bool) -> Iterator[Listener]:
    """One of those at the same port: several processes may share it, and both versions of IP are one."""
    seen = set()
    for each in sorted(found, key=lambda one: (one.protocol, one.port, one.scope, one.inode)):
        key = (each.protocol, each.port, each.scope if scope else "")
        if key not in seen:
            seen.add(key)
            yield each


def _lines(path: str, *, quiet_bytes: int) -> list[bytes]:
    """The lines of one of the kernel's lists, as far as they matter, without the header."""
    parts: list[bytes] = []
    size = quiet = 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while size < LISTING_BYTES_MAX and quiet < quiet_bytes and (part := os.read(descriptor, PIECE_BYTES)):
            parts.append(part)
            size += len(part)
            quiet = 0 if b" " + TCP_LISTENS + b" " in part else quiet + len(part)
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)
    header, _, rest = b"".join(parts).partition(b"\n")
    if header.split()[:1] != [HEADER]:
        raise Malformed(path, found=header, expected="a header that begins with sl")
    # What was not read to its end ends in a line that may be half of one.
    return rest[: rest.rfind(b"\n") + 1].splitlines()


def _owners(procfs: str, inodes: set[bytes], until: float) -> dict[bytes, str]:
    """The names of the processes that have these sockets open, as far as we may know and there is time."""
    wanted = {f"socket:[{inode.decode('ascii', 'replace')}]": inode for inode in inodes}
    found: dict[bytes, str] = {}
    files = 0
    for process in islice(filter(str.isdecimal, os.listdir(procfs)), PROCESSES_MAX):
        folder = f"{procfs}/{process}"
        try:
            for name in os.listdir(f"{folder}/fd"):
                files += 1
                inode = wanted.get(os.readlink(f"{folder}/fd/{name}"))
                if inode is not None:
                    found.setdefault(inode, text(read(f"{folder}/comm").strip()))
        except OSError:
            continue  # it has ended, or is not ours to look at
        if len(found) == len(wanted) or files > PROCESS_FILES_MAX or time.monotonic() > until:
            break
    return found
