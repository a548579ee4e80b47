"""Exporters that share their blocklist through a real Redis, which goes away, comes back empty, hangs, and lies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace
from redis import Redis

from exporter.control import Plan
from exporter.reputation.allowed import Allowed, Entry
from exporter.reputation.counts import Sharing as Counts
from exporter.reputation.place import place_of
from exporter.reputation.policy import Policy
from exporter.reputation.reputation import Reputation
from exporter.reputation.sharing import Sharing
from tests.exporter.test_reputation import finding
from tests.exporter.test_sharing_settings import plan
from tests.guard.certificates import authority, signed
from tests.real.servers import SURELY, TOCSIN, end, environment, free_port, started, until

pytestmark = pytest.mark.real
MALLORY = "203.0.113.7"
TRUDY = "2001:db8:1:2::/64"
KEY = "tocsin:blocklist"
# How soon others know.
SOON = 2.0


class Server:
    """A Redis that keeps nothing."""

    def __init__(self, program: str, folder: Path, *flags: str, scheme: str = "redis") -> None:
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}/0"
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self._command = [program, *own, *flags]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self._listens, what="Redis listens")

    def _listens(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    @property
    def process(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(SURELY)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process, number)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGCONT)
            end(self._process)

    def client(self) -> Redis:
        return Redis(port=self.port, protocol=2)


@pytest.fixture
def server(needs: Callable[[str], str], tmp_path: Path) -> Iterator[Server]:
    standing = Server(needs("redis-server"), tmp_path)
    standing.start()
    try:
        yield standing
    finally:
        standing.stop()


class Exporter:
    """What of an exporter has to do with it."""

    def __init__(self, name: str, policy: Policy | None = None) -> None:
        self.name = name
        self.reputation = Reputation(policy)
        self.counts = Counts()
        self.sharing = Sharing(self.reputation, self.counts)
        self.reputation.told.append(self.sharing.deed)

    def find(self, address: str = MALLORY) -> None:
        found = [replace(finding(address), at=time.time())]
        self.reputation.take(found, now=time.time())
        self.sharing.found(found)

    @property
    def listed(self) -> list[str]:
        self.reputation.expire(time.time())
        return sorted(block.address for block in self.reputation.blocks)

    def use(self, **redis: object) -> None:
        self.sharing.prepare(plan(name=self.name, **redis))()


async def soon(look: Callable[[], object], *, what: str, seconds: float = SURELY) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not look():  # noqa: ASYNC110 - it happens in another program
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {seconds:g} seconds") from None


@asynccontextmanager
async def together(server: Server, *exporters: Exporter, **redis: object) -> AsyncIterator[None]:
    async with AsyncExitStack() as running:
        for each in exporters:
            await running.enter_async_context(each.sharing)
            each.use(**(redis or {"url": server.url}))
            await soon(lambda each=each: each.counts.success_at, what=f"{each.name} reaches Redis")
        yield


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * SURELY):
            await story()

    asyncio.run(bounded())


def test_one_finds_and_the_others_list_it_and_one_releases_and_nobody_lists_it(server: Server) -> None:
    east, west, north = (Exporter(name) for name in ("east", "west", "north"))

    async def story() -> None:
        async with together(server, east, west):
            east.find()
            west.reputation.block(place_of("198.51.100.0/24"), now=time.time(), seconds=60, reason="scans", by="ana")
            both = [MALLORY, "198.51.100.0/24"]
            await soon(lambda: east.listed == west.listed == sorted(both), what="both list both", seconds=SOON)
            found = west.reputation.blocks.get(place_of(MALLORY))
            assert found is not None
            assert (found.origin, found.node) == ("shared", "east")
            assert "51 failed logins" in found.reason
            async with together(server, north):
                assert north.listed == sorted(both)
                north.reputation.release(place_of(MALLORY), now=time.time(), reason="a customer", by="bob")
                await soon(
                    lambda: east.listed == west.listed == north.listed == ["198.51.100.0/24"],
                    what="all release",
                    seconds=SOON,
                )
        assert east.counts.sent == {"block": 1, "release": 0, "finding": 1}
        assert west.counts.received["block"] == 1
        assert not any(sum(each.counts.refused.values()) + each.counts.failures for each in (east, west, north))

    run(story)
    with server.client() as client:
        assert 0 < client.ttl(KEY) <= 2_592_000


def test_who_is_never_blocked_by_one_is_not_whatever_the_others_do(server: Server) -> None:
    east = Exporter("east")
    west = Exporter("west", Policy(allowed=Allowed([Entry(place_of(MALLORY), "ours")])))

    async def story() -> None:
        async with together(server, east, west):
            east.find(MALLORY)
            east.find(TRUDY.partition("/")[0] + "1")
            await soon(lambda: west.listed == [TRUDY], what="west lists the other one", seconds=SOON)
        assert west.counts.refused["allow_list"] == 1
        assert east.listed == [TRUDY, MALLORY]

    run(story)


def test_redis_is_killed_and_comes_back_empty_and_all_have_what_each_had_and_found_meanwhile(server: Server) -> None:
    east, west, north = (Exporter(name) for name in ("east", "west", "north"))

    async def story() -> None:
        async with together(server, east, west):
            east.find(MALLORY)
            await soon(lambda: west.listed == [MALLORY], what="west lists it", seconds=SOON)
            server.kill()
            east.find("198.51.100.1")
            west.find("198.51.100.2")
            await soon(lambda: east.counts.failures and west.counts.failures, what="both notice")
            east.find("198.51.100.3")
            assert east.counts.dropped >= 2  # a block and a finding
            assert east.listed == ["198.51.100.1", "198.51.100.3", MALLORY]
            assert west.listed == ["198.51.100.2", MALLORY]
            server.start()
            everything = ["198.51.100.1", "198.51.100.2", "198.51.100.3", MALLORY]
            await soon(lambda: east.listed == west.listed == everything, what="both list everything")
            async with together(server, north):
                assert north.listed == everything

    run(story)


def test_what_others_share_is_compared_anew_when_somebody_empties_redis(server: Server) -> None:
    east, west = Exporter("east"), Exporter("west")

    async def story() -> None:
        async with together(server, east, west):
            east.find()
            await soon(lambda: west.listed == [MALLORY], what="west lists it", seconds=SOON)
            with server.client() as client:
                client.flushall()
                await soon(lambda: client.xlen(KEY), what="somebody tells it again")
            assert east.counts.failures == west.counts.failures == 0

    run(story)


def test_a_redis_that_hangs_holds_up_nobody(server: Server) -> None:
    east, west = Exporter("east"), Exporter("west")

    async def story() -> None:
        async with together(server, east, west):
            server.send(signal.SIGSTOP)
            longest = 0.0
            failed = asyncio.create_task(soon(lambda: east.counts.failures, what="east gives up waiting"))
            while not failed.done():
                before = time.perf_counter()
                await asyncio.sleep(0.01)
                longest = max(longest, time.perf_counter() - before)
                if not east.listed:
                    east.find()
            await failed
            assert longest < 1.0
            assert east.listed == [MALLORY]
            server.send(signal.SIGCONT)
            await soon(lambda: west.listed == [MALLORY], what="west lists it")

    run(story)


def test_nothing_that_somebody_writes_there_does_harm(server: Server) -> None:
    east = Exporter("east")
    entry = {"what": "block", "address": MALLORY, "reason": "because", "node": "nobody"}
    now = time.time()
    garbage: Sequence[dict[str, object]] = [
        {"entry": b"\xff\x00"},
        {"entry": "[" * 5_000},
        {"another": "field"},
        {"entry": json.dumps({**entry, "at": now, "since": now, "until": "for ever"})},
        {"entry": json.dumps({**entry, "address": "everybody", "at": now, "since": now, "until": now + 60})},
    ]

    async def story() -> None:
        with server.client() as client:
            async with together(server, east):
                for each in garbage:
                    client.xadd(KEY, each)  # type: ignore[arg-type]
                future = {**entry, "at": now + 9_999, "since": now, "until": now + 99_999}
                client.xadd(KEY, {"entry": json.dumps(future)})
                private = {**entry, "address": "10.1.2.3", "at": now, "since": now, "until": now + 60}
                client.xadd(KEY, {"entry": json.dumps(private)})
                good = {**entry, "at": now, "since": now, "until": now + 60}
                client.xadd(KEY, {"entry": json.dumps(good)})
                await soon(lambda: east.listed == [MALLORY], what="what is good is taken", seconds=SOON)
                assert {reason: count for reason, count in east.counts.refused.items() if count} == {
                    "garbage": len(garbage),
                    "time": 1,
                    "allow_list": 1,
                }
                # Something else at our key: it is told, and tried again.
                client.delete(KEY)
                client.set(KEY, "something else")
                await soon(lambda: east.counts.failures, what="east notices")
                client.delete(KEY)
                await soon(lambda: client.type(KEY) == b"stream", what="east tells it again")

    run(story)


def test_a_long_list_is_caught_up_with(server: Server) -> None:
    east, west = Exporter("east"), Exporter("west")
    many = 5_000

    async def story() -> None:
        for number in range(many):
            east.find(f"198.18.{number >> 8}.{number & 255}")
        async with together(server, east), together(server, west):
            assert west.listed == east.listed
            assert len(west.listed) == many
        with server.client() as client:
            assert client.xlen(KEY) == many  # told once

    run(story)


def test_with_tls_and_a_login_that_is_in_a_file(needs: Callable[[str], str], tmp_path: Path) -> None:
    by = authority(tmp_path)
    pair = signed(tmp_path, by, "localhost")
    port = free_port()
    acl = tmp_path / "users.acl"
    acl.write_text(f"user default off\nuser tocsin on >s3cret ~{KEY} +@connection +@stream +expire\n")
    tls = ["--tls-port", str(port), "--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key)]
    tls += ["--tls-ca-cert-file", str(by.certificate), "--tls-auth-clients", "no", "--aclfile", str(acl)]
    server = Server(needs("redis-server"), tmp_path, *tls)
    server.start()
    file = tmp_path / "redis.url"
    file.write_text(f"rediss://tocsin:s3cret@localhost:{port}/0\n")
    east, west = Exporter("east"), Exporter("west")

    async def story() -> None:
        async with together(server, east, west, url_file=str(file), ca_file=str(by.certificate)):
            east.find()
            await soon(lambda: west.listed == [MALLORY], what="west lists it", seconds=SOON)
            file.write_text(f"rediss://tocsin:wrong@localhost:{port}/0\n")
            west.use(url_file=str(file), ca_file=str(by.certificate))  # as a reload does
            await soon(lambda: west.counts.failures, what="west is not let in")

    try:
        run(story)
    finally:
        server.stop()


def test_a_reload_that_takes_redis_away_ends_it_and_one_that_brings_it_back_catches_up(server: Server) -> None:
    east, west = Exporter("east"), Exporter("west")

    async def story() -> None:
        with server.client() as client:
            async with together(server, east, west):
                west.sharing.prepare(Plan(collectors=(), timeout_seconds=1.0))()
                await soon(lambda: len(client.client_list()) == 2, what="west hangs up")  # east, and who asks
                east.find()
                await soon(lambda: client.xlen(KEY), what="east tells it", seconds=SOON)
                assert west.listed == []
                west.use(url=server.url)
                await soon(lambda: west.listed == [MALLORY], what="west catches up", seconds=SOON)
            await soon(lambda: len(client.client_list()) == 1, what="nobody stays connected")

    run(story)


def test_two_exporters_as_they_are_installed(server: Server, tmp_path: Path) -> None:
    with_each = []
    for name in ("east", "west"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "exporter.yml").write_text(
            yaml.safe_dump({"reputation": {"redis": {"url": server.url, "name": name}}, "disable_defaults": True})
        )
        port = free_port()
        command = [TOCSIN, "exporter", f"--web.listen-address=127.0.0.1:{port}", "--statsd.listen-udp="]
        command += [f"--config.file={folder}/exporter.yml"]
        with_each.append((command, f"http://127.0.0.1:{port}", folder / "exporter.log"))
    (first, east_url, east_log), (second, west_url, west_log) = with_each
    with (
        started(first, url=east_url, log=east_log, env=environment()) as east,
        started(second, url=west_url, log=west_log, env=environment()) as west,
    ):
        failed = {"event": "auth", "method": "password", "outcome": "failure", "ip": MALLORY, "user": "ana"}
        body = "\n".join(json.dumps({**failed, "user": f"user{number}"}) for number in range(200)).encode()
        for _ in range(3):
            status, answer = east.ask("/events", body, headers={"Content-Type": "application/x-ndjson"})
            assert status == 202, answer
        assert east.text("/blocklist") == f"{MALLORY}\n"
        until(lambda: west.text("/blocklist") == f"{MALLORY}\n", what="west lists it", seconds=SOON)
        assert 'security_blocked_addresses{origin="shared"} 1' in west.text("/metrics/security")
        assert 'tocsin_exporter_sharing_received_total{kind="block"} 1' in west.text("/metrics/self")
        assert MALLORY not in west.text("/metrics") + east.said + west.said
