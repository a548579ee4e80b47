"""What receiver.yml says, frozen into the policy that decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guard.matcher import Matcher, parse_matcher
from receiver.policy.duration import parse_duration
from receiver.policy.fallbacks import fallbacks_of
from receiver.policy.file import (
    CallFile,
    CorrelateFile,
    MaintenanceFile,
    ReceiverFile,
    RepeatFile,
    StageFile,
    TopologyFile,
)
from receiver.policy.policy import (
    Again,
    ByLabels,
    Call,
    CauseAndSymptom,
    Condition,
    Cooldown,
    Downstream,
    Escalation,
    Flapping,
    Maintenance,
    Policy,
    Repeat,
    Route,
    Rule,
    Sequence,
    Stage,
    Storms,
    Watchdog,
    Window,
)
from receiver.policy.reach import reach_of
from receiver.policy.redaction import redact_of
from receiver.policy.schedulefile import people_of, schedules_of
from receiver.policy.topology import needed_by
from receiver.policy.windows import parse_once, parse_weekly

EVERY_CHANNEL = "every-channel"


def policy_of(file: ReceiverFile, *, digest: str, topology: TopologyFile | None = None) -> Policy:
    """The frozen policy. Short files work: without escalations every channel is told at once; without routes
    everything takes the only escalation. `topology` is what `topology_file` holds."""
    escalations = {
        name: Escalation(
            name=name,
            stages=tuple(map(_stage, escalation.stages)),
            repeat=_repeat(escalation.repeat),
            acknowledged_for=parse_duration(escalation.acknowledged_for) if escalation.acknowledged_for else None,
            again=Again(escalation.again.firing_more, escalation.again.severity_rises),
        )
        for name, escalation in sorted(file.escalations.items())
    }
    if not escalations and file.channels:
        everyone = Stage(delay=parse_duration("0s"), notify=tuple(sorted(file.channels)))
        escalations = {EVERY_CHANNEL: Escalation(name=EVERY_CHANNEL, stages=(everyone,))}
    routes = tuple(Route(matchers=_matchers(route.matchers), escalation=route.escalation) for route in file.routes)
    if not routes and len(escalations) == 1:
        routes = (Route(matchers=(), escalation=next(iter(escalations))),)
    people = people_of(file.people)
    reach = reach_of(file.channels, people)
    depends_on = _depends_on(topology or file.topology)
    return Policy(
        digest=digest,
        routes=routes,
        escalations=escalations,
        channels=tuple(sorted((*file.channels, *reach.made))),
        correlate=tuple(map(_rule, file.correlate)),
        depends_on=depends_on,
        needed_by=needed_by(depends_on),
        storms=Storms(
            limit=file.storms.per_channel.limit,
            per=parse_duration(file.storms.per_channel.per),
            never_hold=_matchers(file.storms.never_hold),
        ),
        maintenance=tuple(each for item in file.maintenance for each in _maintenance(item)),
        cooldowns=tuple(
            Cooldown(matchers=_matchers(item.matchers), duration=parse_duration(item.duration))
            for item in file.cooldowns
        ),
        watchdogs={
            name: Watchdog(
                matchers=_matchers(source.watchdog.matchers), late_after=parse_duration(source.watchdog.late_after)
            )
            for name, source in sorted((file.sources or {}).items())
            if source.watchdog is not None
        },
        flapping=Flapping(after=file.flapping.after, calm=parse_duration(file.flapping.calm)),
        reopen_within=parse_duration(file.reopen_within),
        stale_after=parse_duration(file.stale_after),
        incident_alerts_max=file.incident_alerts_max,
        schedules=schedules_of(file.schedules),
        people=people,
        reach=reach.by_person,
        redact=redact_of(file.redact),
        fallbacks=fallbacks_of({**file.channels, **reach.made}),
        actions=tuple(sorted(file.actions)),
        commands=tuple(sorted(name for name, action in file.actions.items() if action.command is not None)),
    )


def _stage(file: StageFile) -> Stage:
    when = file.when
    calls = [each for each in file.notify if isinstance(each, CallFile)]
    return Stage(
        delay=parse_duration(file.delay),
        notify=tuple(dict.fromkeys(each for each in file.notify if isinstance(each, str))),
        calls=tuple(Call(each.schedule, each.person) for each in calls if each.action is None),
        actions=tuple(dict.fromkeys(each.action for each in calls if each.action is not None)),
        condition=None
        if when is None
        else Condition(
            matchers=_matchers(when.matchers),
            firing_min=when.firing_min,
            windows=parse_weekly(when.weekly, time_zone=when.time_zone) if when.weekly else (),
            weekly=f"{when.weekly} {when.time_zone}" if when.weekly else "",
        ),
    )


def _repeat(file: RepeatFile | None) -> Repeat | None:
    return None if file is None else Repeat(every=parse_duration(file.every), times=file.times)


def _rule(file: CorrelateFile) -> Rule:
    window = parse_duration(file.window)
    equal = _once(file.equal)
    if file.by is not None:
        return ByLabels(name=file.name, matchers=_matchers(file.matchers), by=_once(file.by), window=window)
    if file.depends_on_label is not None:
        return Downstream(name=file.name, label=file.depends_on_label, equal=equal, window=window)
    if file.sequence is not None:
        return Sequence(
            name=file.name,
            steps=tuple(map(_matchers, file.sequence)),
            equal=equal,
            window=window,
            severity=file.severity or "critical",
            title=file.title or "",
        )
    return CauseAndSymptom(
        name=file.name, cause=_matchers(file.cause), symptom=_matchers(file.symptom), equal=equal, window=window
    )


def _depends_on(topology: TopologyFile | None) -> dict[str, tuple[str, ...]]:
    services = topology.services if topology else {}
    return {name: _once(services[name].depends_on) for name in sorted(services)}


def _maintenance(file: MaintenanceFile) -> Iterator[Maintenance]:
    """One for each day of a weekly window."""
    windows: Iterable[Window] = ()
    if file.weekly is not None:
        windows = parse_weekly(file.weekly, time_zone=file.time_zone)
    elif file.starts is not None and file.ends is not None:
        windows = (parse_once(file.starts, file.ends, time_zone=file.time_zone),)
    for window in windows:
        yield Maintenance(name=file.name, matchers=_matchers(file.matchers), window=window)


def _matchers(texts: Iterable[str] | None) -> tuple[Matcher, ...]:
    return tuple(map(parse_matcher, texts or ()))


def _once(names: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names or ()))
