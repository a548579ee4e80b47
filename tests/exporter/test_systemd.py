"""systemd over D-Bus: what it says is shown, and nothing that a peer does hangs or breaks anything else."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.dbusmessage import VALUES_MAX, Garbled, Reader
from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen
from exporter.collectors.systemd import Systemd
from exporter.family import Family
from exporter.outcome import Absent
from tests.exporter.builders import SURELY
from tests.exporter.systemdpeer import (
    HERE,
    MANAGER,
    PROPERTIES,
    UNITS,
    Asked,
    Written,
    answer,
    let_in,
    line,
    listening,
    message,
    peer,
    root,
    serve,
)

Found = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture
def place() -> Iterator[Path]:
    with root() as folder:
        yield folder


def collector(place: Path, **said: str) -> Systemd:
    options = {"private": "true"} | {name.replace("_", "-"): text for name, text in said.items()}
    return Systemd(Paths(rootfs=str(place)), Chosen(Systemd.options, options))


def collected(place: Path, behave: Callable[[socket.socket], None] | None = None, **said: str) -> Found:
    with listening(place / "run/systemd/private", behave or peer()):
        families: list[Family] = list(collector(place, **said).collect(time.monotonic() + SURELY))
    return {family.name: dict(family.samples) for family in families}


def states(found: Found) -> dict[tuple[str, str], str]:
    """The state of each unit, by its name and type."""
    return {(name, kind): state for (name, state, kind), is_it in found["node_systemd_unit_state"].items() if is_it}


def test_units_are_shown_with_their_states_and_types(place: Path) -> None:
    found = collected(place)
    assert states(found) == {
        ("ssh.service", "notify"): "active",
        ("cron.service", "simple"): "failed",
        ("vanished.service", ""): "inactive",
        ("apt-daily.timer", ""): "active",
        ("dbus.socket", ""): "active",
        ("old.socket", ""): "active",
        ("multi-user.target", ""): "active",
    }
    assert len(found["node_systemd_unit_state"]) == 5 * 8
    assert ("odd\\x20name@1.service", "active", "oneshot") in found["node_systemd_unit_state"]


def test_units_are_counted_by_state_also_those_that_are_left_out(place: Path) -> None:
    assert collected(place)["node_systemd_units"] == {
        ("activating",): 0,
        ("active",): 6,
        ("deactivating",): 0,
        ("failed",): 1,
        ("inactive",): 2,
        ("reloading",): 1,
    }


def test_timers_sockets_and_the_whole(place: Path) -> None:
    found = collected(place)
    assert found["node_systemd_timer_last_trigger_seconds"] == {("apt-daily.timer",): 1794000000}
    assert found["node_systemd_socket_accepted_connections_total"] == {("dbus.socket",): 7, ("old.socket",): 0}
    assert found["node_systemd_socket_current_connections"] == {("dbus.socket",): 3, ("old.socket",): 0}
    assert found["node_systemd_socket_refused_connections_total"] == {("dbus.socket",): 1}
    assert found["node_systemd_system_running"] == {(): 1}
    assert found["node_systemd_version"] == {("252.5-2~deb12u1",): 252.5}
    assert found["node_systemd_virtualization_info"] == {("none",): 1}


def test_what_is_off_unless_asked_for(place: Path) -> None:
    found = collected(place)
    for name in ("service_restart_total", "unit_tasks_current", "unit_tasks_max", "unit_start_time_seconds"):
        assert found[f"node_systemd_{name}"] == {}


def test_restarts_tasks_and_start_times(place: Path) -> None:
    found = collected(
        place, enable_restarts_metrics="true", enable_task_metrics="true", enable_start_time_metrics="true"
    )
    assert found["node_systemd_service_restart_total"] == {("ssh.service",): 2, ("cron.service",): 0}
    assert found["node_systemd_unit_tasks_current"] == {("ssh.service",): 5}
    assert found["node_systemd_unit_tasks_max"] == {("ssh.service",): 4915}
    assert found["node_systemd_unit_start_time_seconds"] == {
        ("ssh.service",): 1795000000.5,
        ("cron.service",): 0,
        ("vanished.service",): 0,
        ("odd\\x20name@1.service",): 0,
    }


def test_units_are_chosen_by_their_whole_name(place: Path) -> None:
    found = collected(place, unit_include=r"ssh|.*\.(mount|timer)", unit_exclude="apt-daily.*")
    assert states(found) == {("-.mount", "ext4"): "active"}


def test_the_other_order_of_bytes_says_the_same(place: Path) -> None:
    big = peer(partial(answer, order=">"))
    assert collected(place, big) == collected(place)


def test_an_old_systemd_without_some_properties(place: Path) -> None:
    known = {key: value for key, value in PROPERTIES.items() if key[0] != HERE}
    found = collected(place, peer(partial(answer, properties=known)))
    assert found["node_systemd_version"] == {}
    assert found["node_systemd_system_running"] == {}
    assert found["node_systemd_virtualization_info"] == {("unknown",): 1}
    assert ("ssh.service", "notify") in states(found)


def test_a_system_that_is_degraded_is_not_running(place: Path) -> None:
    said = dict(PROPERTIES) | {(HERE, MANAGER, "SystemState"): ("s", "degraded")}
    said |= {(HERE, MANAGER, "Virtualization"): ("s", "kvm"), (HERE, MANAGER, "Version"): ("s", "v1")}
    found = collected(place, peer(partial(answer, properties=said)))
    assert found["node_systemd_system_running"] == {(): 0}
    assert found["node_systemd_virtualization_info"] == {("kvm",): 1}
    assert found["node_systemd_version"] == {}


def test_properties_of_another_type_are_as_if_they_were_not_there(place: Path) -> None:
    said = {key: ("s", "x") if value[0] != "s" else ("t", 1) for key, value in PROPERTIES.items()}
    found = collected(place, peer(partial(answer, properties=said)))
    assert found["node_systemd_timer_last_trigger_seconds"] == {}
    assert ("ssh.service", "") in states(found)


def test_many_units_are_asked_in_portions(place: Path) -> None:
    units = [line(f"u{number}.timer", "loaded", "active") for number in range(500)]
    said = dict(PROPERTIES) | {
        (unit[6], "org.freedesktop.systemd1.Timer", "LastTriggerUSec"): ("t", number * 10**6)
        for number, unit in enumerate(units)
    }
    found = collected(place, peer(partial(answer, units=units, properties=said)))
    expected = {(f"u{number}.timer",): number for number in range(500)}
    assert found["node_systemd_timer_last_trigger_seconds"] == expected


def test_a_list_with_the_same_unit_twice_shows_it_once(place: Path) -> None:
    found = collected(place, peer(partial(answer, units=(*UNITS, *UNITS))))
    assert len(found["node_systemd_unit_state"]) == 5 * 8


def test_units_are_in_the_same_order_whatever_systemd_says_first(place: Path) -> None:
    forth = collected(place, peer(partial(answer, units=UNITS)))
    back = collected(place, peer(partial(answer, units=UNITS[::-1])))
    assert [list(samples) for samples in forth.values()] == [list(samples) for samples in back.values()]


def test_answers_in_another_order_and_signals_between_them(place: Path) -> None:
    signal = message(4, 9, [(1, ("o", "/")), (2, ("s", "a.b")), (3, ("s", "C"))], Written("<"))
    strange = message(2, 9, [(5, ("u", 4_000_000_000))], Written("<"))

    def behave(connection: socket.socket) -> None:
        let_in(connection)
        held: list[bytes] = []

        def hold(asked: Asked) -> bytes:
            held.append(answer(asked))
            if len(held) % 2:
                return signal
            first, second = held[-2:]
            return second + strange + first

        serve(connection, hold)

    # Four questions about the whole, then four about types and four about a socket and a timer: they come in pairs.
    found = collected(place, behave, unit_exclude=r".+\.mount|old.*")
    assert found["node_systemd_version"] == {("252.5-2~deb12u1",): 252.5}


def test_a_machine_without_systemd_has_not_failed(place: Path) -> None:
    with pytest.raises(Absent, match="run/systemd/private"):
        collector(place).collect(time.monotonic() + SURELY)


def garbage(content: bytes, *, after: Callable[[socket.socket], object] = let_in) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        after(connection)
        connection.sendall(content)
        connection.recv(1 << 16)
        connection.shutdown(socket.SHUT_WR)

    return behave


def at_once(connection: socket.socket) -> None:
    connection.recv(1)


def head(*, body: int = 0, fields: int = 0, start: bytes = b"l\2\0\1") -> bytes:
    return start + struct.pack("<III", body, 1, fields)


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (garbage(b"REJECTED EXTERNAL\r\n", after=at_once), "found b'REJECTED EXTERNAL', expected OK"),
        (garbage(b"x" * 5000, after=at_once), "found a line without an end"),
        (garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "expected a message"),
        (garbage(bytes(64)), "expected a message"),
        (garbage(head(start=b"l\2\0\2")), "expected a message"),
        (garbage(head(body=100 << 20)), "a message of 104857616 bytes, expected at most 16777216"),
        (garbage(head(fields=1 << 31)), "expected at most 16777216"),
        (garbage(head(fields=8) + bytes(8)), "expected"),
        (garbage(head(fields=8) + b"\5\1u\0\1\0\0"), "hung up"),
        (garbage(head(fields=15) + b"\5\1u\0\1\0\0\0" + b"\x08\1g\0\1?\0\0"), "expected one of D-Bus"),
        (garbage(head()), "found an answer to nothing"),
        (garbage(b""), "hung up"),
    ],
)
def test_who_does_not_speak_the_protocol_is_named(
    place: Path, behave: Callable[[socket.socket], None], said: str
) -> None:
    with pytest.raises((Garbled, OSError), match=r"/run/systemd/private: ") as error:
        collected(place, behave)
    assert said in str(error.value)


def test_nobody_listens_any_more(place: Path) -> None:
    with listening(place / "run/systemd/private", at_once):
        pass
    with pytest.raises(ConnectionRefusedError, match="private: "):
        collector(place).collect(time.monotonic() + SURELY)


def trickle(connection: socket.socket) -> None:
    let_in(connection)
    stopped = threading.Event()
    while not stopped.wait(0.01):
        connection.sendall(message(4, 9, [(1, ("o", "/"))], Written("<")))


def silent(connection: socket.socket) -> None:
    let_in(connection)
    while connection.recv(1 << 16):
        pass


def deaf(connection: socket.socket) -> None:
    threading.Event().wait(SURELY)


@pytest.mark.parametrize("behave", [trickle, silent, deaf])
def test_who_does_not_answer_is_waited_for_until_the_deadline(
    place: Path, behave: Callable[[socket.socket], None]
) -> None:
    started = time.monotonic()
    with listening(place / "run/systemd/private", behave), pytest.raises(TimeoutError, match="private: "):
        collector(place).collect(started + 0.3)
    assert 0.25 < time.monotonic() - started < SURELY


def test_what_systemd_refuses_is_an_error_that_says_why(place: Path) -> None:
    def refusing(asked: Asked) -> bytes:
        to = [(5, ("u", asked.serial)), (4, ("s", "org.freedesktop.DBus.Error.AccessDenied"))]
        return message(3, 1, to, Written("<"))

    with pytest.raises(Garbled, match=r"AccessDenied.*expected a list of units"):
        collected(place, peer(refusing))


@pytest.mark.parametrize(
    ("signature", "content"),
    [
        ("a" * 40 + "s", struct.pack("<I", 4) * 50),
        ("v", b"\1v\0" * 50),
        ("(" * 40 + ")" * 40, b"\0" * 400),
        ("a()", struct.pack("<III", 8, 0, 0) + bytes(8)),
        ("au", struct.pack("<I", 6) + bytes(12)),
        ("as", struct.pack("<I", 1 << 30)),
        ("s", struct.pack("<I", 3) + b"abcd"),
        ("z", b"\0"),
        ("e", b"\0"),
    ],
)
def test_values_that_cannot_be_are_garbled(signature: str, content: bytes) -> None:
    with pytest.raises((Garbled, struct.error, IndexError, KeyError)):
        Reader(content, "<").values(signature)


def test_values_are_limited() -> None:
    content = struct.pack("<I", VALUES_MAX + 1) + bytes(VALUES_MAX + 1)
    with pytest.raises(Garbled, match="more of them"):
        Reader(content, "<").values("ay")


@given(st.text(alphabet="ybnqiuxtdsogvha(){}", max_size=20), st.binary(max_size=200))
def test_no_bytes_break_the_reader(signature: str, content: bytes) -> None:
    try:
        Reader(content, "<").values(signature)
    except (Garbled, struct.error, IndexError, KeyError):
        return


@given(
    st.lists(st.tuples(st.text().filter(lambda text: "\0" not in text), st.integers(0, 2**64 - 1), st.booleans())),
    st.sampled_from("<>"),
)
def test_what_was_written_is_read(values: list[tuple[str, int, bool]], order: str) -> None:
    written = Written(order).put("y", 1).put("a(stb)", values).put("v", ("t", 7)).put("v", ("s", "x"))
    assert Reader(bytes(written.content), order).values("ya(stb)vv") == (1, values, 7, "x")
