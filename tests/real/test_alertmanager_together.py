"""Real Alertmanagers and a whole receiver that asks them: a pair, a silence, a reload that changes group keys, a body
that is cut."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from receiver.alert import fingerprint_of
from tests.real.amtalk import end, end_silences, fire, reload, silence
from tests.real.servers import (
    Server,
    Sink,
    alertmanager,
    free_port,
    receiver,
    sink,
    tocsin,
    until,
    webhook_policy,
)

pytestmark = pytest.mark.real

CONFIGURATION = """
route:
  receiver: team.a
  group_by: [job]
  group_wait: 500ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: team.a
    webhook_configs:
      - {url: 'URL/webhook/eu1', max_alerts: MOST}
"""
DOWN = {"alertname": "Down", "severity": "critical", "job": "node"}


class Both:
    """One Alertmanager and a receiver whose policy has its address."""

    def __init__(self, folder: Path, theirs: Server, ours: Server, hook: Sink, configuration: str) -> None:
        self.folder = folder
        self.alertmanager = theirs
        self.receiver = ours
        self.sink = hook
        self.configuration = configuration

    def incident(self, **wanted: object) -> dict[str, Any]:
        """The one incident there is, as soon as it is so."""

        def look() -> dict[str, Any] | None:
            (only,) = self.receiver.incidents()
            return only if wanted.items() <= only.items() else None

        return until(look, what=f"the incident is {wanted}")  # type: ignore[return-value]

    def journal(self, kind: str) -> list[str]:
        """What its entries of this kind say."""
        said = tocsin(
            "audit", "list", f"--kind={kind}", "--output=json", "--storage.url", self.store, folder=self.folder
        )
        assert said.returncode == 0, said.stderr
        return [each["what"] for each in json.loads(said.stdout)["entries"]]

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder}/data/receiver.db"

    def asked(self) -> dict[str, Any]:
        return dict(self.receiver.get("/api/v1/status")["sources"]["eu1"])

    def look(self) -> None:
        """The receiver looks at Alertmanager now, not within the minute: a reload is a reason."""
        before = self.asked()["looks"]
        assert self.receiver.ask("/-/reload", b"")[0] == 200
        until(lambda: self.asked()["looks"] > before and self.asked()["last_success"], what="it looked")


@contextmanager
def both(folder: Path, program: str, *, most: int = 0, source: str = "") -> Iterator[Both]:
    with ExitStack() as running:
        hook = running.enter_context(sink())
        port = free_port()
        address = f"alertmanager_url: 'http://127.0.0.1:{port}'"
        policy = webhook_policy(hook.url) + f"sources: {{eu1: {{{address}{source}}}}}\n"
        ours = running.enter_context(receiver(folder, policy=policy))
        configuration = CONFIGURATION.replace("URL", ours.url).replace("MOST", str(most))
        theirs = running.enter_context(alertmanager(program, folder, configuration=configuration, port=port))
        yield Both(folder, theirs, ours, hook, configuration)


def webhooks(server: Server) -> float:
    name = "tocsin_receiver_webhooks_total "
    (line,) = (each for each in server.text("/metrics").splitlines() if each.startswith(name))
    return float(line.removeprefix(name))


def test_a_pair_that_posts_the_same_groups_is_one_incident_and_one_message_for_each(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    program = needs("prometheus-alertmanager")
    alerts = [{"alertname": "Down", "job": f"job-{number}"} for number in range(5)]
    with sink() as hook, ExitStack() as running:
        ours = running.enter_context(receiver(tmp_path, policy=webhook_policy(hook.url)))
        gossip = free_port()
        pair = []
        for name, own in (("one", gossip), ("two", free_port())):
            (tmp_path / name).mkdir()
            pair.append(
                running.enter_context(
                    alertmanager(
                        program,
                        tmp_path / name,
                        configuration=CONFIGURATION.replace("URL", ours.url).replace("MOST", "0"),
                        cluster=(
                            f"--cluster.listen-address=127.0.0.1:{own}",
                            f"--cluster.peer=127.0.0.1:{gossip}",
                            # The second peer does not wait for the first: both post, as they do when one is slow.
                            "--cluster.peer-timeout=0s",
                            "--cluster.gossip-interval=100ms",
                        ),
                    )
                )
            )
        for each in pair:
            until(
                lambda each=each: (
                    len((cluster := each.get("/api/v2/status")["cluster"])["peers"]) == 2
                    and cluster["status"] == "ready"
                ),
                what="they are a cluster",
            )
        for change, status, kind in ((fire, "open", "opened"), (end, "resolved", "resolved")):
            for each in pair:
                change(each, *alerts)
            until(lambda kind=kind: len(hook.of_kind(kind)) >= len(alerts), what=f"all are {kind}")
            assert [each["status"] for each in ours.incidents()] == [status] * len(alerts)
        assert webhooks(ours) > 2 * len(alerts), "both members posted"
        kinds = [(message["kind"], message["incident"]["labels"]["job"]) for _, message in hook.messages]
        assert sorted(kinds) == sorted((kind, each["job"]) for kind in ("opened", "resolved") for each in alerts)


def test_a_silence_while_an_incident_is_open_puts_it_off_until_alertmanager_shows_it_again(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    with both(tmp_path, needs("prometheus-alertmanager")) as there:
        fire(there.alertmanager, DOWN)
        opened = there.incident(status="open")
        there.look()
        assert there.journal("looked") == []
        silence(there.alertmanager, "job", "node")
        there.look()
        silenced = there.incident(status="snoozed")
        assert silenced["id"] == opened["id"]
        (said,) = there.journal("looked")
        assert fingerprint_of(DOWN) in said
        assert there.asked()["alertmanager"] == "reachable"
        story = there.receiver.get(f"/api/v1/incidents/{opened['id']}")
        (hidden,) = (step for step in story["timeline"] if step["what"] == "hidden")
        assert hidden["by"] == "ana"
        assert "patch night" in hidden["why"]
        assert [each["hidden"] for each in story["alerts"]] == ["silenced"]

        there.look()
        assert len(there.journal("looked")) == 1
        end_silences(there.alertmanager)
        until(lambda: there.alertmanager.get("/api/v2/alerts")[0]["status"]["state"] == "active", what="it ended")
        there.look()
        assert there.incident(status="open")["id"] == opened["id"]
        end(there.alertmanager, DOWN)
        assert there.incident(status="resolved")["id"] == opened["id"]
        until(lambda: there.sink.of_kind("resolved"), what="the end is told")
        kinds = [message["kind"] for _, message in there.sink.messages]
        assert (kinds.count("opened"), kinds.count("resolved"), kinds.count("escalated")) == (1, 1, 0)


def test_a_hidden_alert_is_asked_about_as_soon_as_a_body_comes_without_it(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    with both(tmp_path, needs("prometheus-alertmanager")) as there:
        fire(there.alertmanager, {**DOWN, "instance": "a"}, {**DOWN, "instance": "b"})
        incident = there.incident(status="open", alerts={"firing": 2, "resolved": 0})
        silence(there.alertmanager, "instance", "a")
        fire(there.alertmanager, {**DOWN, "instance": "c"})  # the group changed, so it is posted: without the first

        def hidden() -> dict[str, str]:
            shown = there.receiver.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
            return {each["labels"]["instance"]: each["hidden"] for each in shown}

        until(lambda: hidden() == {"a": "silenced", "b": "", "c": ""}, what="it is known why", seconds=15)
        assert there.incident(status="open")["alerts"] == {"firing": 3, "resolved": 0}


def test_what_max_alerts_leaves_out_is_fetched(tmp_path: Path, needs: Callable[[str], str]) -> None:
    with both(tmp_path, needs("prometheus-alertmanager"), most=2) as there:
        fire(there.alertmanager, *({**DOWN, "instance": each} for each in "abcde"))
        incident = there.incident(status="open", alerts={"firing": 5, "resolved": 0})
        whole = there.receiver.get(f"/api/v1/incidents/{incident['id']}")
        assert sorted(each["labels"]["instance"] for each in whole["alerts"]) == list("abcde")
        assert len(there.journal("alerts_fetched")) == 1
        until(lambda: len(there.sink.messages) == 2, what="the rest is told")
        assert [(message["kind"], len(message["alerts"])) for _, message in there.sink.messages] == [
            ("opened", 2),
            ("updated", 5),
        ]


def test_a_reload_that_changes_group_keys_opens_nothing_and_the_end_is_heard(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    with both(tmp_path, needs("prometheus-alertmanager")) as there:
        fire(there.alertmanager, DOWN)
        opened = there.incident(status="open")
        before = webhooks(there.receiver)
        reload(
            there.alertmanager, there.folder, there.configuration.replace("group_by: [job]", "group_by: [alertname]")
        )
        until(lambda: webhooks(there.receiver) > before, what="the group comes under its new key")
        assert there.incident(status="open")["id"] == opened["id"]
        end(there.alertmanager, DOWN)
        assert there.incident(status="resolved")["id"] == opened["id"]
        until(lambda: there.sink.of_kind("resolved"), what="the end is told")
        assert [message["kind"] for _, message in there.sink.messages] == ["opened", "resolved"]


def test_an_alert_that_a_new_alertmanager_does_not_have_is_over_and_what_fires_again_is_not(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    """Its data are lost, and one of two alerts ended meanwhile: nobody will ever say so."""
    program = needs("prometheus-alertmanager")
    ended, fires = {**DOWN, "job": "ended"}, {**DOWN, "job": "fires"}
    with both(tmp_path, program, source=", gone_after: 10s") as there:
        fire(there.alertmanager, ended, fires)
        until(lambda: len(there.receiver.incidents("open")) == 2, what="both are open")
        there.look()
        there.alertmanager.ended(signal.SIGTERM)
        shutil.rmtree(tmp_path / "alertmanager")
        assert there.receiver.ask("/-/reload", b"")[0] == 200  # a reason to look
        until(lambda: there.asked()["alertmanager"] != "reachable", what="it is missed")
        port = int(there.alertmanager.url.rpartition(":")[2])
        with alertmanager(program, tmp_path, configuration=there.configuration, port=port) as fresh:
            fire(fresh, fires)
            there.look()
            began = time.monotonic()
            assert len(there.receiver.incidents("open")) == 2
            (over,) = until(lambda: there.receiver.incidents("resolved"), what="what is gone is over", seconds=30)
            assert time.monotonic() - began > 8
            assert over["labels"]["job"] == "ended"
            assert over["resolved_by"] is None
            story = there.receiver.get(f"/api/v1/incidents/{over['id']}")["timeline"]
            assert [each for each in story if "Alertmanager" in each["why"] and "has not had" in each["why"]], story
            (left,) = there.receiver.incidents("open")
            assert left["labels"]["job"] == "fires"
            until(lambda: there.sink.of_kind("resolved"), what="the end is told")
            assert [each["incident"]["labels"]["job"] for each in there.sink.of_kind("resolved")] == ["ended"]
            assert fingerprint_of(ended) in there.journal("looked")[-1]
