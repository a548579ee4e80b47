"""A script in, a transcript out: what the engine does, as the person would see it.

    00:00  fires    Down{severity=critical}
           -> chat   opened     Down  1 firing, 0 resolved
    00:05  -> pager  escalated  Down  1 firing, 0 resolved
    00:10  resolves Down
           -> chat   resolved   Down  0 firing, 1 resolved
           -> pager  resolved   Down  0 firing, 1 resolved

Lines without an arrow are the script: a time (hours and minutes; `+2d03:00` for later days), a verb, and names.
Lines with an arrow are what follows. `check` runs the script and compares the whole. The story plays Alertmanager:
it keeps who fires in which group (`Down@db` belongs to the group db, `Down` to a group of its own name) and posts
the group's whole snapshot. Channels answer at once unless they are broken.

    fires A B      these begin to fire                 resolves A    these are over
    repeats A      its group is posted again           hides A       silenced: its group is posted without it
    late A         an older firing arrives             overdue A     a resolve arrives that is older than everything
    breaks chat    the channel answers nothing         mends chat    and now it takes everything it is owed
    refuses chat   it refuses what it is sent next     loads NAME    another policy of the test
    acks A ana     ana acknowledges A's incident      snoozes A 2h ana  and puts it off
    closes A ana   resolves it by hand                notes A ana       adds a line to its story
    waits          nothing; time passes

A person's act is about the newest incident that A is in; `-> refused` and the reason follow where it is not possible.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from guard import configfile
from receiver.alert import fingerprint_of, parse
from receiver.engine import decide, policy_for
from receiver.entry import (
    Acknowledged,
    AlertsReceived,
    Delivered,
    Entry,
    Fact,
    Noted,
    PolicyLoaded,
    ResolvedByHand,
    Snoozed,
    TimePassed,
    Undeliverable,
)
from receiver.incident import Incident, Step
from receiver.message import Message
from receiver.message import read as read_message
from receiver.policy.duration import parse_duration
from receiver.policy.file import policy_of
from receiver.policy.policy import Policy
from receiver.settings import KIND
from receiver.state import State, StepTaken

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
_ALERT = re.compile(r"(\w+)(?:@(\w+))?(?:\{([^}]*)\})?")

POLICY = """
routes:
  - {matchers: ['severity="critical"'], escalation: page}
  - {escalation: chat}
escalations:
  page: {stages: [{notify: [chat]}, {delay: 5m, notify: [pager]}]}
  chat: {stages: [{notify: [chat]}]}
channels:
  chat: {type: terminal}
  pager: {type: terminal}
"""


def check(script: str, policy: str = POLICY, **other_policies: str) -> None:
    """Runs the lines without arrows; the whole must be what was written."""
    expected = textwrap.dedent(script).strip("\n").rstrip()
    story = Story(policy, other_policies)
    for line in expected.splitlines():
        if line.strip() and "->" not in line:
            story.play(line)
    happened = "\n".join(story.transcript)
    wanted = "\n".join(line.rstrip() for line in expected.splitlines() if line.strip())
    assert happened == wanted, f"what happened is:\n{happened}"


def policy_from(text: str, digest: str = "story") -> Policy:
    return policy_of(configfile.read_text(text, "receiver.yml", KIND, environ={}), digest=digest)


class Story:
    def __init__(self, policy: str, others: Mapping[str, str]) -> None:
        self.state = State(journal="story")
        self.transcript: list[str] = []
        self.now = BEGIN
        self._others = others
        self._position = 0
        self._firing: dict[str, dict[str, dict[str, object]]] = {}
        self._labels: dict[str, tuple[str, dict[str, str]]] = {}
        self._broken: set[str] = set()
        self._refusing: set[str] = set()
        self._owed: list[Message] = []
        self._said_at = BEGIN
        self._known: dict[str, Incident] = {}  # also those that left memory
        self.steps: list[Step] = []
        self._enter(PolicyLoaded(policy_from(policy)))

    def play(self, line: str) -> None:
        time, verb, *names = line.split()
        self._wait_until(_at(time))
        self.transcript.append(line.rstrip())
        self._said_at = self.now
        getattr(self, f"_{verb}")(names)

    # --- verbs ---------------------------------------------------------------------------------------------

    def _fires(self, names: list[str]) -> None:
        groups = {}
        for name in names:
            group, labels = self._alert(name)
            self._firing.setdefault(group, {})[name.split("{")[0]] = self._json(labels, "firing", self.now)
            groups[group] = None
        for group in groups:
            self._post(group, list(self._firing[group].values()))

    def _resolves(self, names: list[str]) -> None:
        groups: dict[str, list[dict[str, object]]] = {}
        for name in names:
            group, labels = self._alert(name)
            began = self._firing.get(group, {}).pop(name.split("{")[0], {}).get("startsAt", _text(self.now))
            groups.setdefault(group, []).append({**self._json(labels, "resolved", self.now), "startsAt": began})
        for group, over in groups.items():
            self._post(group, [*self._firing.get(group, {}).values(), *over])

    def _repeats(self, names: list[str]) -> None:
        for name in names:
            group, _ = self._alert(name)
            self._post(group, list(self._firing[group].values()))

    def _hides(self, names: list[str]) -> None:
        for name in names:
            group, _ = self._alert(name)
            shown = [alert for key, alert in self._firing[group].items() if key != name]
            if shown:
                self._post(group, shown)

    def _late(self, names: list[str]) -> None:
        for name in names:
            group, labels = self._alert(name)
            self._post(group, [self._json(labels, "firing", BEGIN)])

    def _overdue(self, names: list[str]) -> None:
        for name in names:
            group, labels = self._alert(name)
            old = _text(BEGIN - timedelta(hours=1))
            self._post(group, [{**self._json(labels, "resolved", BEGIN), "startsAt": old, "endsAt": old}])

    def _breaks(self, names: list[str]) -> None:
        self._broken.update(names)

    def _mends(self, names: list[str]) -> None:
        self._broken.difference_update(names)
        self._deliver()

    def _refuses(self, names: list[str]) -> None:
        self._refusing.update(names)

    def _loads(self, names: list[str]) -> None:
        self._enter(PolicyLoaded(policy_from(self._others[names[0]], digest=names[0])))

    def _acks(self, names: list[str]) -> None:
        self._enter(Acknowledged(self.incident_of(names[0]).id, names[1]))

    def _snoozes(self, names: list[str]) -> None:
        self._enter(Snoozed(self.incident_of(names[0]).id, names[2], parse_duration(names[1])))

    def _closes(self, names: list[str]) -> None:
        self._enter(ResolvedByHand(self.incident_of(names[0]).id, names[1]))

    def _notes(self, names: list[str]) -> None:
        self._enter(Noted(self.incident_of(names[0]).id, names[1], "looking at it"))

    def incident_of(self, name: str) -> Incident:
        """The newest incident that an alert of this name was in, as it is now."""
        mine = [each for each in self._known.values() if name in each.kinds]
        return max(mine, key=lambda each: each.position)

    def _waits(self, _: list[str]) -> None:
        pass

    # --- the world -----------------------------------------------------------------------------------------

    def _enter(self, fact: Fact) -> None:
        self._position += 1
        entry = Entry(self._position, self.now, fact)
        decision = decide(self.state, entry, policy_for(self.state, entry))
        self.state.apply(decision.changes)
        self._known.update(self.state.incidents)
        self.steps += [change.step for change in decision.changes if isinstance(change, StepTaken)]
        if decision.refused is not None:
            assert (decision.changes, decision.messages) == ((), ())
            self.transcript.append(f"       -> refused {decision.refused}")
        self._owed += decision.messages
        self._deliver()

    def _deliver(self) -> None:
        """The first message that can be delivered; its answer is an entry, whose decision goes on from there."""
        for message in self._owed:
            if message.channel in self._broken:
                continue
            self._owed.remove(message)
            fact: Fact
            if message.channel in self._refusing:
                self._refusing.discard(message.channel)
                fact = Undeliverable(message.id, message.incident, message.channel, 1, "no")
            else:
                self._tell(message)
                fact = Delivered(message.id, message.incident, message.channel, 1, 0.0, "ok")
            self._enter(fact)
            return

    def _tell(self, message: Message) -> None:
        incident = read_message(message).incident
        when = "" if self.now == self._said_at else _clock(self.now)
        self._said_at = self.now
        counts = f"{incident.alerts.firing} firing, {incident.alerts.resolved} resolved"
        self.transcript.append(f"{when:<5}  -> {message.channel:<6} {message.kind:<10} {incident.title}  {counts}")

    def _wait_until(self, at: datetime) -> None:
        while (due := self.state.next_due()) is not None and due <= at:
            self.now = max(due, self.now)
            self._enter(TimePassed())
        self.now = at

    def _alert(self, written: str) -> tuple[str, dict[str, str]]:
        found = _ALERT.fullmatch(written)
        assert found is not None, written
        name, group, more = found.groups()
        key = written.split("{")[0]
        if more is not None or key not in self._labels:
            pairs = dict(pair.split("=") for pair in (more or "").split(",") if pair)
            self._labels[key] = (group or name, {"alertname": name, **pairs})
        return self._labels[key]

    def _json(self, labels: dict[str, str], status: str, began: datetime) -> dict[str, object]:
        return {
            "status": status,
            "labels": labels,
            "startsAt": _text(began),
            "endsAt": _text(self.now) if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint_of(labels),
        }

    def _post(self, group: str, alerts: list[dict[str, object]]) -> None:
        body = webhook(group, alerts)
        self._enter(AlertsReceived("am", body, parse(body)))


def webhook(group: str, alerts: list[dict[str, object]]) -> bytes:
    status = "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved"
    return msgspec.json.encode(
        {"version": "4", "groupKey": group, "receiver": "r", "status": status, "groupLabels": {}, "alerts": alerts}
    )


def _at(text: str) -> datetime:
    days, _, clock = text.rpartition("d")
    hours, minutes = clock.split(":")
    return BEGIN + timedelta(days=int(days.lstrip("+") or 0), hours=int(hours), minutes=int(minutes))


def _clock(at: datetime) -> str:
    return f"{at:%H:%M}"


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
