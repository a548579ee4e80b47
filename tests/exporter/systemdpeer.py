"""A service manager of the tests' own: it answers over D-Bus as systemd documents, with marshalling of its own.

It speaks as a peer, as behind /run/systemd/private, or as a service on a real bus.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MANAGER, UNIT = "org.freedesktop.systemd1.Manager", "org.freedesktop.systemd1.Unit"
SERVICE, SOCKET = "org.freedesktop.systemd1.Service", "org.freedesktop.systemd1.Socket"
MOUNT, TIMER = "org.freedesktop.systemd1.Mount", "org.freedesktop.systemd1.Timer"
HERE = "/org/freedesktop/systemd1"
UNKNOWN = "org.freedesktop.DBus.Error.UnknownObject"
NOTHING = 2**64 - 1
LETTERS = {"y": "B", "b": "I", "u": "I", "i": "i", "t": "Q", "x": "q", "d": "d", "q": "H", "n": "h"}

Properties = Mapping[tuple[str, str, str], tuple[str, Any]]


def line(name: str, loaded: str, state: str) -> tuple[Any, ...]:
    """One of ListUnits, with what nobody asks for."""
    path = f"{HERE}/unit/" + "".join(each if each.isalnum() else f"_{ord(each):02x}" for each in name)
    return (name, f"What {name} is for", loaded, state, "dead", "", path, 0, "", "/")


UNITS = (
    line("ssh.service", "loaded", "active"),
    line("cron.service", "loaded", "failed"),
    line("odd\\x20name@1.service", "loaded", "reloading"),
    line("gone.service", "not-found", "inactive"),
    line("vanished.service", "loaded", "inactive"),
    line("apt-daily.timer", "loaded", "active"),
    line("dbus.socket", "loaded", "active"),
    line("old.socket", "loaded", "active"),
    line("-.mount", "loaded", "active"),
    line("multi-user.target", "loaded", "active"),
)
PATHS = {unit[0]: unit[6] for unit in UNITS}
PROPERTIES: Properties = {
    (HERE, MANAGER, "Version"): ("s", "252.5-2~deb12u1"),
    (HERE, MANAGER, "Virtualization"): ("s", ""),
    (HERE, MANAGER, "SystemState"): ("s", "running"),
    (PATHS["ssh.service"], SERVICE, "Type"): ("s", "notify"),
    (PATHS["ssh.service"], SERVICE, "NRestarts"): ("u", 2),
    (PATHS["ssh.service"], SERVICE, "TasksCurrent"): ("t", 5),
    (PATHS["ssh.service"], SERVICE, "TasksMax"): ("t", 4915),
    (PATHS["ssh.service"], UNIT, "ActiveEnterTimestamp"): ("t", 1_795_000_000_500_000),
    (PATHS["cron.service"], SERVICE, "Type"): ("s", "simple"),
    (PATHS["cron.service"], SERVICE, "NRestarts"): ("u", 0),
    (PATHS["cron.service"], SERVICE, "TasksCurrent"): ("t", NOTHING),
    (PATHS["cron.service"], SERVICE, "TasksMax"): ("t", NOTHING),
    (PATHS["odd\\x20name@1.service"], SERVICE, "Type"): ("s", "oneshot"),
    (PATHS["-.mount"], MOUNT, "Type"): ("s", "ext4"),
    (PATHS["apt-daily.timer"], TIMER, "LastTriggerUSec"): ("t", 1_794_000_000_000_000),
    (PATHS["dbus.socket"], SOCKET, "NAccepted"): ("u", 7),
    (PATHS["dbus.socket"], SOCKET, "NConnections"): ("u", 3),
    (PATHS["dbus.socket"], SOCKET, "NRefused"): ("u", 1),
    (PATHS["old.socket"], SOCKET, "NAccepted"): ("u", 0),
    (PATHS["old.socket"], SOCKET, "NConnections"): ("u", 0),
}


class Written:
    """Bytes that grow by values."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.content = bytearray()

    def pad(self, size: int) -> None:
        while len(self.content) % size:
            self.content.append(0)

    def put(self, kind: str, value: Any) -> Written:
        match kind[0]:
            case "s" | "o":
                self.put("u", len(value.encode()))
                self.content += value.encode() + b"\0"
            case "g":
                self.content += bytes([len(value)]) + value.encode() + b"\0"
            case "v":
                self.put("g", value[0]).put(*value)
            case "(":
                self.pad(8)
                for inner, each in zip(kind[1:-1], value, strict=True):
                    self.put(inner, each)
            case "a":
                self.put("u", 0)
                start = len(self.content)
                if kind[1] == "(":
                    self.pad(8)
                first = len(self.content)
                for each in value:
                    self.put(kind[1:], each)
                struct.pack_into(self.order + "I", self.content, start - 4, len(self.content) - first)
            case _:
                letter = LETTERS[kind]
                self.pad(struct.calcsize("<" + letter))
                self.content += struct.pack(self.order + letter, value)
        return self


def message(
    kind: int, serial: int, fields: Sequence[tuple[int, tuple[str, Any]]], body: Written, *, order: str = "<"
) -> bytes:
    """Kinds: 1 a call, 2 an answer, 3 an error, 4 a signal."""
    head = Written(order)
    head.content += (b"l" if order == "<" else b"B") + bytes([kind, 0, 1])
    head.put("u", len(body.content)).put("u", serial).put("a(yv)", fields).pad(8)
    return bytes(head.content + body.content)


class Asked:
    """A call as it arrived; this reads only what the product writes: texts."""

    def __init__(self, content: bytes) -> None:
        _, self.kind, _, _, self.body_bytes, self.serial, fields_bytes = struct.unpack_from("<4BIII", content)
        self.fields: dict[int, Any] = {}
        at = 16
        while at < 16 + fields_bytes:
            at += -at % 8
            code, kind = content[at], content[at + 2 : at + 3]
            at += 4
            if kind == b"u":
                self.fields[code] = struct.unpack_from("<I", content, at)[0]
                at += 4
                continue
            size = content[at] if kind == b"g" else struct.unpack_from("<I", content, at)[0]
            at += 1 if kind == b"g" else 4
            self.fields[code] = content[at : at + size].decode()
            at += size + 1
        self.size = at + -at % 8 + self.body_bytes
        self.arguments = []
        at += -at % 8
        while self.kind == 1 and at < self.size:
            at += -at % 4
            (size,) = struct.unpack_from("<I", content, at)
            self.arguments.append(content[at + 4 : at + 4 + size].decode())
            at += 4 + size + 1

    @property
    def method(self) -> str:
        return f"{self.fields.get(2, '')}.{self.fields[3]}"


def answer(
    asked: Asked, *, units: Sequence[Any] = UNITS, properties: Properties = PROPERTIES, order: str = "<"
) -> bytes:
    to = [(5, ("u", asked.serial)), *([(6, ("s", asked.fields[7]))] if 7 in asked.fields else [])]
    body = Written(order)
    if asked.method == f"{MANAGER}.ListUnits":
        body.put("a(ssssssouso)", units)
        return message(2, 1, [*to, (8, ("g", "a(ssssssouso)"))], body, order=order)
    value = properties.get((asked.fields[1], *asked.arguments))  # type: ignore[call-overload]
    if value is None:
        body.put("s", "Nobody knows it.")
        return message(3, 1, [*to, (4, ("s", UNKNOWN)), (8, ("g", "s"))], body, order=order)
    body.put("v", value)
    return message(2, 1, [*to, (8, ("g", "v"))], body, order=order)


def calls(connection: socket.socket) -> Iterator[Asked]:
    """Whatever arrives, message by message, until the other side hangs up."""
    received = bytearray()
    while part := connection.recv(1 << 16):
        received += part
        while len(received) >= 16:
            body_bytes, _, fields_bytes = struct.unpack_from("<III", received, 4)
            size = 16 + fields_bytes + -fields_bytes % 8 + body_bytes
            if len(received) < size:
                break
            yield Asked(bytes(received[:size]))
            del received[:size]


def let_in(connection: socket.socket) -> None:
    """The other side of authenticating."""
    received = b""
    while b"BEGIN\r\n" not in received:
        part = connection.recv(1)
        if not part:
            raise ConnectionError("gone before it began")
        received += part
        if received.startswith(b"\0AUTH EXTERNAL ") and received.endswith(b"\r\n") and b"BEGIN" not in received:
            connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")


def serve(connection: socket.socket, reply: Callable[[Asked], bytes]) -> None:
    for asked in calls(connection):
        if asked.kind == 1:
            connection.sendall(reply(asked))


@contextmanager
def root() -> Iterator[Path]:
    """A short path, as that of a socket has at most 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-"))
    try:
        for name in ("run/dbus", "run/systemd"):
            (folder / name).mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def listening(path: Path, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    """Somebody who behaves like that towards everybody who comes."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.fspath(path))
    server.listen()
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=attend, args=(connection,), daemon=True).start()

    def attend(connection: socket.socket) -> None:
        try:
            behave(connection)
        except OSError:
            return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for connection in connections:
            connection.close()
        thread.join()


def peer(reply: Callable[[Asked], bytes] = answer) -> Callable[[socket.socket], None]:
    """One who lets everybody in, and answers."""

    def behave(connection: socket.socket) -> None:
        let_in(connection)
        serve(connection, reply)

    return behave


@contextmanager
def on_bus(path: Path, reply: Callable[[Asked], bytes] = answer) -> Iterator[None]:
    """The service manager of the bus that listens there."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.fspath(path))
    connection.sendall(f"\0AUTH EXTERNAL {str(os.getuid()).encode().hex()}\r\n".encode())
    assert connection.recv(1024).startswith(b"OK ")
    arriving = calls(connection)
    connection.sendall(b"BEGIN\r\n" + to_the_bus(1, "Hello", "", ()))
    connection.sendall(to_the_bus(2, "RequestName", "su", ("org.freedesktop.systemd1", 4)))
    while next(arriving).fields.get(5) != 2:
        pass

    def attend() -> None:
        try:
            for asked in arriving:
                if asked.kind == 1:
                    connection.sendall(reply(asked))
        except OSError:
            return

    thread = threading.Thread(target=attend, daemon=True)
    thread.start()
    try:
        yield
    finally:
        connection.shutdown(socket.SHUT_RDWR)
        thread.join()
        connection.close()


def to_the_bus(serial: int, method: str, signature: str, arguments: Sequence[Any]) -> bytes:
    name = "org.freedesktop.DBus"
    fields = [(1, ("o", "/org/freedesktop/DBus")), (2, ("s", name)), (3, ("s", method)), (6, ("s", name))]
    body = Written("<")
    for kind, value in zip(signature, arguments, strict=True):
        body.put(kind, value)
    return message(1, serial, [*fields, (8, ("g", signature))] if signature else fields, body)
