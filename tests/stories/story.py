"""A script in, a transcript out: what the engine does, as the person would see it.

    00:00  fires    Down{severity=critical}
           -> chat   opened     Down  1 firing, 0 resolved
    00:05  -> pager  escalated  Down  1 firing, 0 resolved
    00:10  resolves Down
           -> chat   resolved   Down  0 firing, 1 resolved
           -> pager  resolved   Down  0 firing, 1 resolved

Lines without an arrow are the script: a time (hours, minutes and, where it matters, seconds; `+2d03:00` for later
days), a verb, and names.
Lines with an arrow are what follows. `check` runs the script and compares the whole. The story plays Alertmanager:
it keeps who fires in which group (`Down@db` belongs to the group db, `Down` to a group of its own name) and posts
the group's whole snapshot. `eu2/Down@db` comes from the source eu2. Channels answer at once unless they are broken.

    fires A B      these begin to fire                 resolves A    these are over
    repeats A      its group is posted again           hides A       silenced: its group is posted without it
    late A         an older firing arrives             overdue A     a resolve arrives that is older than everything
    breaks chat    the channel answers nothing         mends chat    and now it takes everything it is owed; but pages
                                                       about what somebody has by then are withdrawn
    refuses chat   it refuses what it is sent next     loads NAME    another policy of the test
    resends chat ana  what chat refused last is sent again
    tires chat     pages and digests that it is owed are reported as not taken in time
    acks A ana     ana acknowledges A's incident      snoozes A 2h ana  and puts it off
    closes A ana   resolves it by hand                notes A ana       adds a line to its story
    assigns A ben ana  says that it is ben's           merges A B ana    A's incident goes into B's
    unmerges A ana what `merges A` did is taken back   splits A B ana    these alerts become an incident of their own
    adopted A      a rule merged what A was in: `unmerges A` takes that back
    acks-old A ana an act on the incident that A was in before it was merged; likewise `splits-old`
    regroups db x  Alertmanager calls the group db x now, and posts it
    damages 3      the walk along the journal finds that it holds up to entry 3 only
    looks A B      shows the incidents that these alerts are in
    waits          nothing; time passes

A digest is told with how many incidents are in it, and the first few as they are: `3: Down open, Slow resolved, …`.

A person's act is about the newest incident that A is in; `-> refused` and the reason follow where it is not possible.

`check` tells each story twice: by a process that lives through it, and by one that is started anew before every entry
and knows only what a real store kept. Both must do and write down the same.
"""

from __future__ import annotations

import re
import sqlite3
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from guard import configfile
from receiver.alert import fingerprint_of, parse
from receiver.engine import decide, policy_for
from receiver.entry import (
    Acknowledged,
    AlertsReceived,
    Assigned,
    ChainBroken,
    Delivered,
    Entry,
    Fact,
    Merged,
    Noted,
    NotTaken,
    PolicyLoaded,
    Resent,
    ResolvedByHand,
    Snoozed,
    Split,
    TimePassed,
    Undeliverable,
    Withdrawn,
)
from receiver.fallback import FALLS_BACK
from receiver.incident import Incident, Step
from receiver.ledger import Decision
from receiver.message import Document, Kind, Message
from receiver.message import read as read_message
from receiver.policy.duration import parse_duration
from receiver.policy.freeze import policy_of
from receiver.policy.policy import Policy
from receiver.settings import KIND
from receiver.state import State, StepTaken
from receiver.store import Draft
from receiver.store.database import Commit, Database
from receiver.withdrawal import no_longer_calls

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
IN_A_DIGEST = 4  # are shown in the transcript
_ALERT = re.compile(r"(?:(\w+)/)?(\w+)(?:@(\w+))?(?:\{([^}]*)\})?")

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
    story = played(Story(policy, other_policies), expected)
    happened = "\n".join(story.transcript)
    wanted = "\n".join(line.rstrip() for line in expected.splitlines() if line.strip())
    assert happened == wanted, f"what happened is:\n{happened}"
    restarted = played(Story(policy, other_policies, store=Store()), expected)
    again = "\n".join(restarted.transcript)
    assert again == happened, f"with a restart before every entry what happened is:\n{again}"
    assert restarted.steps == story.steps


def played(story: Story, script: str) -> Story:
    for line in script.splitlines():
        if line.strip() and "->" not in line:
            story.play(line)
    return story


def policy_from(text: str, digest: str = "story") -> Policy:
    return policy_of(configfile.read_text(text, "receiver.yml", KIND, environ={}), digest=digest)


class Store:
    """What a real store keeps, in memory; a process that starts knows nothing else."""

    def __init__(self) -> None:
        self._database = Database(Path("of-a-story"), connect=_connect, new_name=lambda: "story")

    def entered(self, at: datetime, fact: Fact) -> Entry:
        (entry,) = self._database.write([Draft(at, fact)])
        assert entry is not None
        return self._database.entries(after=entry.position - 1, limit=1)[0]

    def decided(self, decision: Decision, position: int) -> None:
        self._database.write([Commit(decision.changes, decision.messages, position)])

    def state(self) -> State:
        return self._database.load().state


def _connect(_: Path) -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


class Story:
    def __init__(self, policy: str, others: Mapping[str, str], *, store: Store | None = None) -> None:
        self.state = State(journal="story")
        self._store = store
        self.transcript: list[str] = []
        self.now = BEGIN
        self._others = others
        self._position = 0
        self._firing: dict[str, dict[str, dict[str, object]]] = {}
        self._labels: dict[str, tuple[str, dict[str, str]]] = {}
        self._broken: set[str] = set()
        self._refusing: set[str] = set()
        self._refused: dict[str, Message] = {}  # by channel: the latest
        self.owed: list[Message] = []
        self._said_at = BEGIN
        self._known: dict[str, Incident] = {}  # also those that left memory
        self._in: dict[tuple[str, str], str] = {}  # alert -> incident
        self._merged: dict[str, str] = {}
        self.steps: list[Step] = []
        self._enter(PolicyLoaded(policy_from(policy)))

    def play(self, line: str) -> None:
        time, verb, *names = line.split()
        self._wait_until(_at(time))
        self.transcript.append(line.rstrip())
        self._said_at = self.now
        getattr(self, f"_{verb.replace('-', '_')}")(names)

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

    def _tires(self, names: list[str]) -> None:
        for message in [each for each in self.owed if each.channel in names and each.kind in FALLS_BACK]:
            about = (message.id, message.incident, message.channel, message.created_at)
            self._enter(NotTaken(*about, "nobody listens"))

    def _resends(self, names: list[str]) -> None:
        channel, by = names
        refused = self._refused[channel]
        self._enter(Resent(refused.incident, by, refused.id, channel, refused.kind))

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

    def _assigns(self, names: list[str]) -> None:
        self._enter(Assigned(self.incident_of(names[0]).id, names[2], names[1]))

    def _merges(self, names: list[str]) -> None:
        name, into, by = names
        self._merged[name] = self.incident_of(name).id
        self._enter(Merged(self._merged[name], by, self.incident_of(into).id))

    def _adopted(self, names: list[str]) -> None:
        (name,) = names
        into = self.incident_of(name).id
        self._merged[name] = next(each.id for each in self._known.values() if each.merged_into == into)

    def _acks_old(self, names: list[str]) -> None:
        self._enter(Acknowledged(self._merged[names[0]], names[1]))

    def _splits_old(self, names: list[str]) -> None:
        fingerprint = fingerprint_of(self._alert(names[0])[1])
        self._enter(Split(self._merged[names[0]], names[1], alerts=(fingerprint,)))

    def _unmerges(self, names: list[str]) -> None:
        name, by = names
        into = self.incident_of(name).id
        self._enter(Split(into, by, merged=self._merged[name]))

    def _splits(self, names: list[str]) -> None:
        *alerts, by = names
        fingerprints = tuple(fingerprint_of(self._alert(name)[1]) for name in alerts)
        self._enter(Split(self.incident_of(alerts[0]).id, by, alerts=fingerprints))

    def _regroups(self, names: list[str]) -> None:
        before, after = names
        self._firing[after] = self._firing.pop(before)
        self._labels = {
            key: (after if group == before else group, labels) for key, (group, labels) in self._labels.items()
        }
        self._post(after, list(self._firing[after].values()))

    def _damages(self, names: list[str]) -> None:
        (position,) = map(int, names)
        self._enter(ChainBroken(position, f"no entry {position + 1}"))

    def _looks(self, names: list[str]) -> None:
        for incident in {each.id: each for each in map(self.incident_of, names)}.values():
            counts = f"{incident.firing} firing, {incident.resolved} resolved"
            route = incident.escalation or "nobody"
            self.transcript.append(
                f"       -> {incident.id} {incident.status} {incident.severity} {route}  {incident.title}  {counts}"
            )

    def alert_json(self, name: str) -> dict[str, object]:
        """An alert that begins now, for a body that comes when the test says so."""
        return self._json(self._alert(name)[1], "firing", self.now)

    def post(self, group: str, alerts: list[dict[str, object]]) -> None:
        self._post(group, alerts)

    def saw(self, decision: Decision) -> None:
        """For whoever wants to look at every decision, after it is applied."""

    def fingerprint(self, name: str) -> str:
        return fingerprint_of(self._alert(name)[1])

    def why(self, what: str) -> list[str]:
        """The reasons of all steps of this kind."""
        return [step.why for step in self.steps if step.what == what]

    def incident_of(self, name: str) -> Incident:
        """The incident that this alert is in, or the newest that an alert of this name was in; as it is now."""
        if name in self._labels:
            source = self._labels[name][0].rpartition("/")[0] or "am"
            identifier = self._in.get((source, fingerprint_of(self._labels[name][1])))
            if identifier is not None:
                return self._known[identifier]
        mine = [each for each in self._known.values() if name in each.kinds]
        return max(mine, key=lambda each: each.position)

    def _waits(self, _: list[str]) -> None:
        pass

    # --- the world -----------------------------------------------------------------------------------------

    def _enter(self, fact: Fact) -> None:
        self._position += 1
        entry = Entry(self._position, self.now, fact)
        if self._store is not None:
            entry, self.state = self._store.entered(self.now, fact), self._store.state()
        decision = decide(self.state, entry, policy_for(self.state, entry))
        self.state.apply(decision.changes)
        if self._store is not None:
            self._store.decided(decision, entry.position)
        self.saw(decision)
        self._known.update(self.state.incidents)
        self._in.update({key: alert.incident for key, alert in self.state.alerts.items()})
        self.steps += [change.step for change in decision.changes if isinstance(change, StepTaken)]
        if decision.refused is not None:
            assert (decision.changes, decision.messages) == ((), ())
            self.transcript.append(f"       -> refused {decision.refused}")
        self.owed += decision.messages
        self._deliver()

    def _deliver(self) -> None:
        """The first message that can be delivered; its answer is an entry, whose decision goes on from there."""
        for message in self.owed:
            if message.channel in self._broken:
                continue
            self.owed.remove(message)
            fact: Fact
            why = no_longer_calls(message, self.state.incidents.get(message.incident))
            if why is not None:
                fact = Withdrawn(message.id, message.incident, message.channel, message.kind, 0, why)
            elif message.channel in self._refusing:
                self._refusing.discard(message.channel)
                self._refused[message.channel] = message
                fact = Undeliverable(message.id, message.incident, message.channel, 1, "no")
            else:
                self._tell(message)
                fact = Delivered(message.id, message.incident, message.channel, 1, 0.0, "ok")
            self._enter(fact)
            return

    def _tell(self, message: Message) -> None:
        document = read_message(message)
        when = "" if self.now == self._said_at else _clock(self.now)
        self._said_at = self.now
        self.transcript.append(f"{when:<5}  -> {message.channel:<6} {message.kind:<10} {_in_words(document)}")

    def _wait_until(self, at: datetime) -> None:
        while (due := self.state.next_due()) is not None and due <= at:
            self.now = max(due, self.now)
            self._enter(TimePassed())
        self.now = at

    def _alert(self, written: str) -> tuple[str, dict[str, str]]:
        found = _ALERT.fullmatch(written)
        assert found is not None, written
        source, name, group, more = found.groups()
        key = written.split("{")[0]
        if more is not None or key not in self._labels:
            pairs = dict(pair.split("=") for pair in (more or "").split(",") if pair)
            where = f"{source}/{group or name}" if source else group or name
            self._labels[key] = (where, {"alertname": name, **pairs})
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
        source, _, key = group.rpartition("/")
        body = webhook(key, alerts)
        self._enter(AlertsReceived(source or "am", body, parse(body)))


def webhook(group: str, alerts: list[dict[str, object]]) -> bytes:
    status = "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved"
    return msgspec.json.encode(
        {"version": "4", "groupKey": group, "receiver": "r", "status": status, "groupLabels": {}, "alerts": alerts}
    )


def _in_words(document: Document) -> str:
    if document.kind != Kind.DIGEST:
        counts = f"{document.incident.alerts.firing} firing, {document.incident.alerts.resolved} resolved"
        return f"{document.incident.title}  {counts}"
    first = ", ".join(f"{each.title} {each.status}" for each in document.incidents[:IN_A_DIGEST])
    more = ", …" if len(document.incidents) > IN_A_DIGEST else ""
    left_out = f", {document.incidents_left_out} more later" if document.incidents_left_out else ""
    return f"{len(document.incidents)}: {first}{more}{left_out}"


def _at(text: str) -> datetime:
    days, _, clock = text.rpartition("d")
    hours, minutes, *seconds = map(int, clock.split(":"))
    return BEGIN + timedelta(days=int(days.lstrip("+") or 0), hours=hours, minutes=minutes, seconds=sum(seconds))


def _clock(at: datetime) -> str:
    return f"{at:%H:%M}"


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
