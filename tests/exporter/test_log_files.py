"""Files of a log through all that can happen to them while they are followed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from exporter.intake.logs.cut import LINE_BYTES_MAX
from exporter.intake.logs.file import HALF_LINE_SECONDS_MAX
from exporter.intake.logs.follower import COPY_SECONDS_MAX, FILES_MAX, GONE_SECONDS_MAX, Follower
from exporter.intake.logs.settings import Log, Multiline
from tests.exporter.logfiles import Reading, append


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_what_is_there_at_first_is_not_read_and_what_comes_is(path: Path) -> None:
    append(path, "old")
    reading = Reading(path, from_end=True)
    assert reading.look() == []
    append(path, "new")
    assert reading.look() == ["new"]
    append(path.parent / "app2.log", "another")
    assert reading.look() == []


def test_a_file_that_appears_later_is_read_whole(path: Path) -> None:
    reading = Reading(path.parent / "*.log", from_end=True)
    assert reading.look() == []
    append(path, "one")
    assert reading.look() == ["one"]


def test_it_begins_at_a_line_where_it_begins_at_the_end(path: Path) -> None:
    path.write_text("half of an old")
    reading = Reading(path, from_end=True)
    reading.look()
    append(path, " line", "new")
    assert reading.look() == ["new"]


def test_a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning(path: Path) -> None:
    append(path, "1")
    reading = Reading(path)
    assert reading.look() == ["1"]
    append(path, "2")
    writer = path.open("a")
    path.rename(path.with_suffix(".log.1"))
    append(path, "3")
    assert sorted(reading.look()) == ["2", "3"]
    writer.write("4\n")
    writer.close()
    assert reading.look() == ["4"]
    assert reading.total("rotations") == 1
    reading.look(GONE_SECONDS_MAX)
    assert reading.look() == []
    assert reading.turns[-1].files == 1


def test_paths_that_match_the_new_name_too_read_nothing_twice(path: Path) -> None:
    append(path, "1")
    reading = Reading(f"{path}*")
    assert reading.look() == ["1"]
    for number in range(2, 5):
        for old in sorted(path.parent.iterdir(), reverse=True):
            old.rename(
                path.with_suffix(
                    f".log.{len(old.suffix) and int(old.suffix[1:]) + 1}" if old.suffix != ".log" else ".log.1"
                )
            )
        append(path, str(number))
        assert reading.look() == [str(number)]
    assert reading.turns[-1].files == 4


def test_an_emptied_file_is_read_from_its_beginning(path: Path) -> None:
    append(path, "1", "2")
    reading = Reading(path)
    reading.look()
    os.truncate(path, 0)
    append(path, "3")
    assert reading.look() == ["3"]
    assert reading.total("truncations") == 1


def test_so_is_one_that_was_filled_again_past_the_place_that_was_reached(path: Path) -> None:
    append(path, "1", "2")
    reading = Reading(path)
    reading.look()
    path.write_text("3\n4\n5\n6\n")
    assert reading.look() == ["3", "4", "5", "6"]


def test_and_one_whose_lines_are_as_long_and_end_alike(path: Path) -> None:
    append(path, *(f"{number:03} {'always the same ' * 8}" for number in range(3)))
    reading = Reading(path)
    reading.look()
    path.write_text("".join(f"{number:03} {'always the same ' * 8}\n" for number in range(3, 9)))
    assert len(reading.look()) == 6


def test_and_one_that_has_the_same_size_again(path: Path) -> None:
    append(path, "1", "2")
    reading = Reading(path)
    reading.look()
    path.write_text("3\n4\n")
    os.utime(path, (1, 1))
    assert reading.look() == ["3", "4"]


@pytest.mark.parametrize("matched", [False, True])
def test_what_was_not_read_before_a_file_was_emptied_is_read_from_its_copy(path: Path, matched: bool) -> None:
    append(path, *(f"a line of some length {number}" for number in range(10)))
    reading = Reading(f"{path}*" if matched else path)
    assert len(reading.look()) == 10
    append(path, "last")
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    append(path, "first")
    assert sorted(reading.look() + reading.look()) == ["first", "last"]
    append(path, "second")
    assert reading.look() == ["second"]


def test_a_copy_that_is_seen_while_it_is_made_is_not_read_again(path: Path) -> None:
    append(path, *(f"a line of some length {number}" for number in range(10)))
    reading = Reading(f"{path}*")
    reading.look()
    copy = Path(f"{path}.1")
    copy.write_bytes(path.read_bytes()[:100])
    assert reading.look() == []
    shutil.copy(path, copy)
    assert reading.look() == []
    os.truncate(path, 0)
    append(path, "new")
    assert reading.look() == ["new"]


def test_a_file_that_only_begins_like_another_one_is_read(path: Path) -> None:
    append(path, "the same first line in both", "1", "2")
    reading = Reading(f"{path}*")
    reading.look()
    append(path.with_suffix(".log2"), "the same first line in both", "3")
    found = reading.look() + reading.look(COPY_SECONDS_MAX)
    assert found == ["the same first line in both", "3"]


@pytest.mark.parametrize("matched", [False, True])
def test_a_successor_is_read_however_much_it_is_like_the_file_before(path: Path, matched: bool) -> None:
    same = ["the same line, always"] * 20
    append(path, *same)
    reading = Reading(f"{path}*" if matched else path)
    assert reading.look() == same
    for number in (1, 2, 3):
        path.rename(f"{path}.{number}")
        append(path, *same)
        assert reading.look() == same


def test_holes_of_a_writer_that_did_not_notice_are_passed_over(path: Path) -> None:
    with path.open("w", buffering=1) as writer:
        writer.write("x" * 2_000_000 + "\n")
        reading = Reading(path)
        reading.look()
        os.truncate(path, 0)
        writer.write("new\n")
        assert reading.look() == ["new"]
    assert reading.total("too_long") == 1


def test_a_line_without_an_end_is_waited_for(path: Path) -> None:
    path.write_text("ha")
    reading = Reading(path)
    assert reading.look() == []
    with path.open("a") as file:
        file.write("lf")
    assert reading.look() == []
    assert reading.look(HALF_LINE_SECONDS_MAX) == ["half"]
    append(path, " and more of it", "whole")
    assert reading.look() == ["whole"]


def test_lines_that_are_too_long_are_counted_and_others_go_on(path: Path) -> None:
    append(path, "before", "x" * 10_000_000, "between", "y" * (LINE_BYTES_MAX + 1), "after", "z" * (LINE_BYTES_MAX - 1))
    reading = Reading(path)
    assert [line[:10] for line in reading.look()] == ["before", "between", "after", "z" * 10]
    assert reading.total("too_long") == 2


def test_marks_and_nul_bytes_are_no_text(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfone\ntw\0o\n\0\0")
    assert Reading(path).look() == ["one", "two"]


def test_records_of_several_lines_stay_together(path: Path) -> None:
    append(path, "S one", "  more")
    reading = Reading(path, format="pattern", patterns=("x",), event="y", multiline=Multiline("S"))
    assert reading.look() == []
    append(path, "  and more", "S two")
    assert reading.look() == ["S one", "  more", "  and more"]
    assert reading.look(HALF_LINE_SECONDS_MAX) == ["S two"]


def test_a_directory_a_fifo_and_a_device_are_not_read_and_said_once(path: Path) -> None:
    append(path, "1")
    os.mkfifo(path.with_name("fifo.log"))
    reading = Reading(path, path.with_name("fifo.log"), "/dev/zero")
    assert reading.look() == ["1"]
    path.unlink()
    path.mkdir()
    assert reading.look() == []
    reading.look()
    errors = [error for turn in reading.turns for error in turn.errors]
    assert errors == [
        "/dev/zero: found no regular file",
        f"{path.with_name('fifo.log')}: found no regular file",
        f"{path}: found no regular file",
    ]
    path.rmdir()
    append(path, "2")
    assert reading.look() == ["2"]


def test_a_link_that_leads_elsewhere_is_followed_and_two_to_one_file_count_once(path: Path) -> None:
    pods = path.parent / "pods"
    pods.mkdir()
    append(pods / "0.log", "a")
    for name in ("one.log", "two.log"):
        (path.parent / name).symlink_to(pods / "0.log")
    reading = Reading(path.parent / "*.log")
    assert reading.look() == ["a"]
    append(pods / "1.log", "b")
    os.replace(_link(path.parent / "new", pods / "1.log"), path.parent / "one.log")
    assert reading.look() == ["b"]
    assert reading.turns[-1].files == 2


def _link(path: Path, to: Path) -> Path:
    path.symlink_to(to)
    return path


def test_files_that_are_left_out(path: Path) -> None:
    append(path, "a")
    append(path.with_name("debug.log"), "b")
    assert Reading(path.parent / "*.log", exclude=(str(path.parent / "debug*"),)).look() == ["a"]


def test_a_thousand_files_and_no_more(tmp_path: Path) -> None:
    for number in range(FILES_MAX + 1):
        append(tmp_path / f"{number:04}.log", str(number))
    reading = Reading(tmp_path / "*.log")
    assert len(reading.look()) == FILES_MAX
    assert (reading.turns[-1].files, reading.turns[-1].left_out) == (FILES_MAX, 1)
    (tmp_path / "0000.log").unlink()
    reading.look(GONE_SECONDS_MAX)
    assert reading.look(GONE_SECONDS_MAX) + reading.look() == [str(FILES_MAX)]
    reading.follower.close()


def test_one_busy_file_holds_up_no_other(tmp_path: Path) -> None:
    append(tmp_path / "busy.log", *(["x" * 1_000] * 1_000))
    append(tmp_path / "calm.log", "calm")
    follower = Follower(Log(name="x", paths=(f"{tmp_path}/*.log",)), None, from_end=False)
    assert any(b"calm" in block for now in (1.0, 2.0) for block in follower.turn(now).blocks)
