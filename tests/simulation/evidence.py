"""What a world left behind, and every decision of its journal made again: what the checkers look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from receiver import engine
from receiver.entry import Act, AlertsFetched, AlertsReceived, Entry
from receiver.incident import AlertRecord, Group, Incident
from receiver.ledger import Decision
from receiver.message import Document, Kind, Message
from receiver.message import read as read_message
from receiver.policy.policy import Policy
from receiver.state import AlertChanged, IncidentChanged, State, StepTaken
from receiver.store.database import Database
from tests.simulation.world import Decide, History, fresh_store_of

PAGES = (Kind.OPENED, Kind.ESCALATED)


class Broken(AssertionError):
    """Something happened that must never happen."""


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)


class Moment(NamedTuple):
    """One decision: what it is about as it was before, and as it is after."""

    entry: Entry
    policy: Policy
    decision: Decision
    before: Mapping[str, Incident]  # the incidents that it changes
    after: Mapping[str, Incident]
    alerts_before: Mapping[tuple[str, str], AlertRecord]  # likewise
    alerts_after: Mapping[tuple[str, str], AlertRecord]
    held_before: Mapping[str, tuple[Incident, ...]]  # of the channels that are sent a digest: what waits for one
    firing_after: Mapping[str, tuple[AlertRecord, ...]]  # of the incidents about which somebody is paged
    cut_after: frozenset[str]  # of the incidents that it changes, those with an alert in a group that is cut

    @property
    def documents(self) -> list[tuple[Message, Document]]:
        return [(message, read_message(message)) for message in self.decision.messages]

    @property
    def steps(self) -> list[str]:
        return [change.step.what for change in self.decision.changes if isinstance(change, StepTaken)]

    def __str__(self) -> str:
        return f"entry {self.entry.position} ({type(self.entry.fact).__name__})"


class Evidence:
    """What the world left behind, and what replaying its journal gives."""

    def __init__(
        self,
        history: History,
        *,
        decide: Decide = engine.decide,
        each: Callable[[Moment, State], None] = lambda moment, state: None,
    ) -> None:
        """`each` is called after each decision of the replay, with the state that it left."""
        self.history = history
        self.database: Database = fresh_store_of(history.database)
        self.loaded = self.database.load()
        left = {entry.position: entry for entry in self.database.entries(0, 10**9)}
        self.entries: list[Entry] = [entry for _, entry in sorted({**history.trimmed, **left}.items())]
        self.replayed = State(journal=self.database.journal, hash_key=self.database.hash_key)
        self.decided: dict[str, Message] = {}
        self.moments: list[Moment] = []
        self.outcomes: Counter[tuple[Act, str | None]] = Counter()  # of what people did, as the journal has it
        self._cut: dict[Group, None] = {}  # as the journal has it: bodies that left alerts out, and fetched groups
        aside = self.database.reading.entries_set_aside(10**9)
        self.aside = {each.position: each for each in aside}  # nothing was decided about these: replaying skips them
        for entry in self.entries:
            if entry.position in self.aside:
                continue
            moment = self._decide(entry, decide)
            self.moments.append(moment)
            if isinstance(entry.fact, Act):
                self.outcomes[entry.fact, moment.decision.refused] += 1
            for message in moment.decision.messages:
                if message.id in self.decided:
                    raise Broken(f"two decisions gave the message {message.id}")
                self.decided[message.id] = message
            each(moment, self.replayed)

    def _decide(self, entry: Entry, decide: Decide) -> Moment:
        state = self.replayed
        policy = engine.policy_for(state, entry)
        decision = decide(state, entry, policy)
        incidents = [change.incident.id for change in decision.changes if isinstance(change, IncidentChanged)]
        changed = [change.alert for change in decision.changes if isinstance(change, AlertChanged)]
        keys = [(alert.source, alert.fingerprint) for alert in changed]
        if isinstance(entry.fact, AlertsReceived):
            keys += [(entry.fact.source, alert.identity) for alert in entry.fact.notification.alerts]
        before = {each: state.incidents[each] for each in incidents if each in state.incidents}
        alerts_before = {key: state.alerts[key] for key in keys if key in state.alerts}
        digests = [message.channel for message in decision.messages if message.kind is Kind.DIGEST]
        held = {name: tuple(state.incidents[each] for each in state.held_on(name)) for name in digests}
        state.apply(decision.changes)
        self._note_cut(entry)
        after = {each: state.incidents[each] for each in incidents if each in state.incidents}
        paged = {message.incident for message in decision.messages if message.kind in PAGES}
        return Moment(
            entry=entry,
            policy=policy,
            decision=decision,
            before=before,
            after=after,
            alerts_before=alerts_before,
            alerts_after={key: state.alerts[key] for key in keys if key in state.alerts},
            held_before=held,
            firing_after={
                each: tuple(alert for alert in state.alerts_of(after[each]) if alert.firing) for each in sorted(paged)
            },
            cut_after=frozenset(
                each.id
                for each in after.values()
                if self._cut and any(alert.group in self._cut for alert in state.alerts_of(each))
            ),
        )

    def _note_cut(self, entry: Entry) -> None:
        match entry.fact:
            case AlertsReceived(source, _, notification):
                group = Group(source, notification.receiver_name, notification.group_key)
                if notification.truncated_alerts:
                    self._cut[group] = None
                else:
                    self._cut.pop(group, None)
            case AlertsFetched(source, receiver, key):
                self._cut.pop(Group(source, receiver, key), None)
            case _:
                pass
