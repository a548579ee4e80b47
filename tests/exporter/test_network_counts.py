"""What the kernel counts about the network, beside what it counts for each device."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import Collector, arp, conntrack, netstat, sockstat, softnet, udp_queues
from exporter.collectors.arp import Arp
from exporter.collectors.bonding import Bonding
from exporter.collectors.conntrack import Conntrack
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.netstat import NAME_LINES_MAX, Netstat
from exporter.collectors.options import Chosen
from exporter.collectors.sockstat import PAGE_BYTES, Sockstat
from exporter.collectors.softnet import Softnet
from exporter.collectors.udp_queues import UdpQueues
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, collected

Make = Callable[..., None]
Parse = Callable[[bytes], object]

ARP = b"IP address       HW type     Flags       HW address            Mask     Device\n"
UDP = b"  sl  local_address rem_address   st tx_queue rx_queue\n"


def pairs(content: bytes) -> object:
    return list(netstat.in_pairs(content))


PARSERS: list[Parse] = [arp.parse, conntrack.parse, pairs, sockstat.parse, softnet.parse, udp_queues.parse]
BEGINNINGS = (b"", ARP, UDP, b"entries  found\n", b"Tcp: A B\nTcp: ", b"TCP: inuse ", b"0 1 2 3 4 5 6 7 8\n")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(f"{tmp_path}/proc", f"{tmp_path}/sys")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Make]:
    """Writes a file below tmp_path, and its folders."""

    def make(path: str, content: str | bytes) -> None:
        where = tmp_path / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


@pytest.mark.parametrize("parse", PARSERS)
@given(beginning=st.sampled_from(BEGINNINGS), content=st.binary(max_size=200))
def test_a_broken_file_is_malformed_and_never_another_error(parse: Parse, beginning: bytes, content: bytes) -> None:
    with suppress(Malformed):
        parse(beginning + content)


@pytest.mark.parametrize(
    ("parse", "content", "said"),
    [
        (arp.parse, b"", "found '', expected the header of /proc/net/arp"),
        (arp.parse, ARP + b"10.1.0.1 0x1 0x2 02:00 * eth0\n\n", "expected a device at the end of each line"),
        (conntrack.parse, b"found\n1\n", "found 'found', expected the header of nf_conntrack"),
        (conntrack.parse, b"entries found\n1\n", "found '1', expected 2 hexadecimal numbers"),
        (conntrack.parse, b"entries found\n1 x\n", "found 'x', expected a hexadecimal number for found"),
        (pairs, b"Tcp: A B\n", "found 'Tcp: A B', expected a line of numbers below each line of names"),
        (pairs, b"Tcp: A B\nUdp: 1 2\n", "found 'Udp: 1 2', expected the numbers for 'Tcp: A B'"),
        (pairs, b"\n\n", "found '', expected the numbers for ''"),
        (sockstat.parse, b"TCP inuse 1\n", "found 'TCP inuse 1', expected a kind of socket"),
        (sockstat.parse, b"TCP: inuse --1\n", "found 'TCP: inuse --1', expected a kind of socket"),
        (sockstat.parse, b"TCP: inuse\n", "found 'TCP: inuse', expected a kind of socket"),
        (sockstat.parse, b'T"P: inuse 1\n', "expected a kind of socket"),
        (softnet.parse, b"", "found '', expected a line for at least one processor"),
        (softnet.parse, b"1 2 3\n", "found '1 2 3', expected as many hexadecimal numbers"),
        (softnet.parse, b"0 1 2 3 4 5 6 7 x\n", "found '0 1 2 3 4 5 6 7 x'"),
        (softnet.parse, b"0 1 2 3 4 5 6 7 8\n0 1 2 3 4 5 6 7 8 9\n", "found '0 1 2 3 4 5 6 7 8 9'"),
        (udp_queues.parse, b"x\n", "found 'x', expected a header that begins with sl"),
        (udp_queues.parse, UDP + b"1: a b\n", "and 13 words for each socket"),
        (udp_queues.parse, UDP + b"0 1 2 3 x:y 5 6 7 8 9 10 11 12\n", "found 'x:y', expected two hexadecimal numbers"),
    ],
)
def test_the_error_says_what_was_found_and_expected(parse: Parse, content: bytes, said: str) -> None:
    with pytest.raises(Malformed) as raised:
        parse(content)
    assert said in str(raised.value)


def test_statistics_are_named_as_the_kernel_names_them() -> None:
    found = {name: series[()] for name, series in collected(Netstat(FIXTURE_PATHS)).items()}
    assert len(found) == 42
    assert found["node_netstat_TcpExt_ListenDrops"] == 17
    assert found["node_netstat_TcpExt_TCPRcvQDrop"] == 22
    assert found["node_netstat_IpExt_InOctets"] == 88271630012
    assert found["node_netstat_Tcp_CurrEstab"] == 7
    assert found["node_netstat_UdpLite_InErrors"] == 0
    assert found["node_netstat_Icmp6_InErrors"] == 1
    assert found["node_netstat_Udp6_SndbufErrors"] == 36
    assert "node_netstat_TcpExt_TCPHPHits" not in found


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ("MaxConn$", {"node_netstat_Tcp_MaxConn": -1}),
        ("^Icmp6_InType", {"node_netstat_Icmp6_InType129": 2}),
        ("^$", {}),
    ],
)
def test_an_option_says_which_statistics(fields: str, shown: dict[str, float]) -> None:
    found = collected(Netstat(FIXTURE_PATHS, Chosen(Netstat.options, {"fields": fields})))
    assert found == {name: {(): number} for name, number in shown.items()}


def test_every_statistic_is_shown_when_asked_for() -> None:
    found = collected(Netstat(FIXTURE_PATHS, Chosen(Netstat.options, {"fields": ""})))
    assert len(found) == 12 + 5 + 5 + 5 + 2 + 15 + 9 + 9 + 14


def test_a_kernel_may_name_its_statistics_anew_and_in_another_order(file: Make, paths: Paths) -> None:
    collector = Netstat(paths, Chosen(Netstat.options, {"fields": "^Tcp_"}))
    file("proc/net/netstat", "")
    for round_ in range(2 * NAME_LINES_MAX):
        file("proc/net/snmp", f"Tcp: Old New{round_}\nTcp: 1 {round_}\n")
        assert collected(collector) == {"node_netstat_Tcp_Old": {(): 1}, f"node_netstat_Tcp_New{round_}": {(): round_}}
    file("proc/net/snmp", "Tcp: New Odd-Näme\nTcp: 2 1\n")
    assert set(collected(collector)) == {"node_netstat_Tcp_New", "node_netstat_Tcp_Odd_N__me"}


@pytest.mark.parametrize(
    ("snmp", "snmp6", "said"),
    [
        ("Tcp: InErrs\nTcp: 1 2\n", "", "/net/snmp: found '1 2', expected 1 numbers"),
        ("Tcp: InErrs\nTcp: x\n", "", "/net/snmp: found 'x', expected whole numbers"),
        ("", "Ip6InOctets 1 Ip6OutOctets\n", "/net/snmp6: found '1', expected 2 numbers"),
        ("", "Ip6InOctets many\n", "/net/snmp6: found 'many', expected whole numbers"),
    ],
)
def test_statistics_that_read_wrong_are_named(file: Make, paths: Paths, snmp: str, snmp6: str, said: str) -> None:
    file("proc/net/netstat", "")
    file("proc/net/snmp", snmp)
    file("proc/net/snmp6", snmp6)
    with pytest.raises(Malformed) as raised:
        collected(Netstat(paths))
    assert said in str(raised.value)


def test_sockets_by_kind_and_their_memory_in_bytes_too() -> None:
    found = {
        name.removeprefix("node_sockstat_"): series[()] for name, series in collected(Sockstat(FIXTURE_PATHS)).items()
    }
    assert found == {
        "sockets_used": 229,
        "TCP_inuse": 4,
        "TCP_orphan": 1,
        "TCP_tw": 12,
        "TCP_alloc": 17,
        "TCP_mem": 3,
        "TCP_mem_bytes": 3 * PAGE_BYTES,
        "UDP_inuse": 6,
        "UDP_mem": 2,
        "UDP_mem_bytes": 2 * PAGE_BYTES,
        "UDPLITE_inuse": 0,
        "RAW_inuse": 1,
        "FRAG_inuse": 2,
        "FRAG_memory": 4096,
        "TCP6_inuse": 17,
        "UDP6_inuse": 9,
        "UDPLITE6_inuse": 0,
        "RAW6_inuse": 1,
        "FRAG6_inuse": 0,
        "FRAG6_memory": 0,
    }


def test_a_field_of_sockets_that_is_not_known_is_left_out() -> None:
    assert sockstat.parse(b"TCP: inuse 1 dreaming 2\n") == {("TCP", "inuse"): 1}


def test_one_version_of_ip_is_enough(file: Make, paths: Paths) -> None:
    file("proc/net/sockstat6", "TCP6: inuse 3\n")
    assert collected(Sockstat(paths)) == {"node_sockstat_TCP6_inuse": {(): 3}}
    file("proc/net/udp", UDP)
    assert collected(UdpQueues(paths)) == {"node_udp_queues": {("v4", "tx"): 0, ("v4", "rx"): 0}}


@pytest.mark.parametrize("kind", [Bonding, Conntrack, Sockstat, UdpQueues])
def test_what_the_machine_does_not_have_is_absent_and_no_failure(
    kind: Callable[[Paths], Collector], paths: Paths
) -> None:
    with pytest.raises(Absent):
        collected(kind(paths))


@pytest.mark.parametrize("kind", [Arp, Netstat, Softnet])
def test_a_file_that_every_kernel_has_and_that_is_missing_is_a_failure(
    kind: Callable[[Paths], Collector], paths: Paths
) -> None:
    with pytest.raises(FileNotFoundError):
        collected(kind(paths))


def test_memory_of_sockets_can_be_below_zero_for_a_moment() -> None:
    found = sockstat.parse(b"UDP: inuse 3 mem -2\n")
    assert found == {("UDP", "inuse"): 3, ("UDP", "mem"): -2, ("UDP", "mem_bytes"): -2 * sockstat.PAGE_BYTES}


def test_names_of_statistics_that_nobody_counts_cost_nothing(file: Make, paths: Paths) -> None:
    file("proc/net/netstat", b"TcpExt: SyncookiesSent SyncookiesRecv\n")
    file("proc/net/snmp", b"Tcp: ActiveOpens\nTcp: 3\n")
    assert collected(Netstat(paths)) == {"node_netstat_Tcp_ActiveOpens": {(): 3}}


def test_what_a_newer_kernel_says_of_udp_sockets_besides_is_left_out() -> None:
    line = b"%d: 0100007F:0035 00000000:0000 07 00000001:00000002 00:00000000 00000000 0 0 9 2 0000 0 %d\n"
    assert udp_queues.parse(UDP + line % (1, 5) + line % (2, 6)) == (2, 4)


def test_packets_of_each_processor() -> None:
    found = collected(Softnet(FIXTURE_PATHS))
    assert {name: series["1",] for name, series in found.items()} == {
        "node_softnet_processed_total": 0x01663FB2,
        "node_softnet_dropped_total": 0x29,
        "node_softnet_times_squeezed_total": 0x38,
        "node_softnet_cpu_collision_total": 1,
        "node_softnet_received_rps_total": 0,
        "node_softnet_flow_limit_count_total": 11,
        "node_softnet_backlog_len": 28,
    }


def test_processors_that_are_offline_leave_a_gap(file: Make, paths: Paths) -> None:
    """The kernel says whose line it is; an old one says less, and there the place in the list is all there is."""
    file("proc/net/softnet_stat", " ".join("0123456789ab") + " 0\n" + " ".join("0123456789ab") + " 1f\n")
    assert set(collected(Softnet(paths))["node_softnet_processed_total"]) == {("0",), ("31",)}
    file("proc/net/softnet_stat", "5 1 2 3 4 5 6 7 8\n6 1 2 3 4 5 6 7 8\n")
    found = collected(Softnet(paths))
    assert found["node_softnet_processed_total"] == {("0",): 5, ("1",): 6}
    assert "node_softnet_backlog_len" not in found


def test_neighbours_of_each_device() -> None:
    assert collected(Arp(FIXTURE_PATHS)) == {"node_arp_entries": {("eth0",): 3, ("docker0",): 1}}
    only = Chosen(Arp.options, {"device-include": "^eth"})
    assert collected(Arp(FIXTURE_PATHS, only)) == {"node_arp_entries": {("eth0",): 3}}
    none = Chosen(Arp.options, {"device-exclude": "."})
    assert collected(Arp(FIXTURE_PATHS, none)) == {}


def test_a_neighbour_without_an_address_behind_a_device_with_an_odd_name(file: Make, paths: Paths) -> None:
    file("proc/net/arp", ARP + b'10.1.0.1  0x1  0x2                       *        odd"\xe4\n')
    assert collected(Arp(paths)) == {"node_arp_entries": {('odd"\\xe4',): 1}}


def test_connections_that_the_firewall_follows() -> None:
    found = {
        name.removeprefix("node_nf_conntrack_"): series for name, series in collected(Conntrack(FIXTURE_PATHS)).items()
    }
    assert {name: series[()] for name, series in found.items()} == {
        "entries": 123,
        "entries_limit": 65536,
        "stat_drop": 6,
        "stat_early_drop": 7,
        "stat_found": 0x11,
        "stat_ignore": 0xB5A,
        "stat_insert": 4,
        "stat_insert_failed": 5,
        "stat_invalid": 5,
        "stat_search_restart": 8,
    }


def test_what_a_kernel_does_not_say_of_connections_is_left_out(file: Make, paths: Paths) -> None:
    file("proc/sys/net/netfilter/nf_conntrack_count", "1\n")
    file("proc/sys/net/netfilter/nf_conntrack_max", "2\n")
    assert set(collected(Conntrack(paths))) == {"node_nf_conntrack_entries", "node_nf_conntrack_entries_limit"}
    file("proc/net/stat/nf_conntrack", "entries  found brandnew\n1 2 3\n1 4 5\n")
    assert collected(Conntrack(paths))["node_nf_conntrack_stat_found"] == {(): 6}
    file("proc/sys/net/netfilter/nf_conntrack_max", "many\n")
    with pytest.raises(Malformed, match="nf_conntrack_max: found 'many"):
        collected(Conntrack(paths))


def test_bytes_in_the_queues_of_udp_sockets() -> None:
    found = collected(UdpQueues(FIXTURE_PATHS))
    assert found == {
        "node_udp_queues": {("v4", "tx"): 0x15 + 1, ("v4", "rx"): 0x2A0, ("v6", "tx"): 0, ("v6", "rx"): 0x10}
    }


def test_devices_of_a_bond_and_those_that_have_a_link() -> None:
    found = collected(Bonding(FIXTURE_PATHS))
    assert found == {"node_bonding_slaves": {("bond0",): 2}, "node_bonding_active": {("bond0",): 1}}


def test_a_bond_or_a_device_of_it_that_goes_meanwhile_is_left_out(file: Make, paths: Paths) -> None:
    file("sys/class/net/bonding_masters", "bond0 bond1 bond2\n")
    file("sys/class/net/bond0/bonding/slaves", "eth0 eth1\n")
    file("sys/class/net/bond0/slave_eth1/bonding_slave/mii_status", "up\n")
    file("sys/class/net/bond1/bonding/slaves", "\n")
    found = collected(Bonding(paths))
    assert found["node_bonding_slaves"] == {("bond0",): 1, ("bond1",): 0}
    assert found["node_bonding_active"] == {("bond0",): 1, ("bond1",): 0}


def test_without_bonds_there_is_nothing_to_show(file: Make, paths: Paths) -> None:
    file("sys/class/net/bonding_masters", "\n")
    assert collected(Bonding(paths)) == {}
