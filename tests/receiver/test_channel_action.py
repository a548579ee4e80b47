"""An action as the outbox sees it: what runs, what does not, what is tried again, and what is counted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from receiver.channelqueue import ANSWER_CHARACTERS_MAX
from receiver.channels import Refused, Unreachable
from receiver.channels.action import Action, Tally
from receiver.channels.making import action_of
from receiver.clock import SystemClock
from receiver.entry import Delivered, Undeliverable
from receiver.incident import Group, Incident, Status
from receiver.outbox import Outbox
from receiver.policy.actionfile import ActionFile, ActionWebhookFile
from receiver.policy.actionnames import action_named, channel_named
from tests.receiver.builders import AT, SURELY, message
from tests.receiver.provider import Provider, Reply, serving
from tests.receiver.test_command import script


def incident(status: Status = Status.OPEN, **more: str) -> Incident:
    return Incident(
        id="T-1",
        position=1,
        group=Group("am", "tocsin", "key"),
        status=status,
        severity="critical",
        title="Down",
        labels={},
        group_labels={},
        kinds=("Down",),
        opened_at=AT,
        updated_at=AT,
        why="a test",
        **more,  # type: ignore[arg-type]
    )


def action(file: ActionFile, *, now: Incident | None = None, tally: Tally | None = None) -> Action:
    known = {"T-1": now or incident()}
    return action_of("fix", file, incident=known.get, tally=tally if tally is not None else Counter(), home="/")


def marking(folder: Path) -> tuple[ActionFile, Path]:
    """An action that leaves a mark where it ran."""
    mark = folder / "mark"
    return ActionFile(command=[script(folder, f"open({str(mark)!r}, 'a').write('ran')")]), mark


def sent(channel: Action, incident: str = "T-1") -> str:
    async def once() -> str:
        try:
            return await channel.send(message(incident))
        finally:
            await channel.close()

    return asyncio.run(asyncio.wait_for(once(), SURELY))


def test_it_runs_while_its_incident_is_open(tmp_path: Path) -> None:
    file, mark = marking(tmp_path)
    tally: Tally = Counter()
    assert sent(action(file, tally=tally)).startswith("done in ")
    assert mark.read_text() == "ran"
    assert tally == {("fix", "done"): 1}


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (incident(Status.ACKNOWLEDGED, acknowledged_by="ana"), "not run: the incident is acknowledged by ana"),
        (incident(Status.SNOOZED), "not run: the incident is snoozed"),
        (incident(Status.RESOLVED), "not run: the incident is resolved"),
    ],
)
def test_nothing_runs_about_what_somebody_has_or_what_is_over(tmp_path: Path, now: Incident, reason: str) -> None:
    file, mark = marking(tmp_path)
    tally: Tally = Counter()
    with pytest.raises(Refused) as raised:
        sent(action(file, now=now, tally=tally))
    assert str(raised.value) == reason
    assert not mark.exists()
    assert tally == {("fix", "not_run"): 1}


def test_nothing_runs_about_what_is_forgotten(tmp_path: Path) -> None:
    file, mark = marking(tmp_path)
    with pytest.raises(Refused, match=r"^not run: the incident is over$"):
        sent(action(file), incident="T-9")
    assert not mark.exists()


def test_a_dry_run_says_what_would_run_and_runs_nothing(tmp_path: Path) -> None:
    file, mark = marking(tmp_path)
    tally: Tally = Counter()
    program = (file.command or [""])[0]
    dry = ActionFile(command=[program, "--name={alertname}"], arguments={"alertname": ".*"}, dry_run=True)
    assert sent(action(dry, tally=tally)) == f"dry run, nothing is done. It would run: {program} --name=Down"
    assert not mark.exists()
    assert tally == {("fix", "dry_run"): 1}
    assert action(dry).preview(message()) == f"would run: {program} --name=Down\n"


def test_what_fails_is_not_run_again_unless_the_policy_says_for_how_long(tmp_path: Path) -> None:
    program = script(tmp_path, "raise SystemExit(1)")
    with pytest.raises(Refused, match=r"^failed with status 1 after "):
        sent(action(ActionFile(command=[program])))
    again = action(ActionFile(command=[program], retry_for="10m"))
    assert again.retry_seconds_max == 600.0
    with pytest.raises(Unreachable, match=r"^failed with status 1 after "):
        sent(again)


def test_a_label_that_does_not_fit_is_not_tried_again() -> None:
    file = ActionFile(command=["/bin/x", "{alertname}"], arguments={"alertname": "[a-z]+"}, retry_for="10m")
    with pytest.raises(Refused, match=r"^not run: the label alertname is 'Down', which does not match \[a-z\]\+$"):
        sent(action(file))


class Hook(Provider):
    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[str, str]] = []

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.came.append((headers["Idempotency-Key"], json.loads(body)["incident"]["id"]))
        return Reply(200, b"restarted")


def test_a_webhook_is_posted_as_by_a_webhook_channel() -> None:
    sink = Hook()
    with serving(sink):
        file = ActionFile(webhook=ActionWebhookFile(url=f"{sink.url}/S3CRET"))
        assert action(file).preview(message()) == "would run: POST to 127.0.0.1, opened T-1\n"
        assert sent(action(file)) == "done: 200 restarted"
        assert sink.came == [("j-T-1-1-chat", "T-1")]
        sink.scripted.append(Reply(503))
        with pytest.raises(Refused, match=r"^answered 503$"):
            sent(action(file))
    assert sink.faults == []


async def answered(actions: Mapping[str, ActionFile]) -> list[Delivered | Undeliverable]:
    """Through the real outbox, in the order of their names."""
    said: list[Delivered | Undeliverable] = []
    all_said = asyncio.Event()

    async def report(answer: Delivered | Undeliverable) -> None:
        said.append(answer)
        if len(said) == len(actions):
            all_said.set()

    outbox = Outbox(report=report, clock=SystemClock(), chance=lambda: 0.0)
    outbox.replace_channels({channel_named(name): action(file) for name, file in actions.items()})
    outbox.add([message(channel=channel_named(name)) for name in actions])
    outbox.start()
    await asyncio.wait_for(all_said.wait(), SURELY)
    await outbox.stop(grace_seconds=1.0)
    return sorted(said, key=lambda each: each.channel)


def test_the_answer_of_an_action_has_room_in_the_journal_and_in_its_order(tmp_path: Path) -> None:
    """The outbox cuts the answers of other channels."""
    program = script(tmp_path, "import os\nprint('x' * 2000 + os.environ['TOCSIN_MESSAGE_ID'])")
    failing = script(tmp_path, "print('y' * 2000)\nraise SystemExit(1)", name="failing")

    actions = {"fix": ActionFile(command=[program]), "break": ActionFile(command=[failing])}
    broken, fixed = asyncio.run(answered(actions))
    assert isinstance(fixed, Delivered)
    assert isinstance(broken, Undeliverable)
    assert fixed.answer.endswith("xxj-T-1-1-action:fix")
    assert len(broken.reason) > 2000 > ANSWER_CHARACTERS_MAX


def test_the_log_says_how_it_ended_and_neither_labels_nor_what_was_printed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = script(tmp_path, "print('ana@example.org')\nraise SystemExit(3)")
    hidden = ActionFile(command=["/bin/true", "--name={alertname}"], arguments={"alertname": "[0-9]+"})
    failed, unfit = asyncio.run(answered({"a": ActionFile(command=[failing]), "b": hidden}))
    assert isinstance(failed, Undeliverable)
    assert failed.reason.endswith("ana@example.org")
    assert isinstance(unfit, Undeliverable)
    assert unfit.reason == "not run: the label alertname is 'Down', which does not match [0-9]+"
    logged = sorted(vars(record)["error"] for record in caplog.records if record.message == "a message is refused")
    assert logged[0].startswith("failed with status 3 after ")
    assert "ana" not in logged[0]
    assert logged[1] == "not run"


def test_names_go_both_ways() -> None:
    assert action_named(channel_named("fix-it")) == "fix-it"
    assert action_named("ana@mail") is None
