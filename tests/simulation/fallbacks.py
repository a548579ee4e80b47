"""What must never happen where a channel has a fallback: a page that nobody is told, or that is told there twice.

Derived from the journal and the messages alone, not from what incidents remember of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from receiver.entry import Delivered, NotTaken, PolicyLoaded, Resent, TimePassed, Undeliverable, Withdrawn
from receiver.incident import Incident, Status
from receiver.message import Kind, Message, read
from receiver.state import StepTaken
from tests.simulation.evidence import PAGES, Evidence, Moment, expect

# A report may come late when the disk is full or a process is gone; channels hang for some seconds.
_INSTEAD = re.compile("told (.+) instead")
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
        if isinstance(fact, TimePassed):
            for incident, name, other in _told_of_what_is_held(moment):
                knew = max(paged.get((incident, other), -1), held.get((incident, other), -1)) >= held[incident, name]
                expect(not knew, f"{moment}: {other} is told of {incident}, and knew")
                stands_for[incident, other] = max(held[incident, name], paged.get((incident, name), 0))
        if isinstance(fact, Delivered | Undeliverable | Withdrawn):  # of what is withdrawn nobody else is told
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
    waited = {each.id: each.held[message.channel] for each in moment.held_before[message.channel]}
    return {
        identifier: held[identifier, message.channel] if identifier in waited else moment.entry.position
        for identifier, after in moment.after.items()
        if (waited[identifier].kind in PAGES if identifier in waited else _is_in_a_stage(moment, after, message))
        and message.channel not in after.held
        and after.status is Status.OPEN
        and after.calm_at is None
    }


def _is_in_a_stage(moment: Moment, incident: Incident, message: Message) -> bool:
    """It was held and told in one decision: by its story, for a stage that tells this channel."""
    listed = [each.id for each in read(message).incidents]
    return incident.id in listed and any(
        step.what.startswith("stage ") and re.search(rf"\b{re.escape(message.channel)}\b", step.why)
        for change in moment.decision.changes
        if isinstance(change, StepTaken) and (step := change.step).incident == incident.id
    )


def _told_of_what_is_held(moment: Moment) -> Iterator[tuple[str, str, str]]:
    """By the story: of which incident, instead of which channel, and whom."""
    for change in moment.decision.changes:
        if isinstance(change, StepTaken) and (told := _INSTEAD.fullmatch(change.step.what)):
            yield change.step.incident, change.step.why.split()[0], told[1]


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
        if isinstance(fact, Delivered | Undeliverable | NotTaken | Withdrawn):
            page = waiting.pop(fact.message, None)
            if page is not None and page.channel in moment.policy.fallbacks:
                bound = page.created_at + moment.policy.fallbacks[page.channel].after + REPORTED_WITHIN
                expect(moment.entry.at <= bound, f"{moment}: {page.id} waited until now, and nobody was told instead")
        waiting.update(
            {each.id: each for each in moment.decision.messages if each.kind in PAGES or each.kind is Kind.DIGEST}
        )


def what_is_held_for_a_channel_that_does_not_answer_is_told_to_its_fallback(evidence: Evidence) -> None:
    """Where nobody sets the clock: in time, as if it had been sent there. Whoever was told of the incident later than
    that knows."""
    if evidence.history.script.steps or evidence.aside:
        return
    since: dict[tuple[str, str], tuple[int, datetime]] = {}  # position and time of a page that is held
    told: dict[tuple[str, str], int] = {}
    for moment in evidence.moments:
        here, at = moment.entry.position, moment.entry.at
        if isinstance(moment.entry.fact, PolicyLoaded):  # with other limits, and perhaps without the channel
            channels = moment.policy.channels
            since = {key: (position, at) for key, (position, _) in since.items() if key[1] in channels}
        for message, document in moment.documents:
            for incident in [each.id for each in document.incidents] or [message.incident]:
                told[incident, message.channel] = here
        for incident, after in moment.after.items():
            pages = after.status is Status.OPEN and after.calm_at is None
            for channel in moment.policy.channels:
                held = after.held.get(channel)
                if held is None or held.kind not in PAGES or not pages:
                    since.pop((incident, channel), None)
                elif since.get((incident, channel), (0, at))[0] != held.position:
                    since[incident, channel] = held.position, at
        if not isinstance(moment.entry.fact, TimePassed):
            continue
        for (incident, channel), (position, begun) in since.items():
            fallback = moment.policy.fallbacks.get(channel)
            if fallback is None or at < begun + moment.policy.storms.per + 2 * fallback.after + REPORTED_WITHIN:
                continue
            knows = max(told.get((incident, fallback.channel), 0), since.get((incident, fallback.channel), (0, at))[0])
            expect(
                knows >= position, f"{moment}: {channel} holds {incident} since {begun}, {fallback.channel} knows not"
            )


FALLBACK_CHECKERS = (
    what_is_held_for_a_channel_that_does_not_answer_is_told_to_its_fallback,
    a_page_that_its_channel_does_not_take_is_told_to_the_fallback_once,
    what_is_not_taken_in_time_is_reported,
)
