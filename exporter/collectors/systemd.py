"""`systemd`: the state of its units, its timers and its sockets, asked over D-Bus without running a command.

Everything is asked of the one service manager on the machine's bus, many questions at once, and all waiting ends at
the scrape's deadline. What systemd does not know of a unit, because it is too old or the unit has just gone, is missing
by itself. Nothing is ever started or changed.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.collectors.dbus import Connection
from exporter.collectors.dbusmessage import Answer, Call, Garbled
from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

UNITS_MAX = 10_000

SYSTEMD, SYSTEMD_PATH = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
MANAGER, UNIT = f"{SYSTEMD}.Manager", f"{SYSTEMD}.Unit"
SERVICE, MOUNT, SOCKET, TIMER = (f"{SYSTEMD}.{kind}" for kind in ("Service", "Mount", "Socket", "Timer"))
PROPERTIES = "org.freedesktop.DBus.Properties"
# Errors that say that there is a bus and no systemd.
NOBODY = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner")
VERSION = re.compile(r"[0-9]{3,}(\.[0-9]+)?")
# How systemd writes that it does not know a count, or that there is no limit.
NOTHING = 2**64 - 1
STATES = ("activating", "active", "deactivating", "failed", "inactive")

UNIT_STATE = Shape(
    "node_systemd_unit_state", "gauge", "1 for the state in which the unit is.", ("name", "state", "type")
)
UNITS = Shape("node_systemd_units", "gauge", "Units by state, also those that are left out.", ("state",))
RUNNING = Shape("node_systemd_system_running", "gauge", "1 if the system is up and no unit has failed.")
VERSION_INFO = Shape("node_systemd_version", "gauge", "The version of systemd as a number.", ("version",))
VIRTUALIZATION = Shape(
    "node_systemd_virtualization_info", "gauge", "In what the machine runs; always 1.", ("virtualization_type",)
)
NAME = ("name",)
START_TIME = Shape(
    "node_systemd_unit_start_time_seconds",
    "gauge",
    "When the unit became active, in seconds since 1970; 0 if not.",
    NAME,
)
RESTARTS = Shape("node_systemd_service_restart_total", "counter", "How often systemd has restarted the service.", NAME)
TASKS = Shape("node_systemd_unit_tasks_current", "gauge", "Tasks of the service.", NAME)
TASKS_LIMIT = Shape("node_systemd_unit_tasks_max", "gauge", "Tasks that the service may have.", NAME)
TRIGGERED = Shape(
    "node_systemd_timer_last_trigger_seconds", "gauge", "When the timer went off last, in seconds since 1970.", NAME
)
ACCEPTED = Shape(
    "node_systemd_socket_accepted_connections_total", "counter", "Connections that the socket has accepted.", NAME
)
CONNECTIONS = Shape("node_systemd_socket_current_connections", "gauge", "Connections that the socket has now.", NAME)
REFUSED = Shape(
    "node_systemd_socket_refused_connections_total", "counter", "Connections that the socket has refused.", NAME
)


class Unit(NamedTuple):
    """One of the lines of `systemctl list-units`, as far as it matters here."""

    name: str
    loaded: str
    state: str
    path: str


class Question(NamedTuple):
    """A property of a unit, the family that shows it, and what it is divided by."""

    unit: Unit
    interface: str
    property: str
    shape: Shape
    divisor: int = 1


class Systemd:
    name = "systemd"
    help = "State of systemd's units, timers and sockets."
    enabled = True
    options: tuple[Option, ...] = (
        Option("unit-include", Kind.PATTERN, ".+", "only units whose whole name matches"),
        Option(
            "unit-exclude",
            Kind.PATTERN,
            r".+\.(automount|device|mount|scope|slice)",
            "units that are left out, if their whole name matches",
        ),
        Option("enable-task-metrics", Kind.SWITCH, "false", "show how many tasks services have and may have"),
        Option("enable-restarts-metrics", Kind.SWITCH, "false", "show how often services were restarted"),
        Option("enable-start-time-metrics", Kind.SWITCH, "false", "show when units became active"),
        Option("private", Kind.SWITCH, "false", "ask systemd itself instead of the bus; only root may"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        chosen = chosen or Chosen(self.options)
        self._wanted = Filter(
            include=chosen.pattern("unit-include"),
            exclude=chosen.pattern("unit-exclude"),
            matching=re.Pattern.fullmatch,
        )
        self._tasks = chosen.on("enable-task-metrics")
        self._restarts = chosen.on("enable-restarts-metrics")
        self._start_times = chosen.on("enable-start-time-metrics")
        self._destination = "" if chosen.on("private") else SYSTEMD
        socket = "run/dbus/system_bus_socket" if self._destination else "run/systemd/private"
        # In a container the host's socket is below the host's root, or mounted in its usual place.
        self._sockets = tuple(f"{root.rstrip('/')}/{socket}" for root in dict.fromkeys((paths.rootfs, "/")))

    def collect(self, deadline: float) -> Iterable[Family]:
        socket = next(filter(os.path.exists, self._sockets), None)
        if socket is None:
            raise Absent(f"no systemd: there is no {self._sockets[0]}")
        with Connection(socket, destination=self._destination, deadline=deadline) as bus:
            version, virtualization, state, listed = bus.ask(
                [
                    *(_get(SYSTEMD_PATH, MANAGER, name) for name in ("Version", "Virtualization", "SystemState")),
                    Call(SYSTEMD_PATH, MANAGER, "ListUnits"),
                ]
            )
            units = units_of(listed)
            shown = self._shown(units)
            kinds = _kind_questions(shown)
            questions = list(self._questions(shown))
            answers = bus.ask([*kinds.values(), *(_get(each.unit.path, *each[1:3]) for each in questions)])
        types = dict(zip(kinds, map(text_of, answers), strict=False))
        return (
            *about(version, virtualization, state),
            UNITS.of([((state,), count) for state, count in states_of(units).items()]),
            UNIT_STATE.of(
                [
                    ((unit.name, state, types.get(unit.name, "")), int(unit.state == state))
                    for unit in shown
                    for state in STATES
                ]
            ),
            *self._numbers(shown, questions, answers[len(kinds) :]),
        )

    def _shown(self, units: Sequence[Unit]) -> list[Unit]:
        shown = {unit.name: unit for unit in units if unit.loaded == "loaded" and self._wanted.keeps(unit.name)}
        if len(shown) > UNITS_MAX:
            raise Garbled(f"systemd: found {len(shown)} units, expected at most {UNITS_MAX}")
        # systemd has no order; a page has the same at each scrape.
        return [shown[name] for name in sorted(shown)]

    def _questions(self, units: Sequence[Unit]) -> Iterable[Question]:
        for unit in units:
            match unit.name.rpartition(".")[2]:
                case "service":
                    if self._restarts:
                        yield Question(unit, SERVICE, "NRestarts", RESTARTS)
                    if self._tasks:
                        yield Question(unit, SERVICE, "TasksCurrent", TASKS)
                        yield Question(unit, SERVICE, "TasksMax", TASKS_LIMIT)
                case "socket":
                    yield Question(unit, SOCKET, "NAccepted", ACCEPTED)
                    yield Question(unit, SOCKET, "NConnections", CONNECTIONS)
                    yield Question(unit, SOCKET, "NRefused", REFUSED)
                case "timer":
                    yield Question(unit, TIMER, "LastTriggerUSec", TRIGGERED, 10**6)
            if self._start_times and unit.state == "active":
                yield Question(unit, UNIT, "ActiveEnterTimestamp", START_TIME, 10**6)

    def _numbers(
        self, units: Sequence[Unit], questions: Sequence[Question], answers: Sequence[Answer]
    ) -> Iterable[Family]:
        numbers: dict[Shape, list[tuple[tuple[str, ...], float]]] = {
            shape: [] for shape in (RESTARTS, TASKS, TASKS_LIMIT, ACCEPTED, CONNECTIONS, REFUSED, TRIGGERED, START_TIME)
        }
        if self._start_times:
            numbers[START_TIME] += [((unit.name,), 0) for unit in units if unit.state != "active"]
        for (unit, *_, shape, divisor), answer in zip(questions, answers, strict=True):
            number = number_of(answer)
            if number is not None:
                numbers[shape].append(((unit.name,), number / divisor if divisor != 1 else number))
        return (shape.of(samples) for shape, samples in numbers.items())


def units_of(listed: Answer) -> list[Unit]:
    if listed.error.startswith(NOBODY):
        raise Absent("no systemd: nobody on the bus has its name")
    if listed.error:
        raise Garbled(f"systemd: found {listed.error}, expected a list of units")
    units = []
    for line in listed.values[0] if listed.values and isinstance(listed.values[0], list) else [()]:
        if not isinstance(line, tuple) or len(line) < 7 or not all(isinstance(word, str) for word in line[:7]):
            raise Garbled(f"systemd: found {line!r:.120}, expected the texts of a unit")
        units.append(Unit(name=line[0], loaded=line[2], state=line[3], path=line[6]))
    return units


def about(version: Answer, virtualization: Answer, state: Answer) -> Iterable[Family]:
    """What holds for the whole machine; without a type of virtualization it is none."""
    found = VERSION.search(text_of(version))
    yield VERSION_INFO.of([((text_of(version),), float(found[0]))] if found is not None else [])
    kind = "unknown" if virtualization.error else text_of(virtualization) or "none"
    yield VIRTUALIZATION.of([((kind,), 1)])
    yield RUNNING.of([] if state.error else [((), int(text_of(state) == "running"))])


def states_of(units: Sequence[Unit]) -> dict[str, int]:
    """How many units are in each state; newer versions have further states, as `reloading`."""
    counted = Counter(unit.state for unit in units)
    return {state: counted[state] for state in (*STATES, *sorted(counted.keys() - set(STATES)))}


def text_of(answer: Answer) -> str:
    return answer.values[0] if not answer.error and answer.values and isinstance(answer.values[0], str) else ""


def number_of(answer: Answer) -> int | None:
    if answer.error or not answer.values or not isinstance(answer.values[0], int) or answer.values[0] == NOTHING:
        return None
    return answer.values[0]


def _kind_questions(units: Sequence[Unit]) -> dict[str, Call]:
    """Which type a service or a mount has is not in the list."""
    interfaces = {"service": SERVICE, "mount": MOUNT}
    asked = ((unit, interfaces.get(unit.name.rpartition(".")[2])) for unit in units)
    return {unit.name: _get(unit.path, interface, "Type") for unit, interface in asked if interface is not None}


def _get(path: str, interface: str, name: str) -> Call:
    return Call(path, PROPERTIES, "Get", (interface, name))
