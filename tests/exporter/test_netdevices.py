"""Network devices come and go, have any name, and leave out what they do not know."""

import fcntl
import gc
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import netclass, netdev
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.netclass import Netclass
from exporter.collectors.netdev import Netdev
from exporter.collectors.netdevices import NetDevices
from exporter.collectors.options import Chosen
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, collected
from tests.left_out import left_out

MACHINE = Paths()
ODD_NAME = b'odd"\\\xe4'
ODD_LABEL = 'odd"\\\\xe4'
# From linux/if_tun.h: a network device that lasts as long as its descriptor is open.
TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
Make = Callable[[str, bytes], None]
HEADER = netdev.HEADER + b"\n"
NUMBERS = b" 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"


@contextmanager
def device(name: bytes) -> Iterator[None]:
    """A real device of this machine, for who may make one."""
    try:
        descriptor = os.open(TUN, os.O_RDWR)
    except OSError as error:
        left_out(f"{TUN}: {error}")
    try:
        try:
            fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name, IFF_TUN_NO_PI))
        except PermissionError as error:
            left_out(f"{TUN}: {error}")
        yield
    finally:
        os.close(descriptor)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(f"{tmp_path}/proc", f"{tmp_path}/sys")


@pytest.fixture
def file(tmp_path: Path) -> Make:
    """Writes a file below tmp_path, and its folders."""

    def make(path: str, content: bytes) -> None:
        where = tmp_path / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(content)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes a device's folder below tmp_path, as sysfs has it."""

    def make(name: str, **files: str) -> Path:
        path = tmp_path / "class" / "net" / name
        path.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (path / file).write_text(content)
        return path

    return make


def test_counters_of_each_device_by_the_names_of_the_columns() -> None:
    found = collected(Netdev(FIXTURE_PATHS))
    assert found["node_network_receive_bytes_total"]["eth0",] == 7301442981
    assert {name: series["eth0",] for name, series in found.items()} == {
        "node_network_receive_bytes_total": 7301442981,
        "node_network_receive_packets_total": 5120034,
        "node_network_receive_errs_total": 3,
        "node_network_receive_drop_total": 17,
        "node_network_receive_fifo_total": 2,
        "node_network_receive_frame_total": 1,
        "node_network_receive_compressed_total": 0,
        "node_network_receive_multicast_total": 4096,
        "node_network_receive_nohandler_total": 21,
        "node_network_transmit_bytes_total": 481516234,
        "node_network_transmit_packets_total": 2342108,
        "node_network_transmit_errs_total": 5,
        "node_network_transmit_drop_total": 7,
        "node_network_transmit_fifo_total": 1,
        "node_network_transmit_colls_total": 9,
        "node_network_transmit_carrier_total": 4,
        "node_network_transmit_compressed_total": 0,
    }
    assert all(set(series) == {("lo",), ("eth0",), ("bond0",), ("veth12",)} for series in found.values())


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"device-exclude": "^lo$|^veth"}, {"eth0", "bond0"}),
        ({"device-include": "^eth"}, {"eth0"}),
        ({"device-include": "nothing"}, None),
    ],
)
def test_only_devices_that_are_wanted(said: dict[str, str], shown: set[str] | None) -> None:
    found = collected(Netdev(FIXTURE_PATHS, Chosen(Netdev.options, said)))
    series = found.get("node_network_receive_bytes_total")
    assert (series and {device for (device,) in series}) == shown


def test_an_old_kernel_without_a_space_after_the_name() -> None:
    assert netdev.parse(b"eth0:1" + NUMBERS[2:]) == (b"eth0", tuple(range(1, 17)))


def test_a_device_listed_twice_is_shown_once(file: Make, paths: Paths) -> None:
    """While the file is read in pieces, others come or go, and a line slips into the next piece."""
    file("proc/net/dev", HEADER + b"  a:" + NUMBERS + b"  b:" + NUMBERS + b"  a: 2" + NUMBERS[2:])
    assert collected(Netdev(paths))["node_network_receive_bytes_total"] == {("a",): 2, ("b",): 1}


def test_an_idle_device_is_looked_at_again_once_a_packet_comes(file: Make, paths: Paths) -> None:
    collector = Netdev(paths)
    seen = []
    for said, line in ((b"1\n", b"eth0: 1"), (b"2\n", b"eth0: 1"), (b"3\n", b"eth0: 2")):
        file("sys/class/net/eth0/statistics/rx_nohandler", said)
        file("proc/net/dev", HEADER + line + NUMBERS[2:])
        found = collected(collector)
        seen.append((found["node_network_receive_bytes_total"], found["node_network_receive_nohandler_total"]))
    eth0 = ("eth0",)
    assert seen == [({eth0: 1}, {eth0: 1}), ({eth0: 1}, {eth0: 1}), ({eth0: 2}, {eth0: 3})]


def test_what_a_newer_kernel_counts_besides_is_left_out(file: Make, paths: Paths) -> None:
    file("proc/net/dev", HEADER[:-1] + b" more\n" + b"eth0: 1" + NUMBERS[2:-1] + b" 17\n")
    found = collected(Netdev(paths))
    assert found["node_network_receive_bytes_total"] == {("eth0",): 1}
    assert found["node_network_transmit_compressed_total"] == {("eth0",): 16}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found '', expected the header of /proc/net/dev"),
        (HEADER[:-20] + b"\n", "expected the header of /proc/net/dev"),
        (HEADER + b"eth0: 1 2 3\n", "found 'eth0: 1 2 3', expected a device and sixteen counters"),
        (HEADER + b"eth0: -1" + NUMBERS[2:], "expected a device and sixteen counters"),
        (HEADER + b"eth0" + NUMBERS, "expected a device and sixteen counters"),
        (HEADER + b"eth0: \xb2" + NUMBERS[2:], "expected a device and sixteen counters"),
    ],
)
def test_counters_that_read_wrong_are_named(file: Make, paths: Paths, content: bytes, said: str) -> None:
    file("proc/net/dev", content)
    with pytest.raises(Malformed) as raised:
        collected(Netdev(paths))
    assert said in str(raised.value)


@given(line=st.binary(max_size=200))
def test_broken_counters_are_malformed_and_never_another_error(line: bytes) -> None:
    with suppress(Malformed):
        netdev.parse(line)


def test_what_a_device_is_and_how_it_is_set() -> None:
    found = collected(Netclass(FIXTURE_PATHS))
    info = found.pop("node_network_info")
    assert {name: series["eth0",] for name, series in found.items()} == {
        "node_network_address_assign_type": 0,
        "node_network_carrier": 1,
        "node_network_carrier_changes_total": 5,
        "node_network_carrier_down_changes_total": 2,
        "node_network_carrier_up_changes_total": 3,
        "node_network_device_id": 0,
        "node_network_dormant": 0,
        "node_network_flags": 0x1003,
        "node_network_iface_id": 2,
        "node_network_iface_link": 2,
        "node_network_iface_link_mode": 0,
        "node_network_mtu_bytes": 9000,
        "node_network_name_assign_type": 4,
        "node_network_net_dev_group": 3,
        "node_network_protocol_type": 1,
        "node_network_speed_bytes": 1_250_000_000,
        "node_network_transmit_queue_length": 1000,
        "node_network_up": 1,
    }
    assert set(info) == {
        ("00:00:00:00:00:00", "up", "00:00:00:00:00:00", "lo", "", "", "unknown"),
        ("02:00:5e:10:00:01", "up", "ff:ff:ff:ff:ff:ff", "eth0", "full", 'uplink to "rack 7"', "up"),
        ("02:00:5e:10:00:02", "up", "ff:ff:ff:ff:ff:ff", "bond0", "unknown", "", "up"),
        ("02:00:5e:10:00:03", "down", "ff:ff:ff:ff:ff:ff", "veth12", "", "", "down"),
    }


def test_what_a_device_that_is_down_does_not_say_is_left_out() -> None:
    found = collected(Netclass(FIXTURE_PATHS))
    assert ("veth12",) not in found["node_network_carrier"]
    assert ("veth12",) not in found["node_network_speed_bytes"]
    assert found["node_network_device_id"]["veth12",] == 0x1F
    assert found["node_network_up"]["veth12",] == 0


def test_a_speed_that_is_not_known_is_shown_unless_told_otherwise() -> None:
    shown = collected(Netclass(FIXTURE_PATHS))["node_network_speed_bytes"]
    assert shown == {("eth0",): 1_250_000_000, ("bond0",): -125_000}
    chosen = Chosen(Netclass.options, {"ignore-invalid-speed": "true"})
    assert set(collected(Netclass(FIXTURE_PATHS, chosen))["node_network_speed_bytes"]) == {("eth0",)}


def test_devices_can_be_ignored() -> None:
    chosen = Chosen(Netclass.options, {"ignored-devices": "^(lo|veth.*)$"})
    assert set(collected(Netclass(FIXTURE_PATHS, chosen))["node_network_up"]) == {("eth0",), ("bond0",)}


def test_a_change_is_seen_and_so_is_a_device_that_comes_or_goes(folder: Callable[..., Path], tmp_path: Path) -> None:
    first = folder("eth0", ifindex="2\n", mtu="1500\n", operstate="up\n")
    collector = Netclass(Paths(sysfs=str(tmp_path)))
    assert collected(collector)["node_network_mtu_bytes"] == {("eth0",): 1500}
    folder("eth0", mtu="9000\n", operstate="down\n")
    folder("eth1", ifindex="3\n", mtu="1400\n")
    found = collected(collector)
    assert found["node_network_mtu_bytes"] == {("eth0",): 9000, ("eth1",): 1400}
    assert found["node_network_up"] == {("eth0",): 0, ("eth1",): 0}
    first.rename(tmp_path / "gone")
    assert collected(collector)["node_network_mtu_bytes"] == {("eth1",): 1400}


def test_no_network_is_absent_and_no_failure(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        collected(Netclass(Paths(sysfs=str(tmp_path))))


@pytest.mark.parametrize(
    ("content", "number"),
    [(b"1500\n", 1500), (b"-1\n", -1), (b"0x1003\n", 0x1003), (b"\n", None), (None, None)],
)
def test_numbers_as_the_kernel_writes_them(content: bytes | None, number: int | None) -> None:
    assert netclass.parse(content, "mtu") == number


def test_a_number_that_reads_wrong_is_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    folder("eth0", mtu="many\n")
    with pytest.raises(Malformed) as raised:
        collected(Netclass(Paths(sysfs=str(tmp_path))))
    assert str(raised.value) == f"{tmp_path}/class/net/eth0/mtu: found 'many', expected a whole number"


@given(content=st.binary(max_size=40))
def test_a_broken_number_is_malformed_and_never_another_error(content: bytes) -> None:
    with suppress(Malformed):
        netclass.parse(content, "mtu")


def test_a_real_device_with_an_odd_name_comes_goes_and_comes_back() -> None:
    links, counters = Netclass(MACHINE), Netdev(MACHINE)
    seen = []
    for _ in range(2):
        with device(ODD_NAME):
            seen.append((ODD_LABEL,) in collected(links)["node_network_mtu_bytes"])
            seen.append(collected(counters)["node_network_receive_nohandler_total"].get((ODD_LABEL,)) == 0)
        seen.append((ODD_LABEL,) in collected(links)["node_network_mtu_bytes"])
        seen.append((ODD_LABEL,) in collected(counters)["node_network_receive_bytes_total"])
    assert seen == [True, True, False, False] * 2


def test_another_device_that_came_by_the_same_name_is_not_taken_for_the_one_that_left() -> None:
    devices = NetDevices(MACHINE.sysfs, ("ifindex",))
    with device(b"tocsin0"):
        first = devices.read(b"tocsin0")
    with device(b"tocsin0"):
        second = devices.read(b"tocsin0")
    assert first is not None
    assert second is not None
    assert first != second
    assert devices.read(b"tocsin0") is None
    devices.close()


def test_only_so_many_files_stay_open_and_those_of_devices_that_left_make_room(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    names = [f"veth{number}" for number in range(5)]
    for name in names:
        folder(name, mtu=name, ifindex="1")
    devices = NetDevices(str(tmp_path), ("mtu", "ifindex", "speed"), most=6)

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    gc.collect()
    before = open_files()
    for _ in range(2):
        assert [devices.read(name.encode()) for name in names] == [[name.encode(), b"1", None] for name in names]
    assert open_files() == before + 4
    devices.keep_only([b"veth0"])
    assert open_files() == before + 2
    devices.read(b"veth4")
    assert open_files() == before + 4
    devices.close()
    assert open_files() == before
    devices.read(b"veth4")
    assert open_files() == before + 2
    # As at a reload, where another collector takes its place.
    del devices
    gc.collect()
    assert open_files() == before


def test_what_is_no_device_or_says_nothing_is_none(folder: Callable[..., Path], tmp_path: Path) -> None:
    folder("empty")
    (tmp_path / "class" / "net" / "bonding_masters").write_text("bond0\n")
    devices = NetDevices(str(tmp_path), ("mtu",))
    assert devices.names() == [b"bonding_masters", b"empty"]
    assert [devices.read(name) for name in (*devices.names(), b"none")] == [None, None, None]
    folder("empty", mtu="1\n")
    assert devices.read(b"empty") == [b"1\n"]
    devices.close()
