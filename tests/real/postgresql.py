"""PostgreSQL servers of our own, in a folder: started, stopped in any way, replicated."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.left_out import left_out
from tests.real.servers import free_port, until

# PostgreSQL does not run as root.
USER = "postgres"
OTHERS = "FROM pg_stat_activity WHERE application_name = 'psql' AND pid <> pg_backend_pid()"
SETTINGS = """
listen_addresses = '127.0.0.1'
shared_preload_libraries = 'pg_stat_statements'
fsync = off
autovacuum = off
max_connections = 30
wal_level = replica
"""


def programs() -> Path:
    """Where Debian keeps them, which is not on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    if there is None:
        left_out("PostgreSQL is not installed (Debian's package postgresql; `make test` as root installs it)")
    return Path(there).parent


def as_postgres(*command: str | Path) -> list[str]:
    if os.geteuid() != 0:
        return list(map(str, command))
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--", *map(str, command)]


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def create(self) -> None:
        self._make_folder()
        _run(programs() / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        self._append(SETTINGS)

    def copy_of(self, primary: Cluster) -> None:
        """A standby that follows it."""
        self._make_folder()
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        _run(programs() / "pg_basebackup", *source, "-D", self.data, "-R", "--no-sync", "-X", "stream", "-c", "fast")

    def start(self) -> None:
        command = as_postgres(programs() / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.folder)
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.is_ready, what="PostgreSQL to be ready")

    def is_ready(self) -> bool:
        command = (programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
        return subprocess.run(command, check=False).returncode == 0

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            # A child that is being made now would be missed by whoever looks for children before.
            until(self._is_stopped, what="PostgreSQL to stand still")

    def _is_stopped(self) -> bool:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].startswith("T")

    def kill(self) -> None:
        """The whole of it, as a machine that loses its power would. The next start recovers."""
        self.send(signal.SIGSTOP)
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in [*children, self.process.pid]:
            os.kill(int(child), signal.SIGKILL)
        self.process.wait()
        self.process = None

    def sql(self, statement: str, *, user: str = "postgres", database: str = "postgres") -> str:
        command = [*self._psql(user, database), "-At", "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    @contextmanager
    def session(self, *statements: str) -> Iterator[None]:
        """Somebody who has said this, and stays."""
        command = [*self._psql("postgres", "postgres"), "-At"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write("".join(f"{each};\n" for each in statements))
            process.stdin.flush()
            try:
                yield
            finally:
                process.kill()
                # What it was doing goes on otherwise.
                self.sql(f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)
            self.process = None

    def _psql(self, user: str, database: str) -> Sequence[str]:
        return [
            str(programs() / "psql"),
            "-X",
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            user,
            "-d",
            database,
        ]

    def _append(self, text: str) -> None:
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(text)

    def _make_folder(self) -> None:
        self.folder.mkdir()
        if os.geteuid() == 0:
            person = pwd.getpwnam(USER)
            os.chown(self.folder, person.pw_uid, person.pw_gid)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A server that runs. The folders around it must let its user in."""
    for outer in (folder, *folder.parents[:2]):
        if outer.exists() and outer.owner() == pwd.getpwuid(os.geteuid()).pw_name:
            outer.chmod(outer.stat().st_mode | 0o011)
    found = Cluster(folder)
    found.create()
    found.start()
    try:
        found.sql("CREATE EXTENSION pg_stat_statements")
        yield found
    finally:
        found.stop()


def _run(*command: str | Path) -> None:
    subprocess.run(as_postgres(*command), check=True, capture_output=True)
