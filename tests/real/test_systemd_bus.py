"""systemd on a real bus, beside the real node_exporter: the tests' own service manager answers both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen
from exporter.collectors.systemd import Systemd
from exporter.exposition import Format, render
from exporter.outcome import Absent
from tests.exporter.systemdpeer import PROPERTIES, SERVICE, UNITS, answer, line, on_bus, root
from tests.real.servers import environment, free_port, started, until

CONFIGURATION = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/> <allow receive_type="method_return"/>
    <allow receive_type="error"/> <allow receive_type="signal"/>
  </policy>
</busconfig>
"""
EVERYTHING = {f"enable-{name}-metrics": "true" for name in ("task", "restarts", "start-time")}
# OpenMetrics has no gauge whose name ends so.
COUNTED = "node_systemd_socket_refused_connections_total"

Samples = dict[tuple[str, str, tuple[tuple[str, str], ...]], float]


@contextmanager
def bus(place: Path, program: str) -> Iterator[Path]:
    path = place / "run/dbus/system_bus_socket"
    (place / "bus.conf").write_text(CONFIGURATION.format(socket=path))
    with started([program, "--nofork", f"--config-file={place}/bus.conf"], url="", log=place / "bus.log", ready=None):
        until(path.exists, what="the bus listens")
        yield path


@pytest.fixture
def place(needs: Callable[[str], str]) -> Iterator[Path]:
    needs("dbus-daemon")
    with root() as folder:
        yield folder


def collector(place: Path, **said: str) -> Systemd:
    return Systemd(Paths(rootfs=str(place)), Chosen(Systemd.options, said))


def samples(page: str) -> Samples:
    """Without empty labels, which say the same as none."""
    found: Samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            kind = "counter" if sample.name == COUNTED else family.type
            labels = tuple(sorted(item for item in sample.labels.items() if item[1]))
            if sample.name.startswith("node_systemd_"):
                found[kind, sample.name, labels] = sample.value
    return found


def ours(place: Path) -> Samples:
    families = collector(place, **EVERYTHING).collect(time.monotonic() + 30)
    return samples(render(families, Format.TEXT).decode())


def test_what_node_exporter_says_of_the_same_systemd_we_say_too(place: Path, needs: Callable[[str], str]) -> None:
    # What is gone or between two states has nothing to compare.
    units = [unit for unit in UNITS if unit[0] not in ("vanished.service", "odd\\x20name@1.service")]
    port = free_port()
    command = [
        *(needs("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}"),
        *("--collector.disable-defaults", "--collector.systemd"),
        *(f"--collector.systemd.{name}" for name in EVERYTHING),
        r"--collector.systemd.unit-exclude=.+\.(automount|device|mount|scope|slice)",
    ]
    with bus(place, needs("dbus-daemon")) as path, on_bus(path, partial(answer, units=units)):
        address = environment(DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={path}")
        url = f"http://127.0.0.1:{port}"
        with started(command, url=url, log=place / "node.log", ready="/", env=address) as node:
            theirs = samples(node.text("/metrics"))
        found = ours(place)
    # Newer versions have what the machine runs in.
    assert {each: value for each, value in found.items() if "virtualization" not in each[1]} == theirs


def test_a_bus_without_systemd_has_not_failed(place: Path, needs: Callable[[str], str]) -> None:
    with bus(place, needs("dbus-daemon")), pytest.raises(Absent, match="nobody on the bus"):
        collector(place).collect(time.monotonic() + 30)


def test_a_thousand_services_are_asked_over_the_bus(place: Path, needs: Callable[[str], str]) -> None:
    units = [line(f"service-{number}.service", "loaded", "active") for number in range(1000)]
    said = dict(PROPERTIES) | {(unit[6], SERVICE, "Type"): ("s", "exec") for unit in units}
    with bus(place, needs("dbus-daemon")) as path, on_bus(path, partial(answer, units=units, properties=said)):
        found = {family.name: dict(family.samples) for family in collector(place).collect(time.monotonic() + 30)}
    assert found["node_systemd_unit_state"]["service-999.service", "active", "exec"] == 1
    assert len(found["node_systemd_unit_state"]) == 5000


def test_the_bus_comes_and_goes(place: Path, needs: Callable[[str], str]) -> None:
    systemd = collector(place)
    for _ in range(2):
        with bus(place, needs("dbus-daemon")) as path, on_bus(path):
            families = list(systemd.collect(time.monotonic() + 30))
            shown = {values for family in families for values, _ in family.samples}
            assert ("ssh.service", "active", "notify") in shown
        path.unlink(missing_ok=True)
        with pytest.raises(Absent, match="system_bus_socket"):
            systemd.collect(time.monotonic() + 30)
