"""Questions to the kernel over a socket: real answers from this machine, and what is no answer."""

import errno
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.files import Malformed, Paths
from exporter.collectors.netaddresses import ATTRIBUTE, Address, addresses, attributes, scope
from exporter.collectors.netdev import Netdev
from exporter.collectors.netlink import DONE, HEADER, dump, records
from exporter.collectors.options import Chosen
from exporter.collectors.tcpstat import EVERY_STATE, NETLINK_SOCK_DIAG, QUESTION, SOCK_DIAG_BY_FAMILY, Tcpstat
from tests.left_out import left_out

NOT_A_VERSION_OF_IP = 250
ABOUT_TCP = QUESTION.pack(socket.AF_INET, socket.IPPROTO_TCP, EVERY_STATE)


def record(content: bytes, *, kind: int = 20) -> bytes:
    return HEADER.pack(HEADER.size + len(content), kind, 0, 1, 0) + content


def states() -> dict[str, float]:
    (family,) = Tcpstat(Paths()).collect(time.monotonic() + 30)
    return {state: number for (state,), number in family.samples}


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listening(sockets: ExitStack, family: socket.AddressFamily) -> socket.socket:
    address = "127.0.0.1" if family is socket.AF_INET else "::1"
    try:
        return sockets.enter_context(socket.create_server((address, 0), family=family, backlog=7))
    except OSError as error:
        left_out(f"{address}: {error}")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_sockets_are_counted_by_state(sockets: ExitStack, family: socket.AddressFamily) -> None:
    """Others come and go on this machine, so there are many of ours, and they are seen to come."""
    many = 200
    before = states()
    servers = [listening(sockets, family) for _ in range(many)]
    for server in servers:
        sockets.enter_context(socket.create_connection(server.getsockname()[:2])).send(b"x" * 1000)
    after = states()
    assert after["listen"] - before["listen"] > many / 2
    assert after["established"] - before["established"] > many
    assert after["rx_queued_bytes"] - before["rx_queued_bytes"] > many * 500


def test_every_state_is_shown_also_one_that_nobody_is_in() -> None:
    assert list(states()) == [
        "established",
        "syn_sent",
        "syn_recv",
        "fin_wait1",
        "fin_wait2",
        "time_wait",
        "close",
        "close_wait",
        "last_ack",
        "listen",
        "closing",
        "rx_queued_bytes",
        "tx_queued_bytes",
    ]


def test_no_answer_is_waited_for_beyond_the_deadline(sockets: ExitStack) -> None:
    listening(sockets, socket.AF_INET)
    with pytest.raises(TimeoutError):
        list(dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, ABOUT_TCP, deadline=time.monotonic() - 1))


def test_what_the_kernel_refuses_is_an_error_that_says_so() -> None:
    question = QUESTION.pack(NOT_A_VERSION_OF_IP, socket.IPPROTO_TCP, EVERY_STATE)
    with pytest.raises(OSError, match="the kernel refuses to tell: ") as raised:
        list(dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, question, deadline=time.monotonic() + 30))
    assert raised.value.errno in (errno.EINVAL, errno.ENOENT)


def test_records_begin_where_the_kernel_aligns_them() -> None:
    more = record(b"12345") + bytes(3) + record(b"abcd", kind=21)
    for answer, is_last in ((more, False), (more + record(bytes(4), kind=DONE) + b"beyond", True)):
        places, last = records(answer)
        assert [answer[begin:end] for begin, end in places] == [b"12345", b"abcd"]
        assert last is is_last


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"short", "netlink: found 'short', expected the header of a record"),
        (struct.pack("=IHHII", 15, 20, 0, 1, 0), "found 'a record of 15 bytes', expected one that fits"),
        (struct.pack("=IHHII", 17, 20, 0, 1, 0), "found 'a record of 17 bytes', expected one that fits"),
    ],
)
def test_what_is_no_record_is_named(answer: bytes, said: str) -> None:
    with pytest.raises(Malformed) as raised:
        records(answer)
    assert said in str(raised.value)


@given(answer=st.binary(max_size=100))
def test_a_broken_answer_is_malformed_and_never_another_error(answer: bytes) -> None:
    with suppress(Malformed, OSError):
        records(answer)


def test_the_addresses_of_this_machine_are_those_that_it_listens_at(sockets: ExitStack) -> None:
    found = list(addresses(time.monotonic() + 30))
    assert Address("127.0.0.1", "lo", "8", "link-local") in found
    for address in found:
        if address.scope == "global" and ":" not in address.address:
            sockets.enter_context(socket.create_server((address.address, 0)))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.2", "link-local"),
        ("169.254.7.1", "link-local"),
        ("10.1.0.1", "global"),
        ("0.0.0.0", ""),
        ("::1", "link-local"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", "global"),
        ("2001:db8::1", "global"),
        ("::", ""),
    ],
)
def test_how_far_an_address_can_be_reached(address: str, said: str) -> None:
    assert scope(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)) == said


def test_addresses_are_shown_on_demand_and_only_then() -> None:
    def shown(**said: str) -> set[str]:
        chosen = Chosen(Netdev.options, {name.replace("_", "-"): value for name, value in said.items()})
        return {family.name for family in Netdev(Paths(), chosen).collect(time.monotonic() + 30)}

    assert shown(address_info="true", device_include="^none$") == {"node_network_address_info"}
    assert "node_network_address_info" not in shown()


@given(record=st.binary(max_size=60))
def test_attributes_of_any_bytes_are_attributes_or_none(record: bytes) -> None:
    assert all(len(value) <= len(record) for value in attributes(record).values())


def test_attributes_by_their_numbers() -> None:
    record = ATTRIBUTE.pack(4 + 5, 1) + b"first" + bytes(3) + ATTRIBUTE.pack(4, 2) + ATTRIBUTE.pack(4 + 2, 3) + b"to"
    assert attributes(record) == {1: b"first", 2: b"", 3: b"to"}
