"""What Tocsin has to say of itself: incidents that no Alertmanager posted. They are routed and told like any other.

Today there is one: entries of the journal were set aside, because nothing could be decided about them. It holds no
alert, has a step for each time that it happened, and stays until a person resolves it.
"""

from __future__ import annotations

from msgspec.structs import replace

from receiver.entry import EntriesSetAside
from receiver.incident import TITLE_CHARACTERS_MAX, Group, Incident, Status
from receiver.ledger import Ledger
from receiver.state import SetAsideTold

SOURCE = "tocsin"
GROUP = Group(SOURCE, "tocsin", "entries set aside")
ALERTNAME = "TocsinEntriesSetAside"
SHOWN_MAX = 5
_WHY = (
    "the engine raised an error about an entry of the journal: the entry was set aside, nothing of it was done, "
    "and the entries after it are decided as usual"
)


class Undecidable(Exception):
    """Nothing can be decided about an entry."""


def entries_set_aside(ledger: Ledger, fact: EntriesSetAside) -> Incident:
    """The incident about them with one more step: the one that is open, or a new one."""
    ledger.other.append(SetAsideTold(tuple(each.position for each in fact.entries)))
    incident = ledger.open_incident_of(GROUP)
    if incident is None:
        incident = ledger.step(_opened(ledger), "opened", _WHY)
    news = _in_words(fact)
    title = f"Tocsin could not decide {news}"
    if len(title) > TITLE_CHARACTERS_MAX:
        title = title[: TITLE_CHARACTERS_MAX - 1] + "…"
    return ledger.step(replace(incident, title=title, updated_at=ledger.at), "entries set aside", news)


def _opened(ledger: Ledger) -> Incident:
    ledger.counts["incidents_opened"] += 1
    return Incident(
        id=ledger.new_incident_id(),
        position=ledger.position,
        group=GROUP,
        status=Status.OPEN,
        severity="critical",
        title="",
        labels={"alertname": ALERTNAME, "severity": "critical"},
        group_labels={},
        kinds=(ALERTNAME,),
        opened_at=ledger.at,
        updated_at=ledger.at,
        why=_WHY,
    )


def _in_words(fact: EntriesSetAside) -> str:
    """`entry 7 (alerts_received from 'am'): KeyError: 'x'`, for the first few."""
    shown = [
        f"entry {each.position} ({each.kind}{f' from {each.source!r}' if each.source else ''}): {each.error}"
        for each in fact.entries[:SHOWN_MAX]
    ]
    more = len(fact.entries) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
