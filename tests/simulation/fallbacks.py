"""What must never happen where a channel has a fallback: a page that nobody is told, or that is told there twice.

Derived from the journal and the messages alone, not from what incidents remember of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from receiver.entry import Delivered, NotTaken, PolicyLoaded, Resent, TimePassed, Undeliverable
from receiver.incident import Status
from receiver.message import Kind, Message
from receiver.state import StepTaken
from tests.simulation.evidence import PAGES, Evidence, Moment, expect

# A report may come late when the disk is full or a process is gone; channels hang for some seconds.
REPORTED_WITHIN = timedelta(minutes=5)


def a_page_that_its_channel_does_not_take_is_told_to_the_fallback_once(evidence: Evidence) -> None:
    """At the latest when it is refused; unless the fallback was paged about the incident itself, by the same entry or a
    later one, or it is over and only late."""
    pages: dict[str, dict[str, int]] = {}  # owed page -> its incidents, each with the entry that it stems from
    paged: dict[tuple[str, str], int] = {}  # incident and channel -> the same for the latest
    held: dict[tuple[str, str], int] = {}  # the same for what waits for a digest
    status: dict[str, Status] = {}
    for moment in evidence.moments:
        here, fact = moment.entry.position, moment.entry.fact
        stands_for: dict[tuple[str, str], int] = {}
        if isinstance(
            fact, PolicyLoaded
        ):  # a channel that is gone knows nothing, also when another policy has it again
            paged = {key: since for key, since in paged.items() if key[1] in moment.policy.channels}
        fallback = moment.policy.fallbacks.get(fact.channel) if isinstance(fact, NotTaken | Undeliverable) else None
        if isinstance(fact, NotTaken | Undeliverable) and fallback is not None:
            other = fallback.channel
            for incident, since in sorted(pages.get(fact.message, {}).items()):
                told = _told(moment, incident, other)
                over = isinstance(fact, NotTaken) and status.get(incident) is Status.RESOLVED
                knew = max(paged.get((incident, other), -1), held.get((incident, other), -1)) >= since
                expect(
                    told == (not (over or knew)),
                    f"{moment}: {other} is {'' if told else 'not '}told of {incident} instead of {fact.channel} "
                    f"(over: {over}, knew: {knew})",
                )
                if not over:
                    del pages[fact.message][incident]
                stands_for[incident, other] = max(since, paged.get((incident, fact.channel), 0))
        if isinstance(fact, Delivered | Undeliverable):
            pages.pop(fact.message, None)
        if isinstance(fact, Resent):  # for the page that was not taken
            again = (fact.incident, fact.channel)
            stands_for[again] = paged.get(again, here)
        for message, _ in moment.documents:
            calls = _calls(moment, message, {each: stands_for.get((each, message.channel), here) for each in (
                message.incident, *moment.after)}, held)  # fmt: skip
            if calls:
                pages[message.id] = calls
                for incident, since in calls.items():
                    paged[incident, message.channel] = max(since, paged.get((incident, message.channel), 0))
        for incident, after in moment.after.items():
            status[incident] = after.status
            known = moment.before.get(incident)
            for key in [key for key in held if key[0] == incident and key[1] not in after.held]:
                del held[key]
            for channel, each in after.held.items():
                if known is None or channel not in known.held or known.held[channel] != each:
                    since = stands_for.get((incident, channel), here)
                    held[incident, channel] = max(since, held.get((incident, channel), 0))


def _calls(
    moment: Moment, message: Message, since: Mapping[str, int], held: Mapping[tuple[str, str], int]
) -> dict[str, int]:
    """Of which incidents the message calls somebody, and by which entry that was decided."""
    if message.kind in PAGES:
        waited = held.get((message.incident, message.channel), 0) if _had_waited(moment, message) else 0
        return {message.incident: waited or since[message.incident]}
    if message.kind is not Kind.DIGEST:
        return {}
    return {
        each.id: held[each.id, message.channel]
        for each in moment.held_before[message.channel]
        if each.held[message.channel].kind in PAGES
        and (after := moment.after.get(each.id)) is not None
        and message.channel not in after.held
        and after.status is Status.OPEN
        and after.calm_at is None
    }


def _had_waited(moment: Moment, message: Message) -> bool:
    """For its channel's limit, and for nothing else: a stage that is taken meanwhile is another page."""
    return isinstance(moment.entry.fact, TimePassed) and any(
        step.what == f"told {message.channel}" and step.why.endswith("and the channel may be told again")
        for change in moment.decision.changes
        if isinstance(change, StepTaken) and (step := change.step).incident == message.incident
    )


def _told(moment: Moment, incident: str, channel: str) -> bool:
    """By this decision, or in the channel's digest; and its story says so. A message alone may be its own digest."""
    said = any(
        change.step.incident == incident and change.step.what == f"told {channel} instead"
        for change in moment.decision.changes
        if isinstance(change, StepTaken)
    )
    now = any(message.channel == channel and message.incident == incident for message in moment.decision.messages)
    after = moment.after.get(incident)
    return said and (now or (after is not None and channel in after.held))


def what_is_not_taken_in_time_is_reported(evidence: Evidence) -> None:
    """Where one policy holds all the time, and nobody sets the clock."""
    script = evidence.history.script
    if script.steps or len(set(script.policies)) > 1 or evidence.aside:
        return
    waiting: dict[str, Message] = {}
    for moment in evidence.moments:
        fact = moment.entry.fact
        if isinstance(fact, Delivered | Undeliverable | NotTaken):
            page = waiting.pop(fact.message, None)
            if page is not None and page.channel in moment.policy.fallbacks:
                bound = page.created_at + moment.policy.fallbacks[page.channel].after + REPORTED_WITHIN
                expect(moment.entry.at <= bound, f"{moment}: {page.id} waited until now, and nobody was told instead")
        waiting.update(
            {each.id: each for each in moment.decision.messages if each.kind in PAGES or each.kind is Kind.DIGEST}
        )


FALLBACK_CHECKERS = (
    a_page_that_its_channel_does_not_take_is_told_to_the_fallback_once,
    what_is_not_taken_in_time_is_reported,
)
