"""`tocsin audit`: does the chain hold, and what does the journal hold?"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
import sqlite3
from pathlib import Path

import pytest

from receiver.entry import EntriesSetAside, EntrySetAside, Fact, Noted, PolicyLoaded, Undeliverable, Unreadable
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


def filled(folder: Path) -> Path:
    async def fill() -> None:
        store = open_sqlite(folder / "receiver.db")
        for number, each in enumerate(FACTS):
            await store.append(Draft(at(number), each))
        await store.commit((), (), len(FACTS))
        await store.close()

    asyncio.run(fill())
    return folder / "receiver.db"


def run(verb: str, path: Path, *flags: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    ticks = itertools.count(step=1.5)
    given = [verb, f"--storage.url=sqlite:///{path}", *flags]
    status = audit.main(given, {}, out=out, err=err, monotonic=lambda: next(ticks))
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
        "ana: noted T-1, text looking at it",
        "tocsin: entry 2 (KeyError: 'x') could not be decided",
    ]
    assert "am: of_tomorrow, 1 bytes, cannot be read" in lines[7]


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


def test_one_entry_as_json_has_when_who_and_what(tmp_path: Path) -> None:
    document = json.loads(run("list", filled(tmp_path), "--kind=noted", "--output=json")[1])
    assert document == {
        "entries": [
            {
                "position": 6,
                "at": "2026-01-01T12:00:05.000005Z",
                "kind": "noted",
                "who": "ana",
                "what": "noted T-1, text looking at it",
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
    "flags", [[], ["walk"], ["list", "--kind=nothing"], ["list", "--after=-1"], ["verify", "--storage.url=redis://x"]]
)
def test_a_wrong_command_line_is_status_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        audit.main(flags, {})
    assert ended.value.code == 2
    assert "usage: tocsin audit" in capsys.readouterr().err
