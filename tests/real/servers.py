"""Real programs for real tests: started on free ports, waited for with a deadline, always ended, by process id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

REPOSITORY = Path(__file__).parents[2]
TOCSIN = str(Path(sys.executable).parent / "tocsin")
# How long a test waits for something that must happen, before it fails instead of hanging.
SURELY = 60.0
LOOK_SECONDS = 0.05
JSON = MappingProxyType({"Content-Type": "application/json"})

T = TypeVar("T")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(look: Callable[[], T], *, what: str, seconds: float = SURELY) -> T:
    """What `look` finds, as soon as it finds something; whatever stands in the way is tried again."""
    deadline = time.monotonic() + seconds
    trouble: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
            trouble = None
        except (OSError, ValueError, KeyError) as error:
            trouble = error
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"{what}: not within {seconds:g} seconds ({trouble})")


@dataclass
class Server:
    """A program that runs, and where it listens."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ask(
        self, path: str, body: bytes | None = None, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, data=body, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=SURELY) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def get(self, path: str) -> Any:
        status, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def text(self, path: str, **headers: str) -> str:
        return self.ask(path, headers=headers)[1].decode()

    def post(self, body: object, source: str = "am") -> tuple[int, Any]:
        written = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer = self.ask(f"/webhook/{source}", written, headers=JSON)
        return status, json.loads(answer)

    def incidents(self, status: str = "all") -> list[dict[str, Any]]:
        return list(self.get(f"/api/v1/incidents?limit=10000&status={status}")["incidents"])

    def ended(self, number: signal.Signals | None = None) -> int:
        """Its exit status, after the signal if one is given."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(SURELY)


@contextmanager
def started(
    command: Sequence[str], *, url: str, log: Path, ready: str | None = "/-/ready", **how: Any
) -> Iterator[Server]:
    """Waits until `ready` answers 200. At the end the process is asked to stop, and killed if it does not."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, **how)
    with process:
        server = Server(process, url, log)
        try:
            if ready is not None:
                wait_until_ready(server, ready)
            yield server
        finally:
            end(process)


def wait_until_ready(server: Server, path: str = "/-/ready") -> None:
    def look() -> bool:
        if server.process.poll() is not None:
            raise AssertionError(f"{server.process.args!r} ended with {server.process.returncode}:\n{server.said}")
        return server.ask(path)[0] == 200

    until(look, what=f"{server.process.args!r} becomes ready")


def end(process: subprocess.Popen[bytes]) -> None:
    """Also if somebody has stopped it."""
    if process.poll() is None:
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def environment(**more: str) -> dict[str, str]:
    """Ours without the variables that would turn the flags of the tests into something else."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return {**plain, "PYTHONUNBUFFERED": "1", **more}


def tocsin(*arguments: str, folder: Path, seconds: float = SURELY) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [TOCSIN, *arguments], cwd=folder, capture_output=True, text=True, timeout=seconds, env=environment()
    )


@contextmanager
def receiver(
    folder: Path, *, policy: str, port: int | None = None, data: Path | None = None, flags: Sequence[str] = ()
) -> Iterator[Server]:
    """The installed program with a policy; its data are in `data`, or beside the policy."""
    chosen = port or free_port()
    with started(
        [*receiver_command(folder, policy=policy, port=chosen, data=data), *flags],
        url=f"http://127.0.0.1:{chosen}",
        log=folder / "receiver.log",
        env=environment(),
    ) as server:
        yield server


def receiver_command(folder: Path, *, policy: str, port: int, data: Path | None = None) -> list[str]:
    (folder / "receiver.yml").write_text(policy)
    return [
        TOCSIN,
        "receiver",
        f"--config.file={folder}/receiver.yml",
        f"--storage.url=sqlite:///{data or folder / 'data'}/receiver.db",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.format=text",
    ]


@contextmanager
def exporter(folder: Path, *, port: int) -> Iterator[Server]:
    command = [TOCSIN, "exporter", f"--web.listen-address=127.0.0.1:{port}"]
    with started(command, url=f"http://127.0.0.1:{port}", log=folder / "exporter.log", env=environment()) as server:
        yield server


@contextmanager
def alertmanager(
    program: str,
    folder: Path,
    *,
    configuration: str,
    port: int | None = None,
    cluster: Sequence[str] = ("--cluster.listen-address=",),
) -> Iterator[Server]:
    chosen = port or free_port()
    (folder / "alertmanager.yml").write_text(configuration)
    command = [
        program,
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{chosen}",
        *cluster,
    ]
    with started(command, url=f"http://127.0.0.1:{chosen}", log=folder / "alertmanager.log") as server:
        yield server


@contextmanager
def prometheus(program: str, folder: Path, *flags: str, configuration: Path, port: int) -> Iterator[Server]:
    command = [
        program,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder}/prometheus-data",
        *flags,
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with started(command, url=f"http://127.0.0.1:{port}", log=folder / "prometheus.log") as server:
        yield server


@dataclass
class Sink:
    """Somebody else's server: keeps every message that arrives, with the key that it came under."""

    url: str
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)  # of each of them
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    somebody_came: threading.Event = field(default_factory=threading.Event)

    def take(self, headers: Mapping[str, str], body: bytes) -> None:
        self.somebody_came.set()
        key = headers["Idempotency-Key"]
        with self.lock:
            self.messages.append((key, json.loads(body)))
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self.bodies.setdefault(key, set()).add(body)

    def of_kind(self, kind: str, alertname: str | None = None) -> list[dict[str, Any]]:
        with self.lock:
            return [
                message
                for _, message in self.messages
                if message["kind"] == kind
                and (alertname is None or any(each["labels"]["alertname"] == alertname for each in message["alerts"]))
            ]


@contextmanager
def sink() -> Iterator[Sink]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            standing.take(dict(self.headers.items()), body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # as many as connect at once in any test

        def handle_error(self, *_: object) -> None:
            """A receiver that is killed breaks off in the middle of a request; that is what some tests are about."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        standing = Sink(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield standing
        finally:
            server.shutdown()
            thread.join()


def webhook_policy(url: str) -> str:
    """Everything goes to one address."""
    return f"channels:\n  hook: {{type: webhook, url: '{url}/hook'}}\n"


def alert(name: str, *, status: str = "firing", **labels: str) -> dict[str, object]:
    return {
        "status": status,
        "labels": {"alertname": name, **labels},
        "annotations": {},
        "startsAt": "2026-03-01T08:00:00Z",
        "endsAt": "2026-03-01T09:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
    }


def webhook(*alerts: dict[str, object], group: str) -> dict[str, object]:
    return {
        "version": "4",
        "groupKey": group,
        "receiver": "tocsin",
        "status": "firing" if any(each["status"] == "firing" for each in alerts) else "resolved",
        "alerts": list(alerts),
    }


def children_of(process: int) -> list[int]:
    """The process ids of its children, from the kernel."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(each) for each in task.read_text().split()]
    return sorted(found)


def alive(process: int) -> bool:
    """Whether it runs; one that has ended and is only waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


@contextmanager
def redis(program: str, folder: Path, *, port: int) -> Iterator[Server]:
    """One that keeps nothing. Nobody waits until it listens."""
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with started(command, url=f"redis://127.0.0.1:{port}", log=folder / "redis.log", ready=None) as server:
        yield server
