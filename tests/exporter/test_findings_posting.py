"""An Alertmanager is told of findings: also one that hangs, refuses, is away, or is none."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.control import Plan, Refused
from exporter.findings.alerts import Alerts, Choice
from exporter.findings.client import ANSWER_BYTES_MAX, Failed, Names, Target, post, targets_of
from exporter.findings.part import Findings
from exporter.findings.poster import Pace, Poster
from exporter.findings.settings import FindingsSettings
from exporter.findings.tally import REASONS, FindingCounts, Posts
from exporter.settings import KIND, Settings
from guard import configfile
from guard.tls import context_of
from guard.webfile import TlsFile
from tests.exporter.builders import SURELY, promptly
from tests.exporter.test_findings import FOUND
from tests.guard.certificates import authority, signed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
QUICK = Pace(again=0.05, apart=0.001, answer=20.0, retry=0.01, retry_longest=0.02)


class Alertmanager:
    """Takes what it is sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.answer = OK
        self.heads: list[str] = []
        self.bodies: asyncio.Queue[list[dict[str, dict[str, str]]]] = asyncio.Queue()
        self.url = ""
        self.hold = asyncio.Event()
        self.hold.set()
        self.came = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            (length,) = [line.split(": ")[1] for line in head.splitlines() if line.startswith("Content-Length")]
            body = await reader.readexactly(int(length))
            self.heads.append(head)
            self.came.set()
            await self.hold.wait()
            writer.write(self.answer)
            await writer.drain()
            await self.bodies.put(json.loads(body))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[Alertmanager]:
    standing = Alertmanager()
    server = await asyncio.start_server(standing.serve, "127.0.0.1", 0, ssl=tls)
    standing.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield standing
    finally:
        standing.hold.set()
        server.close()


def target(url: str, **settings: object) -> Target:
    return targets_of([url], FindingsSettings(**settings), path="/api/v2/alerts")[0]  # type: ignore[arg-type]


def failure_of(answer: bytes) -> Failed:
    async def scenario() -> Failed:
        async with listening() as alertmanager:
            alertmanager.answer = answer
            with pytest.raises(Failed) as raised:
                await post(target(alertmanager.url), b"[]", names=Names(), seconds=20.0)
            return raised.value

    return promptly(scenario())


# --- one post ----------------------------------------------------------------------------------------------------


def test_what_is_posted_arrives_with_its_login(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("open-sesame\n")
    (tmp_path / "password").write_text("geheim\n")

    async def scenario() -> list[str]:
        login = configfile.read_text(
            "findings: {basic_auth: {username: ana, password_file: password}}",
            str(tmp_path / "exporter.yml"),
            KIND,
            environ={},
        ).findings.basic_auth
        async with listening() as alertmanager:
            for more in ({}, {"token_file": str(tmp_path / "token")}, {"basic_auth": login}):
                where = target(f"{alertmanager.url}/am/", **more)
                await post(where, b'[{"labels": {}}]', names=Names(), seconds=20.0)
                assert await alertmanager.bodies.get() == [{"labels": {}}]
            return alertmanager.heads

    plain, token, login = promptly(scenario())
    assert plain.startswith("POST /am/api/v2/alerts HTTP/1.1\r\n")
    assert "Authorization" not in plain
    assert "\r\nAuthorization: Bearer open-sesame\r\n" in token
    assert f"\r\nAuthorization: Basic {base64.b64encode(b'ana:geheim').decode()}\r\n" in login


def test_a_name_is_looked_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listening() as alertmanager:
            where = target(alertmanager.url.replace("127.0.0.1", "localhost"))
            await post(where, b"[]", names=Names(), seconds=20.0)
            assert await alertmanager.bodies.get() == []

    promptly(scenario())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nwhy", "refused"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "credentials"),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", "unavailable"),
        (b"HTTP/1.1 429 Slow Down\r\n\r\n", "unavailable"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "answer"),
        (b"", "answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (ANSWER_BYTES_MAX + 1), "answer"),
    ],
)
def test_why_a_post_failed_is_one_of_a_few_words(answer: bytes, reason: str) -> None:
    failed = failure_of(answer)
    assert failed.reason == reason
    assert reason in REASONS


def test_nobody_there_a_name_that_is_none_and_a_token_that_is_gone_are_told_apart(tmp_path: Path) -> None:
    async def reason(where: Target) -> str:
        with pytest.raises(Failed) as raised:
            await post(where, b"[]", names=Names(), seconds=20.0)
        assert "geheim" not in str(raised.value)
        return raised.value.reason

    async def scenario() -> list[str]:
        return [
            await reason(target("http://127.0.0.1:1")),
            await reason(target("http://geheim.invalid:9093")),
            await reason(target(f"http://{'a' * 70}.invalid")),
            await reason(target("http://127.0.0.1:1", token_file=str(tmp_path / "gone"))),
        ]

    assert promptly(scenario()) == ["unreachable", "unreachable", "unreachable", "credentials"]


def test_over_tls_only_with_the_right_certificate(tmp_path: Path) -> None:
    ours, others = authority(tmp_path), authority(tmp_path, "others")
    pair = signed(tmp_path, ours, "alertmanager")
    server = context_of(TlsFile(cert_file=str(pair.certificate), key_file=str(pair.key)))

    async def scenario() -> list[str]:
        found = []
        async with listening(server) as alertmanager:
            for believed in (ours, others):
                where = target(alertmanager.url, ca_file=str(believed.certificate))
                try:
                    await post(where, b"[]", names=Names(), seconds=20.0)
                    found.append("taken")
                except Failed as failed:
                    found.append(failed.reason)
            with pytest.raises(Failed) as raised:
                await post(target(alertmanager.url.replace("https", "http")), b"[]", names=Names(), seconds=20.0)
            return [*found, raised.value.reason]

    found = promptly(scenario())
    assert found[:2] == ["taken", "tls"]
    assert found[2] in ("answer", "unreachable")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_one_that_never_answers_costs_its_time_and_no_more(scheme: str) -> None:
    async def scenario() -> tuple[str, float]:
        async with listening() as alertmanager:
            alertmanager.hold.clear()
            began = time.monotonic()
            where = target(alertmanager.url.replace("http", scheme))
            with pytest.raises(Failed) as raised:
                await post(where, b"[]", names=Names(), seconds=0.2)
            return raised.value.reason, time.monotonic() - began

    reason, seconds = promptly(scenario())
    assert reason == "timeout"
    assert 0.15 < seconds < 5.0


def test_a_name_server_that_never_answers_costs_one_thread_however_often_it_is_asked() -> None:
    entered: list[str] = []
    release = threading.Event()

    def look_up(host: str, port: int) -> list[str]:
        entered.append(f"{host}:{port}")
        assert release.wait(SURELY)
        return ["127.0.0.1"]

    async def scenario() -> None:
        names = Names(look_up)
        async with listening() as alertmanager:
            where = target(alertmanager.url.replace("127.0.0.1", "slow.example.org"))
            for _ in range(3):
                with pytest.raises(Failed) as raised:
                    await post(where, b"[]", names=names, seconds=0.05)
                assert raised.value.reason == "timeout"
            release.set()
            await post(where, b"[]", names=names, seconds=SURELY)
            assert await alertmanager.bodies.get() == []
        names.close()
        assert entered == [f"slow.example.org:{where.port}"]

    promptly(scenario())


# --- kept up to date ---------------------------------------------------------------------------------------------


class Keeping:
    """One Alertmanager that is kept up to date, by a clock that is set."""

    def __init__(self, where: Target, pace: Pace = QUICK) -> None:
        self.now = FOUND.at
        self.posts = Posts()
        self.alerts = Alerts(dropped=lambda _: None)
        self.alerts.use(Choice(), [where.name])
        self.poster = Poster(where, self.alerts, self.posts, pace=pace, clock=lambda: self.now)

    def find(self, **how: object) -> None:
        if self.alerts.take([replace(FOUND, at=self.now, **how)]):
            self.poster.wake()


def keeping(
    scenario: Callable[[Alertmanager, Keeping], Awaitable[None]], pace: Pace = QUICK, *, away: bool = False
) -> None:
    async def whole() -> None:
        async with listening() as alertmanager:
            kept = Keeping(target("http://127.0.0.1:1" if away else alertmanager.url), pace)
            try:
                await scenario(alertmanager, kept)
            finally:
                kept.poster.stop()

    promptly(whole())


def test_what_begins_is_told_at_once_and_again_while_it_goes_on() -> None:
    async def scenario(alertmanager: Alertmanager, kept: Keeping) -> None:
        kept.find()
        first, second = await alertmanager.bodies.get(), await alertmanager.bodies.get()
        assert first == second
        assert [alert["labels"]["detector"] for alert in first] == ["brute_force_address"]
        kept.find(detector="graphql_bomb")
        while len(await alertmanager.bodies.get()) != 2:
            pass
        kept.now += 901
        kept.find(detector="websocket_flood")
        while len(body := await alertmanager.bodies.get()) != 1:
            pass
        assert body[0]["labels"]["detector"] == "websocket_flood"

    keeping(scenario)


def test_news_does_not_wait_for_the_next_minute() -> None:
    async def scenario(alertmanager: Alertmanager, kept: Keeping) -> None:
        kept.find()
        await alertmanager.bodies.get()
        kept.find(detector="graphql_bomb")
        assert len(await alertmanager.bodies.get()) == 2

    keeping(scenario, Pace(again=3_600.0, apart=0.01))


def test_one_that_refuses_is_tried_again_until_it_takes_it_and_both_are_counted_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")

    async def scenario(alertmanager: Alertmanager, kept: Keeping) -> None:
        alertmanager.answer = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
        kept.find()
        for _ in range(4):
            await alertmanager.bodies.get()
        assert kept.posts.failures["unavailable"] >= 3
        assert kept.posts.last_success == 0.0
        assert kept.alerts.owed(kept.poster.target.name) == 1
        alertmanager.answer = OK
        while not kept.posts.alerts:
            await alertmanager.bodies.get()
            await asyncio.sleep(0)
        assert kept.alerts.owed(kept.poster.target.name) == 0
        assert kept.posts.last_success == kept.now
        assert not kept.posts.failing

    keeping(scenario)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["Alertmanager did not take findings, it is tried again", "Alertmanager takes findings again"]


def test_an_alertmanager_that_hangs_holds_up_neither_findings_nor_another_alertmanager() -> None:
    async def scenario() -> None:
        async with listening() as hangs, listening() as well:
            hangs.hold.clear()
            counts = FindingCounts()
            findings = Findings(counts)
            findings.prepare(Plan((), 1.0, alertmanager_urls=(hangs.url, well.url)))()
            async with findings:
                began = time.monotonic()
                for number in range(20_000):
                    findings.take([replace(FOUND, at=time.time(), detector=f"own_{number % 9}")])
                assert time.monotonic() - began < 10.0
                await hangs.came.wait()
                assert len(await well.bodies.get()) == 9
                (stuck, fine) = counts.alertmanagers
                assert counts.owed(stuck) == 9
                while counts.owed(fine):  # noqa: ASYNC110 - a turn of the loop, nothing is waited for
                    await asyncio.sleep(0)
            assert findings._posters == ()

    promptly(scenario())


def test_a_reload_changes_who_is_told_and_keeps_what_goes_on() -> None:
    async def scenario() -> None:
        async with listening() as one, listening() as two:
            counts = FindingCounts()
            findings = Findings(counts)

            def use(*urls: str) -> None:
                findings.prepare(Plan((), 1.0, alertmanager_urls=urls))()

            async with findings:
                findings.take([FOUND])
                use(one.url)
                findings.take([replace(FOUND, at=time.time())])
                assert len(await one.bodies.get()) == 1
                use(one.url, two.url)
                assert len(await two.bodies.get()) == 1
                use()
                assert counts.alertmanagers == {}

    promptly(scenario())


def test_authorities_that_are_none_refuse_the_whole_configuration(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing")
    settings = Settings(findings=FindingsSettings(ca_file=str(path)))
    with pytest.raises(Refused) as raised:
        Findings(FindingCounts()).prepare(Plan((), 1.0, alertmanager_urls=("https://a",), file=settings))
    assert "findings.ca_file: found a file that cannot be used" in str(raised.value)
