"""Whether a source can be believed, told as stories: silent sources, bodies that leave alerts out, what is hidden.

More verbs: `beats` posts the source's watchdog, `stops` its resolve. `cuts A` posts the group of A without A and says
that one alert was left out; `cuts-over A B` the same with B resolved. `fetches A` is Alertmanager's API asked for the
group of A. `silences A 1h ana`, `inhibits A`, `unhides A` and `loses A` are what a look at its API says.
"""

from __future__ import annotations

import textwrap
from datetime import timedelta

import msgspec

from receiver.alert import parse
from receiver.entry import AlertsFetched, AlertsReceived, Gone, Looked, Suppressed
from receiver.incident import Status
from receiver.policy.duration import parse_duration
from tests.stories.story import POLICY, Story, webhook

WATCHED = (
    """
sources: {am: {watchdog: {matchers: ['alertname="Watchdog"'], late_after: 5m}}}
"""
    + POLICY
)


class Watched(Story):
    """A story with an Alertmanager that can be asked."""

    def play(self, line: str) -> None:
        time, verb, *names = line.split()
        super().play(" ".join([time, verb.replace("-", "_"), *names]))
        self.transcript[self.transcript.index(" ".join([time, verb.replace("-", "_"), *names]))] = line.rstrip()

    def _beats(self, _: list[str]) -> None:
        self._post("watchdog", [self._json({"alertname": "Watchdog"}, "firing", self.now)])

    def _stops(self, _: list[str]) -> None:
        self._post("watchdog", [self._json({"alertname": "Watchdog"}, "resolved", self.now)])

    def _cuts(self, names: list[str]) -> None:
        self._cut(names[0], [])

    def _cuts_over(self, names: list[str]) -> None:
        self._cut(names[0], names[1:])

    def _cut(self, left_out: str, over: list[str]) -> None:
        group, _ = self._alert(left_out)
        shown = [alert for key, alert in self._firing[group].items() if key not in (left_out.split("{")[0], *over)]
        shown += [{**self._firing[group].pop(name), "status": "resolved", "endsAt": _text(self)} for name in over]
        body = msgspec.json.encode({**msgspec.json.decode(webhook(group, shown)), "truncatedAlerts": 1})
        self._enter(AlertsReceived("am", body, parse(body)))

    def _fetches(self, names: list[str]) -> None:
        group, _ = self._alert(names[0])
        alerts = parse(webhook(group, list(self._firing[group].values()))).alerts
        self._enter(AlertsFetched("am", "r", group, tuple(alerts)))

    def _appears(self, names: list[str]) -> None:
        """It fires at Alertmanager, and nothing was posted of it."""
        for name in names:
            group, labels = self._alert(name)
            self._firing.setdefault(group, {})[name.split("{")[0]] = self._json(labels, "firing", self.now)

    def _silences(self, names: list[str]) -> None:
        name, duration, by = names
        until = self.now + parse_duration(duration)
        self._look(suppressed=(Suppressed(self._id(name), "silenced", until, by, "known"),))

    def _inhibits(self, names: list[str]) -> None:
        self._look(suppressed=tuple(Suppressed(self._id(name), "inhibited") for name in names))

    def _unhides(self, names: list[str]) -> None:
        self._look(shown=tuple(map(self._id, names)))

    def _loses(self, names: list[str]) -> None:
        self._look(gone=tuple(Gone(self._id(name), self.now - timedelta(minutes=5)) for name in names))

    def _look(self, **what: object) -> None:
        self._enter(Looked("am", **what))  # type: ignore[arg-type]

    def _id(self, name: str) -> str:
        _, labels = self._alert(name)
        return str(self._json(labels, "firing", self.now)["fingerprint"])

    def alert(self, name: str):  # type: ignore[no-untyped-def]
        return self.state.alerts["am", self._id(name)]


def _text(story: Story) -> str:
    return story.now.isoformat().replace("+00:00", "Z")


def check(script: str, policy: str = POLICY) -> Watched:
    expected = textwrap.dedent(script).strip("\n").rstrip()
    story = Watched(policy, {})
    for line in expected.splitlines():
        if line.strip() and "->" not in line:
            story.play(line)
    happened = "\n".join(story.transcript)
    wanted = "\n".join(line.rstrip() for line in expected.splitlines() if line.strip())
    assert happened == wanted, f"what happened is:\n{happened}"
    return story


# --- a source that is silent -------------------------------------------------------------------------------


def test_a_source_whose_watchdog_is_late_is_an_incident_and_is_over_when_it_is_heard_again():
    check(
        """
        00:00  beats
               -> chat   opened     Watchdog  1 firing, 0 resolved
        00:04  beats
        00:09  -> chat   opened     source 'am' is silent  0 firing, 0 resolved
        00:14  -> pager  escalated  source 'am' is silent  0 firing, 0 resolved
        00:20  beats
               -> chat   resolved   source 'am' is silent  0 firing, 0 resolved
               -> pager  resolved   source 'am' is silent  0 firing, 0 resolved
        00:21  beats
        """,
        WATCHED,
    )


def test_a_source_that_never_said_anything_is_silent_as_well():
    check(
        """
        00:01  waits
        00:05  -> chat   opened     source 'am' is silent  0 firing, 0 resolved
        00:06  waits
        """,
        WATCHED,
    )


def test_a_watchdog_that_is_resolved_is_a_source_that_is_silent_at_once():
    check(
        """
        00:00  beats
               -> chat   opened     Watchdog  1 firing, 0 resolved
        00:01  stops
               -> chat   opened     source 'am' is silent  0 firing, 0 resolved
        00:02  beats
               -> chat   resolved   source 'am' is silent  0 firing, 0 resolved
        """,
        WATCHED,
    )


def test_a_resolve_of_a_silent_source_is_not_believed_until_it_had_time_to_say_otherwise():
    story = check(
        """
        00:00  beats
               -> chat   opened     Watchdog  1 firing, 0 resolved
        00:01  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  fires    Slow@web
               -> chat   opened     Slow  1 firing, 0 resolved
        00:02  stops
               -> chat   opened     source 'am' is silent  0 firing, 0 resolved
        00:03  resolves Down@db Slow@web
        00:06  beats
               -> chat   resolved   source 'am' is silent  0 firing, 0 resolved
        00:07  fires    Slow@web
        00:10  beats
        00:11  -> chat   resolved   Down  0 firing, 1 resolved
        00:12  waits
        """,
        WATCHED,
    )
    assert story.incident_of("Slow").status is Status.OPEN
    assert story.alert("Slow@web").unconfirmed is None
    assert story.alert("Down@db").ended_at is not None


def test_a_source_that_falls_silent_again_before_it_was_believed_is_not_believed():
    story = check(
        """
        00:00  beats
               -> chat   opened     Watchdog  1 firing, 0 resolved
        00:01  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:02  stops
               -> chat   opened     source 'am' is silent  0 firing, 0 resolved
        00:03  resolves Down
        00:04  beats
               -> chat   resolved   source 'am' is silent  0 firing, 0 resolved
        00:05  stops
               -> chat   opened     source 'am' is silent  0 firing, 0 resolved
        00:09  waits
        """,
        WATCHED,
    )
    assert story.incident_of("Down").status is Status.OPEN


def test_a_watchdog_that_leaves_the_policy_leaves_no_incident_and_no_doubt_behind():
    story = Watched(WATCHED, {"plain": POLICY})
    for line in ("00:00 beats", "00:01 fires Down", "00:02 stops", "00:03 resolves Down", "00:04 loads plain"):
        story.play(line)
    assert [each.split()[1:4] for each in story.transcript[-3:]] == [
        ["chat", "resolved", "source"],
        ["chat", "resolved", "Watchdog"],
        ["chat", "resolved", "Down"],
    ]
    assert story.state.sources == {}


# --- bodies that leave alerts out --------------------------------------------------------------------------


def test_a_body_that_left_alerts_out_never_ends_an_incident():
    check("""
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  appears  Slow@db
        00:02  cuts-over Slow@db Down@db
               -> chat   updated    Down  0 firing, 1 resolved
        00:10  fetches  Slow@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        00:20  resolves Slow@db
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
    """)


def test_a_group_that_turns_out_to_have_no_more_ends_its_incident():
    check("""
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:02  cuts-over Slow@db Down@db
               -> chat   updated    Down  0 firing, 1 resolved
        00:10  fetches  Slow@db
               -> chat   resolved   Down  0 firing, 1 resolved
    """)


def test_an_incident_of_two_groups_is_over_when_both_are_known_whole():
    policy = "correlate: [{name: site, matchers: ['site!=\"\"'], by: [site], window: 1h}]\n" + POLICY
    check(
        """
        00:00  fires    Down@db{site=x}
               -> chat   opened     Down (site=x)  1 firing, 0 resolved
        00:01  fires    Slow@web{site=x}
               -> chat   updated    Down and 1 more kind of alert (site=x)  2 firing, 0 resolved
        00:02  cuts-over Late@db Down@db
               -> chat   updated    Down and 1 more kind of alert (site=x)  1 firing, 1 resolved
        00:03  cuts-over Late@web Slow@web
               -> chat   updated    Down and 1 more kind of alert (site=x)  0 firing, 2 resolved
        00:04  fetches  Late@db
               -> chat   updated    Down and 1 more kind of alert (site=x)  0 firing, 2 resolved
        00:05  fetches  Late@web
               -> chat   resolved   Down and 1 more kind of alert (site=x)  0 firing, 2 resolved
        """,
        policy,
    )


def test_what_is_left_after_a_split_is_not_over_while_its_group_is_not_known_whole():
    story = check("""
        00:00  fires    Down@db Slow@db
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:01  cuts-over Late@db Down@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        00:02  splits   Slow@db ana
               -> chat   opened     Slow  1 firing, 0 resolved
               -> chat   updated    Down  0 firing, 1 resolved
        00:03  fetches  Late@db
               -> chat   resolved   Down  0 firing, 1 resolved
    """)
    assert [step.what for step in story.steps].count("not over yet") == 1


def test_a_later_whole_body_is_as_good_as_asking():
    story = check("""
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:02  cuts-over Slow@db Down@db
               -> chat   updated    Down  0 firing, 1 resolved
        00:10  fires    Slower@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        00:11  resolves Slower@db
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
    """)
    assert story.state.cut == {}


def test_nobody_who_could_be_asked_and_nothing_heard_ends_it_at_last():
    story = check(
        """
        00:00     fires    Down@db
                  -> chat   opened     Down  1 firing, 0 resolved
        00:02     cuts-over Slow@db Down@db
                  -> chat   updated    Down  0 firing, 1 resolved
        00:02  -> chat   resolved   Down  0 firing, 1 resolved
        +1d00:03  waits
    """.replace("                  ->", "               ->")
    )
    assert story.steps[-2].what == "resolved"
    assert "nothing was heard" in story.steps[-2].why


# --- what Alertmanager hides -------------------------------------------------------------------------------


def test_an_alert_that_is_not_shown_any_more_is_hidden_and_not_resolved():
    story = check("""
        00:00  fires    Down@db Slow@db
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:01  hides    Down@db
        00:02  repeats  Down@db
    """)
    whats = [step.what for step in story.steps]
    assert whats[-2:] == ["hidden", "shown again"]
    assert story.alert("Down@db").hidden == ""


def test_a_silence_in_alertmanager_puts_the_incident_off_and_its_end_brings_it_back():
    story = check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  silences Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:30  waits
        01:01  unhides  Down
               -> pager  escalated  Down  1 firing, 0 resolved
               -> chat   updated    Down  1 firing, 0 resolved
    """)
    (step,) = [step for step in story.steps if step.what == "muted"]
    assert step.by == "ana"
    (hidden,) = [step for step in story.steps if step.what == "hidden"]
    assert hidden.why == "silenced in Alertmanager by ana until 2026-03-01 01:01:00Z: known"


def test_a_silence_that_ends_unheard_brings_it_back_by_the_clock():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  silences Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        01:03  -> pager  escalated  Down  1 firing, 0 resolved
               -> chat   updated    Down  1 firing, 0 resolved
        02:00  waits
    """)


def test_a_silence_that_is_made_longer_is_longer():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  silences Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:50  silences Down 2h ana
        02:52  -> pager  escalated  Down  1 firing, 0 resolved
               -> chat   updated    Down  1 firing, 0 resolved
        03:00  waits
    """)


def test_an_incident_with_one_alert_that_is_shown_goes_on():
    check("""
        00:00  fires    Down@db{severity=critical} Slow@db
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:01  silences Down@db 1h ana
        00:05  -> pager  escalated  Down and 1 more kind of alert  2 firing, 0 resolved
        00:06  waits
    """)


def test_what_is_inhibited_waits_until_it_is_shown():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  inhibits Down
               -> chat   updated    Down  1 firing, 0 resolved
        09:00  repeats  Down
               -> pager  escalated  Down  1 firing, 0 resolved
               -> chat   updated    Down  1 firing, 0 resolved
    """)


def test_a_new_alert_in_what_is_muted_is_told_at_once():
    check("""
        00:00  fires    Down@db{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  inhibits Down@db
               -> chat   updated    Down  1 firing, 0 resolved
        00:10  fires    Slow@db
               -> pager  escalated  Down and 1 more kind of alert  2 firing, 0 resolved
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
    """)


def test_what_somebody_has_in_hand_stays_in_hand_when_it_is_silenced():
    story = check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:02  silences Down 1h ana
        00:03  unhides  Down
    """)
    assert story.incident_of("Down").status is Status.ACKNOWLEDGED


def test_what_alertmanager_does_not_have_any_more_is_over():
    story = check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  silences Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:20  loses    Down
               -> chat   resolved   Down  0 firing, 1 resolved
    """)
    assert any("has not had it since 00:15:00Z" in step.why for step in story.steps)


def test_a_doubt_is_over_when_alertmanager_does_not_have_the_alert():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:01  late     Down
        00:02  loses    Down
        00:10  waits
    """)


def test_what_a_silent_source_does_not_have_is_not_believed_to_be_over():
    story = Watched(WATCHED, {})
    for line in ("00:00 beats", "00:01 fires Down", "00:02 stops", "00:03 loses Down"):
        story.play(line)
    assert story.incident_of("Down").status is Status.OPEN
    assert story.alert("Down").unconfirmed is not None


# --- nothing heard -----------------------------------------------------------------------------------------


def test_an_incident_of_which_nothing_is_heard_for_a_day_is_over_and_says_so():
    story = check("""
        00:00     fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:00  -> chat   resolved   Down  0 firing, 1 resolved
        +1d00:01  waits
    """)
    assert [step.why for step in story.steps if step.what == "resolved"] == [
        "stale: nothing was heard of 1 alert (Down) for 1d"
    ]


def test_what_is_repeated_is_not_stale():
    story = Watched(POLICY, {})
    for line in ("00:00 fires Down", "23:00 repeats Down", "+1d22:00 repeats Down", "+2d20:00 waits"):
        story.play(line)
    assert story.incident_of("Down").status is Status.OPEN


def test_nothing_is_stale_where_the_policy_says_never():
    story = Watched("stale_after: 0s\n" + POLICY, {})
    for line in ("00:00 fires Down", "+300d00:00 waits"):
        story.play(line)
    assert story.incident_of("Down").status is Status.OPEN


def test_what_a_person_resolved_and_nobody_repeats_leaves_memory():
    story = Watched(POLICY, {})
    for line in ("00:00 fires Down", "00:01 closes Down ana", "+2d00:00 waits"):
        story.play(line)
    assert story.state.incidents == {}
    assert story.state.alerts == {}
