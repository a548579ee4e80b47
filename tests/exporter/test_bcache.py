"""Caches of disks: the kernel's numbers for people become numbers again."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import bcache, build
from exporter.collectors.bcache import Bcache
from exporter.collectors.files import Malformed, Paths
from tests.exporter.builders import FIXTURE_PATHS, FIXTURES

UUID = "deaddd54-c735-46d5-868e-f331c5fd7c74"
Found = dict[str, dict[tuple[str, ...], object]]


def collected(paths: Paths = FIXTURE_PATHS, **said: str) -> Found:
    families = build(Bcache, paths, said).collect(float("inf"))
    return {family.name.removeprefix("node_bcache_"): dict(family.samples) for family in families}  # type: ignore[arg-type]


def test_a_cache_its_disk_and_its_device() -> None:
    found = collected()
    assert found["average_key_size_sectors"] == {(UUID,): 16}
    assert found["btree_read_average_duration_seconds"] == {(UUID,): 0.001305}
    assert found["cache_read_races_total"] == {(UUID,): 7}
    totals = [found[f"{name}_total"]["bdev0", UUID] for name in ("bypassed_bytes", "cache_hits", "cache_readaheads")]
    assert totals == [11, 14, 17]
    assert found["dirty_data_bytes"] == {("bdev0", UUID): 2 << 20}
    assert found["written_bytes_total"] == {("cache0", UUID): 1 << 30}


def test_how_fast_is_written_back() -> None:
    found = collected()
    assert found["writeback_rate"] == {("bdev0", UUID): 1150976}
    assert found["dirty_target_bytes"] == {("bdev0", UUID): 21894266880}
    assert found["writeback_rate_proportional_term"] == {("bdev0", UUID): -437748}
    assert found["writeback_change"] == {("bdev0", UUID): 329204}


def test_what_is_dear_to_ask_is_asked_on_request() -> None:
    assert "priority_stats_unused_percent" not in collected()
    found = collected(priorityStats="true")
    assert found["priority_stats_unused_percent"] == {("cache0", UUID): 99}
    assert found["priority_stats_metadata_percent"] == {("cache0", UUID): 5}


def test_a_disk_that_is_detached_and_files_that_a_kernel_lacks_are_left_out(tmp_path: Path) -> None:
    assert collected(Paths(sysfs=str(tmp_path))) == {}
    folder = tmp_path / "fs" / "bcache"
    shutil.copytree(f"{FIXTURES}/sys/fs/bcache", folder)
    shutil.rmtree(folder / UUID / "bdev0" / "stats_total")
    (folder / UUID / "bdev0" / "writeback_rate_debug").unlink()
    (folder / "register").write_text("")
    found = collected(Paths(sysfs=str(tmp_path)))
    assert "cache_hits_total" not in found
    assert "writeback_rate" not in found
    assert found["dirty_data_bytes"] == {("bdev0", UUID): 2 << 20}


def test_a_broken_number_is_an_error_that_names_its_file(tmp_path: Path) -> None:
    shutil.copytree(f"{FIXTURES}/sys/fs/bcache", tmp_path / "fs" / "bcache")
    (tmp_path / "fs" / "bcache" / UUID / "tree_depth").write_text("deep\n")
    with pytest.raises(Malformed, match=r"tree_depth: found 'deep', expected a number"):
        collected(Paths(sysfs=str(tmp_path)))


@given(st.binary(max_size=60))
def test_broken_numbers_are_malformed_and_never_another_error(content: bytes) -> None:
    for word in (content, b"9" * 20 + content, *bcache.parse(b"rate:" + content).values()):
        with contextlib.suppress(Malformed):
            assert isinstance(bcache.number(word), int)
