"""ZFS: the names that it chooses, its pools and datasets, and files that are strange or broken."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import zfs
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.zfs import STATES, Zfs
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, FIXTURES, collected

HEAD = b"13 1 0x01\nname type data\n"


def test_what_zfs_counts_has_the_name_that_zfs_gives_it() -> None:
    found = collected(Zfs(FIXTURE_PATHS))
    assert found["node_zfs_arc_hits"] == {(): 8772612}
    assert found["node_zfs_arc_memory_available_bytes"] == {(): -17}
    assert found["node_zfs_arc_l2_free_on_write"] == {(): 9}
    assert found["node_zfs_zil_zil_commit_count"] == {(): 10}
    assert "node_zfs_arc_some_state" not in found


def test_pools_and_their_datasets() -> None:
    found = collected(Zfs(FIXTURE_PATHS))
    assert found["node_zfs_zpool_nread"] == {("tank",): 1884160}
    assert found["node_zfs_zpool_rcnt"] == {("tank",): 2}
    assert found["node_zfs_zpool_dataset_nwritten"] == {("tank/my data", "tank"): 20480}
    states = found["node_zfs_zpool_state"]
    assert {state for (state, pool), value in states.items() if value} == {"degraded"}
    assert len(states) == len(STATES)


def test_pools_come_and_go(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        collected(Zfs(Paths(procfs=str(tmp_path))))
    shutil.copytree(f"{FIXTURES}/proc/spl", tmp_path / "spl")
    folder = tmp_path / "spl" / "kstat" / "zfs"
    collector = Zfs(Paths(procfs=str(tmp_path)))
    shutil.copytree(folder / "tank", folder / 'a "b"')
    assert set(collected(collector)["node_zfs_zpool_reads"]) == {("tank",), ('a "b"',)}
    shutil.rmtree(folder / "tank")
    assert set(collected(collector)["node_zfs_zpool_reads"]) == {('a "b"',)}
    # As if it went away between the listing and the reading.
    (folder / 'a "b"' / "objset-0x99").symlink_to("nowhere")
    (folder / "gone").symlink_to("nowhere")
    assert set(collected(Zfs(Paths(procfs=str(tmp_path))))["node_zfs_zpool_dataset_writes"]) == {
        ("tank/my data", 'a "b"')
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hits 4 1\n", "expected a line name type data"),
        (HEAD + b'hi{"ts 4 1\n', "expected a name of letters, digits and hyphens"),
        (HEAD + b"hits 4 many\n", "found 'hits many', expected a name and a whole number"),
        (HEAD + b"hits 4 " + b"9" * 400 + b"\n", "expected a name and a whole number"),
    ],
)
def test_a_file_of_counts_that_is_none_is_an_error_that_shows_it(content: bytes, said: str) -> None:
    with pytest.raises(Malformed) as raised:
        zfs.parse(content)
    assert said in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"nread nwritten\n1 2 3\n", b"nread nwritten\n", b"nread reads\n1 x\n"])
def test_a_pool_whose_numbers_do_not_fit_its_names_is_an_error(content: bytes) -> None:
    with pytest.raises(Malformed, match=r"io: found '.*', expected .* whole number|a line of names"):
        zfs.parse_table(content)


def test_a_dataset_without_a_name_is_an_error() -> None:
    with pytest.raises(Malformed, match=r"objset: found '.*', expected a line dataset_name"):
        zfs.dataset_name(HEAD + b"writes 4 5\n")


@given(st.binary(max_size=120))
def test_broken_files_of_zfs_are_malformed_and_never_another_error(content: bytes) -> None:
    for parse in (zfs.parse, zfs.parse_table, zfs.dataset_name):
        for whole in (content, HEAD + content, b"nread nwritten\n" + content):
            with contextlib.suppress(Malformed):
                parse(whole)
