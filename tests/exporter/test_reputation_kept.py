"""Blocks and scores outlive the process, and each deed is in a trail that shows when somebody changes it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import stat
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.reputation import statefile, trail
from exporter.reputation.deed import Deed
from exporter.reputation.disk import Disk
from exporter.reputation.keeper import Keeper
from exporter.reputation.kept import KeptCounts
from exporter.reputation.listing import shown
from exporter.reputation.place import place_of
from exporter.reputation.policy import Policy
from exporter.reputation.reputation import Reputation
from exporter.reputation.trail import Trail, broken
from tests.exporter.builders import SURELY, promptly, running, sample
from tests.exporter.program import Program, started
from tests.exporter.test_blocklist_doors import Client, attacked
from tests.exporter.test_reputation import HOUR, MALLORY, MINUTE, NOW, address, allowing, finding, listed

WISH = {"reason": "phone call", "duration": "2h", "by": "ana"}


def kept(reputation: Reputation, path: Path, now: float = NOW) -> None:
    writing = statefile.Writing(str(path))
    for piece in statefile.pieces(reputation, now=now):
        writing.write(piece)
    writing.finish()


def again(path: Path, reputation: Reputation | None = None, now: float = NOW) -> Reputation:
    found = statefile.load(str(path))
    assert (found.lost, found.whole) == (0, True)
    reputation = reputation or Reputation()
    assert statefile.restore(reputation, found.lines, now=now) == 0
    return reputation


# --- the file --------------------------------------------------------------------------------------------------


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    before = attacked()
    before.take([finding("45.0.0.1", "low")], now=NOW)
    before.release(place_of("198.51.100.1"), now=NOW, reason="x")
    kept(before, tmp_path / "state")
    after = again(tmp_path / "state")
    assert list(after.blocks) == list(before.blocks)
    assert dict(after.scores.items()) == dict(before.scores.items())
    assert after.released == before.released
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["state"]
    # Neither does the second block become the first one, nor is whom somebody has released blocked again.
    for reputation in (before, after):
        reputation.take([finding(), finding("198.51.100.1")], now=NOW + 15 * MINUTE)
    assert [(block.address, block.until, block.times) for block in after.blocks] == [
        (block.address, block.until, block.times) for block in before.blocks
    ]


def test_what_ended_meanwhile_or_is_never_blocked_now_does_not_come_back(tmp_path: Path) -> None:
    kept(attacked(), tmp_path / "state")
    assert listed(again(tmp_path / "state", now=NOW + HOUR - 1)) == ["192.0.2.0/24"]
    assert listed(again(tmp_path / "state", now=NOW + HOUR)) == []
    after = again(tmp_path / "state", Reputation(allowing(MALLORY, "192.0.2.1")))
    assert listed(after) == ["2001:db8:1:2::/64", "198.51.100.1"]


def test_whom_findings_had_blocked_does_not_come_back_into_a_dry_run(tmp_path: Path) -> None:
    before = Reputation()
    before.take([finding()], now=NOW)
    before.block(place_of("198.51.100.1"), now=NOW, seconds=HOUR, reason="x")
    kept(before, tmp_path / "state")
    assert listed(again(tmp_path / "state", Reputation(Policy(dry_run=True)))) == ["198.51.100.1"]


def test_a_clock_that_was_wrong_makes_no_block_longer(tmp_path: Path) -> None:
    before = Reputation()
    before.take([finding()], now=NOW + 10 * 365 * 24 * HOUR)
    kept(before, tmp_path / "state")
    after = again(tmp_path / "state")
    assert [block.until for block in after.blocks] == [NOW + 15 * MINUTE]
    score = after.scores.get(address(MALLORY))
    assert score is not None
    assert score.left(after.policy, NOW + 30 * MINUTE) == pytest.approx(60.0)


def test_what_is_newer_than_the_file_stays(tmp_path: Path) -> None:
    kept(attacked(), tmp_path / "state")
    reputation = Reputation()
    reputation.block(place_of(MALLORY), now=NOW, seconds=MINUTE, reason="x", by="ben")
    again(tmp_path / "state", reputation)
    assert [block.by for block in reputation.blocks if block.address == MALLORY] == ["ben"]


def test_a_line_that_the_disk_has_changed_costs_that_line(tmp_path: Path) -> None:
    path = tmp_path / "state"
    kept(attacked(), path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"{\xff\n", b'{"kept":"score"}\n', *lines[3:]]))
    found = statefile.load(str(path))
    assert (found.lost, found.whole) == (2, False)
    assert len(found.lines) == len(lines) - 4
    wrong = path.read_bytes().replace(b"2001:db8:1:2::/64", b"nowhere")
    path.write_bytes(wrong)
    assert statefile.restore(Reputation(), statefile.load(str(path)).lines, now=NOW) == wrong.count(b"nowhere")


@pytest.mark.parametrize("content", [b"root:x:0:0\n", b'{"tocsin":"reputation","version":2}\n', b"\0" * 100])
def test_a_file_that_is_not_ours_is_neither_read_nor_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(statefile.Unreadable, match="expected what Tocsin has written"):
        statefile.load(str(path))
    with pytest.raises(OSError, match="which is not replaced"):
        statefile.Writing(str(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("size", [0, 1, len(statefile.FIRST)])
def test_a_file_that_was_cut_off_at_its_beginning_is_ours_again(tmp_path: Path, size: int) -> None:
    path = tmp_path / "state"
    path.write_bytes(statefile.FIRST[:size])
    found = statefile.load(str(path))
    assert (found.lines, found.whole, found.lost) == ([], False, int(size == 1))
    kept(attacked(), path)
    assert listed(again(path)) == listed(attacked())


@pytest.mark.parametrize("field", ["at", "since", "until", "last"])
def test_a_moment_that_cannot_be_costs_its_line(tmp_path: Path, field: str) -> None:
    path = tmp_path / "state"
    kept(attacked(), path)
    text = path.read_text()
    path.write_text(re.sub(rf'"{field}":[0-9.e+]+', f'"{field}":1e300', text))
    found = statefile.load(str(path))
    assert found.lost > 0
    reputation = Reputation()
    assert statefile.restore(reputation, found.lines, now=NOW) == 0
    assert [shown(block).until for block in reputation.blocks] == [
        shown(block).until for block in attacked().blocks if field == "last"
    ]


def test_what_is_no_file_is_neither_read_nor_replaced_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match=r"regular|directory"):
            statefile.load(str(path))
        with pytest.raises(OSError, match=r"regular|directory"):
            statefile.Writing(str(path))
    os.symlink("/dev/null", tmp_path / "state.new")
    with pytest.raises(OSError, match="symbolic"):
        statefile.Writing(str(tmp_path / "state"))


# --- keeping ---------------------------------------------------------------------------------------------------


def keeper_of(reputation: Reputation, folder: Path, told: KeptCounts, trail_: Trail | None = None) -> Keeper:
    return Keeper(reputation, trail_ or Trail(), told=told, state_file=str(folder / "state"), clock=lambda: NOW)


def test_what_cannot_be_written_is_said_counted_and_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        reputation, told = attacked(), KeptCounts()
        folder = tmp_path / "later"
        keeper = keeper_of(reputation, folder, told)
        await keeper.load()
        assert told.state_failures == 1
        async with running(reputation=reputation, keeper=keeper, clock=lambda: NOW) as exporter:
            status, text, _ = await Client(exporter).ask("PUT", "/blocklist/45.0.0.1", WISH)
            assert (status, "could not be written" in text) == (503, True)
            assert (told.state_failures, told.saved_at) == (2, 0.0)
            folder.mkdir()
            status, text, _ = await Client(exporter).ask("PUT", "/blocklist/45.0.0.1", WISH)
            assert (status, json.loads(text)["on_disk"]) == (200, True)
            assert "45.0.0.1" in listed(again(folder / "state"))
            status, text, _ = await Client(exporter).ask("DELETE", "/blocklist/45.0.0.1")
            assert "45.0.0.1" not in listed(again(folder / "state"))

    promptly(scenario())


def test_a_file_that_could_not_be_read_at_the_start_is_read_before_it_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        kept(attacked(), tmp_path / "aside")
        (tmp_path / "state").write_text("of somebody else\n")
        reputation, told = Reputation(), KeptCounts()
        keeper = keeper_of(reputation, tmp_path, told)
        await keeper.load()
        reputation.block(place_of("45.0.0.1"), now=NOW, seconds=MINUTE, reason="x")
        with pytest.raises(OSError, match="expected what Tocsin has written"):
            await keeper.keep()
        assert told.state_failures == 2
        os.replace(tmp_path / "aside", tmp_path / "state")
        await keeper.keep()
        assert listed(again(tmp_path / "state")) == listed(reputation)
        assert len(reputation.blocks) == 5

    promptly(scenario())


def test_what_a_process_knew_is_written_when_it_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        reputation = Reputation()
        async with keeper_of(reputation, tmp_path, KeptCounts()):
            reputation.take([finding()], now=NOW)
        assert listed(again(tmp_path / "state")) == [MALLORY]

    promptly(scenario())


def test_a_disk_that_is_busy_with_something_else_is_not_asked_again_meanwhile() -> None:
    async def scenario() -> None:
        disk, reading, writing = Disk(), *os.pipe()
        first = asyncio.create_task(disk.do(lambda: os.read(reading, 1)))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="does not answer"):
            await disk.do(lambda: None)
        os.write(writing, b"x")
        assert await first == b"x"
        with pytest.raises(ZeroDivisionError):
            await disk.do(lambda: 1 // 0)
        assert await disk.do(lambda: 7) == 7
        disk.close()
        os.close(reading)
        os.close(writing)

    promptly(scenario())


# --- the trail -------------------------------------------------------------------------------------------------


def deeds(count: int) -> list[Deed]:
    heard: list[Deed] = []
    reputation = Reputation(told=[heard.append])
    reputation.take([finding()], now=NOW)
    return [replace(heard[0], score=float(number)) for number in range(count)]


def test_each_line_of_the_trail_follows_the_one_before_over_restarts_and_rotations(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    first = Trail(str(path))
    first.write(deeds(2))
    first.write(deeds(1))
    Trail(str(path)).write(deeds(2))
    lines = path.read_bytes().splitlines(keepends=True)
    assert (len(lines), broken(lines)) == (5, None)
    assert json.loads(lines[0])["before"] == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = Trail(str(path))
    second.write(deeds(1))
    os.rename(path, tmp_path / "audit.1")
    second.write(deeds(1))
    assert broken((tmp_path / "audit.1").read_bytes().splitlines() + path.read_bytes().splitlines()) is None
    for number, changed in (
        (3, [lines[0], lines[1].replace(b"automatic", b"manual"), *lines[2:]]),
        (2, [lines[0], *lines[2:]]),
        (2, [lines[0], b"{half\n", *lines[1:]]),
    ):
        assert broken(changed) == number


def test_half_a_line_that_a_crash_left_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    Trail(str(path)).write(deeds(1))
    with path.open("ab") as file:
        file.write(b'{"at":"2027')
    Trail(str(path)).write(deeds(1))
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[2])["what"] == "blocked"
    assert broken(lines) == 2


def test_deeds_that_wait_for_a_disk_are_bounded() -> None:
    waiting = Trail("/nowhere/audit")
    (deed,) = deeds(1)
    for _ in range(trail.WAITING_MAX + 2):
        waiting.take(deed)
    assert (len(waiting.waiting), waiting.lost, len(waiting.history)) == (trail.WAITING_MAX, 2, trail.HISTORY_MAX)


def test_lines_that_are_lost_are_counted_while_they_cannot_be_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        told, waiting = KeptCounts(), Trail(str(tmp_path / "later" / "audit"))
        (deed,) = deeds(1)
        for _ in range(trail.WAITING_MAX + 2):
            waiting.take(deed)
        keeper = Keeper(Reputation(), waiting, told=told, state_file="", clock=lambda: NOW)
        async with keeper:
            with pytest.raises(OSError, match="No such file"):
                await keeper.keep()
            assert told.trail_failures >= 1
            assert told.trail_lost == 2

    promptly(scenario())


def test_files_that_cannot_be_are_told_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        told, nowhere = KeptCounts(), tmp_path / "nowhere"
        keeper = Keeper(Reputation(), Trail(str(tmp_path)), told=told, state_file=f"{nowhere}/state", clock=lambda: NOW)
        await keeper.load()
        assert (told.state_failures, told.trail_failures) == (1, 1)
        first, second = caplog.records
        assert vars(first)["error"] == f"{nowhere}/state: found no such folder, expected one in which it can be written"
        assert (second.message, vars(second)["error"]) == ("the audit trail could not be written", "Is a directory")

    promptly(scenario())


def test_the_last_deeds_are_told_the_newest_first() -> None:
    async def scenario() -> None:
        heard = Trail()
        reputation = Reputation(told=[heard.take])
        async with running(reputation=reputation, trail=heard, clock=lambda: NOW) as exporter:
            client = Client(exporter)
            await client.ask("PUT", f"/blocklist/{MALLORY}", WISH)
            await client.ask("PUT", "/blocklist/10.0.0.1", WISH)
            await client.ask("DELETE", f"/blocklist/{MALLORY}", {"reason": "a customer", "by": "ben"})
            history = (await client.json("/blocklist/history"))["history"]
            assert [(deed["what"], deed["why"], deed["by"]) for deed in history] == [
                ("released", "by_hand", "ben"),
                ("refused", "allow_list", "ana"),
                ("blocked", "", "ana"),
            ]
            assert len((await client.json("/blocklist/history?limit=1"))["history"]) == 1
            assert (await client.ask("GET", "/blocklist/history?limit=0"))[0] == 400

    promptly(scenario())


# --- the program -----------------------------------------------------------------------------------------------


def asked(exporter: Program, method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(exporter.url + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=SURELY) as answer:
        return json.loads(answer.read())


def test_a_block_that_was_answered_outlives_a_kill_and_is_in_the_trail(tmp_path: Path) -> None:
    flags = (f"--security.state-file={tmp_path}/state", f"--security.audit-file={tmp_path}/audit")
    with started(*flags) as exporter:
        for number in range(20):
            said = asked(exporter, "PUT", f"/blocklist/45.0.0.{number + 1}", WISH)
            assert said["on_disk"]
        asked(exporter, "DELETE", "/blocklist/45.0.0.20")
        exporter.process.kill()
    with started(*flags) as exporter:
        assert exporter.get("/blocklist").split() == [f"45.0.0.{number + 1}" for number in range(19)]
        page = exporter.get("/metrics/security")
        assert sample(page, 'security_blocked_addresses{origin="manual"}') == 19
        assert exporter.stop(signal.SIGTERM) == 0
    lines = (tmp_path / "audit").read_bytes().splitlines()
    assert broken(lines) is None
    assert [json.loads(line)["what"] for line in lines] == ["blocked"] * 20 + ["released"]


def test_a_disk_that_takes_no_more_costs_nothing_that_is_there(tmp_path: Path) -> None:
    flags = (f"--security.state-file={tmp_path}/state", f"--security.audit-file={tmp_path}/audit")
    addresses = [f"45.0.0.{number + 1}" for number in range(100)]
    answered: list[str] = []

    def block_all(exporter: Program) -> None:
        for each in addresses:
            asked(exporter, "PUT", f"/blocklist/{each}", WISH)
            answered.append(each)

    with started(*flags) as exporter:
        _, hard = resource.prlimit(exporter.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(exporter.process.pid, resource.RLIMIT_FSIZE, (4_000, hard))
        with pytest.raises(urllib.error.HTTPError) as raised:
            block_all(exporter)
        assert raised.value.code == 503
        assert "could not be written" in json.loads(raised.value.read())["error"]
        assert exporter.get("/blocklist").split() == addresses[: len(answered) + 1]
        page = exporter.get("/metrics/self")
        failures = [f"tocsin_exporter_reputation_{each}_failures_total" for each in ("state", "audit")]
        assert sum(sample(page, name) for name in failures) >= 1
        exporter.process.kill()
    assert answered
    assert listed(again(tmp_path / "state", now=time.time()))[: len(answered)] == answered
    assert broken((tmp_path / "audit").read_bytes().splitlines()) is None


def test_an_attack_blocks_its_address_and_nobody_else_and_a_person_can_see_why(tmp_path: Path) -> None:
    config = tmp_path / "exporter.yml"
    config.write_text("reputation: {}\n")
    failed = {"event": "auth", "method": "password", "outcome": "failed", "reason": "password", "user": "ana"}
    events = [{**failed, "ip": MALLORY} for _ in range(60)]
    events += [{**failed, "ip": f"198.51.100.{number}", "user": f"u{number}"} for number in range(1, 200)]
    events += [{**failed, "ip": "10.0.0.1", "user": f"v{number}"} for number in range(200)]
    with started(f"--config.file={config}") as exporter:
        assert asked(exporter, "POST", "/events", events)["rejected"] == 0
        assert exporter.get("/blocklist").split() == [MALLORY]
        said = asked(exporter, "GET", f"/reputation/{MALLORY}")
        assert [each["detector"] for each in said["findings"]] == ["brute_force_address"]
        assert said["blocked"]["reason"].startswith("brute_force_address (+120): ")
        page = exporter.get("/metrics/security")
        assert MALLORY not in page
        assert sample(page, 'security_top_source_score{network="203.0.113.0/24"}') == pytest.approx(120, abs=1)
        assert sample(page, 'security_blocks_refused_total{reason="allow_list"}') == 1


def test_a_reload_that_allows_an_address_releases_it_and_a_bad_list_is_refused(tmp_path: Path) -> None:
    config, allowed = tmp_path / "exporter.yml", tmp_path / "allowed"
    allowed.write_text("")
    config.write_text(f"reputation: {{allow_file: {allowed}}}\n")
    with started(f"--config.file={config}") as exporter:
        asked(exporter, "PUT", f"/blocklist/{MALLORY}", WISH)
        allowed.write_text("the office\n")
        with pytest.raises(urllib.error.HTTPError) as raised:
            asked(exporter, "POST", "/-/reload")
        faults = json.loads(raised.value.read())["faults"]
        assert faults == [f"{allowed}:1: {place_fault()}"]
        assert exporter.get("/blocklist").split() == [MALLORY]
        allowed.write_text("203.0.113.0/24\n")
        asked(exporter, "POST", "/-/reload")
        assert exporter.get("/blocklist") == ""
        assert sample(exporter.get("/metrics/security"), 'security_releases_total{reason="allow_list"}') == 1


def place_fault() -> str:
    with pytest.raises(ValueError, match="expected") as raised:
        place_of("the office")
    return str(raised.value)
