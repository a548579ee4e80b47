"""Logs over restarts: positions, compressed files, and a model of everything that can happen to a file."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.intake.logs import positions
from exporter.intake.logs.file import HALF_LINE_SECONDS_MAX
from exporter.intake.logs.follower import GONE_SECONDS_MAX
from tests.exporter.logfiles import Reading, append


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_after_a_restart_it_goes_on_where_it_was(path: Path) -> None:
    append(path, "1")
    reading = Reading(path)
    reading.look()
    append(path, "2")
    reading = reading.again()
    assert reading.look() == ["2"]


def test_a_file_that_was_rotated_meanwhile_is_found_under_its_new_name(path: Path) -> None:
    append(path, "1")
    reading = Reading(path)
    reading.look()
    append(path, "2")
    path.rename(f"{path}.1")
    append(path, "3")
    assert sorted(reading.again().look()) == ["2", "3"]


def test_a_file_that_was_emptied_meanwhile_is_read_from_its_beginning_and_its_copy(path: Path) -> None:
    append(path, *(f"a line of some length {number}" for number in range(10)))
    reading = Reading(path)
    reading.look()
    append(path, "last")
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    append(path, *(f"new lines of some length {number}" for number in range(20)))
    found = reading.again().look()
    assert (len(found), "last" in found) == (21, True)


def test_another_file_with_the_same_number_is_read_whole(path: Path) -> None:
    append(path, "1", "2")
    reading = Reading(path)
    reading.look()
    path.write_text("3\n4\n")
    assert reading.again().look() == ["3", "4"]


def test_compressed_files_are_read_once_the_oldest_first(path: Path) -> None:
    append(path, "5")
    for number, text in ((1, "3\n4"), (2, "1\n2\n")):
        name = f"{path}.{number}.gz"
        Path(name).write_bytes(gzip.compress(text.encode()))
        os.utime(name, (1_000_000 - number,) * 2)
    Path(f"{path}.3.gz").write_bytes(gzip.compress(b"lost" * 1000)[:20])
    reading = Reading(f"{path}*", compressed=True)
    assert reading.look() == ["1", "2", "3", "4", "5"]
    assert [error.split(": ")[1][:23] for turn in reading.turns for error in turn.errors] == ["found no whole gzip fil"]
    assert reading.again(compressed=True).look() == []


def test_a_compressed_file_of_one_endless_line_is_not_held(path: Path) -> None:
    Path(f"{path}.gz").write_bytes(gzip.compress(b"x" * 20_000_000 + b"\nafter\n"))
    reading = Reading(f"{path}*", compressed=True)
    assert reading.look() == ["after"]
    assert reading.total("too_long") == 1


def test_positions_hold_nothing_of_the_lines_and_are_replaced_as_a_whole(path: Path) -> None:
    append(path, "anna@example.org")
    reading = Reading(path)
    reading.look()
    kept = path.with_name("positions.json")
    positions.save(str(kept), {"x": reading.follower.places(), "empty": []})
    assert "anna" not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert positions.load(str(kept)) == {"x": reading.follower.places(), "empty": []}
    assert [each.name for each in path.parent.iterdir() if "new" in each.name] == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "logs": {}}', '{"version": 1, "logs": {"x": [1]}}'])
def test_positions_that_are_none_are_said(tmp_path: Path, text: str) -> None:
    kept = tmp_path / "positions.json"
    kept.write_text(text)
    with pytest.raises(positions.Unreadable, match=r"positions\.json: found "):
        positions.load(str(kept))


def test_what_is_no_regular_file_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "positions.json"
    os.mkfifo(kept)
    os.mkfifo(tmp_path / "other.json.new")
    with pytest.raises(positions.Unreadable, match="found no regular file"):
        positions.load(str(kept))
    for path in (kept, tmp_path / "other.json"):
        with pytest.raises(OSError, match=r"found no regular file|No such device"):
            positions.save(str(path), {})
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_fifo()) == ["other.json.new", "positions.json"]


def test_positions_are_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "kept.json").symlink_to("really.json")
    for logs in ({"a": []}, {"b": []}):
        positions.save(f"{tmp_path}/kept.json", logs)
        assert positions.load(f"{tmp_path}/kept.json") == logs
    assert (tmp_path / "kept.json").is_symlink()


def test_a_name_that_is_no_text_does_not_keep_positions_from_being_written(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log"))
    append(odd, "1")
    reading = Reading(f"{tmp_path}/*.log")
    reading.look()
    positions.save(f"{tmp_path}/positions.json", {"x": reading.follower.places()})
    append(odd, "2")
    again = Reading(f"{tmp_path}/*.log", places=positions.load(f"{tmp_path}/positions.json")["x"])
    assert again.look() == ["2"]


def test_positions_that_were_never_written_are_none(tmp_path: Path) -> None:
    assert positions.load(f"{tmp_path}/positions.json") == {}


STEPS = st.lists(
    st.sampled_from(["write", "write", "write", "half", "rename", "copy", "look", "look", "wait", "restart"]),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.randoms(use_true_random=False), st.booleans())
def test_whatever_happens_no_line_is_lost_and_none_comes_twice(
    steps: list[str], chance: random.Random, matched: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.log"
        written, read, rotated = 0, list[str](), 0
        reading = Reading(f"{path}*" if matched else path, places=[])
        pending = ""
        for step in steps:
            match step:
                case "write" | "half":
                    lines = [
                        f"line {written + number} {chance.random():.20f}" for number in range(chance.randrange(1, 4))
                    ]
                    written += len(lines)
                    text = "\n".join(lines)
                    with path.open("a") as file:
                        file.write(pending + text + ("\n" if step == "write" else ""))
                    pending = "" if step == "write" else "\n"
                case "rename" | "copy" if path.exists() and path.stat().st_size:
                    # What comes and goes between two looks cannot be seen; so this one finds something.
                    read += reading.look()
                    for _ in range(chance.randrange(3)):
                        append(path, *([] if pending else [f"line {written} {chance.random():.20f}"]))
                        written += not pending
                    rotated += 1
                    with path.open("a") as file:
                        file.write(pending)
                    pending = ""
                    other = path.with_name(f"app.log.{rotated}")
                    if step == "rename":
                        path.rename(other)
                    else:
                        shutil.copy(path, other)
                        os.truncate(path, 0)
                case "look":
                    read += reading.look()
                case "wait":
                    read += reading.look(GONE_SECONDS_MAX)
                    pending = pending and " rest of a line that was taken for whole\n"
                case "restart":
                    reading = reading.again()
        read += reading.look() + reading.look() + reading.look(HALF_LINE_SECONDS_MAX) + reading.look(GONE_SECONDS_MAX)
        reading.follower.close()
        assert sorted(int(line.split()[1]) for line in read) == list(range(written))
