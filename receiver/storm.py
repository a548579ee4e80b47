"""Telling channels, and holding back what would be too much for the person behind one.

Every message to a channel passes here. A channel is sent so many messages in so long; what is over that is held:
noted in the incident, counted, shown, and told in one digest as soon as the limit allows it, at the latest one period
later. A channel is owed one digest at a time: while it takes none, the rest waits and is told as it is then. Lanes that
are never held pass at once. A digest shows incidents as they are when it leaves: what was resolved meanwhile is shown
as resolved.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from guard.matcher import Matcher
from receiver.incident import Held, Incident, Status, severity_rank
from receiver.known import ChannelKnown
from receiver.ledger import Digest, Ledger, Telling
from receiver.message import DIGEST_LANE, PAGES, Kind, message_id
from receiver.policy.duration import format_duration

DIGEST_INCIDENTS_MAX = 100


def tell(
    ledger: Ledger, incident: Incident, kind: Kind, channels: Iterable[str], *, stands_for: int | None = None
) -> Incident:
    """Owes each channel one message of the incident's latest step, or holds it for the channel's digest. One decision
    never tells a channel twice. `stands_for`: the position of the entry of a page that another channel did not take."""
    position = ledger.position if stands_for is None else stands_for
    for channel in channels:
        if (incident.id, channel) in ledger.told or channel not in ledger.policy.channels:
            continue
        told = tuple(dict.fromkeys((*incident.told, channel)))
        unaware = tuple(name for name in incident.unaware if name != channel)
        incident = ledger.put(replace(incident, told=told, unaware=unaware))
        known = ledger.channel(channel)
        lane = _lane(ledger, incident)
        now = _called(incident, channel, kind)
        if lane is None and not _within_limit(ledger, incident, known):
            incident = _hold(ledger, incident, now, known, position=position)
            continue
        held = incident.held.get(channel)
        if held is not None:
            why = f"it was held back {ago(held.since, ledger.at)}; what has {lane} is not held"
            incident = ledger.step(incident, f"told {channel}", why)
            stronger = _stronger(Kind(held.kind), now)
            now = kind_now(incident, stronger)
            incident = uncalled(incident, channel, stronger, now)
        incident = _owe(ledger, incident, now, known, position=position)
    return ledger.put(incident)


def tell_in_digest(
    ledger: Ledger, incident: Incident, kind: Kind, channel: str, *, stands_for: int, why: str
) -> Incident:
    """The same for what comes with many others: they share the channel's next digest, which is due when its limit
    allows that."""
    told = tuple(dict.fromkeys((*incident.told, channel)))
    unaware = tuple(name for name in incident.unaware if name != channel)
    incident = replace(incident, told=told, unaware=unaware)
    return _hold(ledger, incident, kind, ledger.channel(channel), position=stands_for, why=why)


def tell_held(ledger: Ledger, name: str) -> None:
    """The digest of a channel is due. Incidents about which the channel has not answered yet wait for that; so does
    everything while it has not answered the digest before."""
    known = replace(ledger.channel(name), due_at=None)
    ledger.put_known(known)
    if known.digests or name not in ledger.policy.channels:
        return
    held = [each for each in ledger.held_on(name) if name not in each.owed.values()]
    if len(held) == 1:
        incident = held[0]
        waited = incident.held[name]
        incident = _released(ledger, incident, name)
        why = f"it was held back {ago(waited.since, ledger.at)}, and the channel may be told again"
        incident = ledger.step(incident, f"told {name}", why)
        kind = _called(incident, name, kind_now(incident, Kind(waited.kind)))
        incident = uncalled(incident, name, Kind(waited.kind), kind)
        _owe(ledger, incident, kind, known, position=waited.position)
    elif held:
        held.sort(key=lambda each: (-severity_rank(each.severity), each.position, len(each.id), each.id))
        left_out = max(0, len(held) - DIGEST_INCIDENTS_MAX)
        _digest(ledger, known, held[:DIGEST_INCIDENTS_MAX], left_out=left_out)


def settled(ledger: Ledger, name: str) -> None:
    """The channel answered: what waited for that may be told."""
    known = ledger.channel(name)
    if known.due_at is not None or known.digests:
        return
    if any(name not in each.owed.values() for each in ledger.holds(name)):
        ledger.put_known(replace(known, due_at=_free_at(ledger, known)))


def limits_changed(ledger: Ledger) -> None:
    """Another policy: what is held waits no longer than the limits that hold now."""
    for name in sorted(ledger.state.channels):
        known = ledger.channel(name)
        if known.due_at is not None:
            due = min(known.due_at, _free_at(ledger, known)) if name in ledger.policy.channels else None
            ledger.put_known(replace(known, due_at=due))
        known = ledger.channel(name)
        if name not in ledger.policy.fallbacks and known.late_at is not None:
            ledger.put_known(replace(known, late_at=None))
        elif any(Kind(each.held[name].kind) in PAGES for each in ledger.holds(name)):
            wait_for_answer(ledger, name)


def let_go(ledger: Ledger, incident: Incident) -> Incident:
    """Channels that the policy does not have any more are told nothing, and what was held for them is not held."""
    channels = frozenset(ledger.policy.channels)
    lost = sorted(name for name in incident.held if name not in channels)
    incident = replace(
        incident,
        told=tuple(name for name in incident.told if name in channels),
        stale=tuple(name for name in incident.stale if name in channels),
        unaware=tuple(name for name in incident.unaware if name in channels),
        held={name: held for name, held in incident.held.items() if name in channels},
        paged={name: position for name, position in incident.paged.items() if name in channels},
        withdrawn={name: kind for name, kind in incident.withdrawn.items() if name in channels},
    )
    if lost:
        why = "this was held back from there, and the policy has no such channel any more"
        incident = ledger.step(incident, f"never told {', '.join(lost)}", why)
    return incident


def wait_for_answer(ledger: Ledger, name: str) -> None:
    """A page is held for the channel's limit, and after that for its answer to what it was sent before: for that no
    longer than its fallback allows."""
    known, fallback = ledger.channel(name), ledger.policy.fallbacks.get(name)
    if fallback is not None and known.late_at is None:
        ledger.put_known(replace(known, late_at=(known.due_at or ledger.at) + fallback.after))


def kind_now(incident: Incident, kind: Kind) -> Kind:
    """What the message is by the time it leaves: nobody is paged about what is over, or what somebody has."""
    match incident.status:
        case Status.RESOLVED:
            return Kind.RESOLVED
        case Status.ACKNOWLEDGED:
            return Kind.ACKNOWLEDGED
        case Status.SNOOZED:
            return Kind.UPDATED
        case Status.OPEN if incident.calm_at is not None:
            return Kind.UPDATED
        case Status.OPEN:
            return kind if kind in (Kind.OPENED, Kind.ESCALATED) else Kind.UPDATED


def uncalled(incident: Incident, channel: str, wanted: Kind, now: Kind) -> Incident:
    """A page that calls nobody by the time it leaves, because somebody has the incident or it was put off, calls when
    that is over."""
    in_hand = incident.status in (Status.ACKNOWLEDGED, Status.SNOOZED)
    if not in_hand or wanted not in PAGES or now in PAGES:
        return incident
    return replace(incident, withdrawn={**incident.withdrawn, channel: wanted})


def _called(incident: Incident, channel: str, kind: Kind) -> Kind:
    """What is open calls a channel from which a page was withdrawn, whatever else there is to say."""
    page = incident.withdrawn.get(channel)
    if page is None or kind is not Kind.UPDATED or incident.status is not Status.OPEN or incident.calm_at is not None:
        return kind
    return Kind(page)


def _lane(ledger: Ledger, incident: Incident) -> Matcher | None:
    """The lane in which it is never held, if it has one."""
    labels = {**incident.labels, "severity": incident.severity}
    return next((matcher for matcher in ledger.policy.storms.never_hold if matcher.matches(labels)), None)


def _within_limit(ledger: Ledger, incident: Incident, known: ChannelKnown) -> bool:
    if known.name in incident.held or known.due_at is not None:
        return False  # what came before it is told first
    if any(message in known.digests for message in incident.owed):
        return False  # a digest that is under way would tell less than this, and later
    limit = ledger.policy.storms.limit
    return limit == 0 or len(_recent(ledger, known)) < limit


def _owe(ledger: Ledger, incident: Incident, kind: Kind, known: ChannelKnown, *, position: int) -> Incident:
    ledger.told[incident.id, known.name] = Telling(incident.steps, kind)
    identifier = message_id(journal=ledger.state.journal, incident=incident.id, step=incident.steps, channel=known.name)
    now = _sent_now(ledger, known)
    if now != known:
        ledger.put_known(now)
    held = {name: each for name, each in incident.held.items() if name != known.name}
    stale = tuple(name for name in incident.stale if name != known.name)
    if any(message in known.digests for message in incident.owed):
        stale = tuple(sorted({*stale, known.name}))  # the digest that is under way may come last, and tells less
    if kind in PAGES:
        incident = _paged(incident, known.name, identifier, position)
    return ledger.put(replace(incident, owed={**incident.owed, identifier: known.name}, held=held, stale=stale))


def _paged(incident: Incident, channel: str, message: str, position: int) -> Incident:
    paged = {**incident.paged, channel: max(position, incident.paged.get(channel, 0))}
    withdrawn = {name: kind for name, kind in incident.withdrawn.items() if name != channel}
    return replace(incident, paged=paged, pages={**incident.pages, message: position}, withdrawn=withdrawn)


def _hold(
    ledger: Ledger, incident: Incident, kind: Kind, known: ChannelKnown, *, position: int, why: str = ""
) -> Incident:
    """Until the channel's digest; the limit is the reason, unless there is another one."""
    before = incident.held.get(known.name)
    if before is None:
        ledger.counts["held"] += 1
        storms = ledger.policy.storms
        limit = f"{known.name} takes {storms.limit} messages in {format_duration(storms.per)}"
        if any(message in known.digests for message in incident.owed):
            limit = f"{known.name} has not taken yet the digest that it is in"
        incident = ledger.step(
            incident, f"held back from {known.name}", f"{why or limit}: this comes in its next digest"
        )
        due = _free_at(ledger, known)
        if known.due_at is None or due < known.due_at:  # earlier: the clock was put back
            ledger.put_known(replace(known, due_at=due))
        held = Held(since=ledger.at, kind=kind, position=position)
    else:
        if kind not in PAGES:
            position = before.position  # what calls nobody makes no later page of what waits
        kind = _stronger(Kind(before.kind), kind)
        held = replace(before, kind=kind, position=max(before.position, position))
    if kind in PAGES:
        wait_for_answer(ledger, known.name)
    return ledger.put(replace(incident, held={**incident.held, known.name: held}))


def _stronger(first: Kind, second: Kind) -> Kind:
    """Of two words that become one message: what was never told as opened is opened, whatever else happened since."""
    return next((kind for kind in (Kind.OPENED, Kind.ESCALATED) if kind in (first, second)), second)


def _digest(ledger: Ledger, known: ChannelKnown, incidents: list[Incident], *, left_out: int) -> None:
    identifier = message_id(
        journal=ledger.state.journal, incident=DIGEST_LANE, step=ledger.position, channel=known.name
    )
    for incident in incidents:
        waited = incident.held[known.name]
        released = _released(ledger, incident, known.name)
        why = f"in a digest of {len(incidents)} incidents; it was held back {ago(waited.since, ledger.at)}"
        released = ledger.step(released, f"told {known.name}", why)
        kind = _called(released, known.name, kind_now(released, Kind(waited.kind)))
        if kind in PAGES:
            released = _paged(released, known.name, identifier, waited.position)
        released = uncalled(released, known.name, Kind(waited.kind), kind)
        ledger.put(replace(released, owed={**released.owed, identifier: known.name}))
    names = tuple(incident.id for incident in incidents)
    ledger.digests[known.name] = Digest(names, left_out)
    ledger.put_known(_sent_now(ledger, replace(known, digests={**known.digests, identifier: names})))


def _released(ledger: Ledger, incident: Incident, channel: str) -> Incident:
    held = {name: each for name, each in incident.held.items() if name != channel}
    stale = tuple(name for name in incident.stale if name != channel)
    unaware = tuple(name for name in incident.unaware if name != channel)
    return ledger.put(replace(incident, held=held, stale=stale, unaware=unaware))


def _sent_now(ledger: Ledger, known: ChannelKnown) -> ChannelKnown:
    limit = ledger.policy.storms.limit
    return replace(known, sent=(*_recent(ledger, known), ledger.at)[-limit:] if limit else ())


def _recent(ledger: Ledger, known: ChannelKnown) -> tuple[datetime, ...]:
    """Those that count. A clock that was put back must not make them count for longer."""
    return tuple(at for at in known.sent if at <= ledger.at < at + ledger.policy.storms.per)


def _free_at(ledger: Ledger, known: ChannelKnown) -> datetime:
    """When the limit lets one more through."""
    limit = ledger.policy.storms.limit
    recent = _recent(ledger, known)
    return ledger.at if limit == 0 or len(recent) < limit else recent[-limit] + ledger.policy.storms.per


def ago(since: datetime, at: datetime) -> str:
    return f"for {format_duration(max(at - since, timedelta()))}"
