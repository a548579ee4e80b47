"""What Tocsin has to say of itself: incidents that no Alertmanager posted. They are routed and told like any other.

They hold no alert and have a step for each time that something happened. That entries were set aside, or the journal
is broken, stays until a person resolves it; that a source is silent is over when it is heard again.
"""

from __future__ import annotations

from msgspec.structs import replace

from receiver.entry import ChainBroken, EntriesSetAside
from receiver.incident import TITLE_CHARACTERS_MAX, Group, Incident, Status, Trigger
from receiver.known import ChainKnown
from receiver.ledger import Ledger
from receiver.lifecycle import resolve
from receiver.state import SetAsideTold
from receiver.telling import routed, tell_stages, tell_update

SOURCE = "tocsin"
GROUP = Group(SOURCE, "tocsin", "entries set aside")
BROKEN = Group(SOURCE, "tocsin", "journal broken")
SHOWN_MAX = 5
_WHY_SET_ASIDE = (
    "the engine raised an error about an entry of the journal: the entry was set aside, nothing of it was done, "
    "and the entries after it are decided as usual"
)
_WHY_BROKEN = (
    "each entry of the journal carries the hash of the one before, and one does not fit: somebody or something changed "
    "the store; everything is decided as usual, but what the journal says of the past may not be true"
)


class Undecidable(Exception):
    """Nothing can be decided about an entry."""


def tell_set_aside(ledger: Ledger, fact: EntriesSetAside) -> None:
    """One incident for all of them: the one that is open, or a new one."""
    ledger.other.append(SetAsideTold(tuple(each.position for each in fact.entries)))
    news = _in_words(fact)
    incident = ledger.open_under(GROUP.index)
    if incident is None:
        incident = _opened(ledger, GROUP, {"alertname": "TocsinEntriesSetAside"}, _WHY_SET_ASIDE)
    _tell(ledger, replace(incident, title=_cut(f"Tocsin could not decide {news}")), "entries set aside", news)


def tell_broken(ledger: Ledger, fact: ChainBroken) -> None:
    """What people were told of once is not told again, also when the incident about it was resolved."""
    if not is_news(ledger.state.chain, fact):
        return
    ledger.put_known(ChainKnown(fact.position, fact.problem))
    incident = ledger.open_under(BROKEN.index)
    if incident is None:
        incident = _opened(ledger, BROKEN, {"alertname": "TocsinJournalBroken"}, _WHY_BROKEN)
    title = _cut(f"Tocsin's journal holds up to entry {fact.position} only: {fact.problem}")
    _tell(ledger, replace(incident, title=title), "journal broken", fact.problem)


def is_news(known: ChainKnown | None, fact: ChainBroken) -> bool:
    """The same place, or the same words, is what was found before."""
    return known is None or (fact.position != known.position and fact.problem != known.problem)


def tell_silent(ledger: Ledger, source: str, why: str) -> None:
    """Until it is heard again nobody knows what fires there."""
    group = _silence_of(source)
    incident = ledger.open_under(group.index)
    if incident is None:
        incident = _opened(ledger, group, {"alertname": "TocsinSourceSilent", "source": source}, why)
        _tell(ledger, replace(incident, title=_cut(f"source {source!r} is silent")), "silent", why)


def tell_heard(ledger: Ledger, source: str, why: str) -> None:
    incident = ledger.open_under(_silence_of(source).index)
    if incident is not None:
        resolve(ledger, incident, Trigger.LAST_ALERT_RESOLVED, why)


def _silence_of(source: str) -> Group:
    return Group(SOURCE, "tocsin", f"source {source} is silent")


def _opened(ledger: Ledger, group: Group, labels: dict[str, str], why: str) -> Incident:
    ledger.counts["incidents_opened"] += 1
    incident = Incident(
        id=ledger.new_incident_id(),
        position=ledger.position,
        group=group,
        status=Status.OPEN,
        severity="critical",
        title="",
        labels={**labels, "severity": "critical"},
        group_labels={},
        kinds=(labels["alertname"],),
        opened_at=ledger.at,
        updated_at=ledger.at,
        why=why,
    )
    return ledger.step(incident, "opened", why)


def _tell(ledger: Ledger, incident: Incident, what: str, news: str) -> None:
    incident = ledger.step(replace(incident, updated_at=ledger.at), what, news)
    tell_stages(ledger, routed(ledger, incident) if incident.escalates_from is None else incident)
    tell_update(ledger, ledger.incident(incident.id))


def _cut(title: str) -> str:
    return title if len(title) <= TITLE_CHARACTERS_MAX else title[: TITLE_CHARACTERS_MAX - 1] + "…"


def _in_words(fact: EntriesSetAside) -> str:
    """`entry 7 (alerts_received from 'am'): KeyError: 'x'`, for the first few."""
    shown = [
        f"entry {each.position} ({each.kind}{f' from {each.source!r}' if each.source else ''}): {each.error}"
        for each in fact.entries[:SHOWN_MAX]
    ]
    more = len(fact.entries) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
