"""What Alertmanager has beside what is known: what is news, when, and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from receiver.alertmanager import Muting, Seen, Silence
from receiver.comparison import AGAIN_SECONDS, COMMENT_CHARACTERS_MAX, GONE_SECONDS, Comparison, Statement
from receiver.entry import Gone, Suppressed
from receiver.incident import AlertRecord
from receiver.reconcile import EVERY_SECONDS
from tests.receiver.amapi import SILENCED, UNTIL, known
from tests.receiver.builders import AT


def doubted(name: str) -> AlertRecord:
    return replace(known(name, status="resolved"), doubted_until=AT + timedelta(minutes=5))


def seen(name: str, state: str = "active", **by: tuple[str, ...]) -> Seen:
    return Seen(name, AT + timedelta(hours=1), Muting(state, **by))


@dataclass
class Looks:
    """One source, looked at again and again."""

    comparison: Comparison = field(default_factory=Comparison)
    elapsed: float = 1000.0
    runs_since: datetime = AT
    silences: dict[str, Silence] = field(default_factory=lambda: {"s": Silence("s", UNTIL, "ana", "patching")})

    def look(self, alerts: Iterable[AlertRecord], *there: Seen, after: float = EVERY_SECONDS) -> list[Statement]:
        self.elapsed += after
        self.comparison.meet(self.runs_since, elapsed=self.elapsed)
        found = self.comparison.statements(
            list(alerts),
            {each.fingerprint: each for each in there},
            self.silences,
            now=AT + timedelta(seconds=self.elapsed),
            elapsed=self.elapsed,
        )
        self.comparison.heard()
        return found


def test_what_alertmanager_has_and_shows_is_no_news() -> None:
    looks = Looks()
    assert looks.look([known("a")], seen("a"), seen("somebody else's")) == []
    assert looks.look([known("a")], seen("a")) == []


def test_a_silenced_alert_is_news_once_with_its_silence() -> None:
    looks = Looks()
    there = seen("a", "suppressed", silenced_by=("s",))
    assert looks.look([known("a", hidden="unknown")], there) == [SILENCED]
    assert looks.look([known("a", hidden="silenced", until=UNTIL)], there) == []


def test_of_several_silences_the_one_that_ends_last_is_told() -> None:
    looks = Looks()
    looks.silences["t"] = Silence("t", UNTIL + timedelta(hours=1), "ben", "moving")
    looks.silences["u"] = Silence("u", UNTIL - timedelta(hours=1), "cleo", "x" * 10_000)
    (said,) = looks.look([known("a")], seen("a", "suppressed", silenced_by=("s", "t", "u")))
    assert said == Suppressed("a", "silenced", until=UNTIL + timedelta(hours=1), by="ben", comment="moving")
    (cut,) = looks.look([known("b")], seen("b", "suppressed", silenced_by=("u",)))
    assert isinstance(cut, Suppressed)
    assert len(cut.comment) == COMMENT_CHARACTERS_MAX


def test_a_silence_that_ended_meanwhile_is_told_without_details() -> None:
    assert Looks().look([known("a")], seen("a", "suppressed", silenced_by=("gone",))) == [Suppressed("a", "silenced")]


def test_a_silence_that_is_prolonged_is_news_again() -> None:
    looks = Looks()
    there = seen("a", "suppressed", silenced_by=("s",))
    assert looks.look([known("a", hidden="silenced", until=UNTIL)], there) == []
    looks.silences["s"] = Silence("s", UNTIL + timedelta(hours=1), "ana", "patching")
    longer = replace(SILENCED, until=UNTIL + timedelta(hours=1))
    assert looks.look([known("a", hidden="silenced", until=UNTIL)], there) == [longer]
    assert looks.look([known("a", hidden="silenced", until=longer.until)], there) == []


def test_inhibited_is_not_silenced() -> None:
    looks = Looks()
    there = seen("a", "suppressed", inhibited_by=("b",))
    assert looks.look([known("a", hidden="silenced")], there) == [Suppressed("a", "inhibited")]
    both = seen("b", "suppressed", inhibited_by=("c",), silenced_by=("s",))
    assert looks.look([known("b")], both) == [replace(SILENCED, fingerprint="b")]


def test_what_was_hidden_and_is_not_any_more_is_shown() -> None:
    for hidden in ("unknown", "silenced", "inhibited"):
        assert Looks().look([known("a", hidden=hidden)], seen("a")) == ["a"]


@pytest.mark.parametrize("there", [seen("a", "unprocessed"), seen("a", "suppressed"), seen("a", "later invention")])
def test_nothing_is_made_of_what_alertmanager_does_not_say(there: Seen) -> None:
    looks = Looks()
    for _ in range(10):
        assert looks.look([known("a", hidden="unknown")], there) == []


def test_an_alert_is_gone_when_it_was_absent_at_each_look_for_five_minutes() -> None:
    looks = Looks()
    looks.look([known("a")], seen("a"))
    since = AT + timedelta(seconds=looks.elapsed + EVERY_SECONDS)
    for _ in range(int(GONE_SECONDS / EVERY_SECONDS)):
        assert looks.look([known("a")]) == []
    assert looks.look([known("a")]) == [Gone("a", since)]
    assert looks.look([known("a")]) == []


def test_the_policy_may_say_after_how_long_it_is_gone() -> None:
    looks = Looks(Comparison(gone_seconds=10.0))
    assert [bool(looks.look([known("a")], after=4)) for _ in range(4)] == [False, False, False, True]


def test_an_alert_that_was_there_in_between_is_not_gone() -> None:
    looks = Looks()
    for minute in range(60):
        assert looks.look([known("a")], *([seen("a")] if minute % 5 == 4 else [])) == []


def test_looks_in_quick_succession_do_not_make_it_gone_sooner() -> None:
    looks = Looks()
    assert all(looks.look([known("a")], after=1) == [] for _ in range(int(GONE_SECONDS)))
    assert len(looks.look([known("a")], after=1)) == 1


def test_an_alertmanager_that_was_started_anew_gets_its_five_minutes() -> None:
    looks = Looks()
    for restart in range(20):
        looks.runs_since = AT + timedelta(minutes=restart)
        for _ in range(int(GONE_SECONDS / EVERY_SECONDS)):
            assert looks.look([known("a"), doubted("b")]) == []


def test_a_doubted_alert_that_alertmanager_does_not_have_is_gone_at_once() -> None:
    looks = Looks()
    looks.look([])
    assert looks.look([doubted("a"), doubted("b")], seen("b"), after=GONE_SECONDS) == [
        Gone("a", AT + timedelta(seconds=looks.elapsed))
    ]


def test_what_is_said_and_not_heeded_is_said_again_but_not_at_each_look() -> None:
    looks = Looks()
    there = seen("a", "suppressed", silenced_by=("s",))
    said = [looks.look([known("a")], there) for _ in range(1 + 2 * int(AGAIN_SECONDS / EVERY_SECONDS))]
    assert [index for index, each in enumerate(said) if each] == [0, 5, 10]


def test_what_could_not_be_written_down_is_news_at_the_next_look() -> None:
    comparison = Comparison()
    there = {"a": seen("a", "suppressed", inhibited_by=("b",))}
    for _ in range(2):
        assert comparison.statements([known("a")], there, {}, now=AT, elapsed=0.0)
    comparison.heard()
    assert not comparison.statements([known("a")], there, {}, now=AT, elapsed=0.0)
