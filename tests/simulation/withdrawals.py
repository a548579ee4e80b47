"""What must never happen to pages that are owed while somebody acknowledges, or puts off, what they are about."""

from __future__ import annotations

from collections import defaultdict

from receiver.entry import Delivered, Undeliverable, Withdrawn
from receiver.incident import Incident, Status
from receiver.message import Kind, Message
from tests.simulation.evidence import PAGES, Evidence, Moment, expect

IN_HAND = frozenset({Status.ACKNOWLEDGED, Status.SNOOZED})


def no_page_leaves_about_what_somebody_has_or_put_off(evidence: Evidence) -> None:
    """By what was decided when the attempt began, whoever was answered what."""
    statuses: dict[tuple[str, int], set[Status]] = defaultdict(set)  # by incident and how long its story is
    for moment in evidence.moments:
        for identifier, after in moment.after.items():
            statuses[identifier, after.steps].add(after.status)
    for arrival in evidence.history.arrived:
        message = arrival.message
        known = statuses[message.incident, arrival.steps]
        left = not known or not known <= IN_HAND
        expect(message.kind not in PAGES or left, f"{message.id} left while its incident was {sorted(known)}")


def only_a_page_that_is_owed_is_withdrawn(evidence: Evidence) -> None:
    """Once, and never one that was answered before. Its incident was in somebody's hands before that was decided."""
    held: set[str] = set()  # incidents that were in somebody's hands at one time
    settled: set[str] = set()
    for moment in evidence.moments:
        fact = moment.entry.fact
        if isinstance(fact, Withdrawn):
            page = evidence.decided.get(fact.message)
            expect(page is not None and page.kind in PAGES, f"{moment}: {fact.message} is no page")
            expect(fact.incident in held, f"{moment}: nobody ever had {fact.incident}")
            known = moment.before.get(fact.incident)
            owed = known is not None and fact.message in known.owed
            expect(owed != (fact.message in settled), f"{moment}: {fact.message} was not owed")
            settled.add(fact.message)
        held.update(each.id for each in moment.after.values() if each.status in IN_HAND)


def whom_a_page_was_withdrawn_from_is_called_when_it_is_open_again(evidence: Evidence) -> None:
    """Likewise whom a page reached too late to be one. By the first message about it that is no digest; unless its
    escalation began anew, and calls in its time, or another page is owed there."""
    owes: dict[str, dict[str, str]] = defaultdict(dict)  # by incident: owed pages, and to whom
    uncalled: dict[str, set[str]] = defaultdict(set)
    for moment in evidence.moments:
        fact = moment.entry.fact
        if isinstance(fact, Delivered | Undeliverable | Withdrawn):
            owes[fact.incident].pop(fact.message, None)
        for identifier, after in moment.after.items():
            before = moment.before.get(identifier)
            if before is not None and _begins_anew(before, after):
                uncalled[identifier].clear()
            uncalled[identifier] &= set(after.told)
        if isinstance(fact, Withdrawn) and fact.channel not in owes[fact.incident].values():
            after = moment.after.get(fact.incident)
            if after is not None and fact.channel in after.told:
                uncalled[fact.incident].add(fact.channel)
        for each in moment.decision.messages:
            if each.kind in PAGES:
                owes[each.incident][each.id] = each.channel
                uncalled[each.incident].discard(each.channel)
            elif _came_too_late(moment, each):
                uncalled[each.incident].add(each.channel)
            elif each.kind is Kind.UPDATED and each.channel in uncalled[each.incident]:
                calls = moment.after[each.incident].status is Status.OPEN
                calm = moment.after[each.incident].calm_at is not None
                expect(not calls or calm, f"{each.id}: {each.channel} was never called about it, and is only informed")
            elif each.kind is Kind.DIGEST:
                for names in uncalled.values():
                    names.discard(each.channel)
    for incident in evidence.loaded.state.incidents.values():
        told = incident.calm_at is None and incident.quiet_until is None and not incident.held
        left = sorted(uncalled[incident.id]) if incident.status is Status.OPEN and told else []
        expect(not left, f"{incident.id} is open, and {left} were never called about it")


def _came_too_late(moment: Moment, message: Message) -> bool:
    """It was to be a page: it was held back, or another channel did not take it, and somebody has the incident now."""
    before, after = moment.before.get(message.incident), moment.after.get(message.incident)
    if after is None or after.status not in IN_HAND or message.kind is Kind.DIGEST:
        return False
    held = before.held.get(message.channel) if before is not None else None
    return (held is not None and held.kind in PAGES) or f"told {message.channel} instead" in moment.steps


def _begins_anew(before: Incident, after: Incident) -> bool:
    return before.escalates_from != after.escalates_from or before.reopened != after.reopened


WITHDRAWAL_CHECKERS = (
    no_page_leaves_about_what_somebody_has_or_put_off,
    only_a_page_that_is_owed_is_withdrawn,
    whom_a_page_was_withdrawn_from_is_called_when_it_is_open_again,
)
