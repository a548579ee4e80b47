"""The installed receiver runs a program, is killed in the middle of it or told to stop, and runs it again, with the
same identity."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.real.servers import JSON, Server, alert, free_port, receiver, until, webhook
from tests.receiver.test_command import script

pytestmark = pytest.mark.real

# Each run leaves its process and its identity in a file of its own, and waits for the file `go`.
PROGRAM = """
import os, sys, time
folder = sys.argv[1]
with open(f"{folder}/run-{os.getpid()}.part", "w") as mark:
    mark.write(f"{os.getpid()} {os.environ['TOCSIN_MESSAGE_ID']}")
os.rename(f"{folder}/run-{os.getpid()}.part", f"{folder}/run-{os.getpid()}")
while not os.path.exists(f"{folder}/go"): time.sleep(0.01)
print("done by", sys.argv[2])
"""


def policy(folder: Path) -> str:
    program = script(folder, PROGRAM)
    return f"""
actions:
  fix: {{command: [{program}, {folder}, '{{alertname}}'], arguments: {{alertname: '[A-Za-z]+'}}, timeout: 5m}}
escalations: {{all: {{stages: [{{notify: [{{action: fix}}]}}]}}}}
channels: {{here: {{type: terminal}}}}
"""


def runs(folder: Path) -> list[list[str]]:
    return [path.read_text().split() for path in sorted(folder.glob("run-*")) if path.suffix != ".part"]


def steps(server: Server) -> list[tuple[str, str]]:
    (incident,) = server.incidents()
    timeline = server.get(f"/api/v1/incidents/{incident['id']}")["timeline"]
    return [(step["what"], step["why"]) for step in timeline if step["what"].startswith("action")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_kill_interrupted_is_run_again_with_the_same_identity(tmp_path: Path, how: signal.Signals) -> None:
    port = free_port()
    with receiver(tmp_path, policy=policy(tmp_path), port=port) as server:
        server.post(webhook(alert("Down", severity="critical"), group="Down"))
        until(lambda: len(runs(tmp_path)) == 1, what="the program runs")
        assert server.ended(how) == (-how if how is signal.SIGKILL else 0)
    ((process, _),) = runs(tmp_path)
    if how is signal.SIGTERM:  # a stop ends what runs; a kill cannot
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)
    with receiver(tmp_path, policy=policy(tmp_path), port=port) as server:
        until(lambda: len(runs(tmp_path)) == 2, what="it runs again")
        (tmp_path / "go").touch()
        until(lambda: steps(server), what="the answer is in the story")
        ((what, why),) = steps(server)
    assert what == "action fix"
    assert why.endswith(": done by Down")
    assert len({identity for _, identity in runs(tmp_path)}) == 1


def test_what_is_acknowledged_after_a_kill_is_run_no_more(tmp_path: Path) -> None:
    """Ana has it while it runs. The kill loses the answer, and the next life leaves it alone."""
    port = free_port()
    with receiver(tmp_path, policy=policy(tmp_path), port=port) as server:
        server.post(webhook(alert("Down", severity="critical"), group="Down"))
        until(lambda: len(runs(tmp_path)) == 1, what="the program runs")
        (incident,) = server.incidents()
        answered, _ = server.ask(f"/api/v1/incidents/{incident['id']}/acknowledge", b'{"by": "ana"}', headers=JSON)
        assert answered == 200
        assert server.ended(signal.SIGKILL) == -signal.SIGKILL
    with receiver(tmp_path, policy=policy(tmp_path), port=port) as server:
        until(lambda: steps(server), what="the answer is in the story")
        assert steps(server) == [("action fix not done", "not run: the incident is acknowledged by ana")]
        assert len(runs(tmp_path)) == 1
    (tmp_path / "go").touch()
