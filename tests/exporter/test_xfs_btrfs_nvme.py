"""What sysfs says of XFS, Btrfs and NVMe: exact numbers, devices that vanish, and files that are strange or broken."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import BuiltIn, Collector, build, xfs
from exporter.collectors.btrfs import Btrfs, ratio
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.nvme import Nvme
from exporter.collectors.xfs import Xfs
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, FIXTURES, collected

UUID = "0abb23a9-579b-43e6-ad30-227ef47fcb9d"


def on(kind: type[BuiltIn], folder: Path | None = None) -> Collector:
    """On the fixtures, or on a copy of them that can be changed."""
    if folder is None:
        return build(kind, FIXTURE_PATHS)
    shutil.copytree(f"{FIXTURES}/sys", folder / "sys", symlinks=True)
    return build(kind, Paths(sysfs=f"{folder}/sys"))


def test_each_count_of_xfs_has_its_place_in_its_line() -> None:
    found = collected(on(Xfs))
    numbers = [samples["sda1",] for samples in found.values()]
    assert numbers == list(range(1, 40))
    assert found["node_xfs_extent_allocation_blocks_freed_total"]["sda1",] == 4
    assert found["node_xfs_block_mapping_extent_list_compares_total"]["sda1",] == 15
    assert found["node_xfs_write_calls_total"]["sda1",] == 31
    assert found["node_xfs_read_calls_total"]["sda1",] == 32
    assert found["node_xfs_vnode_remove_total"]["sda1",] == 39


def test_xfs_file_systems_come_change_and_go(tmp_path: Path) -> None:
    collector = on(Xfs, tmp_path)
    folder = tmp_path / "sys" / "fs" / "xfs"
    writes = "node_xfs_write_calls_total"
    assert set(collected(collector)[writes]) == {("sda1",)}
    (folder / 'dm "0"' / "stats").mkdir(parents=True)
    (folder / 'dm "0"' / "stats" / "stats").write_text("rw 1 2\n")
    assert collected(collector)[writes] == {('dm "0"',): 1, ("sda1",): 31}
    assert collected(collector)["node_xfs_vnode_get_total"] == {("sda1",): 35}
    (folder / 'dm "0"' / "stats" / "stats").write_text("rw 7 2\n")
    assert collected(collector)[writes] == {('dm "0"',): 7, ("sda1",): 31}
    shutil.rmtree(folder)
    assert collected(collector) == {}


@pytest.mark.parametrize("line", [b"rw 1", b"rw", b"rw 1 -2", b"rw 1 x", b"rw 1 " + b"9" * 400])
def test_a_line_of_xfs_that_has_not_its_numbers_is_an_error_that_shows_it(line: bytes) -> None:
    with pytest.raises(Malformed, match=r"stats: found 'rw.*, expected 2 whole numbers"):
        xfs.parse(line + b"\n")


@given(st.lists(st.tuples(st.sampled_from(sorted(xfs.LINES)), st.binary(max_size=60))))
def test_broken_counts_of_xfs_are_malformed_and_never_another_error(lines: list[tuple[bytes, bytes]]) -> None:
    with contextlib.suppress(Malformed):
        assert len(xfs.parse(b"\n".join(b" ".join(line) for line in lines))) == len(xfs.SHAPES)


def test_controllers_of_nvme() -> None:
    assert collected(on(Nvme)) == {"node_nvme_info": {("nvme0", "GXA7", 'Fast "SSD" 960', "S0ME1", "live"): 1}}


def test_a_controller_that_dies_says_so_and_one_that_is_gone_is_gone(tmp_path: Path) -> None:
    collector = on(Nvme, tmp_path)
    folder = tmp_path / "sys" / "class" / "nvme"
    (folder / "nvme0" / "state").write_bytes(b"de\xffad\n")
    assert [labels[4] for labels in collected(collector)["node_nvme_info"]] == ["de\\xffad"]
    (folder / "nvme1").mkdir()
    assert [labels[0] for labels in collected(collector)["node_nvme_info"]] == ["nvme0"]
    # Older kernels do not tell the state.
    (folder / "nvme0" / "state").unlink()
    older = build(Nvme, Paths(sysfs=f"{tmp_path}/sys"))
    assert set(collected(older)["node_nvme_info"]) == {("nvme0", "GXA7", 'Fast "SSD" 960', "S0ME1", "")}
    shutil.rmtree(folder)
    with pytest.raises(Absent):
        collected(collector)


def test_what_btrfs_says_in_sysfs() -> None:
    found = collected(on(Btrfs))
    assert found["node_btrfs_info"] == {("app", UUID): 1}
    assert found["node_btrfs_global_rsv_size_bytes"] == {(UUID,): 16777216}
    assert found["node_btrfs_device_size_bytes"] == {("sdb", UUID): 2048 * 512, ("sdc", UUID): 4096 * 512}
    assert found["node_btrfs_reserved_bytes"]["metadata", UUID] == 4096
    assert found["node_btrfs_size_bytes"]["data", "raid0", UUID] == 1048576
    assert found["node_btrfs_used_bytes"]["system", "raid1", UUID] == 65536
    assert found["node_btrfs_allocation_ratio"] == {
        ("data", "raid0", UUID): 1,
        ("metadata", "raid1", UUID): 2,
        ("system", "raid1", UUID): 2,
    }


def test_data_and_metadata_of_btrfs_may_be_one_group(tmp_path: Path) -> None:
    collector = on(Btrfs, tmp_path)
    allocation = tmp_path / "sys" / "fs" / "btrfs" / UUID / "allocation"
    (allocation / "data").rename(allocation / "mixed")
    shutil.rmtree(allocation / "metadata")
    found = collected(collector)
    assert found["node_btrfs_size_bytes"]["mixed", "raid0", UUID] == 1048576
    assert {labels[0] for labels in found["node_btrfs_reserved_bytes"]} == {"mixed", "system"}


def test_parity_is_shared_by_the_other_devices_of_btrfs() -> None:
    assert [ratio("raid5", devices) for devices in (2, 3, 5)] == [2, 1.5, 1.25]
    assert [ratio("raid6", devices) for devices in (2, 3, 4)] == [2, 3, 2]
    assert [ratio(profile, 4) for profile in ("single", "dup", "raid1c3", "raid1c4", "raid10")] == [1, 2, 3, 4, 2]


def test_a_device_of_btrfs_that_is_missing_has_no_size(tmp_path: Path) -> None:
    collector = on(Btrfs, tmp_path)
    (tmp_path / "sys" / "fs" / "btrfs" / UUID / "devices" / "sdb" / "size").unlink()
    assert collected(collector)["node_btrfs_device_size_bytes"] == {("sdb", UUID): 0, ("sdc", UUID): 4096 * 512}


def test_an_unmounted_btrfs_is_gone_and_costs_no_other(tmp_path: Path) -> None:
    collector = on(Btrfs, tmp_path)
    folder = tmp_path / "sys" / "fs" / "btrfs"
    other = UUID.replace("0abb", "ffff")
    shutil.copytree(folder / UUID, folder / other)
    assert {labels[1] for labels in collected(collector)["node_btrfs_info"]} == {UUID, other}
    shutil.rmtree(folder / UUID)
    # As if it went away between the listing and the reading.
    (folder / UUID).symlink_to("nowhere")
    collector = build(Btrfs, Paths(sysfs=str(tmp_path / "sys")))
    assert {labels[1] for labels in collected(collector)["node_btrfs_info"]} == {other}


def test_a_broken_number_of_btrfs_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    collector = on(Btrfs, tmp_path)
    (tmp_path / "sys" / "fs" / "btrfs" / UUID / "allocation" / "data" / "raid0" / "used_bytes").write_text("many\n")
    with pytest.raises(Malformed, match="raid0/used_bytes: found 'many"):
        collected(collector)


def test_a_machine_without_btrfs_or_xfs_shows_nothing(tmp_path: Path) -> None:
    for kind in (Btrfs, Xfs):
        assert not any(collected(build(kind, Paths(sysfs=str(tmp_path)))).values())
