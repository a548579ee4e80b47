"""`kill -9` at random moments under load: what was answered 200 is there, and people are told at least once.

One process takes the load of several clients with kept connections; each client remembers exactly what was
answered 200. After each kill the receiver is started again on the same data.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from receiver.entry import AlertsReceived
from receiver.store.journal import Choice, Journal
from tests.real.servers import SURELY, Server, Sink, alert, free_port, receiver, sink, until, webhook, webhook_policy

pytestmark = pytest.mark.real

ROUNDS = 5
CLIENTS = 6
SEED = 20261121


class Client(threading.Thread):
    """Posts webhooks as fast as they are answered, over one connection, until the receiver is gone."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self.accepted: list[str] = []
        self.resolved: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        number = 0
        try:
            while True:
                number += 1
                name = f"{self.name}x{number}"
                self._post(connection, webhook(alert(name, instance="a"), alert(name, instance="b"), group=name))
                self.accepted.append(name)
                if number % 3 == 0:
                    over = (alert(name, status="resolved", instance=instance) for instance in "ab")
                    self._post(connection, webhook(*over, group=name))
                    self.resolved.append(name)
        except (OSError, http.client.HTTPException):
            pass  # the receiver is gone: what was not answered was not promised
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection, body: object) -> None:
        connection.request("POST", "/webhook/am", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said


def kill_under_load(server: Server, port: int, moment: float, turn: int) -> list[Client]:
    clients = [Client(f"r{turn}c{number}", port) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    until(lambda: any(client.accepted for client in clients), what="the first webhook is answered")
    threading.Event().wait(moment)  # the moment of the kill is the test's input
    assert server.ended(signal.SIGKILL) == -signal.SIGKILL
    for client in clients:
        client.join(30)
        assert not client.is_alive()
    return clients


def names_in_journal(database: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = Journal(connection).forwards(Choice("alerts_received"))
        facts = [entry.fact for entry in found]
    return {fact.notification.group_key for fact in facts if isinstance(fact, AlertsReceived)}


def check_incidents(server: Server, accepted: set[str], resolved: set[str]) -> None:
    """Each accepted group is one incident with both of its alerts, and those that ended are resolved."""
    by_title = {each["title"]: each for each in server.incidents()}
    assert len(by_title) == len(server.incidents())
    assert accepted <= set(by_title)
    for name in accepted:
        counts = by_title[name]["alerts"]
        assert counts["firing"] + counts["resolved"] == 2, (name, counts)
        assert (counts["firing"] == 0) is (by_title[name]["status"] == "resolved"), (name, by_title[name])
    assert {name for name in resolved if by_title[name]["status"] != "resolved"} == set()


def check_messages(standing: Sink, accepted: set[str], resolved: set[str]) -> None:
    """Everybody was told at least once, and whatever came again came under the same key with the same body."""
    told = {(message["kind"], message["alerts"][0]["labels"]["alertname"]) for _, message in standing.messages}
    assert {name for name in accepted if ("opened", name) not in told} == set()
    assert {name for name in resolved if ("resolved", name) not in told} == set()
    assert {key for key, bodies in standing.bodies.items() if len(bodies) > 1} == set()
    once = {(message["kind"], message["incident"]["id"], key) for key, message in standing.messages}
    assert len(once) == len({(kind, incident) for kind, incident, _ in once})
    assert all(message["id"] == key for key, message in standing.messages)


def test_what_was_answered_200_survives_being_killed_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    port = free_port()
    accepted: set[str] = set()
    resolved: set[str] = set()
    with sink() as standing:
        policy = "storms: {per_channel: {limit: 0}}\n" + webhook_policy(standing.url)  # each is told of alone
        for turn in range(ROUNDS):
            with receiver(tmp_path, policy=policy, port=port) as server:
                clients = kill_under_load(server, port, chance.uniform(0.0, 0.6), turn)
            accepted.update(name for client in clients for name in client.accepted)
            resolved.update(name for client in clients for name in client.resolved)
        assert len(accepted) > 10 * ROUNDS
        with receiver(tmp_path, policy=policy, port=port) as server:
            until(lambda: server.get("/api/v1/status")["channels"]["hook"]["owed"] == 0, what="all is delivered")
            until(lambda: server.get("/api/v1/status")["lag"] == 0, what="all is decided")
            assert accepted <= names_in_journal(tmp_path / "data" / "receiver.db")
            check_incidents(server, accepted, resolved)
            assert "tocsin_receiver_journal_chain_intact 1.0" in server.text("/metrics")
        check_messages(standing, accepted, resolved)


def test_a_message_on_its_way_while_the_receiver_is_killed_comes_again_under_its_key(tmp_path: Path) -> None:
    """The sink has it, the journal does not know yet: the only moment at which somebody is told twice."""
    port = free_port()
    with sink() as standing:
        policy = webhook_policy(standing.url)
        # While this test holds the lock, whoever posts to the sink waits for an answer.
        with receiver(tmp_path, policy=policy, port=port) as server, standing.lock:
            assert server.post(webhook(alert("Down"), group="Down"))[0] == 200
            assert standing.somebody_came.wait(SURELY)
            assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        with receiver(tmp_path, policy=policy, port=port) as server:
            until(lambda: server.get("/api/v1/status")["channels"]["hook"]["delivered"] == 1, what="it is delivered")
        until(lambda: len(standing.messages) == 2, what="both attempts are remembered")
        (first, message), (second, again) = standing.messages
        assert (first, message) == (second, again)
        assert message["kind"] == "opened"
        assert len(standing.bodies[first]) == 1
