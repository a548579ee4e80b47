"""`tocsin audit`: does the chain hold, and what does the journal hold?"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import itertools
import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from receiver.alert import Alert
from receiver.entry import (
    Access,
    Accessed,
    AlertsFetched,
    ChainBroken,
    EntriesSetAside,
    EntrySetAside,
    Fact,
    Gone,
    JournalTrimmed,
    Looked,
    Noted,
    PolicyLoaded,
    Suppressed,
    Undeliverable,
    Unreadable,
    Withdrawn,
)
from receiver.store import Draft
from receiver.store.sqlite import open_sqlite
from tests.contract.values import at, fact
from tests.stories.story import POLICY, policy_from
from tocsin import audit

FACTS: tuple[Fact, ...] = (
    fact(0),
    fact(1),
    fact(2),
    PolicyLoaded(policy_from(POLICY, digest="0123456789abcdef")),
    Undeliverable("m1", "T-1", "pager", 3, "no such room\x1b[31m"),
    Noted("T-1", "ana", "looking at it"),
    EntriesSetAside((EntrySetAside(2, at(2), "delivered", "", "KeyError: 'x'"),)),
    Unreadable("of_tomorrow", "am", b"{", ""),
)
ASKED: tuple[tuple[Fact, str], ...] = (
    (
        Looked(
            "eu1",
            suppressed=(Suppressed("a", "silenced", at(60), "ana", "patching"), Suppressed("b", "inhibited")),
            shown=("c",),
            gone=(Gone("d", at(0)),),
        ),
        (
            "eu1: was asked, and said: a is silenced by ana until 2026-01-01 12:01:00Z, b is inhibited, c is shown,"
            " d is gone since 2026-01-01 12:00:00Z"
        ),
    ),
    (
        Looked("eu1", shown=tuple("abcdefg")),
        "eu1: was asked, and said: a is shown, b is shown, c is shown, d is shown, e is shown and 2 more",
    ),
    (
        AlertsFetched("eu1", "team.a", "{}:{}", (Alert("firing", {"alertname": "Down"}, at(0)),)),
        "eu1: was asked for the whole group {}:{}, 1 alert: Down",
    ),
    (
        Withdrawn("m2", "T-1", "pager", "opened", 0, "ana has it"),
        "pager: was not sent message m2 about T-1 any more: ana has it",
    ),
    (
        ChainBroken(2, "entry 3 is missing (the next one is 4)"),
        "tocsin: found that the chain holds up to entry 2 only: entry 3 is missing (the next one is 4)",
    ),
    (
        Accessed(
            (
                Access("", "", "192.0.2.7", "GET /", 2, 2),
                Access("cleo", "viewer", "192.0.2.8", "GET /api/v1/alerts", 3),
            ),
            left_out=5,
        ),
        (
            "tocsin: uses: somebody from 192.0.2.7: GET / 2x, 2 refused; cleo (viewer) from 192.0.2.8: GET"
            " /api/v1/alerts 3x; and 5 by others"
        ),
    ),
    (AlertsFetched("eu1", "team.a", "{}:{}", ()), "eu1: was asked for the whole group {}:{}, 0 alerts: none"),
)


def filled(folder: Path, facts: Sequence[Fact] = FACTS) -> Path:
    async def fill() -> None:
        store = open_sqlite(folder / "receiver.db")
        for number, each in enumerate(facts):
            await store.append(Draft(at(number), each))
        await store.commit((), (), len(facts))
        await store.close()

    asyncio.run(fill())
    return folder / "receiver.db"


def run(verb: str, path: Path, *flags: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    ticks = itertools.count(step=1.5)
    given = [verb, f"--storage.url=sqlite:///{path}", *flags]
    now = at(60)
    status = audit.main(given, {}, out=out, err=err, monotonic=lambda: next(ticks), now=lambda: now)
    return status, out.getvalue(), err.getvalue()


def test_a_chain_that_holds_is_told_with_its_head_and_progress_on_the_way(tmp_path: Path) -> None:
    status, out, err = run("verify", filled(tmp_path))
    assert status == 0
    assert re.fullmatch(r"8 entries, the chain holds, head [0-9a-f]{64}\n", out)
    assert err in ("", "tocsin audit: 8 of 8 entries\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE journal SET body = '{}' || body WHERE position = 3", "entry 3 is not what was written"),
        ("UPDATE journal SET at = 9223372036854775807 WHERE position = 4", "entry 4 is not what was written"),
        ("UPDATE journal SET hash = zeroblob(32) WHERE position = 5", "entry 5 is not what was written"),
        ("DELETE FROM journal WHERE position = 2", "entry 2 is missing (the next one is 3)"),
        ("DELETE FROM journal WHERE position > 6", "entry 7 is missing (the end is cut off: 8 entries were decided)"),
    ],
)
def test_the_first_place_that_does_not_hold_is_named(change: str, expected: str, tmp_path: Path) -> None:
    path = filled(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute(change.replace("'{}' || body", "CAST('{}' AS BLOB)"))
    connection.close()
    status, out, _ = run("verify", path)
    assert status == 1
    assert out.startswith(f"the chain does not hold: {expected}")


def test_it_reads_while_a_receiver_holds_the_store_and_writes_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path)

    async def test() -> None:
        store = open_sqlite(path)
        await store.append(Draft(at(9), fact(0)))
        before = path.read_bytes()
        status, out, err = await asyncio.to_thread(run, "verify", path)
        assert (status, out.partition(",")[0]) == (0, "9 entries"), err
        assert path.read_bytes() == before
        assert (await store.append(Draft(at(10), fact(0)))).position == 10
        await store.close()

    asyncio.run(test())


def test_each_entry_is_one_line_that_says_when_who_and_what(tmp_path: Path) -> None:
    status, out, _ = run("list", filled(tmp_path))
    lines = out.splitlines()
    assert (status, len(lines)) == (0, 8)
    assert lines[0] == "       1  2026-01-01 12:00:00Z  tocsin: time passed, and something was due"
    assert [line.split("Z  ")[1] for line in lines[1:7]] == [
        "chat: took message m1 about T-1 at attempt 1: ünïcode \u2603",
        "am: posted 1 alert (1 firing, 0 resolved) of the group g: A2",
        "tocsin: the policy 0123456789ab was put in force",
        "pager: refused message m1 about T-1 at attempt 3: no such room\\x1b[31m",
        "ana: noted T-1, text looking at it, via api",
        "tocsin: entry 2 (KeyError: 'x') could not be decided",
    ]
    assert "am: of_tomorrow, 1 bytes, cannot be read" in lines[7]


def test_what_alertmanager_was_asked_is_told_in_words_and_bounded(tmp_path: Path) -> None:
    _, out, _ = run("list", filled(tmp_path, [each for each, _ in ASKED]))
    assert [line.split("Z  ", 1)[1] for line in out.splitlines()] == [told for _, told in ASKED]


def test_an_entry_whose_time_nobody_lives_to_see_is_listed(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE journal SET at = 9223372036854775807 WHERE position = 4")
    connection.close()
    status, out, _ = run("list", path)
    assert (status, len(out.splitlines())) == (0, 8)
    assert "its time cannot be read" in out


def test_entries_are_chosen_by_kind_position_and_number(tmp_path: Path) -> None:
    path = filled(tmp_path)

    def positions(*flags: str) -> list[int]:
        document = json.loads(run("list", path, "--output=json", *flags)[1])
        return [each["position"] for each in document["entries"]]

    assert positions() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert positions("--limit=2") == [7, 8]
    assert positions("--after=2", "--limit=2") == [3, 4]
    assert positions("--after=0", "--kind=delivered") == [2]
    assert positions("--kind=noted") == [6]
    assert positions("--after=8") == []
    assert positions("--by=ana") == positions("--text=LOOKING at") == [6]
    assert positions("--by=eve") == []
    assert positions("--incident=T-1") == [2, 5, 6]
    assert positions("--incident=T-1", "--limit=1") == [6]
    assert positions("--incident=T-1", "--limit=1", "--after=0") == [2]
    assert positions("--since=2026-01-01T12:00:05Z") == [6, 7, 8]
    assert positions("--since=2026-01-01T13:00:05+01:00", "--until=2026-01-01 12:00:06") == [6]
    assert positions("--since=5m", "--until=3s") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert positions("--since=4s", "--until=0s", "--kind=policy_loaded") == []


def test_the_journal_is_exported_whole_and_anybody_can_check_it(tmp_path: Path) -> None:
    path, export = filled(tmp_path), tmp_path / "journal.ndjson"
    assert run("export", path, str(export)) == (0, f"8 entries in {export}\n", "")
    head, *lines = [json.loads(line) for line in export.read_text().splitlines()]
    begin = hashlib.sha256(f"tocsin journal {head['journal']}".encode()).digest()
    assert (head["tocsin_journal"], head["position"], head["hash"]) == (1, 0, begin.hex())
    before = begin
    for line in lines:  # as it is documented, without any of Tocsin's code
        body, source = base64.b64decode(line["body"]), line["source"]
        about = f"{line['position']}|{line['at']}|{line['kind']}|{len(source)}|{source}|{len(body)}|"
        before = hashlib.sha256(before + about.encode() + body).digest()
        assert before.hex() == line["hash"]
    told = run("verify", path)[1]
    assert run("verify", tmp_path / "no store", f"--export={export}") == (0, told, "")
    status, out, err = run("export", path, str(export))
    assert (status, out) == (1, "")
    assert err == f"tocsin audit: cannot write {export}: File exists\n"
    status, out, err = run("verify", path, f"--export={tmp_path / 'gone'}")
    assert (status, out, len(err.splitlines())) == (1, "", 1)


@pytest.mark.parametrize(
    ("line", "change", "expected"),
    [
        (0, ('"tocsin_journal":1', '"tocsin_journal":2'), "line 1: found an export of the form 2, expected 1"),
        (0, ('"hash":"', '"hash":"xx'), "line 1: the hash is not hexadecimal"),
        (3, ('"source":"am"', '"source":"eve"'), "line 4: entry 3 is not what was written, or the one before it"),
        (4, ('"position":4', '"position":5'), "line 5: found entry 5, expected 4"),
        (5, ('{"position"', '{"place"'), "line 6 is no line of an export: Object missing required field `position`"),
        (6, ('{"position"', ""), "line 7 is no line of an export"),
    ],
)
def test_the_line_of_an_export_that_does_not_hold_is_named(
    line: int, change: tuple[str, str], expected: str, tmp_path: Path
) -> None:
    path, export = filled(tmp_path), tmp_path / "journal.ndjson"
    run("export", path, str(export))
    lines = export.read_text().splitlines(keepends=True)
    assert change[0] in lines[line]
    lines[line] = lines[line].replace(*change)
    export.write_text("".join(lines))
    status, out, _ = run("verify", path, f"--export={export}")
    assert status == 1
    assert out.startswith(f"the chain does not hold: {expected}")
    export.write_text("")
    assert run("verify", path, f"--export={export}")[1].startswith("the chain does not hold: line 1 is no line")


def test_a_journal_whose_oldest_entries_are_gone_is_verified_listed_and_exported(tmp_path: Path) -> None:
    path, export = filled(tmp_path), tmp_path / "journal.ndjson"

    async def trim() -> None:
        store = open_sqlite(path)
        anchor = await store.trimmable(at(3))
        assert anchor is not None
        await store.append(Draft(at(20), JournalTrimmed(anchor.position, anchor.hash, anchor.entries)))
        assert await store.trim(anchor) == 3
        await store.close()

    asyncio.run(trim())
    status, told, _ = run("verify", path)
    assert (status, told.partition(",")[0]) == (0, "6 entries")
    assert told.endswith(", the first 3 were taken out\n")
    assert run("export", path, str(export))[0] == 0
    assert (
        run("verify", path, f"--export={export}")[1].partition(", the first")[0].strip()
        == told.partition(", the first")[0]
    )
    line = run("list", path, "--kind=journal_trimmed")[1]
    assert "  tocsin: took out the oldest 3 entries, up to 3; the chain goes on from " in line


def test_one_entry_as_json_has_when_who_and_what(tmp_path: Path) -> None:
    document = json.loads(run("list", filled(tmp_path), "--kind=noted", "--output=json")[1])
    assert document == {
        "entries": [
            {
                "position": 6,
                "at": "2026-01-01T12:00:05.000005Z",
                "kind": "noted",
                "who": "ana",
                "what": "noted T-1, text looking at it, via api",
                "by": "ana",
                "incident": "T-1",
            }
        ]
    }


@pytest.mark.parametrize("verb", ["verify", "list"])
def test_what_is_no_store_is_said_in_one_line(verb: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("certainly not a database, " * 100)
    (tmp_path / "empty.db").touch()
    for name, expected in (("gone", "there is no store"), ("text", "cannot read"), ("empty", "is no store of Tocsin")):
        status, out, err = run(verb, tmp_path / f"{name}.db")
        assert (status, out, len(err.splitlines())) == (1, "", 1)
        assert expected in err
    assert not (tmp_path / "gone.db").exists()


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["walk"],
        ["list", "--kind=nothing"],
        ["list", "--after=-1"],
        ["list", "--since=soon"],
        ["verify", "--storage.url=redis://x"],
    ],
)
def test_a_wrong_command_line_is_status_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        audit.main(flags, {})
    assert ended.value.code == 2
    assert "usage: tocsin audit" in capsys.readouterr().err
