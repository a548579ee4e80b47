"""The kernel's load balancer: its services, their backends, and what went through."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import ipvs
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.ipvs import Backend, Ipvs, Load
from exporter.collectors.options import Chosen
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, collected

HEADER = b"IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> Remote\n"
STATISTICS = b"Total Incoming\nConns Packets\n1 2 3 4 1F\n"
ALL = (
    Backend("192.168.0.22", "3306", "192.168.82.22", "3306", "TCP", ""),
    Backend("192.168.0.22", "3306", "192.168.83.24", "3306", "TCP", ""),
    Backend("192.168.0.57", "3306", "192.168.83.123", "3306", "UDP", ""),
    Backend("2001:db8::1", "80", "2001:db8::2", "8080", "TCP", ""),
    Backend("", "0", "192.168.50.21", "3306", "FWM", "10001000"),
)


def test_what_went_through_and_what_each_backend_has_to_do() -> None:
    found = collected(Ipvs(FIXTURE_PATHS))
    assert found == {
        "node_ipvs_connections_total": {(): 0x16AA370},
        "node_ipvs_incoming_packets_total": {(): 0xE33656E5},
        "node_ipvs_outgoing_packets_total": {(): 7},
        "node_ipvs_incoming_bytes_total": {(): 0x51D8C8883AB3},
        "node_ipvs_outgoing_bytes_total": {(): 0x2F},
        "node_ipvs_backend_weight": dict(zip(ALL, (100, 100, 0, 1, 20), strict=True)),
        "node_ipvs_backend_connections_active": dict(zip(ALL, (248, 248, 0, 3, 5), strict=True)),
        "node_ipvs_backend_connections_inactive": dict(zip(ALL, (2, 2, 1, 4, 6), strict=True)),
    }


def test_backends_whose_labels_are_equal_are_added_up() -> None:
    chosen = Chosen(Ipvs.options, {"backend-labels": "proto,local_port"})
    (family,) = (each for each in Ipvs(FIXTURE_PATHS, chosen).collect(0.0) if each.name.endswith("_active"))
    assert family.labels == ("local_port", "proto")
    assert dict(family.samples) == {("3306", "TCP"): 496, ("3306", "UDP"): 0, ("80", "TCP"): 3, ("0", "FWM"): 5}


def test_a_label_that_there_is_none_of_is_named() -> None:
    chosen = Chosen(Ipvs.options, {"backend-labels": "proto,colour"})
    with pytest.raises(Malformed, match="backend-labels: found 'colour', expected some of: local_address, local_port"):
        collected(Ipvs(FIXTURE_PATHS, chosen))


def test_a_machine_that_balances_nothing_has_none(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        collected(Ipvs(Paths(str(tmp_path))))


def test_a_load_balancer_without_services_has_no_backends(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "ip_vs_stats").write_bytes(STATISTICS)
    (tmp_path / "net" / "ip_vs").write_bytes(HEADER)
    found = collected(Ipvs(Paths(str(tmp_path))))
    assert set(found) == {f"node_ipvs_{name}_total" for name in ("connections",)} | {
        f"node_ipvs_{way}_{what}_total" for way in ("incoming", "outgoing") for what in ("packets", "bytes")
    }
    assert found["node_ipvs_outgoing_bytes_total"] == {(): 31}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found '', expected IP Virtual Server version"),
        (HEADER + b"  -> 0A010001:0050 Masq 1 2 3\n", "expected a service, or a backend of one"),
        (HEADER + b"TCP 0A0100:0050 wlc\n", "found 'TCP 0A0100:0050 wlc'"),
        (HEADER + b"TCP [x]:0050 wlc\n", "found 'TCP [x]:0050 wlc'"),
        (HEADER + b"TCP\n", "found 'TCP'"),
        (HEADER + b"TCP 0A010001:0050 wlc\n  -> 0A010002:0050 Masq 1 2\n", "found '  -> 0A010002:0050 Masq 1 2'"),
        (HEADER + b"TCP 0A010001:0050 wlc\n  -> 0A010002:0050 Masq 1 2 -3\n", "expected a service, or a backend"),
    ],
)
def test_a_table_that_reads_wrong_is_named(content: bytes, said: str) -> None:
    with pytest.raises(Malformed) as raised:
        ipvs.parse(content)
    assert said in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"a\nb\n", b"a\nb\n1 2 3 4\n", b"a\nb\n1 2 3 4 x\n", b"a\nb\n1 2 3 4 -5\n"])
def test_statistics_that_read_wrong_are_named(content: bytes) -> None:
    with pytest.raises(Malformed, match="one of five hexadecimal numbers"):
        ipvs.parse_statistics(content)


@given(content=st.binary(max_size=100))
def test_broken_files_are_malformed_and_never_another_error(content: bytes) -> None:
    for parse in (ipvs.parse, ipvs.parse_statistics):
        for beginning in (b"", HEADER, HEADER + b"TCP 0A010001:0050 wlc\n  -> ", b"a\nb\n"):
            with suppress(Malformed):
                parse(beginning + content)


def test_a_line_of_each_kind_is_read() -> None:
    content = HEADER + b"UDP  0A010001:0035 rr\n  -> 0A010002:0035      Route   1      2          3\n"
    assert ipvs.parse(content) == [(Backend("10.1.0.1", "53", "10.1.0.2", "53", "UDP", ""), Load(1, 2, 3))]
