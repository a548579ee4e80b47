"""The Apprise channel: real services that hang, fail and take, behind Apprise's own plugins."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.channels import Unreachable
from receiver.channels.apprise import ADDRESSES_MAX, TEXT_CHARACTERS_MAX, THREADS_MAX, Apprise, service_of, text_of
from receiver.links import NO_LINKS, Links
from receiver.message import Kind
from tests.pages import ROOT, section
from tests.receiver.apprisesink import SECRET, AppriseSink
from tests.receiver.builders import SURELY, digest, message
from tests.receiver.provider import Reply, serving

EXTERNAL = "https://tocsin.example.org"
LINKS = Links(external_url=EXTERNAL, key=b"k" * 32)
LONG = {"summary": "x" * 8000}


@asynccontextmanager
async def apprise(
    folder: Path, *services: str, sink: AppriseSink | None = None, timeout_seconds: float = SURELY, more: str = ""
) -> AsyncIterator[tuple[AppriseSink, Apprise]]:
    sink = sink or AppriseSink()
    with serving(sink):
        file = folder / "services.urls"
        file.write_text("# ours\n\n" + "".join(f"{sink.address(each)}{more}\n" for each in services))
        made = Apprise(addresses_file=file, links=LINKS, timeout_seconds=timeout_seconds, retry_seconds_max=60.0)
        try:
            yield sink, made
        finally:
            await made.close()
    assert sink.faults == []


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


@pytest.mark.parametrize("service", ["json", "form", "gotify", "ntfy", "mattermost", "rocket", "fluxer"])
def test_a_service_shows_what_it_is_about_and_what_fires(tmp_path: Path, service: str) -> None:
    async def test() -> None:
        async with apprise(tmp_path, service) as (sink, channel):
            told = message(title="Disk full", annotations={"summary": "sda1 is full", "runbook_url": "https://r/x"})
            said = await channel.send(told)
            assert said.startswith("given to ")
            (got,) = sink.got
            shown = f"{got.title}\n{got.text}"
            for part in ("[OPENED] T-1 critical: Disk full", "1 firing", "sda1 is full", f"{EXTERNAL}/incidents/T-1"):
                assert part in shown.replace("\\", "")

    run(test())


@pytest.mark.parametrize(
    ("kind", "severity", "mood"),
    [
        (Kind.OPENED, "critical", "failure"),
        (Kind.ESCALATED, "error", "failure"),
        (Kind.OPENED, "warning", "warning"),
        (Kind.OPENED, "info", "warning"),
        (Kind.UPDATED, "critical", "info"),
        (Kind.ACKNOWLEDGED, "critical", "info"),
        (Kind.RESOLVED, "critical", "success"),
    ],
)
def test_what_kind_it_is_gives_the_colour(tmp_path: Path, kind: Kind, severity: str, mood: str) -> None:
    async def test() -> None:
        async with apprise(tmp_path, "json") as (sink, channel):
            await channel.send(message(kind=kind, labels={"alertname": "Down", "severity": severity}))
            assert [got.mood for got in sink.got] == [mood]

    run(test())


def test_a_digest_lists_its_incidents(tmp_path: Path) -> None:
    async def test() -> None:
        async with apprise(tmp_path, "json") as (sink, channel):
            await channel.send(digest(3, titles=["Disk full", "Slow", "Down"], left_out=2))
            (got,) = sink.got
            assert got.title == "[DIGEST] 3 incidents were held back; as of now:"
            assert got.text.splitlines() == [
                "open T-1 warning: Disk full",
                "open T-2 warning: Slow",
                "open T-3 warning: Down",
                "and 2 more, in the next digest",
                EXTERNAL,
            ]

    run(test())


def test_who_took_it_is_not_told_again_when_another_one_did_not(tmp_path: Path) -> None:
    async def test() -> None:
        sink = Failing("/message", 3)
        async with apprise(tmp_path, "json", "gotify", sink=sink) as (_, channel):
            for _ in range(3):
                with pytest.raises(Unreachable, match=r"^Gotify did not take it \(status 503\)$"):
                    await channel.send(message())
            assert await channel.send(message()) == "given to JSON, Gotify"
            assert [got.service for got in sink.got] == ["json", "gotify"]

    run(test())


class Failing(AppriseSink):
    """One place of it answers 503 for a while."""

    def __init__(self, place: str, times: int) -> None:
        super().__init__()
        self._place = place
        self._times = times

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if path.startswith(self._place) and self._times:
            self._times -= 1
            return Reply(503)
        return super().answer(path, headers, body)


class Slow(AppriseSink):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        self.go.wait(SURELY)
        return super().take(path, headers, body)


async def every_thread_ended() -> None:
    for thread in threading.enumerate():
        if thread.name == "tocsin-apprise":
            await asyncio.to_thread(thread.join)


def test_a_service_that_hangs_is_left_and_only_so_many_threads_wait_for_it(tmp_path: Path) -> None:
    async def test() -> None:
        sink = Slow()
        slow = apprise(tmp_path, "json", sink=sink, timeout_seconds=0.1, more="?rto=60")
        async with slow as (_, channel):
            for number in range(THREADS_MAX):
                with pytest.raises(Unreachable, match=r"^a service did not answer within 0\.1 seconds$"):
                    await channel.send(message(f"T-{number}"))
            with pytest.raises(Unreachable, match=f"^{THREADS_MAX} earlier attempts at one address still hang$"):
                await channel.send(message("T-99"))
            assert sum(thread.name == "tocsin-apprise" for thread in threading.enumerate()) == THREADS_MAX
            sink.go.set()
            await every_thread_ended()
            assert len(sink.got) == THREADS_MAX
            assert await channel.send(message("T-99"))

    run(test())


def test_what_was_taken_late_is_not_sent_again(tmp_path: Path) -> None:
    async def test() -> None:
        sink = Slow()
        slow = apprise(tmp_path, "json", sink=sink, timeout_seconds=0.1, more="?rto=60")
        async with slow as (_, channel):
            with pytest.raises(Unreachable):
                await channel.send(message())
            sink.go.set()
            await every_thread_ended()
            assert await channel.send(message()) == "given to JSON"
            assert len(sink.got) == 1

    run(test())


def test_no_redirect_is_followed(tmp_path: Path) -> None:
    async def test() -> None:
        async with apprise(tmp_path, "json") as (sink, channel):
            sink.scripted.append(Reply(307, headers={"Location": f"{sink.url}/json/{SECRET}"}))
            with pytest.raises(Unreachable, match=r"^JSON did not take it \(status 307\)$"):
                await channel.send(message())
            assert sink.requests == 1

    run(test())


def test_what_is_too_long_for_a_service_is_cut_with_a_sign_and_its_links_are_whole(tmp_path: Path) -> None:
    async def test() -> None:
        async with apprise(tmp_path, "rocket") as (sink, channel):
            await channel.send(message(title="x" * 300, annotations=LONG, firing=5))
            (got,) = sink.got
            assert "…" in got.text
            assert len(got.text) > 500
            assert got.text.replace("\\", "").endswith(f"\n{EXTERNAL}/incidents/T-1")

    run(test())


def test_an_address_may_ask_for_several_messages_instead(tmp_path: Path) -> None:
    async def test() -> None:
        async with apprise(tmp_path, "fluxer", more="?overflow=split") as (sink, channel):
            labels = {f"label{number}": "y" * 60 for number in range(10)}
            await channel.send(message(labels=labels, annotations=LONG, firing=5))
            assert len(sink.got) > 1
            assert f"{EXTERNAL}/incidents/T-1" in sink.got[-1].text.replace("\\", "")

    run(test())


def test_no_text_is_longer_than_there_is_room_and_links_are_whole_or_left_out() -> None:
    many = {f"l{number}": "y" * 300 for number in range(50)}
    text = text_of(message(labels=many, annotations=LONG, firing=400), links=LINKS)
    answer, page = text.links
    assert answer.startswith(f"acknowledge, snooze or resolve: {EXTERNAL}/ack/")
    assert page == f"{EXTERNAL}/incidents/T-1"
    for room in (TEXT_CHARACTERS_MAX, 400, 100, 10, 1):
        shown = text.within(room)
        assert len(shown) <= room
        lines = shown.splitlines()
        assert (answer in lines, page in lines) == (room >= 400, room >= 100)
        assert [line for line in lines if "https" in line and line not in text.links] == []
        assert "…" in shown
    assert len(text_of(digest(100, titles=["x" * 300] * 100), links=LINKS).within(TEXT_CHARACTERS_MAX)) <= 3_000


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the program's own log would have, at its most talkative."""
    root, stream = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def test_nothing_secret_is_logged_said_or_shown(tmp_path: Path, logged: io.StringIO) -> None:
    async def test() -> None:
        async with apprise(tmp_path, "json", "gotify", "form", "mattermost") as (sink, channel):
            errors = []
            for reply in (Reply(500, SECRET.encode()), None):
                sink.scripted.extend([reply] * 4)
                with pytest.raises(Unreachable) as raised:
                    await channel.send(message())
                errors.append(str(raised.value))
                sink.scripted.clear()
            (tmp_path / "services.urls").write_text(f"nonsense://{SECRET}/{SECRET}\n")
            with pytest.raises(Unreachable) as raised:
                await channel.send(message())
            said = [*errors, str(raised.value), channel.preview(message()), logged.getvalue()]
            assert [text for text in said if SECRET in text or "s3cret" in text] == []
            assert str(raised.value) == "an address is none that Apprise can use"

    run(test())


def test_the_file_is_read_for_each_message(tmp_path: Path) -> None:
    async def test() -> None:
        async with apprise(tmp_path, "json") as (sink, channel):
            await channel.send(message())
            (tmp_path / "services.urls").write_text(sink.address("form"))
            await channel.send(message(step=2))
            assert [got.service for got in sink.got] == ["json", "form"]
            (tmp_path / "services.urls").unlink()
            with pytest.raises(Unreachable, match=r"^the file services\.urls cannot be read: No such file"):
                await channel.send(message(step=3))

    run(test())


_FILLED = {
    "HOST": "tocsin.example.org", "PORT": "8080", "WORKFLOW": "w" * 32, "SIGNATURE": "s" * 43,
    "WEBHOOK_ID": "1" * 18, "WEBHOOK_TOKEN": "t" * 68, "BOT_TOKEN": "123456789:" + "b" * 35, "CHAT_ID": "12345",
    "API_KEY": "a" * 36, "TEAM": "ops", "WORKSPACE": "w" * 11, "KEY": "12345678", "TOKEN": "t" * 30,
    "TOKEN_A": "a" * 17,
    "TOKEN_B": "b" * 43, "CHANNEL": "ops", "USER": "u" * 30, "PASSWORD": "p", "ROOM": "ops", "TOPIC": "ops",
    "ACCOUNT_SID": "AC" + "a" * 32, "AUTH_TOKEN": "b" * 32, "FROM": "15005550006", "TO": "4915112345678",
    "SECRET": "c" * 16,
}  # fmt: skip


def test_every_address_in_the_documentation_is_one_that_apprise_takes() -> None:
    written = re.findall(r"`(\w+://[^`…]+)`", section("apprise-channel.md", "Set it up"))
    assert len(written) > 12
    for address in written:
        whole = re.sub(r"[A-Z]+(?:_[A-Z]+)*", lambda found: _FILLED[found[0]], address)
        assert service_of(whole) is not None, address


# --- the policy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "channels.teams.url_file: 'x.url'"),
        ("", "channels.teams.url_file: the file x.url holds no address"),
        ("# nothing\n\n", "channels.teams.url_file: the file x.url holds no address"),
        ("json://h/a\nS3CRET://x\n", "channels.teams.url_file: address 2 of 2, which Apprise cannot use"),
        ("discord://S3CRET", "channels.teams.url_file: address 1 of 1, which Apprise cannot use"),
        (
            "".join(f"json://h{number}\n" for number in range(ADDRESSES_MAX + 1)),
            "channels.teams.url_file: the file x.url holds 11 addresses, and 10 are the most",
        ),
        ("x" * 70_000, "channels.teams.url_file: the file x.url has more than 65536 bytes"),
    ],
)
def test_addresses_that_cannot_be_used_are_faults_that_show_none(
    tmp_path: Path, content: str | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / "x.url").write_text(content)
    path = tmp_path / "receiver.yml"
    path.write_text("channels: {teams: {type: apprise, url_file: x.url}}\n")
    with pytest.raises(InvalidConfig) as raised:
        settings.load(path, environ={})
    assert [f"{each.path}: {each.found}" for each in raised.value.faults] == [fault]


_WITHOUT = """
import sys
sys.modules["apprise"] = None
from pathlib import Path
from guard.configfile import InvalidConfig
from receiver import settings
try:
    settings.load(Path(sys.argv[1]), environ={})
except InvalidConfig as invalid:
    print(invalid)
"""


def test_without_the_extra_the_policy_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "x.url").write_text("json://h/a\n")
    path = tmp_path / "receiver.yml"
    path.write_text("channels: {teams: {type: apprise, url_file: x.url}}\n")
    told = subprocess.run([sys.executable, "-c", _WITHOUT, path], cwd=ROOT, capture_output=True, text=True)
    assert told.stderr == ""
    assert "channels.teams.type" in told.stdout
    assert "Apprise is not installed" in told.stdout
    assert "pip install 'tocsin[apprise]'" in told.stdout


def test_who_does_not_use_it_does_not_wait_for_its_import() -> None:
    code = "import sys; import receiver.__main__; print('apprise' in sys.modules, 'requests' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout == "False False\n"


def test_nobody_there_is_tried_again_without_a_word_of_where(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "x.url").write_text(f"json://127.0.0.1:{port}/{SECRET}\n")

    async def test() -> None:
        channel = Apprise(
            addresses_file=tmp_path / "x.url", links=NO_LINKS, timeout_seconds=SURELY, retry_seconds_max=60.0
        )
        with pytest.raises(Unreachable, match=r"^JSON did not take it$"):
            await channel.send(message())

    run(test())
