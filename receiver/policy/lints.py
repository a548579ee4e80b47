"""What a file without a fault hardly means: a route that nothing takes, a stage that is never taken or tells nobody,
names that nothing uses. Each of these is sure: what depends on the alerts that come is not told here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from guard.matcher import Matcher
from receiver.policy.channelfile import PagerDutyFile, SlackFile
from receiver.policy.file import ReceiverFile
from receiver.policy.freeze import policy_of
from receiver.policy.overlap import Together, allows, at_odds, values_of
from receiver.policy.policy import Call, Contact, Policy, Route, Schedule, Stage, Window
from receiver.policy.schedulechecks import in_words, uncovered
from receiver.policy.shapes import Path, Told

ROUTES_COMPARED_MAX = 500

_DAY_MINUTES = 24 * 60


def lints(file: ReceiverFile) -> Iterator[Told]:
    policy = policy_of(file, digest="")
    never = dict(_never_taken(policy.routes)) if file.routes else {}
    for index, (found, expected) in never.items():
        yield ("routes", index, "matchers"), found, expected
    for name in file.escalations:
        routes = [route for route in policy.routes if route.escalation == name]
        if not routes:
            yield ("escalations", name), "an escalation that no route leads to", "a route with it, or none of it"
            continue
        taken = [route for index, route in enumerate(policy.routes) if route.escalation == name and index not in never]
        yield from _stages(("escalations", name, "stages"), policy, policy.escalations[name].stages, taken)
    yield from _unreachable(policy)
    yield from _unused(file, policy)


def people_in(schedule: Schedule) -> tuple[str, ...]:
    """Everybody who is ever on call in it."""
    turns = (person for rotation in schedule.rotations for turn in rotation.people for person in turn)
    return tuple(dict.fromkeys((*turns, *(override.person for override in schedule.overrides))))


# --- routes --------------------------------------------------------------------------------------------------------


def _never_taken(routes: Sequence[Route]) -> Iterator[tuple[int, tuple[str, str]]]:
    """By their places, what was found and expected."""
    earlier: list[int] = []
    for index, route in enumerate(routes[:ROUTES_COMPARED_MAX]):
        odds = at_odds(route.matchers)
        if odds:
            found = f"matchers that no incident meets together: {_written(odds)}"
            yield index, (found, "matchers that can hold together")
            continue
        together = Together(route.matchers)
        before = next((each for each in earlier if all(map(together.imply, routes[each].matchers))), None)
        if before is None:
            earlier.append(index)
            continue
        found = f"a route that is never taken: routes[{before}], {routes[before]}, takes all of it first"
        yield index, (found, "a place before that one, or no such route")


def _written(matchers: Sequence[Matcher]) -> str:
    return ", ".join(map(str, matchers))


# --- stages --------------------------------------------------------------------------------------------------------


def _stages(path: Path, policy: Policy, stages: Sequence[Stage], routes: Sequence[Route]) -> Iterator[Told]:
    """`routes` are those that lead there and are taken by something; without one there is nothing more to say."""
    for index, stage in enumerate(stages):
        condition = stage.condition
        if condition is not None and routes:
            where = (*path, index, "when")
            odds = at_odds(condition.matchers)
            if odds:
                found = f"matchers that no incident meets together: {_written(odds)}"
                yield (*where, "matchers"), found, "matchers that can hold together"
            elif not any(_can_be(condition.matchers, route.matchers) for route in routes):
                found = (
                    f"a stage that is never taken: no route to it brings what matches {_written(condition.matchers)}"
                )
                yield (*where, "matchers"), found, "what a route to this escalation lets through"
            if condition.firing_min > policy.incident_alerts_max:
                found = f"a stage that is never taken: {condition.firing_min} alerts"
                most = policy.incident_alerts_max
                yield (*where, "firing_min"), found, f"at most {most}, which is incident_alerts_max"
        if stage.calls and not stage.notify and not any(_reaches(policy, call) for call in stage.calls):
            people = dict.fromkeys(person for call in stage.calls for person in _called(policy, call))
            found = f"a stage that tells nobody: there is no channel to {', '.join(people)}"
            yield (*path, index, "notify"), found, "somebody who can be reached"
        elif index == len(stages) - 1:
            yield from _gaps((*path, index, "notify"), policy, stage)


def _can_be(condition: Sequence[Matcher], route: Sequence[Matcher]) -> bool:
    """Whether an incident on this route can meet the condition later. Its severity rises, and then it is routed again;
    any other label it can only lose, as alerts without it join."""
    for name in dict.fromkeys(matcher.name for matcher in condition):
        if name == "severity":
            if at_odds([each for each in (*route, *condition) if each.name == name]):
                return False
            continue
        values = values_of(route, name)
        if values is not None and not any(allows(condition, name, value) for value in (*values, "")):
            return False
    return True


def _called(policy: Policy, call: Call) -> tuple[str, ...]:
    if call.person is not None:
        return (call.person,)
    return people_in(policy.schedules[call.schedule]) if call.schedule is not None else ()


def _reaches(policy: Policy, call: Call) -> bool:
    """Anybody, at any time."""
    return any(policy.reach.get(person) for person in _called(policy, call))


def _gaps(path: Path, policy: Policy, stage: Stage) -> Iterator[Told]:
    """Times of the week at which the last stage tells nobody, where it tells schedules only."""
    schedules = [policy.schedules[call.schedule] for call in stage.calls if call.schedule is not None]
    if stage.notify or not schedules or len(schedules) < len(stage.calls):
        return
    rotations = [rotation for schedule in schedules for rotation in schedule.rotations]
    asked = stage.condition.windows if stage.condition is not None else ()
    zones = dict.fromkeys([*(each.time_zone for each in schedules), *(each.time_zone for each in asked)])
    if len(zones) > 1 or not all(rotation.only for rotation in rotations):
        return  # clocks that differ are not compared: by how much depends on the day
    not_asked = [_window(begin, end) for begin, end in uncovered(asked)] if asked else []
    gaps = uncovered([*not_asked, *(window for rotation in rotations for window in rotation.only)])
    if gaps:
        names = ", ".join(schedule.name for schedule in schedules)
        found = f"the last stage, which tells {names} and nobody else: {in_words(gaps)}"
        yield path, found, "somebody at any time, such as a channel beside it"


def _window(begin: int, end: int) -> Window:
    return Window(weekday=begin // _DAY_MINUTES, from_minute=begin % _DAY_MINUTES, minutes=end - begin)


def _unreachable(policy: Policy) -> Iterator[Told]:
    """Whom a stage calls by name, without a way to them. Of those in schedules the schedules' own check tells."""
    on_call = {person: None for schedule in policy.schedules.values() for person in people_in(schedule)}
    by_name = {
        call.person: escalation.name
        for escalation in policy.escalations.values()
        for stage in escalation.stages
        for call in stage.calls
        if call.person is not None and call.person not in on_call
    }
    for person, escalation in by_name.items():
        if not policy.reach.get(person):
            found = f"no way to {person}, whom escalations.{escalation} calls"
            yield ("people", person, "notify"), found, "a way that a channel of this file takes"


# --- names ---------------------------------------------------------------------------------------------------------


def _unused(file: ReceiverFile, policy: Policy) -> Iterator[Told]:
    stages = [stage for escalation in policy.escalations.values() for stage in escalation.stages]
    called = {call.person: None for stage in stages for call in stage.calls}
    on_call = {person: None for schedule in policy.schedules.values() for person in people_in(schedule)}
    named = {person: None for person, ways in policy.people.items() if _is_named(file, ways)}
    for person in file.people:
        if person not in called and person not in on_call and person not in named:
            yield ("people", person), "somebody whom no schedule and no stage calls", "a schedule or a stage with them"
    used = {channel: None for stage in stages for channel in stage.notify}
    for channel in _ways(policy.reach):
        used[channel.rpartition("@")[2]] = None  # `ana@mail` is made of `mail`
    for each in file.channels.values():
        if each.fallback is not None:
            used[each.fallback] = None
    for channel in file.channels:
        if channel not in used:
            yield ("channels", channel), "a channel that no stage and nobody's `notify` uses", "a stage that tells it"
    run = {action: None for stage in stages for action in stage.actions}
    for action in file.actions:
        if action not in run:
            yield ("actions", action), "an action that no stage runs", f"a stage with {{action: {action}}}"


def _ways(reach: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for ways in reach.values():
        yield from ways


def _is_named(file: ReceiverFile, ways: Sequence[Contact]) -> bool:
    """Whether what comes back from a channel may be in this person's name, although nobody calls them: a press in
    Slack by its member, an event of PagerDuty's by the name."""
    buttons = any(isinstance(each, SlackFile) and each.signing_secret_file for each in file.channels.values())
    events = any(isinstance(each, PagerDutyFile) and each.webhook_secret_file for each in file.channels.values())
    return events or (buttons and any(way.method == "slack" for way in ways))
