"""`schedules` and `people` of receiver.yml: what they become, every fault at once, and what is hardly meant."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.policy.policy import Contact, Override, Rotation, Schedule, Window
from receiver.policy.schedulechecks import uncovered
from receiver.policy.windows import parse_weekly
from receiver.settings import Settings
from tocsin import check
from tocsin.kinds import KINDS

Load = Callable[[str], Settings]

WHOLE = """\
schedules:
  primary:
    time_zone: Europe/Berlin
    rotations:
      - {people: [ana, [ben, cleo, ben]], shift: 7d, starts: '2026-01-05T09:00'}
      - {name: office, people: [cleo], shift: 1d, starts: '2026-01-05T08:00Z', only: ['Mon-Tue 09:00-17:00']}
    overrides:
      - {person: cleo, from: '2026-12-24T00:00', to: '2026-12-27T00:00Z'}
people:
  ana: {notify: [{channel: phone}, {email: ana@example.org}]}
  ben: {notify: [{channel: phone}]}
  cleo: {notify: [{slack: U024BE7LH}, {channel: phone}]}
channels:
  phone: {type: terminal}
"""

FAULTY = """\
schedules:
  primary:
    time_zone: Europe/Berln
    rotations:
      - {people: [ana, [ben, dora]], shift: 0s, starts: '2026-01-05T09:00'}
      - {name: night, people: [ana], shift: 90m, starts: '2026-01-05'}
      - {name: night, people: [emil], shift: 400d, starts: '2026-01-05T09:00', only: [at night]}
      - {name: override, people: [], shift: 1d, starts: '2026-01-05T09:00'}
  secondary:
    rotations: []
    overrides:
      - {person: fay, from: '2026-12-27T00:00', to: '2026-12-24T00:00'}
      - {person: ana, from: '2026-12-01T00:00', to: '2026-12-03T00:00'}
      - {person: ben, from: '2026-12-02T12:00+01:00', to: '2026-12-02T13:00'}
      - {person: ben, from: '2026-12-02T23:00', to: '2026-12-04T00:00'}
      - {person: ana, from: '2026-12-04T00:00', to: '2026-12-05T00:00'}
people:
  ana: {notify: []}
  ben: {notify: [{email: ben, pager: 1}, {slack: U024BE7LH, channel: here}, {}, {channel: there}]}
channels:
  here: {type: terminal}
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(text: str) -> Settings:
        path = tmp_path / "receiver.yml"
        path.write_text(text)
        return settings.load(path, environ={})

    return read


def checked(folder: Path, text: str, *arguments: str) -> tuple[int, str]:
    (folder / "receiver.yml").write_text(text)
    out = io.StringIO()
    status = check.main(["receiver.yml", *arguments], kinds=KINDS, out=out, err=out, environ={}, folder=folder)
    return status, out.getvalue()


def test_schedules_and_people_are_part_of_the_policy(load: Load) -> None:
    policy = load(WHOLE).policy
    assert policy.schedules == {
        "primary": Schedule(
            name="primary",
            time_zone="Europe/Berlin",
            rotations=(
                Rotation(
                    name="rotation 1",
                    people=(("ana",), ("ben", "cleo")),
                    shift=timedelta(days=7),
                    starts=datetime(2026, 1, 5, 9),  # noqa: DTZ001 - on the wall
                ),
                Rotation(
                    name="office",
                    people=(("cleo",),),
                    shift=timedelta(days=1),
                    starts=datetime(2026, 1, 5, 9),  # noqa: DTZ001 - 08:00Z is nine o'clock in Berlin
                    only=(
                        Window(weekday=0, from_minute=540, minutes=480, time_zone="Europe/Berlin"),
                        Window(weekday=1, from_minute=540, minutes=480, time_zone="Europe/Berlin"),
                    ),
                ),
            ),
            overrides=(
                Override(
                    person="cleo",
                    starts=datetime(2026, 12, 23, 23, tzinfo=UTC),
                    ends=datetime(2026, 12, 27, 0, tzinfo=UTC),
                ),
            ),
        )
    }
    assert policy.people == {
        "ana": (Contact("channel", "phone"), Contact("email", "ana@example.org")),
        "ben": (Contact("channel", "phone"),),
        "cleo": (Contact("slack", "U024BE7LH"), Contact("channel", "phone")),
    }


def test_every_fault_is_told_at_once(load: Load, golden: Callable[[str, str], None], tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as raised:
        load(FAULTY)
    golden("policy-faults-schedules.txt", str(raised.value).replace(f"{tmp_path}/", "") + "\n")


@pytest.mark.parametrize("value", ["7", "[]", "{primary: }", "{primary: [1]}", "{primary: {rotations: 3}}", "{1: {}}"])
@pytest.mark.parametrize("key", ["schedules", "people"])
def test_any_other_shape_is_a_fault_and_nothing_worse(load: Load, key: str, value: str) -> None:
    with pytest.raises(InvalidConfig):
        load(f"{key}: {value}\n")


def test_where_an_hour_comes_twice_one_override_may_follow_the_other(load: Load) -> None:
    text = WHOLE.replace(
        "      - {person: cleo, from: '2026-12-24T00:00', to: '2026-12-27T00:00Z'}\n",
        "      - {person: cleo, from: '2026-10-25T02:30', to: '2026-10-26T00:00'}\n"
        "      - {person: ana, from: '2026-10-24T00:00', to: '2026-10-25T02:30'}\n",
    )
    later, earlier = load(text).policy.schedules["primary"].overrides
    assert earlier.ends == later.starts == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


# --- warnings ------------------------------------------------------------------------------------------------------


def test_a_file_without_gaps_and_with_ways_to_everybody_is_warned_of_nothing(tmp_path: Path) -> None:
    assert checked(tmp_path, WHOLE) == (0, "checked 1 file: 0 faults\n")


OFFICE = """\
schedules:
  office:
    time_zone: Europe/Berlin
    rotations:
      - {people: [ana], shift: 1d, starts: '2026-01-05T09:00', only: ['Mon-Fri 09:00-17:00', 'Sun 00:00-24:00']}
    overrides:
      - {person: ben, from: '2026-12-24T00:00', to: '2026-12-27T00:00'}
people:
  ana: {notify: [{email: ana@example.org}, {slack: U024BE7LH}]}
  ben: {notify: [{email: ben@example.org}]}
  cleo: {notify: [{email: cleo@example.org}]}
"""


def test_gaps_and_people_whom_no_channel_reaches_are_warnings_that_change_no_exit_status(tmp_path: Path) -> None:
    status, said = checked(tmp_path, OFFICE)
    expected = """\
warning: receiver.yml:4: schedules.office.rotations: found nobody on call from Mon 00:00 to Mon 09:00, \
and 5 more times a week, expected somebody at any time, such as a rotation without `only`
warning: receiver.yml:9: people.ana.notify: found no way to ana, who is in schedules.office: \
there is no channel of type email or slack, expected such a channel, or a `channel` of their own
warning: receiver.yml:10: people.ben.notify: found no way to ben, who is in schedules.office: \
there is no channel of type email, expected such a channel, or a `channel` of their own
warning: receiver.yml:11: people.cleo: found somebody whom no schedule and no stage calls, \
expected a schedule or a stage with them
checked 1 file: 0 faults, 4 warnings
"""
    assert (status, said) == (0, expected)


def test_warnings_are_remarks_beside_their_lines_too(tmp_path: Path) -> None:
    status, said = checked(tmp_path, OFFICE, "--format=json")
    assert status == 0
    assert [(each["line"], each["path"]) for each in json.loads(said)["warnings"]] == [
        (4, "schedules.office.rotations"),
        (9, "people.ana.notify"),
        (10, "people.ben.notify"),
        (11, "people.cleo"),
    ]
    status, said = checked(tmp_path, OFFICE, "--format=github")
    assert status == 0
    assert said.startswith("::warning file=receiver.yml,line=4,title=schedules.office.rotations::found nobody on call")


@pytest.mark.parametrize(
    ("texts", "gaps"),
    [
        (["Mon-Sun 00:00-24:00"], []),
        (["Mon-Sun 20:00-08:00", "Mon-Sun 08:00-20:00"], []),
        (["Mon 00:00-24:00"], [(1440, 10_080)]),
        (["Tue 00:00-24:00"], [(2880, 11_520)]),
        (["Sun 23:00-01:00", "Tue 00:00-24:00"], [(60, 1440), (2880, 10_020)]),
    ],
)
def test_what_of_a_week_is_not_covered(texts: list[str], gaps: list[tuple[int, int]]) -> None:
    assert uncovered([window for text in texts for window in parse_weekly(text)]) == gaps
