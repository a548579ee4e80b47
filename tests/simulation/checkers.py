"""What must never happen. Each checker is named for what it holds, and says what it saw instead."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from receiver import engine
from receiver.entry import Act, AlertsReceived, EntriesSetAside, Entry, ResolvedByHand, Undeliverable
from receiver.incident import Incident, Status, severity_rank
from receiver.ledger import Decision
from receiver.message import Kind, Message
from receiver.own import GROUP as OWN_GROUP
from receiver.policy.policy import Policy
from receiver.state import State
from receiver.store.database import Database
from tests.simulation.world import History, encoded, fresh_store_of


class Broken(AssertionError):
    """Something happened that must never happen."""


class Page(NamedTuple):
    """Somebody is called: by which entry, and how the incident was before and is after that decision."""

    message: Message
    entry: Entry
    before: Incident | None
    after: Incident


PAGES = (Kind.OPENED, Kind.ESCALATED)
POISON = "poison"  # what the error says about entries that a world's engine cannot decide on purpose


class Evidence:
    """What the world left behind, and what replaying its journal gives."""

    def __init__(self, history: History, *, decide: Callable[[State, Entry, Policy], Decision] = engine.decide) -> None:
        self.history = history
        self.database: Database = fresh_store_of(history.database)
        self.loaded = self.database.load()
        self.entries: list[Entry] = self.database.entries(0, 10**9)
        self.replayed = State(journal=self.database.journal)
        self.decided: dict[str, Message] = {}
        self.pages: list[Page] = []
        self.outcomes: Counter[tuple[Act, str | None]] = Counter()  # of what people did, as the journal has it
        aside = self.database.entries_set_aside(10**9)
        self.aside = {each.position: each for each in aside}  # nothing was decided about these: replaying skips them
        for entry in self.entries:
            if entry.position in self.aside:
                continue
            before = dict(self.replayed.incidents)
            decision = decide(self.replayed, entry, engine.policy_for(self.replayed, entry))
            self.replayed.apply(decision.changes)
            if isinstance(entry.fact, Act):
                self.outcomes[entry.fact, decision.refused] += 1
            for message in decision.messages:
                if message.id in self.decided:
                    raise Broken(f"two decisions gave the message {message.id}")
                self.decided[message.id] = message
                if message.kind in PAGES:
                    after = self.replayed.incidents[message.incident]
                    self.pages.append(Page(message, entry, before.get(message.incident), after))


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
        over = incident.status is Status.RESOLVED
        own = incident.group == OWN_GROUP  # holds no alert, and is over when a person says so
        _expect(over or own or firing > 0, f"{incident.id} is {incident.status} with nothing firing")
        _expect(not over or firing == 0 or by_hand(evidence, incident), f"{incident.id} is over with {firing} firing")


def every_firing_alert_is_in_an_open_incident(evidence: Evidence) -> None:
    state = evidence.loaded.state
    for alert in state.alerts.values():
        if alert.firing:
            incident = state.incidents.get(alert.incident)
            _expect(incident is not None, f"{alert.fingerprint} fires nowhere")
            if incident is not None and incident.status is Status.RESOLVED:
                _expect(by_hand(evidence, incident), f"{alert.fingerprint} fires in {incident.id}, which is over")


def by_hand(evidence: Evidence, incident: Incident) -> bool:
    """Whether the journal has a person who resolved it. Alerts in it may then fire on."""
    by = incident.resolved_by
    return by is not None and evidence.outcomes[ResolvedByHand(incident.id, by), None] > 0


def nobody_is_paged_about_what_somebody_has_or_put_off(evidence: Evidence) -> None:
    """Unless the severity rose above what they knew, or the snooze is over."""
    for message, entry, before, after in evidence.pages:
        _expect(after.status is Status.OPEN, f"{message.id} pages about an incident that is {after.status}")
        if before is None or before.status is Status.OPEN:
            continue
        rose = severity_rank(after.severity) > severity_rank(before.severity)
        ended = before.snoozed_until is not None and before.snoozed_until <= entry.at
        _expect(rose or ended, f"{message.id} pages although it was {before.status}")


def people_are_told_what_became_of_what_they_did(evidence: Evidence) -> None:
    for told, count in Counter(evidence.history.performed).items():
        _expect(evidence.outcomes[told] >= count, f"{told} was answered, and the journal says otherwise")


def only_what_cannot_be_decided_is_set_aside(evidence: Evidence) -> None:
    for position, aside in evidence.aside.items():
        _expect(POISON in aside.error, f"entry {position} was set aside: {aside.error}")


def what_is_set_aside_is_told(evidence: Evidence) -> None:
    facts = [entry.fact for entry in evidence.entries if isinstance(entry.fact, EntriesSetAside)]
    told = Counter(each.position for fact in facts for each in fact.entries)
    _expect(
        told == Counter(list(evidence.aside)), f"set aside {sorted(evidence.aside)}, told {sorted(told.elements())}"
    )
    _expect(not evidence.database.untold(), "some are marked as not told")


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
    nobody_is_paged_about_what_somebody_has_or_put_off,
    people_are_told_what_became_of_what_they_did,
    only_what_cannot_be_decided_is_set_aside,
    what_is_set_aside_is_told,
    nothing_is_overdue,
)


def check_all(history: History, *, decide: Callable[[State, Entry, Policy], Decision] = engine.decide) -> Evidence:
    evidence = Evidence(history, decide=decide)
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
