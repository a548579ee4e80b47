"""A real PostgreSQL and a real Redis are killed, stopped and started again below an application that needs both."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.real.postgresql import Cluster, cluster
from tests.real.servers import TOCSIN, Server, environment, free_port, redis, started, until

# As in test_health.py: a second is enough for everything, and this machine may be busy.
TELLING_SECONDS = 20.0
QUICK = "every: 200ms, timeout: 500ms, failures: 2, successes: 2, wait: 200ms, wait_max: 1s"
CONFIGURATION = """
probes:
  allow: ['127.0.0.1']
health:
  dependencies:
    database: {{probe: {{module: postgres, target: '127.0.0.1:{database}'}}, critical: true, {quick}}}
    cache: {{probe: {{module: redis, target: '127.0.0.1:{cache}'}}, {quick}}}
"""


@pytest.fixture
def database() -> Iterator[Cluster]:
    """In a folder that its user can reach; each run of pytest closes those of all others."""
    with TemporaryDirectory() as folder, cluster(Path(folder) / "database") as found:
        yield found


@contextmanager
def exporter(folder: Path, **ports: int) -> Iterator[Server]:
    port = free_port()
    (folder / "exporter.yml").write_text(CONFIGURATION.format(quick=QUICK, **ports))
    command = [TOCSIN, "exporter", f"--config.file={folder}/exporter.yml", f"--web.listen-address=127.0.0.1:{port}"]
    with started(
        [*command, "--statsd.listen-udp="],
        url=f"http://127.0.0.1:{port}",
        log=folder / "exporter.log",
        env=environment(),
    ) as server:
        yield server


def becomes(server: Server, status: int, **dependencies: str) -> None:
    def look() -> bool:
        found, body = server.ask("/health")
        said: dict[str, Any] = json.loads(body)
        return (found, said["dependencies"]) == (status, dependencies)

    until(look, what=f"{status} with {dependencies}, not {server.ask('/health')}", seconds=TELLING_SECONDS)


def test_databases_that_are_killed_or_stopped_are_told_apart_and_are_up_again(
    tmp_path: Path, database: Cluster, needs: Callable[[str], str]
) -> None:
    program, port = needs("redis-server"), free_port()
    with exporter(tmp_path, database=database.port, cache=port) as server:
        with redis(program, tmp_path, port=port) as cache:
            becomes(server, 200)

            # It still listens, as the kernel does that for it. Only who speaks with it notices.
            cache.process.send_signal(signal.SIGSTOP)
            becomes(server, 200, cache="down: timeout")
            cache.process.send_signal(signal.SIGCONT)
            becomes(server, 200)

            database.send(signal.SIGSTOP)
            becomes(server, 503, database="down: timeout")
            database.send(signal.SIGCONT)
            becomes(server, 200)

            # An immediate stop: the next start recovers, as after a loss of power.
            database.stop()
            becomes(server, 503, database="down: refused")
            cache.ended(signal.SIGKILL)
            becomes(server, 503, database="down: refused", cache="down: refused")
        database.start()
        becomes(server, 200, cache="down: refused")
        with redis(program, tmp_path, port=port):
            becomes(server, 200)
