"""Ports at which somebody listens: from files of our own, and real sockets of this process."""

import contextlib
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.files import Malformed, Paths
from exporter.collectors.listening import allowed, listeners, of_kernel
from exporter.collectors.listening_ports import UNEXPECTED_MAX, ListeningPorts
from exporter.collectors.options import Chosen
from exporter.outcome import Absent
from exporter.score.posture import ratios
from exporter.score.reading import posture_of
from tests.exporter.builders import FIXTURE_PATHS, SURELY, Found, collected
from tests.left_out import left_out

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def said(paths: Paths = FIXTURE_PATHS, **options: str) -> Found:
    chosen = Chosen(ListeningPorts.options, {name.replace("_", "-"): value for name, value in options.items()})
    return collected(ListeningPorts(paths, chosen))


def unexpected(paths: Paths = FIXTURE_PATHS, **options: str) -> set[tuple[str, ...]]:
    return {labels[:3] for labels in said(paths, **options)["security_unexpected_listening_port"]}


def line(address: str, port: int, *, state: str = "0A", inode: int = 1) -> str:
    return f"   0: {address}:{port:04X} 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0 100 0 0 10 0\n"


def proc(folder: Path, **lists: Iterable[str]) -> Paths:
    (folder / "net").mkdir()
    for name, lines in lists.items():
        (folder / "net" / name).write_text(HEADER + "".join(lines))
    return FIXTURE_PATHS._replace(procfs=str(folder))


def test_ports_are_counted_by_who_can_reach_them_and_both_versions_of_ip_are_one() -> None:
    assert said()["security_listening_ports"] == {
        ("tcp", "all"): 1,
        ("tcp", "loopback"): 3,
        ("tcp", "one"): 1,
        ("udp", "all"): 2,
        ("udp", "loopback"): 2,
        ("udp", "one"): 0,
    }


def test_without_a_list_no_port_is_unexpected() -> None:
    found = said()
    assert found["security_unexpected_listening_ports"] == {}
    assert found["security_unexpected_listening_port"] == {}


def test_where_nobody_has_said_what_is_allowed_the_score_knows_nothing_of_ports() -> None:
    def parts(**options: str) -> dict[str, float]:
        chosen = Chosen(ListeningPorts.options, options)
        seen = ListeningPorts(FIXTURE_PATHS, chosen).collect(time.monotonic() + SURELY)
        return ratios(posture_of(seen, now=0.0, finding_points=None, logins=None))

    assert parts() == {}
    assert parts(allowed="22,68/udp,327/udp,9100") == {"listening_ports": 1.0}


def test_what_the_list_does_not_have_is_named_without_its_address() -> None:
    found = said(allowed="22,68/udp,327/udp")
    assert found["security_unexpected_listening_ports"] == {("tcp",): 1, ("udp",): 0}
    assert found["security_unexpected_listening_port"] == {("tcp", "9100", "one", ""): 1}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("none", {"22", "68", "9100"}),
        ("*", set()),
        ("22/udp,68/tcp", {"22", "68", "9100"}),
        ("1-100", {"9100"}),
        (" 22 , 68, 10.0.1.5:9100", set()),
        ("22,68,10.0.0.0/16:*", set()),
        ("22,68,10.2.0.0/16:*", {"9100"}),
        ("127.0.0.1:22,68,9100", {"22"}),
        ("[::]:22,68,9100", {"22"}),
        ("[::]:22,0.0.0.0:22,68,9100", set()),
    ],
)
def test_an_item_is_a_port_a_range_an_address_or_a_protocol(text: str, left: set[str]) -> None:
    assert {port for _, port, _ in unexpected(allowed=f"327,{text}")} == left


def test_what_only_this_machine_can_reach_is_unexpected_when_that_is_asked_for() -> None:
    inside = {("tcp", "5432", "loopback"), ("tcp", "631", "loopback"), ("tcp", "8080", "loopback")}
    assert unexpected(allowed="22,68,323-327,9100") == set()
    assert unexpected(allowed="22,68,323-327,9100", loopback="true") == inside


@pytest.mark.parametrize(
    "text", ["ssh", "0", "70000", "90-80", "22/sctp", "1.2.3:22", "[::1:22", "*-5", "10.0.0.1/8:1"]
)
def test_a_list_that_is_wrong_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^allowed: found .*, expected ports") as raised:
        ListeningPorts(FIXTURE_PATHS, Chosen(ListeningPorts.options, {"allowed": text}))
    assert repr(text) in str(raised.value)


def test_a_list_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="found 1001 items, expected at most 1000"):
        allowed(",".join(map(str, range(1, 1002))))


def test_udp_ports_of_clients_count_when_that_is_asked_for(tmp_path: Path) -> None:
    lines = [line("00000000", 40_000, state="07"), line("00000000", 53, state="07"), line("00000000", 54, state="01")]
    paths = proc(tmp_path, udp=lines)
    assert unexpected(paths, allowed="none") == {("udp", "53", "all")}
    assert unexpected(paths, allowed="none", client_ports="true") == {("udp", "53", "all"), ("udp", "40000", "all")}


def test_unexpected_ports_are_all_counted_and_not_all_named(tmp_path: Path) -> None:
    found = said(proc(tmp_path, tcp=[line("00000000", port) for port in range(1000, 1120)]), allowed="none")
    assert found["security_unexpected_listening_ports"]["tcp",] == 120
    assert len(found["security_unexpected_listening_port"]) == UNEXPECTED_MAX


def test_on_a_busy_machine_the_connections_are_hardly_read(tmp_path: Path) -> None:
    """The one at the end would not be a line at all."""
    busy = [line("0100007F", port, state="01") for port in range(1, 60_000)]
    found = said(proc(tmp_path, tcp=[line("00000000", 22), *busy, "nonsense\n"]))
    assert found["security_listening_ports"]["tcp", "all"] == 1


def test_a_machine_without_lists_of_sockets_has_none(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        said(FIXTURE_PATHS._replace(procfs=str(tmp_path)))


@pytest.mark.parametrize("lines", ["", "what is this\n", HEADER + "0: 00000000:0016\n", HEADER + line("0000", 22)])
def test_a_list_that_reads_otherwise_is_said(lines: str, tmp_path: Path) -> None:
    paths = proc(tmp_path)
    (tmp_path / "net" / "tcp").write_text(lines)
    with pytest.raises(Malformed, match="expected"):
        said(paths)


@given(lines=st.lists(st.binary(max_size=120), max_size=4))
def test_a_broken_line_is_malformed_and_never_another_error(lines: list[bytes]) -> None:
    with contextlib.suppress(Malformed):
        list(listeners("tcp", lines, where="tcp", ports=lambda _: True))


@given(text=st.text(alphabet="0123456789,-*[]:./tcpudp ", max_size=30))
def test_a_list_is_read_or_refused_and_nothing_else(text: str) -> None:
    with contextlib.suppress(ValueError):
        allowed(text)


def test_a_real_socket_is_found_with_its_process_and_gone_when_it_is_closed() -> None:
    collector = ListeningPorts(Paths(), Chosen(ListeningPorts.options, {"allowed": "none", "loopback": "true"}))
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as server:
            try:
                server.bind((address, 0))
            except OSError:
                continue  # a machine without this version of IP
            server.listen()
            port = str(server.getsockname()[1])
            comm = Path("/proc/self/comm").read_text().strip()
            ours = {labels for labels in collected(collector)["security_unexpected_listening_port"] if port in labels}
            assert ours == {("tcp", port, "loopback", comm)}
        assert not any(port in labels for labels in collected(collector)["security_unexpected_listening_port"])


def test_the_kernel_tells_what_its_list_says() -> None:
    """Other programs come and go meanwhile, so only sockets of our own are compared."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.socket(family)) for family in (socket.AF_INET, socket.AF_INET6)]
        servers[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            for server, address in zip(servers, ("127.0.0.2", "::ffff:127.0.0.3"), strict=True):
                server.bind((address, 0))
                server.listen()
        except OSError as error:
            left_out(f"no sockets of both versions of IP: {error}")
        ports = {server.getsockname()[1] for server in servers}
        listed = []
        for name in ("tcp", "tcp6"):
            lines = Path(f"/proc/net/{name}").read_bytes().splitlines()[1:]
            listed += listeners("tcp", lines, where=name, ports=ports.__contains__)
        told = [each for each in of_kernel(time.monotonic() + SURELY) if each.port in ports]
    assert sorted(each.scope for each in told) == ["loopback", "loopback"]
    assert set(told) == set(listed)


def test_a_kernel_that_does_not_tell_has_its_list_read(tmp_path: Path) -> None:
    """As where a filter of system calls is in the way."""

    def ask(deadline: float) -> NoReturn:
        raise PermissionError(deadline)

    paths = proc(tmp_path, tcp=[line("00000000", 22)])
    (tmp_path / "self").symlink_to("1")
    assert collected(ListeningPorts(paths, ask=ask))["security_listening_ports"]["tcp", "all"] == 1
