"""Stages that call people: what may be written, and how a person is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.policy.channelfile import EmailFile, SlackFile
from receiver.policy.policy import Call

POLICY = """
escalations:
  page: {{stages: [{{notify: {notify}}}]}}
schedules:
  primary: {{rotations: [{{people: [ana], shift: 7d, starts: '2026-01-05T09:00'}}]}}
people:
  ana: {{notify: [{{email: ana@example.org}}, {{channel: phone}}]}}
  ben: {{notify: [{{email: ben@example.org}}, {{slack: U024BE7LH}}]}}
channels:
  phone: {{type: terminal}}
  mail:
    {{type: email, smarthost: 'smtp.example.org:587', from: tocsin@example.org, to: [all@example.org],
      attach_json: true}}
  ops: {{type: slack, token_file: slack.token, channel: '#ops'}}
  more: {{type: email, smarthost: 'other.example.org:587', from: tocsin@example.org, to: [all@example.org]}}
"""


def load(folder: Path, notify: str) -> settings.Settings:
    (folder / "slack.token").write_text("xoxb-1\n")
    (folder / "receiver.yml").write_text(POLICY.format(notify=notify))
    return settings.load(folder / "receiver.yml", environ={})


def test_a_way_to_a_person_is_a_channel_made_of_the_first_of_its_type(tmp_path: Path) -> None:
    read = load(tmp_path, "[phone, {schedule: primary}, {person: ben}]")
    made = read.channels["ana@mail"]
    assert isinstance(made, EmailFile)
    assert (made.to, made.smarthost, made.attach_json) == (["ana@example.org"], "smtp.example.org:587", True)
    assert isinstance(direct := read.channels["ben@ops"], SlackFile)
    assert direct.channel == "U024BE7LH"
    assert (
        sorted(read.channels)
        == ["ana@mail", "ben@mail", "ben@ops", "mail", "more", "ops", "phone"]
        == list(read.policy.channels)
    )
    assert read.policy.reach == {"ana": ("ana@mail", "phone"), "ben": ("ben@mail", "ben@ops")}
    (stage,) = read.policy.escalations["page"].stages
    assert (stage.notify, stage.calls) == (("phone",), (Call(schedule="primary"), Call(person="ben")))


@pytest.mark.parametrize(
    ("notify", "path", "found"),
    [
        ("[{schedule: secondary}]", "notify[0].schedule", "'secondary'"),
        ("[phone, {person: zoe}]", "notify[1].person", "'zoe'"),
        ("[{schedule: primary, person: ana}]", "notify[0]", "`schedule` and `person`"),
        ("[{}]", "notify[0]", "nobody"),
        ("[nothing]", "notify[0]", "'nothing'"),
    ],
)
def test_whom_nobody_knows_cannot_be_called(notify: str, path: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as raised:
        load(tmp_path, notify)
    (fault,) = raised.value.faults
    assert (fault.path, fault.found) == (f"escalations.page.stages[0].{path}", found)
