"""What must never happen. Each checker is named for what it holds, and says what it saw instead."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from receiver.engine import decide, policy_for
from receiver.entry import AlertsReceived, Entry, Undeliverable
from receiver.incident import Status
from receiver.message import Message
from receiver.state import State
from receiver.store.database import Database
from tests.simulation.world import History, encoded, fresh_store_of


class Broken(AssertionError):
    """Something happened that must never happen."""


class Evidence:
    """What the world left behind, and what replaying its journal gives."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.database: Database = fresh_store_of(history.database)
        self.loaded = self.database.load()
        self.entries: list[Entry] = self.database.entries(0, 10**9)
        self.replayed = State(journal=self.database.journal)
        self.decided: dict[str, Message] = {}
        for entry in self.entries:
            decision = decide(self.replayed, entry, policy_for(self.replayed, entry))
            self.replayed.apply(decision.changes)
            for message in decision.messages:
                if message.id in self.decided:
                    raise Broken(f"two decisions gave the message {message.id}")
                self.decided[message.id] = message


def nothing_failed_unexpectedly(evidence: Evidence) -> None:
    _expect(not evidence.history.failures, "unexpected: " + "; ".join(evidence.history.failures[:3]))


def no_accepted_alert_is_lost(evidence: Evidence) -> None:
    held = {entry.position: entry.fact.body for entry in evidence.entries if isinstance(entry.fact, AlertsReceived)}
    for position, body in evidence.history.accepted:
        _expect(held.get(position) == body, f"entry {position} was answered 200 and is not in the journal")


def everything_is_decided(evidence: Evidence) -> None:
    last = evidence.entries[-1].position if evidence.entries else 0
    _expect(evidence.loaded.position == last, f"decided up to {evidence.loaded.position} of {last}")


def the_chain_holds(evidence: Evidence) -> None:
    problem = evidence.database.verify(None)
    _expect(problem is None, f"the chain: {problem}")


def replaying_the_journal_decides_the_same(evidence: Evidence) -> None:
    _expect(_values(evidence.loaded.state) == _values(evidence.replayed), "the stored state is not the replayed one")


def no_message_without_a_decision(evidence: Evidence) -> None:
    for arrival in evidence.history.arrived:
        decided = evidence.decided.get(arrival.message.id)
        _expect(decided == arrival.message, f"{arrival.message.id} arrived and was not decided so")


def every_message_arrives_or_is_refused(evidence: Evidence) -> None:
    arrived = {arrival.message.id for arrival in evidence.history.arrived}
    refused = {entry.fact.message for entry in evidence.entries if isinstance(entry.fact, Undeliverable)}
    missing = [identifier for identifier in evidence.decided if identifier not in arrived | refused]
    _expect(not missing, f"decided and neither taken nor refused: {missing[:3]}")
    owed = [message.id for message in evidence.database.owed()]
    _expect(not owed, f"still owed: {owed[:3]}")


def nothing_is_sent_twice_without_a_reason(evidence: Evidence) -> None:
    """A repeat needs an answer that was lost, or a crash in between (then it comes in another life)."""
    seen: dict[str, tuple[int, bool]] = {}
    for arrival in evidence.history.arrived:
        before = seen.get(arrival.message.id)
        if before is not None:
            life, lost = before
            _expect(lost or arrival.life > life, f"{arrival.message.id} was sent twice")
        seen[arrival.message.id] = (arrival.life, arrival.answer_lost)
    repeats = sum(Counter(arrival.message.id for arrival in evidence.history.arrived).values()) - len(seen)
    lost = sum(arrival.answer_lost for arrival in evidence.history.arrived)
    in_flight = 7 * evidence.history.crashes + 7  # as many as all channels together have under way
    _expect(repeats <= lost + in_flight, f"{repeats} repeats for {lost} lost answers")


def messages_of_an_incident_keep_their_order(evidence: Evidence) -> None:
    order = {identifier: number for number, identifier in enumerate(evidence.decided)}
    last: dict[tuple[str, str], int] = defaultdict(lambda: -1)
    for arrival in evidence.history.arrived:
        lane = (arrival.message.incident, arrival.message.channel)
        number = order.get(arrival.message.id, -1)
        _expect(number >= last[lane], f"{arrival.message.id} came after a later one")
        last[lane] = number


def no_incident_is_open_without_a_firing_alert(evidence: Evidence) -> None:
    state = evidence.loaded.state
    for incident in state.incidents.values():
        firing = sum(1 for alert in state.alerts_of(incident) if alert.firing)
        _expect(firing == incident.firing, f"{incident.id} counts {incident.firing} and holds {firing}")
        resolved = incident.status is Status.RESOLVED
        _expect(resolved == (firing == 0), f"{incident.id} is {incident.status} with {firing} firing")


def every_firing_alert_is_in_an_open_incident(evidence: Evidence) -> None:
    state = evidence.loaded.state
    for alert in state.alerts.values():
        if alert.firing:
            incident = state.incidents.get(alert.incident)
            _expect(incident is not None and incident.status is Status.OPEN, f"{alert.fingerprint} fires nowhere")


def nothing_is_overdue(evidence: Evidence) -> None:
    due = evidence.loaded.state.next_due()
    _expect(due is None or due > evidence.history.now, f"due at {due}, and it is {evidence.history.now}")


CHECKERS: tuple[Callable[[Evidence], None], ...] = (
    nothing_failed_unexpectedly,
    no_accepted_alert_is_lost,
    everything_is_decided,
    the_chain_holds,
    replaying_the_journal_decides_the_same,
    no_message_without_a_decision,
    every_message_arrives_or_is_refused,
    nothing_is_sent_twice_without_a_reason,
    messages_of_an_incident_keep_their_order,
    no_incident_is_open_without_a_firing_alert,
    every_firing_alert_is_in_an_open_incident,
    nothing_is_overdue,
)


def check_all(history: History) -> Evidence:
    evidence = Evidence(history)
    for checker in CHECKERS:
        checker(evidence)
    return evidence


def fingerprint(evidence: Evidence) -> str:
    """All that can be seen of a run, as one text that two processes can compare."""
    digest = hashlib.sha256()
    for entry in evidence.entries:
        digest.update(encoded([entry.position, entry.at, type(entry.fact).__name__]))
    for arrival in evidence.history.arrived:
        digest.update(encoded(arrival.message))
    digest.update(encoded(_values(evidence.loaded.state)))
    return digest.hexdigest()


def _values(state: State) -> Mapping[str, object]:
    return {
        "journal": state.journal,
        "policy": state.policy,
        "incidents": state.incidents,
        "alerts": {" ".join(key): alert for key, alert in sorted(state.alerts.items())},
        "members": {
            incident.id: [alert.fingerprint for alert in state.alerts_of(incident)]
            for incident in state.incidents.values()
        },
    }


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
