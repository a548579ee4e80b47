"""Kernel files that stay open say what is true now, and are opened anew when the device behind them went away."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.collectors.files import Kept, read
from tests.exporter.builders import SURELY


@pytest.fixture
def kept() -> Iterator[Kept]:
    files = Kept()
    yield files
    files.close()


def test_a_file_is_read_from_its_beginning_each_time(kept: Kept, tmp_path: Path) -> None:
    path = tmp_path / "value"
    for content in (b"1\n", b"23\n", b""):
        path.write_bytes(content)
        assert kept.read(str(path)) == kept.read_value(str(path)) == content


def test_a_long_file_is_read_to_its_end(kept: Kept) -> None:
    assert kept.read("/proc/self/smaps").splitlines()[-1].startswith(b"VmFlags:")
    assert kept.read("/proc/cpuinfo").count(b"processor") == read("/proc/cpuinfo").count(b"processor")


def test_a_list_of_mounts_is_untouched_until_something_is_mounted(kept: Kept) -> None:
    path = "/proc/self/mountinfo"
    assert not kept.is_untouched(path)
    kept.read(path)
    until = time.monotonic() + SURELY
    while not kept.is_untouched(path):
        assert time.monotonic() < until


def test_a_file_on_a_disk_is_never_called_untouched(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    kept.read(f"{tmp_path}/mountinfo")
    assert not kept.is_untouched(f"{tmp_path}/mountinfo")


def test_what_is_not_there_is_an_error_or_nothing(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        kept.read(str(tmp_path / "none"))
    assert kept.read_optional(str(tmp_path / "none")) is None


def test_a_file_that_answers_with_an_error_is_opened_again(kept: Kept) -> None:
    """The descriptor of a process that has ended answers with ESRCH, as that of a device that is gone with ENODEV."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    path = f"/proc/{child}/stat"
    assert kept.read_value(path).startswith(str(child).encode())
    os.kill(child, 9)
    os.waitpid(child, 0)
    with pytest.raises(FileNotFoundError):
        kept.read_value(path)


def test_only_so_many_stay_open_and_the_others_are_read_all_the_same(tmp_path: Path) -> None:
    files = Kept(most=2)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        (tmp_path / str(number)).write_text(str(number))
        assert files.read_value(f"{tmp_path}/{number}") == str(number).encode()
        assert files.read(f"{tmp_path}/{number}") == str(number).encode()
    assert len(os.listdir("/proc/self/fd")) == before + 2
    files.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_error_in_reading_names_the_file_as_one_in_opening_does(kept: Kept, tmp_path: Path) -> None:
    for read_it in (read, kept.read, kept.read_value):
        with pytest.raises(IsADirectoryError, match=str(tmp_path)):
            read_it(str(tmp_path))
