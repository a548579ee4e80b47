"""A real Alertmanager is asked: silences, inhibition, ends, a restart, groups that `max_alerts` cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from receiver.alert import fingerprint_of
from receiver.alertmanager import Alertmanager
from receiver.comparison import fetched
from receiver.incident import Group
from receiver.known import Cut
from tests.real.amtalk import end, fire, silence
from tests.real.servers import Server, alertmanager, free_port, sink, until

pytestmark = pytest.mark.real

CONFIGURATION = """
route:
  receiver: team.a
  group_by: [job]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [cluster]
receivers:
  - name: team.a
    webhook_configs:
      - {url: 'URL/hook', max_alerts: 2}
"""
DOWN = {"alertname": "Down", "severity": "critical", "cluster": "eu1", "job": "node"}
SLOW = {"alertname": "Slow", "severity": "warning", "cluster": "eu1", "job": "node"}

T = TypeVar("T")


@contextmanager
def standing(folder: Path, program: str, *, port: int | None = None) -> Iterator[Server]:
    with sink() as hook:
        configuration = CONFIGURATION.replace("URL", hook.url)
        with alertmanager(program, folder, configuration=configuration, port=port) as running:
            yield running


def ask(server: Server, question: Callable[[Alertmanager], Awaitable[T]]) -> T:
    async def asked() -> T:
        client = Alertmanager(server.url)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(asked())


def states(server: Server) -> dict[str, str]:
    names = {fingerprint_of(labels): labels["alertname"] for labels in (DOWN, SLOW)}
    return {names[each.fingerprint]: each.status.state for each in ask(server, Alertmanager.alerts).values()}


def test_silences_inhibition_ends_and_a_restart_are_seen(tmp_path: Path, needs: Callable[[str], str]) -> None:
    program, port = needs("prometheus-alertmanager"), free_port()
    with standing(tmp_path, program, port=port) as server:
        assert ask(server, Alertmanager.alerts) == {}
        fire(server, DOWN, SLOW)
        until(lambda: states(server) == {"Down": "active", "Slow": "suppressed"}, what="one inhibits the other")
        slow = ask(server, Alertmanager.alerts)[fingerprint_of(SLOW)]
        assert (slow.status.inhibited_by, slow.status.silenced_by) == ((fingerprint_of(DOWN),), ())

        until_then = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
        made = silence(server, "alertname", "Down", ends_at=until_then)
        until(lambda: states(server)["Down"] == "suppressed", what="it is silenced")
        down = ask(server, Alertmanager.alerts)[fingerprint_of(DOWN)]
        assert down.status.silenced_by == (made,)
        found = ask(server, Alertmanager.silences)[made]
        assert (found.ends_at, found.created_by, found.comment) == (until_then, "ana", "patch night")

        end(server, DOWN)
        until(lambda: states(server) == {"Slow": "active"}, what="it is over, and inhibits nothing any more")
        before = ask(server, Alertmanager.started_at)
        assert abs(datetime.now(UTC) - before) < timedelta(minutes=5)
    with standing(tmp_path, program, port=port) as server:
        assert ask(server, Alertmanager.started_at) > before
        assert ask(server, Alertmanager.alerts) == {}
        assert list(ask(server, Alertmanager.silences)) == [made]


def test_what_a_body_left_out_is_in_the_group_and_what_is_muted_is_not(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    with standing(tmp_path, needs("prometheus-alertmanager")) as server:
        fire(server, *({"alertname": "Full", "job": "node", "instance": each} for each in "abcdef"))
        fire(server, {"alertname": "Full", "job": "other", "instance": "g"})
        silence(server, "instance", "c")
        cut = Cut(Group("am", "team.a", '{}:{job="node"}'), {"job": "node"}, datetime.now(UTC), 4)

        def instances() -> str:
            alerts = fetched(cut, ask(server, Alertmanager.groups)).alerts
            assert all(each.identity == fingerprint_of(each.labels) for each in alerts)
            return "".join(sorted(each.labels["instance"] for each in alerts))

        until(lambda: instances() == "abdef", what="the group is there, without what is silenced")
        alert = fetched(cut, ask(server, Alertmanager.groups)).alerts[0]
        assert (alert.status, alert.annotations, alert.ended_at) == ("firing", {"summary": "a test"}, None)
