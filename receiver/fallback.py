"""What a channel does not take, another one is told: its fallback in the policy.

A page, alone or in a digest, is told to the fallback when the channel refuses it or gave it up, and when the channel
has not taken it in the time that the policy gives; then it stays owed, and whoever comes back reads it there as well.
The fallback is told once for each of them, by a message of its own, about the incident as it is now. Where it was paged
about the incident itself at the same time, or since, it is told nothing again. From then on it is among those who know.

A page that a fallback gets stands for all pages that the channel was sent until then: a chain of fallbacks never comes
back to whom one of these told as well.

What is held back from a channel for its limit, and then because it has not answered, is nothing that it could take: so
the fallback is told of these pages as well, in its next digest, and they stay held.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from receiver.entry import NotTaken, Undeliverable
from receiver.incident import Held, Incident, Status
from receiver.ledger import Ledger
from receiver.message import DIGEST_LANE, PAGES, Kind
from receiver.policy.policy import Fallback
from receiver.storm import ago, kind_now, tell, tell_in_digest, uncalled, wait_for_answer

FALLS_BACK = (*PAGES, Kind.DIGEST)


def not_taken(ledger: Ledger, fact: NotTaken) -> None:
    """It is still owed. What is over by now can wait for that."""
    why = f"{fact.channel} has not taken it since {fact.since:%H:%M:%S}Z ({fact.why}), and still gets it"
    for identifier in ledger.channel(fact.channel).digests.get(fact.message, (fact.incident,)):
        incident = ledger.state.incidents.get(identifier)
        if incident is not None and incident.status is not Status.RESOLVED:
            fall_back(ledger, incident, fact, why)


def fall_back(ledger: Ledger, incident: Incident, fact: NotTaken | Undeliverable, why: str) -> Incident:
    """Tells the fallback of it, if there is one and it does not know. `why` is what the channel did."""
    fallback = ledger.policy.fallbacks.get(fact.channel)
    if fallback is None or fact.message not in incident.pages:  # it was no page, or was told already
        return incident
    other, position = fallback.channel, incident.pages[fact.message]
    pages = {message: each for message, each in incident.pages.items() if message != fact.message}
    incident = replace(incident, pages=pages)
    if _knows(incident, other, position):
        return ledger.step(incident, "no fallback needed", f"{why}; {other}, its fallback, was told as well")
    ledger.counts[f"fallback {fact.channel}"] += 1
    incident = ledger.step(incident, f"told {other} instead", f"{why}; {other} is its fallback")
    latest = max(position, incident.paged.get(fact.channel, 0))
    page = Kind.ESCALATED if other in incident.told else Kind.OPENED
    kind = kind_now(incident, page)
    incident = uncalled(incident, other, page, kind)
    if fact.incident == DIGEST_LANE:
        digest = f"it was in a digest for {fact.channel}"
        return tell_in_digest(ledger, incident, kind, other, stands_for=latest, why=digest)
    return tell(ledger, incident, kind, (other,), stands_for=latest)


def held_too_long(ledger: Ledger, name: str) -> None:
    """Pages that the channel's limit has allowed for long, and that are held still: it has not answered."""
    known, fallback = replace(ledger.channel(name), late_at=None), ledger.policy.fallbacks.get(name)
    ledger.put_known(known)
    if fallback is None:
        return
    pages = [each for each in ledger.held_on(name) if kind_now(each, Kind(each.held[name].kind)) in PAGES]
    unknown = [each for each in pages if not _knows(each, fallback.channel, each.held[name].position)]
    late = [each for each in unknown if known.due_at is None and not _is_young(ledger, each.held[name], fallback)]
    if len(late) < len(unknown):
        wait_for_answer(ledger, name)
    for incident in sorted(late, key=lambda each: (each.position, len(each.id), each.id)):
        _told_in_digest(ledger, incident, name, fallback.channel)


def _is_young(ledger: Ledger, held: Held, fallback: Fallback) -> bool:
    """A clock that was put back makes nobody wait."""
    return timedelta() <= ledger.at - held.since < fallback.after


def _told_in_digest(ledger: Ledger, incident: Incident, name: str, other: str) -> None:
    held = incident.held[name]
    ledger.counts[f"fallback {name}"] += 1
    why = f"{name} has not taken what it was sent before, and this is held back from it {ago(held.since, ledger.at)}"
    incident = ledger.step(incident, f"told {other} instead", f"{why}; {other} is its fallback")
    latest = max(held.position, incident.paged.get(name, 0))
    kind = kind_now(incident, Kind.ESCALATED if other in incident.told else Kind.OPENED)
    digest = f"it is held back from {name}"
    tell_in_digest(ledger, incident, kind, other, stands_for=latest, why=digest)


def _knows(incident: Incident, channel: str, position: int) -> bool:
    """It was paged about the incident itself since then, or will be."""
    held = incident.held.get(channel)
    return incident.paged.get(channel, -1) >= position or (held is not None and held.position >= position)
