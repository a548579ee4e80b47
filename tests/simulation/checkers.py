"""What must never happen. Each checker is named for what it holds, and says what it saw instead.

There are three kinds: those that look at the state after every decision, those that look at one decision after the
other, and those that look at what is left in the end. An exception to a rule is derived from the evidence: from the
entry, the policy in force, and how things were before.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from guard.matcher import matches_all
from receiver import engine
from receiver.alert import fingerprint_of
from receiver.audit import audit
from receiver.entry import (
    Acknowledged,
    AlertsReceived,
    Delivered,
    EntriesSetAside,
    Merged,
    NotTaken,
    PolicyLoaded,
    Resent,
    ResolvedByHand,
    Snoozed,
    Split,
    TimePassed,
    Undeliverable,
    Withdrawn,
)
from receiver.escalation import next_stage
from receiver.incident import AlertRecord, Incident, Status, severity_rank
from receiver.message import DIGEST_LANE, Kind, Message
from receiver.own import SOURCE as OWN_SOURCE
from receiver.policy.actionnames import action_named
from receiver.policy.policy import Again, Maintenance, Sequence, Storms
from receiver.policy.schedule import on_call
from receiver.quiet import cooldown_of
from receiver.state import IncidentForgotten, State, StepTaken
from receiver.storm import DIGEST_INCIDENTS_MAX
from receiver.view import AlertCounts
from tests.simulation.actions import (
    an_action_is_owed_for_each_stage_that_is_taken_and_for_nothing_else,
    an_action_runs_once_in_a_life_and_is_not_forgotten,
    no_action_runs_unless_its_incident_is_open,
)
from tests.simulation.evidence import PAGES, Broken, Evidence, Moment, expect
from tests.simulation.fallbacks import FALLBACK_CHECKERS
from tests.simulation.faults import Arrival
from tests.simulation.hidden import nobody_is_told_what_the_policy_hides, what_is_hidden_stands_nowhere
from tests.simulation.withdrawals import WITHDRAWAL_CHECKERS
from tests.simulation.world import Decide, History, encoded

WATCHDOG = fingerprint_of({"alertname": "Watchdog", "severity": "none"})

__all__ = ["Broken", "Evidence", "check_all", "fingerprint"]

# --- after every decision: what is known adds up -------------------------------------------------------------


def every_alert_that_a_body_shows_is_known(moment: Moment, state: State) -> None:
    """As firing, or as one that perhaps came back."""
    if not isinstance(moment.entry.fact, AlertsReceived):
        return
    seen: set[str] = set()
    for alert in moment.entry.fact.notification.alerts:
        if alert.identity in seen or alert.status != "firing":
            continue
        seen.add(alert.identity)
        known = state.alerts.get((moment.entry.fact.source, alert.identity))
        expect(known is not None, f"{moment}: {alert.identity} fires and is not known")
        if known is not None:
            expect(known.firing or known.doubted_until is not None, f"{moment}: {alert.identity} fires, not here")


def the_counts_of_an_incident_are_those_of_its_alerts(moment: Moment, state: State) -> None:
    for incident in moment.after.values():
        _counts_hold(incident, state, str(moment))


def _counts_hold(incident: Incident, state: State, where: str) -> None:
    mine = list(state.alerts_of(incident))
    firing = sum(1 for alert in mine if alert.firing)
    left = len(state._members.get(incident.id, ())) - len(mine)  # they went to other incidents, some as resolved ones
    over = len(mine) - firing
    expect(incident.firing == firing, f"{where}: {incident.id} counts {incident.firing} firing and holds {firing}")
    most = over if incident.merged_into else over + left
    expect(
        over <= incident.resolved <= most, f"{where}: {incident.id} counts {incident.resolved} resolved, holds {over}"
    )


def every_firing_alert_is_in_one_open_incident(moment: Moment, state: State) -> None:
    """Or in one that a person resolved."""
    for alert in moment.alerts_after.values():
        _has_its_place(alert, state, str(moment))
    for incident in moment.after.values():
        if incident.status is Status.RESOLVED and incident.resolved_by is None:
            expect(incident.firing == 0, f"{moment}: {incident.id} is over with {incident.firing} firing")


def _has_its_place(alert: AlertRecord, state: State, where: str) -> None:
    incident = state.incidents.get(alert.incident)
    expect(incident is not None, f"{where}: {alert.fingerprint} is in {alert.incident}, which is not known")
    if incident is not None and alert.firing and incident.status is Status.RESOLVED:
        expect(incident.resolved_by is not None, f"{where}: {alert.fingerprint} fires in {incident.id}, which is over")


def no_incident_is_open_in_which_nothing_fires(moment: Moment, state: State) -> None:
    """But one of Tocsin's own, one that flaps (for the policy's `calm`), and one that waits for a group to be whole."""
    for incident in moment.after.values():
        if incident.status is Status.RESOLVED or incident.firing or is_own(incident):
            continue
        if incident.calm_at is not None:
            bound = moment.entry.at + moment.policy.flapping.calm
            known = moment.before.get(incident.id)
            kept = known is not None and known.calm_at == incident.calm_at
            expect(kept or incident.calm_at <= bound, f"{moment}: {incident.id} is calm until {incident.calm_at}")
            continue
        expect(incident.awaits in state.cut, f"{moment}: {incident.id} is {incident.status} with nothing firing")
        bounded = incident.stale_at is not None or not moment.policy.stale_after
        expect(bounded, f"{moment}: {incident.id} waits for its group for ever")


def the_story_of_an_incident_has_every_step_once(moment: Moment, state: State) -> None:
    written: dict[str, list[int]] = defaultdict(list)
    for change in moment.decision.changes:
        if isinstance(change, StepTaken):
            written[change.step.incident].append(change.step.number)
    for identifier, numbers in written.items():
        before, after = moment.before.get(identifier), moment.after.get(identifier)
        first = 1 if before is None else before.steps + 1
        expect(numbers == list(range(first, first + len(numbers))), f"{moment}: {identifier} has the steps {numbers}")
        expect(after is None or after.steps == numbers[-1], f"{moment}: {identifier} counts other steps than it has")


def the_next_step_of_what_is_open_is_known(moment: Moment, state: State) -> None:
    """When, as the policy says it; or what else it waits for. And after time was told no incident is due any more."""
    for incident in moment.after.values():
        if incident.status is Status.OPEN:
            _next_stage_is_set(incident, moment)
        if incident.status is Status.SNOOZED:
            expect(incident.muted or incident.snoozed_until is not None, f"{moment}: {incident.id} is put off for ever")
    unknown = audit(state, moment.entry.at).without_next_step
    expect(not unknown.count, f"{moment}: the audit does not know what is next for {unknown.first}")
    if isinstance(moment.entry.fact, TimePassed):
        due = [who for who in state.due(moment.entry.at) if who in state.incidents]
        expect(not due, f"{moment}: time was told, and {due[:3]} are still due")


def _next_stage_is_set(incident: Incident, moment: Moment) -> None:
    escalation = moment.policy.escalations.get(incident.escalation or "")
    waits = incident.calm_at or incident.quiet_until or incident.awaits
    if escalation is None or waits is not None or (incident.due_at is not None and incident.due_at <= moment.entry.at):
        return
    following = next_stage(escalation, incident, moment.entry.at)
    expected = None if following is None else following.at
    expect(incident.due_at == expected, f"{moment}: {incident.id} is due at {incident.due_at}, not at {expected}")


def what_is_merged_is_where_it_says(moment: Moment, state: State) -> None:
    for incident in moment.after.values():
        if incident.merged_into is None:
            continue
        expect(incident.status is Status.RESOLVED, f"{moment}: {incident.id} was merged and is {incident.status}")
        expect(not list(state.alerts_of(incident)), f"{moment}: {incident.id} was merged and has alerts")
        into = state.incidents.get(incident.merged_into)
        expect(into is None or incident.id in into.merged, f"{moment}: {incident.merged_into} does not know of it")
    if isinstance(moment.entry.fact, Merged | Split):
        firing = {key for key, alert in moment.alerts_before.items() if alert.firing}
        still = {key for key, alert in moment.alerts_after.items() if alert.firing}
        expect(firing == still, f"{moment}: {len(firing - still)} alerts were lost on the way")


# --- decision by decision ------------------------------------------------------------------------------------


def nobody_is_paged_about_what_somebody_has_or_put_off(evidence: Evidence) -> None:
    """Unless the severity rose above what they knew, the snooze or the silence is over, or it was over and is open
    again."""
    for moment in evidence.moments:
        for message in moment.decision.messages:
            if message.kind not in PAGES:
                continue
            before, after = moment.before.get(message.incident), moment.after[message.incident]
            expect(after.status is Status.OPEN, f"{message.id} pages about an incident that is {after.status}")
            if before is None or before.status in (Status.OPEN, Status.RESOLVED):
                continue
            rose = _became_worse(before, after) and _again_of(after, moment).severity_rises
            ended = before.snoozed_until is not None and before.snoozed_until <= moment.entry.at
            shown = before.muted and not after.muted
            completed = after.named and not before.named  # the last step of a sequence was seen
            expired = before.answer_ends is not None and before.answer_ends <= moment.entry.at
            grew = before.answered_firing is not None and _is_too_large(after, before.answered_firing, moment)
            allowed = rose or ended or shown or completed or expired or grew
            expect(allowed, f"{message.id} pages although it was {before.status}")


def nobody_is_paged_after_an_acknowledgement_was_answered(evidence: Evidence) -> None:
    """By what really arrived, over all crashes: it is still in the journal, and until something took the incident out
    of their hands no page about it left, whenever that was decided: only what was on its way already. Whether it could
    be taken out of their hands is for the checker above."""
    pages: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in evidence.history.arrived:
        if arrival.message.kind in PAGES:
            pages[arrival.message.incident].append(arrival)
    moments: dict[str, list[Moment]] = defaultdict(list)
    for moment in evidence.moments:
        for identifier in moment.after:
            moments[identifier].append(moment)
    for act, position in evidence.history.answered:
        taken = [
            moment.entry.position
            for moment in evidence.moments
            if moment.entry.fact == act and moment.entry.position <= position and moment.decision.refused is None
        ]
        expect(bool(taken), f"{act} was answered, and is not in the journal up to {position}")
        first, last = _steps_in_hand(moments[act.incident], act.incident, taken[-1])
        made = [each.message.id for each in pages[act.incident] if first < _step_of(each.message) <= last]
        expect(not made, f"{made} page although {act.by} was told to have it")
        sent = [each.message.id for each in pages[act.incident] if first <= each.steps <= last]
        expect(not sent, f"{sent} leave although {act.by} was told to have it")


def _steps_in_hand(moments: Iterable[Moment], identifier: str, taken: int) -> tuple[int, float]:
    """From the step at which somebody had it to the last one before it was out of their hands."""
    first = 0
    for moment in moments:
        before, after = moment.before.get(identifier), moment.after[identifier]
        if moment.entry.position <= taken:
            first = after.steps
        elif before is not None and before.status is Status.ACKNOWLEDGED and after.status is not Status.ACKNOWLEDGED:
            return first, before.steps
    return first, math.inf


def _step_of(message: Message) -> int:
    return int(message.id.removesuffix(f"-{message.channel}").rpartition("-")[2])


def nobody_is_paged_twice_for_one_stage(evidence: Evidence) -> None:
    """A channel is paged again only for another stage, when the escalation began anew, or when it became worse; or when
    a person wants that, perhaps later, when its limit allows it; or when it was put off before the page left. What a
    fallback is told is for the page that was not taken."""
    news: Counter[str] = Counter()  # how often that was so
    calls: Counter[tuple[str, str]] = Counter()  # which of a channel were withdrawn
    stages: dict[tuple[str, str], tuple[int, ...]] = {}  # by incident and page
    paged: dict[tuple[str, str, tuple[int, ...]], None] = {}
    wanted: dict[tuple[str, str], None] = {}
    for moment in evidence.moments:
        fact = moment.entry.fact
        if isinstance(fact, Resent) and moment.decision.refused is None:
            wanted[fact.incident, fact.channel] = None
        if isinstance(fact, Withdrawn):  # that one called nobody
            calls[fact.incident, fact.channel] += 1
        for identifier, after in moment.after.items():
            before = moment.before.get(identifier)
            news[identifier] += before is None or _begins_anew(before, after)
        for message in moment.decision.messages:
            if message.kind in PAGES and (message.incident, message.channel) not in wanted:
                after = moment.after[message.incident]
                call = calls[message.incident, message.channel]
                stage = (news[message.incident], after.round, after.stage, call)
                if isinstance(fact, NotTaken | Undeliverable):
                    stage = stages.get((message.incident, fact.message), stage)
                known = (message.incident, message.channel, stage)
                expect(known not in paged, f"{message.id} pages {message.channel} again for stage {stage[2]}")
                paged[known] = None
                stages[message.incident, message.id] = stage
        for incident, channel in list(wanted):
            if incident in moment.after and channel not in moment.after[incident].held:
                del wanted[incident, channel]


def what_grew_past_its_limit_is_paged_again_once(evidence: Evidence) -> None:
    """What somebody acknowledged or put off, by how many fired then: people are what the journal says that they did."""
    fired: dict[str, int] = {}
    for moment in evidence.moments:
        fact = moment.entry.fact
        for identifier, after in moment.after.items():
            before = moment.before.get(identifier)
            match fact:
                case Acknowledged() | Snoozed() if fact.incident == identifier:
                    fired[identifier] = after.firing
                case Merged() if fact.into == identifier:
                    fired[identifier] = fired.get(identifier, 0) + moment.before[fact.incident].firing
                case Split() if fact.merged == identifier:
                    fired[identifier] = after.firing
                case Split() if fact.incident == identifier and before is not None:
                    fired[identifier] = max(0, fired.get(identifier, 0) - before.firing + after.firing)
            if before is None or not _is_answered(before) or after.status is Status.RESOLVED:
                continue
            grew = _is_too_large(after, fired[identifier], moment)
            expect(not grew or not _is_answered(after), f"{moment}: {identifier} grew, and nobody is told again")
            if grew and after.quiet_until is None:
                _is_paged_once(moment, after)


def what_becomes_worse_begins_anew(evidence: Evidence) -> None:
    """Unless the policy says otherwise, or nobody was to be told of it yet."""
    for moment in evidence.moments:
        for identifier, after in moment.after.items():
            before = moment.before.get(identifier)
            if before is None or Status.RESOLVED in (before.status, after.status) or not _became_worse(before, after):
                continue
            if not _again_of(after, moment).severity_rises:
                continue
            expect(after.status is Status.OPEN, f"{moment}: {identifier} became worse and is {after.status}")
            began = before.status is Status.OPEN and not (before.stage or before.round)
            anew = after.escalates_from == moment.entry.at
            expect(began or anew, f"{moment}: {identifier} became worse, and its escalation goes on")


def _became_worse(before: Incident, after: Incident) -> bool:
    return severity_rank(after.severity) > severity_rank(before.severity)


def _again_of(incident: Incident, moment: Moment) -> Again:
    escalation = moment.policy.escalations.get(incident.escalation or "")
    return Again() if escalation is None else escalation.again


def _is_answered(incident: Incident) -> bool:
    return incident.status in (Status.ACKNOWLEDGED, Status.SNOOZED) and not incident.muted


def _is_too_large(incident: Incident, fired: int, moment: Moment) -> bool:
    more = _again_of(incident, moment).firing_more
    return more > 0 and incident.firing >= fired + more


def _is_paged_once(moment: Moment, incident: Incident) -> None:
    first = moment.policy.escalations[incident.escalation or ""].stages[0]
    if first.delay or first.condition is not None:
        return
    pages = Counter(
        each.channel for each in moment.decision.messages if each.incident == incident.id and each.kind in PAGES
    )
    for channel in first.notify:
        told = pages[channel] == 1 or (not pages[channel] and channel in incident.held)
        expect(told, f"{moment}: {incident.id} grew, and {channel} is paged {pages[channel]} times")


_STAGE = re.compile(r"stage (\d+) of (\d+)(?:, round (\d+) of \d+)?(?: left out)?")


def no_stage_is_skipped_doubled_or_early(evidence: Evidence) -> None:
    """Where an escalation begins anew, its first stage may come again; a round that went by may be left out."""
    taken: dict[str, tuple[int, int]] = {}  # incident -> round and stage
    anew: set[str] = set()
    fallen: set[str] = set()  # their escalation begins with the first stage that tells somebody new
    for moment in evidence.moments:
        for identifier, after in moment.after.items():
            before = moment.before.get(identifier)
            if before is not None and _begins_anew(before, after):
                anew.add(identifier)
        for change in moment.decision.changes:
            if not isinstance(change, StepTaken):
                continue
            name, what = change.step.incident, change.step.what
            if what == "severity fell":
                fallen.add(name)
            found = _STAGE.fullmatch(what)
            if found is None:
                continue
            last_round, last = taken.get(name, (1, 0))
            stage, stages, number = int(found[1]), int(found[2]), int(found[3] or last_round)
            next_round = stage == 1 and number > last_round and last >= stages
            begins = name in anew and (stage == 1 or name in fallen)
            follows = (number, stage) == (last_round, last + 1) or next_round
            expect(follows or begins, f"{moment}: {name}: {what} after {last}")
            anew.discard(name)
            fallen.discard(name)
            taken[name] = (number, stage)
            after = moment.after[name]
            escalation = moment.policy.escalations[after.escalation or ""]
            begun = after.escalates_from or after.opened_at
            past = (number - 1) * escalation.repeat.every if escalation.repeat is not None else timedelta()
            due = begun + past + escalation.stages[stage - 1].delay
            expect(due <= moment.entry.at, f"{moment}: {name}: {what} is taken before {due}")


def _begins_anew(before: Incident, after: Incident) -> bool:
    told = (before.escalates_from, before.escalation, before.reopened)
    return _became_worse(before, after) or told != (after.escalates_from, after.escalation, after.reopened)


def only_who_may_changes_the_state_of_an_incident(evidence: Evidence) -> None:
    """People acknowledge and snooze; what a person resolved or merged is opened again by nobody but a person."""
    for moment in evidence.moments:
        fact = moment.entry.fact
        for identifier, after in moment.after.items():
            before = moment.before.get(identifier)
            if before is None or before.status is after.status:
                continue
            if after.status is Status.ACKNOWLEDGED:
                escalation = moment.policy.escalations.get(after.escalation or "")
                ends = escalation is not None and escalation.acknowledged_for is not None
                expect(not ends or after.answer_ends is not None, f"{moment}: {identifier} is acknowledged for ever")
                again = isinstance(fact, Split) and fact.merged == identifier and before.acknowledged_by is not None
                expect(isinstance(fact, Acknowledged) or again, f"{moment}: {identifier} is acknowledged by nobody")
            if after.status is Status.SNOOZED:
                expect(isinstance(fact, Snoozed) or after.muted, f"{moment}: {identifier} is snoozed by nobody")
            if before.status is Status.RESOLVED:
                taken_back = isinstance(fact, Split) and fact.merged == identifier
                expect(before.resolved_by is None, f"{moment}: {identifier} was resolved by {before.resolved_by}")
                expect(before.merged_into is None or taken_back, f"{moment}: {identifier} was merged, and is open")
                within = before.resolved_at is not None and (
                    moment.entry.at - before.resolved_at < moment.policy.reopen_within
                    or _goes_on(before, moment, since=before.resolved_at)
                    or "came back" in moment.steps
                )
                expect(within or taken_back, f"{moment}: {identifier} was over since {before.resolved_at}")


def _goes_on(incident: Incident, moment: Moment, *, since: datetime) -> bool:
    """Whether a sequence of which it has a step may have gone on in it."""
    return any(
        moment.entry.at - since <= rule.window
        and any(key.startswith(f"rule\x1f{rule.name}\x1fstep ") for key in incident.found_by)
        for rule in moment.policy.correlate
        if isinstance(rule, Sequence)
    )


def no_resolve_of_a_silent_source_is_believed(evidence: Evidence) -> None:
    """Silent is, by the journal alone: its watchdog was due since the last time that it was heard, and time told so."""
    heard: dict[str, datetime] = {}
    silent: dict[str, None] = {}
    for moment in evidence.moments:
        fact, at = moment.entry.fact, moment.entry.at
        watchdogs = moment.policy.watchdogs
        if isinstance(fact, PolicyLoaded):  # a source that is watched from now on is given its time
            heard = {source: max(at, heard.get(source, at)) for source in watchdogs}
            silent = {source: None for source in silent if source in watchdogs}
        elif isinstance(fact, TimePassed):
            silent.update((source, None) for source in watchdogs if at - heard[source] >= watchdogs[source].late_after)
        elif isinstance(fact, AlertsReceived) and fact.source in watchdogs:
            mine = [
                each for each in fact.notification.alerts if matches_all(watchdogs[fact.source].matchers, each.labels)
            ]
            if any(alert.status == "firing" for alert in mine):
                heard[fact.source] = at
                silent.pop(fact.source, None)
            elif fact.source in silent:
                for key, before in moment.alerts_before.items():
                    over = before.firing and not moment.alerts_after[key].firing
                    expect(not over, f"{moment}: {key[1]} is over because {key[0]} said so, and {key[0]} is silent")


def nothing_is_over_while_its_group_is_not_known_whole(evidence: Evidence) -> None:
    """A body that left alerts out does not end an incident; a person may, and so may silence for long."""
    for moment in evidence.moments:
        for identifier in sorted(moment.cut_after):
            before, after = moment.before.get(identifier), moment.after[identifier]
            if after.status is not Status.RESOLVED or (before is not None and before.status is Status.RESOLVED):
                continue
            by_person = after.resolved_by is not None or after.merged_into is not None
            in_time = isinstance(moment.entry.fact, TimePassed) and before is not None
            bound = in_time and any(
                at is not None and at <= moment.entry.at for at in (before.stale_at, before.calm_at)
            )
            expect(by_person or bound, f"{moment}: {identifier} is over, and its group was cut")


def nobody_is_paged_in_a_maintenance_window(evidence: Evidence) -> None:
    """When all that fires is in one. What was held back before it began may still come."""
    for moment in evidence.moments:
        for message in moment.decision.messages:
            before = moment.before.get(message.incident)
            held = before is not None and message.channel in before.held
            firing = moment.firing_after.get(message.incident, ())
            if message.kind not in PAGES or held or not firing or _was_paged_before(moment):
                continue
            quiet = all(
                any(_in_window(each, moment.entry.at) and matches_all(each.matchers, alert.labels)
                    for each in moment.policy.maintenance)
                for alert in firing
            )  # fmt: skip
            expect(not quiet, f"{message.id} pages in a maintenance window")


def nobody_is_paged_about_what_only_cools_down(evidence: Evidence) -> None:
    """An alert that began, and began again before its cooldown was over, is quiet until then."""
    cools: dict[tuple[str, str], datetime] = {}
    quiet: dict[tuple[str, str], datetime] = {}
    for moment in evidence.moments:
        at = moment.entry.at
        for key, after in moment.alerts_after.items():
            before = moment.alerts_before.get(key)
            if before is not None and before.episode == after.episode:
                continue
            quiet.pop(key, None)
            if before is not None and key in cools and cools[key] > at:
                quiet[key] = cools[key]
                continue
            cooldown = cooldown_of(moment.policy, after.labels)
            cools.pop(key, None)
            if cooldown is not None:
                cools[key] = at + cooldown
        for message in moment.decision.messages:
            known = moment.before.get(message.incident)
            held = known is not None and message.channel in known.held
            firing = moment.firing_after.get(message.incident, ())
            if message.kind not in PAGES or held or not firing or _was_paged_before(moment):
                continue
            ends = [quiet.get((alert.source, alert.fingerprint)) for alert in firing]
            expect(
                not all(end is not None and end > at for end in ends),
                f"{message.id} pages about alerts that all cool down",
            )


def _was_paged_before(moment: Moment) -> bool:
    """Another channel was, when that was allowed, and did not take it; or a person wants a page again."""
    return isinstance(moment.entry.fact, NotTaken | Undeliverable | Resent)


def _in_window(maintenance: Maintenance, at: datetime) -> bool:
    """A second opinion, for windows of the worlds' kind: weekly, within a day, by the clock on the wall."""
    window = maintenance.window
    wall = at.astimezone(ZoneInfo(window.time_zone))
    minute = wall.hour * 60 + wall.minute
    return wall.weekday() == window.weekday and window.from_minute <= minute < window.from_minute + window.minutes


def nobody_is_paged_off_duty(evidence: Evidence) -> None:
    """By a phone that only a schedule calls; but who was told of an incident also hears when it becomes worse."""
    for moment in evidence.moments:
        for message in moment.decision.messages:
            owners = [name for name, ways in moment.policy.reach.items() if message.channel in ways]
            if not owners or message.kind not in PAGES:
                continue
            before = moment.before.get(message.incident)
            duty = {person for each in moment.policy.schedules.values() for person in on_call(each, moment.entry.at)}
            known = before is not None and message.channel in before.told
            known = known or _was_paged_before(moment)
            expect(known or owners[0] in duty, f"{message.id} pages {owners[0]}, and {sorted(duty)} has the duty")


def no_channel_gets_more_than_its_limit(evidence: Evidence) -> None:
    """In its period; but for lanes that are never held, and for what was held and comes as a digest, or alone."""
    sent: dict[str, deque[datetime]] = defaultdict(deque)
    in_force: Storms | None = None
    for moment in evidence.moments:
        storms = moment.policy.storms
        if storms != in_force:  # how much of the past counts depends on the limit
            sent.clear()
            in_force = storms
        if not storms.limit:
            continue
        for message, document in moment.documents:
            if action_named(message.channel) is not None:
                continue
            lately = sent[message.channel]  # a clock that was put back does not make them count for longer
            full = sum(1 for at in lately if at <= moment.entry.at < at + storms.per) >= storms.limit
            labels = {**document.incident.labels, "severity": document.incident.severity}
            lane = any(matcher.matches(labels) for matcher in storms.never_hold)
            before = moment.before.get(message.incident)
            held = before is not None and message.channel in before.held and isinstance(moment.entry.fact, TimePassed)
            expect(
                not full or lane or held or message.kind is Kind.DIGEST,
                f"{message.id} is more than {storms.limit} in {storms.per}",
            )
            lately.append(moment.entry.at)
            while len(lately) > storms.limit:
                lately.popleft()


def a_digest_lists_everything_that_was_held(evidence: Evidence) -> None:
    """But what the channel has not answered about yet, and what is more than a digest holds: those stay held."""
    for moment in evidence.moments:
        for message, document in moment.documents:
            if message.kind is not Kind.DIGEST:
                continue
            waits = {
                each.id: each for each in moment.held_before[message.channel]
                if message.channel not in each.owed.values()
            }  # fmt: skip
            listed = [each.id for each in document.incidents]
            expect(len(set(listed)) == len(listed), f"{message.id} lists an incident twice")
            extra = [each for each in listed if each not in waits and message.channel not in moment.after[each].told]
            expect(not extra, f"{message.id} lists {extra[:3]}, which nobody held")
            missing = [each for each in waits if each not in listed]
            full = len(listed) == DIGEST_INCIDENTS_MAX
            told = {each.incident for each in moment.decision.messages if each.channel == message.channel}
            forgotten = [each for each in missing if not full and each not in told]
            expect(not forgotten, f"{message.id} does not list {forgotten[:3]}")


def nothing_that_is_held_is_forgotten(evidence: Evidence) -> None:
    """It is told, alone or in a digest, or its channel is gone from the policy."""
    for moment in evidence.moments:
        told = {(message.channel, message.incident) for message in moment.decision.messages}
        told |= {(message.channel, each.id) for message, document in moment.documents for each in document.incidents}
        for identifier, before in moment.before.items():
            after = moment.after.get(identifier)
            for channel in before.held:
                if after is not None and channel in after.held:
                    continue
                gone = channel not in moment.policy.channels
                expect(gone or (channel, identifier) in told, f"{moment}: {channel} never hears of {identifier}")


def who_was_told_hears_how_it_ended(evidence: Evidence) -> None:
    """Each channel that takes an incident for open is told, or will be, that it is over; unless the policy lost it."""
    last: dict[tuple[str, str], str] = {}
    for moment in evidence.moments:
        now = [
            (message, each) for message, document in moment.documents
            for each in document.incidents or [document.incident]
        ]  # fmt: skip
        told = {(message.channel, each.id) for message, each in now}
        for identifier, after in moment.after.items():
            before = moment.before.get(identifier)
            if before is None or before.status is Status.RESOLVED or after.status is not Status.RESOLVED:
                continue
            for channel in before.told:
                spared = channel not in moment.policy.channels or last.get((channel, identifier)) == Status.RESOLVED
                heard = (channel, identifier) in told or channel in after.held or spared
                expect(heard, f"{moment}: {channel} does not hear that {identifier} is over")
        last.update({(message.channel, each.id): each.status for message, each in now})


def only_what_is_done_with_is_forgotten(evidence: Evidence) -> None:
    for moment in evidence.moments:
        for change in moment.decision.changes:
            if isinstance(change, IncidentForgotten) and change.incident in moment.before:
                before = moment.before[change.incident]
                expect(before.status is Status.RESOLVED and not before.firing, f"{moment}: forgets {before.id}")
                expect(not before.held and not before.owed, f"{moment}: {before.id} was owed")


# --- in the end ----------------------------------------------------------------------------------------------


def nothing_failed_unexpectedly(evidence: Evidence) -> None:
    expect(not evidence.history.failures, "unexpected: " + "; ".join(evidence.history.failures[:3]))


def no_accepted_alert_is_lost(evidence: Evidence) -> None:
    held = {entry.position: entry.fact.body for entry in evidence.entries if isinstance(entry.fact, AlertsReceived)}
    for position, body in evidence.history.accepted:
        expect(held.get(position) == body, f"entry {position} was answered 200 and is not in the journal")


def everything_is_decided(evidence: Evidence) -> None:
    last = evidence.entries[-1].position if evidence.entries else 0
    expect(evidence.loaded.position == last, f"decided up to {evidence.loaded.position} of {last}")


def the_chain_holds(evidence: Evidence) -> None:
    problem = evidence.database.verify(None)
    expect(problem is None, f"the chain: {problem}")


def replaying_the_journal_decides_the_same(evidence: Evidence) -> None:
    """All of the state: as it is stored, as the process had it when it ended, and as the replay has it."""
    replayed, stored, live = (
        values_of(each) for each in (evidence.replayed, evidence.loaded.state, evidence.history.live)
    )
    for name, value in replayed.items():
        expect(stored[name] == value, f"the stored state is not the replayed one: {name}")
        expect(live[name] == value, f"the state in memory is not the replayed one: {name}")


def no_message_without_a_decision(evidence: Evidence) -> None:
    for arrival in evidence.history.arrived:
        decided = evidence.decided.get(arrival.message.id)
        expect(decided == arrival.message, f"{arrival.message.id} arrived and was not decided so")


def every_message_arrives_or_is_refused_or_withdrawn(evidence: Evidence) -> None:
    arrived = {each.message.id for each in (*evidence.history.arrived, *evidence.history.ran)}
    settled = {entry.fact.message for entry in evidence.entries if isinstance(entry.fact, Undeliverable | Withdrawn)}
    missing = [identifier for identifier in evidence.decided if identifier not in arrived | settled]
    expect(not missing, f"decided and neither taken nor refused nor withdrawn: {missing[:3]}")
    owed = [message.id for message in evidence.database.owed()]
    expect(not owed, f"still owed: {owed[:3]}")


def nothing_is_sent_twice_without_a_reason(evidence: Evidence) -> None:
    """A repeat needs an answer that was lost, or a crash in between (then it comes in another life)."""
    seen: dict[str, tuple[int, bool]] = {}
    for arrival in evidence.history.arrived:
        before = seen.get(arrival.message.id)
        if before is not None:
            life, lost = before
            expect(lost or arrival.life > life, f"{arrival.message.id} was sent twice")
        seen[arrival.message.id] = (arrival.life, arrival.answer_lost)
    repeats = sum(Counter(arrival.message.id for arrival in evidence.history.arrived).values()) - len(seen)
    lost = sum(arrival.answer_lost for arrival in evidence.history.arrived)
    in_flight = 7 * evidence.history.crashes + 7  # as many as all channels together have under way
    expect(repeats <= lost + in_flight, f"{repeats} repeats for {lost} lost answers")


def messages_of_an_incident_keep_their_order(evidence: Evidence) -> None:
    """Digests that list it included; but a message that is never held does not wait for one."""
    order = {identifier: number for number, identifier in enumerate(evidence.decided)}
    passes: set[str] = set()
    about: dict[str, tuple[str, ...]] = {}
    for moment in evidence.moments:
        for message, document in moment.documents:
            labels = {**document.incident.labels, "severity": document.incident.severity}
            if any(matcher.matches(labels) for matcher in moment.policy.storms.never_hold):
                passes.add(message.id)
            about[message.id] = tuple(each.id for each in document.incidents) or (message.incident,)
    last: dict[tuple[str, str], tuple[int, str]] = defaultdict(lambda: (-1, ""))
    for arrival in evidence.history.arrived:
        number = order.get(arrival.message.id, -1)
        for incident in about.get(arrival.message.id, ()):
            lane = (incident, arrival.message.channel)
            latest, later = last[lane]
            overtaken = arrival.message.kind is Kind.DIGEST and later in passes
            expect(number >= latest or overtaken, f"{arrival.message.id} came after a later one, {later}")
            last[lane] = max(last[lane], (number, arrival.message.id))


def every_message_follows_the_last_one_that_was_answered(evidence: Evidence) -> None:
    """About the same incident, on the same channel, as the journal has the answers; over every crash."""
    if evidence.aside:
        return  # an answer among these was never decided
    answers = [
        entry.fact for entry in evidence.entries
        if isinstance(entry.fact, Delivered) and action_named(entry.fact.channel) is None
    ]  # fmt: skip
    bare = [fact.message for fact in answers if not fact.receipt and fact.incident != DIGEST_LANE]
    expect(not bare, f"no receipt was kept of {bare[:3]}")
    answered = {fact.message for fact in answers if fact.receipt}
    order = {identifier: number for number, identifier in enumerate(evidence.decided)}
    lanes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for message in evidence.decided.values():
        if message.kind is not Kind.DIGEST and message.id in answered:
            lanes[message.incident, message.channel].append(message.id)
    for arrival in evidence.history.arrived:
        message = arrival.message
        if message.kind is Kind.DIGEST:
            continue
        lane = lanes[message.incident, message.channel]
        earlier = [each for each in lane if order[each] < order[message.id]]
        expected = earlier[-1] if earlier else ""
        expect(arrival.follows == expected, f"{message.id} follows {arrival.follows!r}, expected {expected!r}")


def what_fires_in_alertmanager_fires_here_and_nothing_else(evidence: Evidence) -> None:
    """Where it can be asked, and after a calm time: then nothing that was late or hidden is left to excuse."""
    state, at = evidence.loaded.state, evidence.history.true_seconds
    aside = {entry.position for entry in evidence.entries} & set(evidence.aside)
    for alertmanager in evidence.history.script.alertmanagers:
        if not alertmanager.asked or aside:
            continue
        for name in alertmanager.known():
            there = alertmanager.is_firing(name, at)
            known = state.alerts.get((alertmanager.source, name))
            if there and known is None and alertmanager.silenced(name, at) is not None:
                continue  # it was never shown
            silent = (source := state.sources.get(alertmanager.source)) is not None and source.silent_since is not None
            if not there and known is not None and known.unconfirmed is not None and silent:
                continue  # the last policy watches a watchdog that nobody sends: its resolves are not believed
            here = known is not None and known.firing
            expect(here == there, f"{name} {'fires' if there else 'is over'} in {alertmanager.source}, and not here")


def nothing_is_held_for_ever(evidence: Evidence) -> None:
    """When it is calm: neither held, nor owed, nor quiet or muted past its time, nor unconfirmed."""
    state, now = evidence.loaded.state, evidence.history.now
    for incident in state.incidents.values():
        expect(not incident.held, f"{incident.id} is held back from {list(incident.held)}")
        expect(not incident.owed, f"{incident.id} is owed to {list(incident.owed.values())}")
        expect(not incident.stale, f"{incident.stale} do not know the latest about {incident.id}")
        quiet = incident.quiet_until
        expect(quiet is None or quiet > now, f"{incident.id} is quiet past {quiet}")
        expect(not incident.muted or incident.status is Status.SNOOZED, f"{incident.id} is muted and not snoozed")
        if incident.muted:
            _is_hidden(incident, evidence)
        for waits in (incident.snoozed_until, incident.calm_at, incident.doubted_until, incident.due_at):
            expect(waits is None or waits > now, f"{incident.id} waits for {waits}")
        if incident.awaits is not None:
            expect(incident.awaits in state.cut, f"{incident.id} waits for a group that is known whole")
    for alert in state.alerts.values():
        source = state.sources.get(alert.source)
        silent = source is not None and (source.silent_since is not None or source.confirm_at is not None)
        expect(alert.unconfirmed is None or silent, f"{alert.fingerprint} is unconfirmed, and its source is back")
        expect(alert.doubted_until is None or alert.doubted_until > now, f"{alert.fingerprint} is doubted for ever")
    for channel in state.channels.values():
        expect(not channel.digests, f"{channel.name} is owed digests")
    asked = {each.source for each in evidence.history.script.alertmanagers if each.asked}
    for group in state.cut:
        expect(group.source not in asked, f"the group {group.key} is not known whole")


def _is_hidden(incident: Incident, evidence: Evidence) -> None:
    at = evidence.history.true_seconds
    for alertmanager in evidence.history.script.alertmanagers:
        mine = [
            alert.fingerprint for alert in evidence.loaded.state.alerts_of(incident)
            if alert.firing and alert.source == alertmanager.source
        ]  # fmt: skip
        shown = [each for each in mine if alertmanager.silenced(each, at) is None]
        expect(not shown, f"{incident.id} is muted, and Alertmanager shows {shown[:3]}")


def no_source_that_is_heard_is_silent(evidence: Evidence) -> None:
    at = evidence.history.true_seconds
    heard = {each.source for each in evidence.history.script.alertmanagers if each.is_firing(WATCHDOG, at)}
    for name, source in evidence.loaded.state.sources.items():
        silent = source.silent_since
        expect(silent is None or name not in heard, f"{name} is silent since {silent}, and it is heard")


def who_was_told_knows_the_latest(evidence: Evidence) -> None:
    """Of what is not over when it is calm, each channel was last told how many fire; unless the channel refused that,
    or was to be spared: of what flaps, and of what was quiet, nobody hears each move."""
    last: dict[tuple[str, str], tuple[str, AlertCounts]] = {}
    spared: set[str] = set()
    flaps = [moment.policy.flapping.after for moment in evidence.moments if moment.policy.flapping.after]
    for moment in evidence.moments:
        for identifier, after in moment.after.items():
            if after.reopened >= min(flaps, default=after.reopened + 1) or after.quiet_until is not None:
                spared.add(identifier)
        for message, document in moment.documents:
            for each in document.incidents or [document.incident]:
                last[message.channel, each.id] = message.id, each.alerts
    refused = {entry.fact.message for entry in evidence.entries if isinstance(entry.fact, Undeliverable)}
    state = evidence.loaded.state
    for incident in state.incidents.values():
        if incident.status is Status.RESOLVED or incident.id in spared:
            continue
        for channel in incident.told:
            identifier, told = last.get((channel, incident.id), ("", AlertCounts(0, 0)))
            known = identifier in refused or channel not in state.policy.channels or told.firing == incident.firing
            expect(known, f"{channel} knows of {told.firing} alerts that fire in {incident.id}: {incident.firing} do")


def people_are_told_what_became_of_what_they_did(evidence: Evidence) -> None:
    for told, count in Counter(evidence.history.performed).items():
        expect(evidence.outcomes[told] >= count, f"{told} was answered, and the journal says otherwise")


def only_what_cannot_be_decided_is_set_aside(evidence: Evidence) -> None:
    for position, aside in evidence.aside.items():
        expect(evidence.history.set_aside_for in aside.error, f"entry {position} was set aside: {aside.error}")


def what_is_set_aside_is_told(evidence: Evidence) -> None:
    facts = [entry.fact for entry in evidence.entries if isinstance(entry.fact, EntriesSetAside)]
    told = Counter(each.position for fact in facts for each in fact.entries)
    expect(told == Counter(list(evidence.aside)), f"set aside {sorted(evidence.aside)}, told {sorted(told.elements())}")
    expect(not evidence.database.reading.untold(), "some are marked as not told")


def nothing_is_overdue(evidence: Evidence) -> None:
    due = evidence.loaded.state.next_due()
    expect(due is None or due > evidence.history.now, f"due at {due}, and it is {evidence.history.now}")
    found = audit(evidence.loaded.state, evidence.history.now)
    expect(found.goes_on, f"the audit says {found}")


def everything_that_is_left_adds_up(evidence: Evidence) -> None:
    state = evidence.loaded.state
    for incident in state.incidents.values():
        _counts_hold(incident, state, "in the end")
        by = incident.resolved_by
        if by is not None:
            expect(evidence.outcomes[ResolvedByHand(incident.id, by), None] > 0, f"{incident.id}: {by} did not do it")
    for alert in state.alerts.values():
        _has_its_place(alert, state, "in the end")


AFTER_EVERY_DECISION: tuple[Callable[[Moment, State], None], ...] = (
    every_alert_that_a_body_shows_is_known,
    the_counts_of_an_incident_are_those_of_its_alerts,
    every_firing_alert_is_in_one_open_incident,
    no_incident_is_open_in_which_nothing_fires,
    what_is_merged_is_where_it_says,
    the_next_step_of_what_is_open_is_known,
    the_story_of_an_incident_has_every_step_once,
)

CHECKERS: tuple[Callable[[Evidence], None], ...] = (
    an_action_is_owed_for_each_stage_that_is_taken_and_for_nothing_else,
    no_action_runs_unless_its_incident_is_open,
    an_action_runs_once_in_a_life_and_is_not_forgotten,
    only_what_cannot_be_decided_is_set_aside,
    nothing_failed_unexpectedly,
    no_accepted_alert_is_lost,
    everything_is_decided,
    the_chain_holds,
    replaying_the_journal_decides_the_same,
    no_message_without_a_decision,
    every_message_arrives_or_is_refused_or_withdrawn,
    nothing_is_sent_twice_without_a_reason,
    messages_of_an_incident_keep_their_order,
    nobody_is_paged_about_what_somebody_has_or_put_off,
    nobody_is_paged_after_an_acknowledgement_was_answered,
    nobody_is_paged_twice_for_one_stage,
    what_grew_past_its_limit_is_paged_again_once,
    what_becomes_worse_begins_anew,
    no_stage_is_skipped_doubled_or_early,
    nobody_is_paged_off_duty,
    nobody_is_told_what_the_policy_hides,
    what_is_hidden_stands_nowhere,
    only_who_may_changes_the_state_of_an_incident,
    no_resolve_of_a_silent_source_is_believed,
    nothing_is_over_while_its_group_is_not_known_whole,
    nobody_is_paged_in_a_maintenance_window,
    nobody_is_paged_about_what_only_cools_down,
    no_channel_gets_more_than_its_limit,
    a_digest_lists_everything_that_was_held,
    nothing_that_is_held_is_forgotten,
    who_was_told_hears_how_it_ended,
    only_what_is_done_with_is_forgotten,
    what_fires_in_alertmanager_fires_here_and_nothing_else,
    nothing_is_held_for_ever,
    no_source_that_is_heard_is_silent,
    who_was_told_knows_the_latest,
    people_are_told_what_became_of_what_they_did,
    what_is_set_aside_is_told,
    nothing_is_overdue,
    everything_that_is_left_adds_up,
    every_message_follows_the_last_one_that_was_answered,
    *FALLBACK_CHECKERS,
    *WITHDRAWAL_CHECKERS,
)


def check_all(history: History, *, decide: Decide = engine.decide) -> Evidence:
    evidence = Evidence(history, decide=decide, each=_after_each)
    for checker in CHECKERS:
        checker(evidence)
    return evidence


def _after_each(moment: Moment, state: State) -> None:
    for checker in AFTER_EVERY_DECISION:
        checker(moment, state)


def is_own(incident: Incident) -> bool:
    """It holds no alert, and is over when a person, or a source, says so."""
    return incident.group.source == OWN_SOURCE


def fingerprint(evidence: Evidence) -> str:
    """All that can be seen of a run, as one text that two processes can compare."""
    digest = hashlib.sha256()
    for entry in evidence.entries:
        digest.update(encoded([entry.position, entry.at, type(entry.fact).__name__]))
    for arrival in evidence.history.arrived:
        digest.update(encoded(arrival.message))
    digest.update(repr(sorted(values_of(evidence.loaded.state).items())).encode())
    return digest.hexdigest()


def values_of(state: State) -> Mapping[str, object]:
    """All of it, indexes included; the order of members is the order in which alerts joined, and means something."""
    return {
        "journal": state.journal,
        "policy": state.policy,
        "incidents": dict(sorted(state.incidents.items())),
        "alerts": dict(sorted(state.alerts.items())),
        "sources": dict(sorted(state.sources.items())),
        "channels": dict(sorted(state.channels.items())),
        "cut": _sorted(state.cut.items()),
        "members": {
            incident.id: [alert.fingerprint for alert in state.alerts_of(incident)]
            for _, incident in sorted(state.incidents.items())
        },
        "ever in": {
            incident.id: [alert.fingerprint for alert in state.ever_in(incident)]
            for _, incident in sorted(state.incidents.items())
        },
        "found by": {key: sorted(those) for key, those in sorted(state._found_by.items())},
        "firing of": _sorted((key, sorted(those)) for key, those in state._firing_of.items()),
        "awaiting": _sorted((key, sorted(those)) for key, those in state._awaiting.items()),
        "held on": {key: sorted(those) for key, those in sorted(state._held_on.items())},
        "idle": {why: sorted(those) for why, those in sorted(state._idle.items())},
        "deadlines": dict(sorted(state._deadlines._when.items())),
    }


def _sorted(pairs: Iterable[tuple[object, object]]) -> list[tuple[object, object]]:
    return sorted(pairs, key=lambda pair: repr(pair[0]))
