"""Arrays of disks: what /proc/mdstat says of them, well-formed, strange and broken."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.files import Malformed, Paths
from exporter.collectors.mdadm import STATES, Array, Mdadm, parse
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, collected


def array(below: str, head: str = "md0 : active raid1 sdb1[1] sda1[0]") -> Array:
    (found,) = parse(f"Personalities : [raid1]\n{head}\n{below}\nunused devices: <none>\n".encode())
    return found


def test_each_array_is_in_one_state() -> None:
    found = collected(Mdadm(FIXTURE_PATHS))["node_md_state"]
    states = {device: state for (device, state), value in found.items() if value}
    assert states == {"md0": "active", "md1": "recovering", "md2": "resync", "md3": "active", "md4": "inactive"}
    assert len(found) == 5 * len(STATES)


def test_disks_of_an_array_by_their_state() -> None:
    found = collected(Mdadm(FIXTURE_PATHS))
    disks = found["node_md_disks"]
    assert [disks["md1", state] for state in ("active", "failed", "spare")] == [2, 1, 1]
    assert [disks["md4", state] for state in ("active", "failed", "spare")] == [0, 0, 1]
    required = {device: number for (device,), number in found["node_md_disks_required"].items()}
    assert required == {"md0": 2, "md1": 3, "md2": 2, "md3": 2, "md4": 0}


def test_blocks_that_are_in_step_are_those_that_have_been_done() -> None:
    found = collected(Mdadm(FIXTURE_PATHS))
    assert found["node_md_blocks"]["md1",] == 2097152
    assert found["node_md_blocks_synced"]["md0",] == 1048512
    assert found["node_md_blocks_synced"]["md1",] == 89128
    assert found["node_md_blocks_synced"]["md2",] == 0


@pytest.mark.parametrize(
    ("line", "state", "synced"),
    [
        ("[>....]  resync =  3.1% (31/1000) finish=1.2min speed=1K/sec", "resync", 31),
        ("[>....]  check = 12.0% (120/1000) finish=1.2min speed=1K/sec", "check", 120),
        ("[>....]  reshape = 12.0% (120/1000) finish=1.2min speed=1K/sec", "active", 120),
        ("resync=DELAYED", "resync", 0),
        ("bitmap: 1/8 pages [4KB], 65536KB chunk", "active", 1000),
    ],
)
def test_what_an_array_is_busy_with(line: str, state: str, synced: int) -> None:
    found = array(f"      1000 blocks super 1.2 [2/2] [UU]\n      {line}\n")
    assert (found.state, found.synced) == (state, synced)


def test_what_changes_between_two_scrapes_is_seen(tmp_path: Path) -> None:
    collector = Mdadm(Paths(procfs=str(tmp_path)))
    with pytest.raises(Absent):
        collected(collector)
    for active in (2, 1, 2):
        content = f"md0 : active raid1 sdb1[1] sda1[0]\n      10 blocks [2/{active}] [UU]\n"
        (tmp_path / "mdstat").write_text(content)
        assert collected(collector)["node_md_disks"]["md0", "active"] == active
    (tmp_path / "mdstat").write_text("Personalities : \nunused devices: <none>\n")
    assert not any(collected(collector).values())


def test_an_array_that_has_no_disks_costs_no_other() -> None:
    """The kernel writes no blocks then; node_exporter fails altogether."""
    lines = (b"md9 : inactive super non-persistent", b"       ", b"", b"md0 : active raid1 b[1] a[0]")
    empty, whole = parse(b"\n".join((*lines, b"      10 blocks [2/2] [UU]", b"")))
    assert (empty.name, empty.state, empty.blocks, empty.required, empty.failed) == ("md9", "inactive", 0, 0, 0)
    assert (whole.name, whole.blocks, whole.active) == ("md0", 10, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"md0\n", "expected the name of an array, a colon and its state"),
        (b"md0 : active raid1 sda1[0]\n", "expected an array, and its blocks in the next line"),
        (
            b"md0 : active raid1 sda1[0]\n      many blocks [2/2]\n",
            "expected an array, and its blocks in the next line",
        ),
        (b"md0 : active raid1 sda1[0]\n      10 blocks [UU]\n", "expected how many disks there should be and are"),
        (b"md0 : active raid1 sda1[0]\n      " + b"9" * 400 + b" blocks [2/2]\n", "and its blocks in the next line"),
    ],
)
def test_an_array_that_is_none_is_an_error_that_shows_it(content: bytes, said: str) -> None:
    with pytest.raises(Malformed, match="mdstat: found ") as raised:
        parse(content)
    assert said in str(raised.value)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_broken_list_of_arrays_is_malformed_and_never_another_error(first: bytes, second: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse(first + b"\nmd0 : active raid1 sda1[0]\n  10 blocks [2/2] [UU]\n" + second)
