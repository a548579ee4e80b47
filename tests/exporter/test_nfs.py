"""The NFS client and server: what each number of the kernel's lines means, and lines that are strange or broken."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import nfs, nfsd
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.nfs import Nfs
from exporter.collectors.nfsd import Nfsd
from exporter.collectors.rpc import parse
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, collected


def test_what_the_client_has_called() -> None:
    found = collected(Nfs(FIXTURE_PATHS))
    assert found["node_nfs_packets_total"] == {("udp",): 69, ("tcp",): 3}
    assert found["node_nfs_connections_total"] == {(): 4}
    assert found["node_nfs_rpcs_total"] == {(): 1218}
    assert found["node_nfs_rpc_retransmissions_total"] == {(): 12}
    assert found["node_nfs_rpc_authentication_refreshes_total"] == {(): 5}
    requests = found["node_nfs_requests_total"]
    assert (requests["Null", "3"], requests["GetAttr", "3"], requests["Commit", "3"]) == (1, 2, 22)
    assert (requests["Null", "4"], requests["Read", "4"], requests["Commit", "4"]) == (1, 2, 4)


def test_procedures_that_a_kernel_does_not_know_are_zero() -> None:
    requests = collected(Nfs(FIXTURE_PATHS))["node_nfs_requests_total"]
    assert requests["Clone", "4"] == 0
    assert [requests[method, "2"] for method in ("Null", "Write", "FsStat")] == [0, 0, 0]
    assert len(requests) == 18 + 22 + 59


def test_what_the_server_was_called_for() -> None:
    found = collected(Nfsd(FIXTURE_PATHS))
    numbers = {name.removeprefix("node_nfsd_"): samples[()] for name, samples in found.items() if () in samples}
    assert numbers == {
        "reply_cache_hits_total": 1,
        "reply_cache_misses_total": 2,
        "reply_cache_nocache_total": 3,
        "file_handles_stale_total": 4,
        "disk_bytes_read_total": 5000,
        "disk_bytes_written_total": 6000,
        "server_threads": 8,
        "read_ahead_cache_size_blocks": 32,
        "read_ahead_cache_not_found_total": 7,
        "connections_total": 9,
        "server_rpcs_total": 100,
    }
    assert found["node_nfsd_packets_total"] == {("udp",): 10, ("tcp",): 20}
    assert found["node_nfsd_rpc_errors_total"] == {("fmt",): 1, ("auth",): 2, ("cInt",): 3}


def test_operations_of_version_4_have_their_number_in_the_protocol() -> None:
    """RFC 7530: ACCESS is 3, PUTFH 22, READ 25, VERIFY 37, WRITE 38, RELEASE_LOCKOWNER 39; the kernel counts from 0."""
    requests = collected(Nfsd(FIXTURE_PATHS))["node_nfsd_requests_total"]
    numbers = {"Access": 3, "PutFH": 22, "Read": 25, "Verify": 37, "Write": 38, "RelLockOwner": 39}
    assert {method: requests[method, "4"] for method in numbers} == {
        method: number + 1 for method, number in numbers.items()
    }
    assert ("PutRootFH", "4") not in requests
    assert ("Null", "3") not in requests


@pytest.mark.parametrize("kind", [Nfs, Nfsd])
def test_a_machine_without_it_has_none(tmp_path: Path, kind: type[Nfs | Nfsd]) -> None:
    collector = kind(Paths(procfs=str(tmp_path)))
    with pytest.raises(Absent):
        collected(collector)
    folder = tmp_path / "net" / "rpc"
    folder.mkdir(parents=True)
    for packets in (1, 2):
        (folder / kind.name).write_text(f"net {packets} {packets} 0 0\n")
        assert collected(collector)[f"node_{kind.name}_packets_total"]["udp",] == packets


@pytest.mark.parametrize(
    "line",
    [
        b"net 1 2 3",
        b"net 1 2 3 x",
        b"rpc 1 2 -3",
        b"rpc",
        b"rpc 1 2 " + b"9" * 400,
        b"proc3 22 1 2 3",
        b"proc3 x",
        b"proc3",
        b"proc4 2 1 b",
    ],
)
def test_a_line_that_has_not_its_numbers_is_an_error_that_shows_it(line: bytes) -> None:
    with pytest.raises(Malformed, match=f"rpc/nfs: found '{line[:4].decode()}.*, expected the numbers of "):
        parse(line + b"\n", nfs.SIZES, "rpc/nfs")


@given(st.lists(st.tuples(st.sampled_from(sorted({*nfs.SIZES, *nfsd.SIZES})), st.binary(max_size=60))))
def test_broken_lines_are_malformed_and_never_another_error(lines: list[tuple[bytes, bytes]]) -> None:
    content = b"\n".join(b" ".join(line) for line in lines)
    with contextlib.suppress(Malformed):
        list(nfs.families(content, "nfs"))
    with contextlib.suppress(Malformed):
        list(nfsd.families(content, "nfsd"))
