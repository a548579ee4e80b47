"""What no single place of receiver.yml or topology.yml shows: names that lead nowhere, kinds that are mixed, times that
do not fit together. Every check bears any shape of document; what the schema finds is not told again here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from guard.configfile import Problem
from receiver.incident import SEVERITIES
from receiver.policy.actionchecks import action_faults
from receiver.policy.channelchecks import channel_faults
from receiver.policy.channelfile import SlackFile
from receiver.policy.duration import format_duration, parse_duration
from receiver.policy.fallbacks import fallback_faults
from receiver.policy.file import ReceiverFile
from receiver.policy.lints import lints
from receiver.policy.redaction import redact_faults
from receiver.policy.schedulechecks import schedule_faults, schedule_warnings
from receiver.policy.shapes import Path, duration_in, items, listed, names, one_of
from receiver.policy.topology import cycle
from receiver.policy.windows import parse_once


class Bounds(NamedTuple):
    """What a duration may be. The key is written as the documentation writes it."""

    key: str
    least: str
    most: str
    zero: str = ""  # what 0s means, where it is allowed besides


DURATIONS = (
    Bounds("sources.NAME.gone_after", "10s", "1d"),
    Bounds("sources.NAME.watchdog.late_after", "30s", "7d"),
    Bounds("correlate[].window", "1s", "1d"),
    Bounds("escalations.NAME.repeat.every", "1m", "7d"),
    Bounds("escalations.NAME.acknowledged_for", "10s", "30d"),
    Bounds("channels.NAME.fallback_after", "1s", "1h", zero="at once"),
    Bounds("storms.per_channel.per", "1s", "1h"),
    Bounds("cooldowns[].duration", "1s", "7d"),
    Bounds("flapping.calm", "1s", "1d"),
    Bounds("reopen_within", "1s", "1d", zero="never"),
    Bounds("stale_after", "1m", "365d", zero="never"),
    Bounds("retention.journal", "1h", "100y", zero="for ever"),
    Bounds("retention.incidents", "1h", "100y", zero="for ever"),
    Bounds("schedules.NAME.rotations[].shift", "1h", "365d"),
    Bounds("links.valid_for", "5m", "30d"),
    Bounds("actions.NAME.timeout", "1s", "10m"),
    Bounds("actions.NAME.retry_for", "1s", "1d"),
)


class RuleKeys(NamedTuple):
    """The keys of one kind of rule: which tell the kind, which it needs, which it may have."""

    telling: tuple[str, ...]
    needed: tuple[str, ...]
    allowed: tuple[str, ...]


RULES = (
    RuleKeys(("by",), ("by",), ("matchers",)),
    RuleKeys(("cause", "symptom"), ("cause", "symptom"), ("equal",)),
    RuleKeys(("depends_on_label",), ("depends_on_label",), ("equal",)),
    RuleKeys(("sequence",), ("sequence", "equal"), ("severity", "title")),
)
_ONE_KIND = "exactly one kind of rule: `by`; `cause` and `symptom`; `depends_on_label`; or `sequence`"
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def problems(document: object) -> Iterator[Problem]:
    """Of receiver.yml."""
    if not isinstance(document, dict):
        return
    channels = names(document.get("channels"))
    escalations = names(document.get("escalations"))
    yield from _sources(document.get("sources"))
    yield from _routes(document.get("routes"), escalations)
    for name, escalation in items(document.get("escalations")):
        stages = escalation.get("stages") if isinstance(escalation, dict) else None
        yield from _stages(("escalations", name, "stages"), stages, channels)
        yield from _calls(("escalations", name, "stages"), stages, document)
        yield from _repeat(("escalations", name, "repeat"), escalation)
    if not listed(document.get("routes")) and len(escalations) > 1:
        yield Problem(
            path=("escalations",),
            found=f"{len(escalations)} escalations and no routes",
            expected="routes that say which incidents take which escalation",
        )
    yield from _correlate(document.get("correlate"))
    yield from _topology(document)
    yield from _maintenance(document.get("maintenance"))
    for told in channel_faults(document.get("channels")):
        yield Problem(*told)
    for told in fallback_faults(document.get("channels")):
        yield Problem(*told)
    for told in action_faults(document.get("actions")):
        yield Problem(*told)
    for told in schedule_faults(document.get("schedules"), document.get("people"), document.get("channels")):
        yield Problem(*told)
    for told in redact_faults(document.get("redact"), document.get("channels")):
        yield Problem(*told)
    for bounds in DURATIONS:
        yield from _durations(document, bounds)


def warnings(file: ReceiverFile) -> Iterator[Problem]:
    """What is no fault, and hardly meant."""
    types = [
        str(type(channel).__struct_config__.tag)
        for channel in file.channels.values()
        if not (isinstance(channel, SlackFile) and channel.token_file is None)  # a webhook reaches one place only
    ]
    for told in (*schedule_warnings(file.schedules, file.people, types), *lints(file)):
        yield Problem(*told)


def topology_problems(document: object, at: Path = ()) -> Iterator[Problem]:
    """Of topology.yml, or of what stands under `topology`."""
    services = document.get("services") if isinstance(document, dict) else None
    depends_on = {
        name: [each for each in listed(service.get("depends_on")) if isinstance(each, str)]
        for name, service in items(services)
        if isinstance(service, dict)
    }
    if found := cycle(depends_on):
        yield Problem(
            path=(*at, "services", found[0], "depends_on"),
            found=f"a cycle: {' -> '.join([*found, found[0]])}",
            expected="services that do not need themselves",
        )


def _sources(sources: object) -> Iterator[Problem]:
    for name, source in items(sources):
        if not isinstance(source, dict):
            continue
        url = source.get("alertmanager_url")
        if isinstance(url, str) and re.match(r"[^/]*//[^/]*@", url):
            yield Problem(
                path=("sources", name, "alertmanager_url"),
                found="an address with a user or a password in it",
                expected="an address alone (a token goes into alertmanager_token_file)",
            )
        for key, what in (("alertmanager_token_file", "a token"), ("gone_after", "a time")):
            if url is None and source.get(key) is not None:
                yield Problem(
                    path=("sources", name, key),
                    found=f"{what} and no address",
                    expected="alertmanager_url beside it",
                )


def _routes(routes: object, escalations: list[str]) -> Iterator[Problem]:
    for index, route in enumerate(listed(routes)):
        name = route.get("escalation") if isinstance(route, dict) else None
        if isinstance(name, str) and name not in escalations:
            yield Problem(path=("routes", index, "escalation"), found=f"{name!r}", expected=one_of(escalations))


def _stages(path: Path, stages: object, channels: list[str]) -> Iterator[Problem]:
    earlier = None
    for index, stage in enumerate(listed(stages)):
        if not isinstance(stage, dict):
            continue
        for place, name in enumerate(listed(stage.get("notify"))):
            if isinstance(name, str) and name not in channels:
                yield Problem(path=(*path, index, "notify", place), found=f"{name!r}", expected=one_of(channels))
        delay = duration_in(stage.get("delay", "0s"))
        if delay is None:
            continue  # a fault of its own, found by the schema
        if earlier is not None and delay < earlier:
            yield Problem(
                path=(*path, index, "delay"),
                found=f"{stage.get('delay', '0s')!r}, less than the stage before",
                expected="stages in the order of their delays, each counted from the opening of the incident",
            )
        earlier = delay


def _calls(path: Path, stages: object, document: dict[object, object]) -> Iterator[Problem]:
    known = {
        "schedule": names(document.get("schedules")),
        "person": names(document.get("people")),
        "action": names(document.get("actions")),
    }
    for index, stage in enumerate(listed(stages)):
        for place, call in enumerate(listed(stage.get("notify")) if isinstance(stage, dict) else ()):
            if not isinstance(call, dict):
                continue
            where = (*path, index, "notify", place)
            told = [key for key in known if call.get(key) is not None]
            if len(told) != 1:
                found = " and ".join(f"`{key}`" for key in told) or "nobody"
                yield Problem(
                    path=where, found=found, expected="a schedule, a person or an action, exactly one of them"
                )
            for key in told:
                if isinstance(call[key], str) and call[key] not in known[key]:
                    yield Problem(path=(*where, key), found=f"{call[key]!r}", expected=one_of(known[key]))


def _repeat(path: Path, escalation: object) -> Iterator[Problem]:
    """A round begins when the one before is through."""
    repeat = escalation.get("repeat") if isinstance(escalation, dict) else None
    if not isinstance(escalation, dict) or not isinstance(repeat, dict):
        return
    last = max((_delay(stage) for stage in listed(escalation.get("stages"))), default=timedelta())
    every = duration_in(repeat.get("every"))
    if every is not None and timedelta() < every <= last:
        yield Problem(
            path=(*path, "every"),
            found=f"{repeat.get('every')!r}, and the last stage comes after {format_duration(last)}",
            expected="longer than the delay of the last stage, so that a round is through before the next begins",
        )


def _delay(stage: object) -> timedelta:
    delay = duration_in(stage.get("delay", "0s")) if isinstance(stage, dict) else None
    return delay if delay is not None else timedelta()


# --- correlation -------------------------------------------------------------------------------------------------


def _correlate(rules: object) -> Iterator[Problem]:
    yield from _names_twice("correlate", rules)
    for index, rule in enumerate(listed(rules)):
        if isinstance(rule, dict):
            written = {key: value for key, value in rule.items() if value is not None}
            yield from _rule(("correlate", index), written)


def _rule(path: Path, rule: dict[object, object]) -> Iterator[Problem]:
    told = [keys for keys in RULES if any(key in rule for key in keys.telling)]
    if len(told) != 1:
        mixed = [f"`{key}`" for keys in told for key in keys.telling if key in rule]
        found = f"a mixture of {' and '.join(mixed)}" if mixed else "a rule without a kind"
        yield Problem(path=path, found=found, expected=_ONE_KIND)
        return
    (keys,) = told
    beside = "` and `".join(keys.telling)
    own = (*keys.needed, *keys.allowed)
    for key in keys.needed:
        if key not in rule:
            yield Problem(path=(*path, key), found="nothing", expected=f"`{key}` in a rule with `{beside}`")
    for key in dict.fromkeys(key for keys in RULES for key in (*keys.needed, *keys.allowed) if key not in own):
        if key in rule:
            listed = ", ".join(("name", "window", *own))
            yield Problem((*path, key), "a key of another kind of rule", f"with `{beside}` only: {listed}")
    if "sequence" in rule:
        yield from _sequence(path, rule)


def _sequence(path: Path, rule: dict[object, object]) -> Iterator[Problem]:
    equal = [label for label in listed(rule.get("equal")) if isinstance(label, str)]
    if rule.get("equal") == []:
        yield Problem((*path, "equal"), "an empty list", "at least one label that all steps share, such as user")
    severity = rule.get("severity")
    if isinstance(severity, str) and severity.lower() not in SEVERITIES:
        yield Problem((*path, "severity"), f"{severity!r}", f"one of: {', '.join(SEVERITIES)}")
    title = rule.get("title")
    if not isinstance(title, str):
        return
    for label in _PLACEHOLDER.findall(title):
        if label not in equal:
            yield Problem((*path, "title"), f"{{{label}}} in {title!r}", f"labels of `equal` ({', '.join(equal)})")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", title)):
        yield Problem((*path, "title"), f"a brace that is left over in {title!r}", "labels of `equal` such as {user}")


def _topology(document: dict[str, object]) -> Iterator[Problem]:
    written = [key for key in ("topology", "topology_file") if document.get(key) is not None]
    needing = [
        index
        for index, rule in enumerate(listed(document.get("correlate")))
        if isinstance(rule, dict) and rule.get("depends_on_label") is not None
    ]
    if len(written) > 1:
        yield Problem(("topology_file",), "a second topology", "either `topology` or `topology_file`")
    if written and not needing:
        yield Problem((written[0],), "a topology that no rule uses", "a rule of `correlate` with `depends_on_label`")
    for index in needing if not written else ():
        yield Problem(
            ("correlate", index, "depends_on_label"),
            "a rule without a topology",
            "`topology` or `topology_file` beside `correlate`",
        )
    yield from topology_problems(document.get("topology"), ("topology",))


# --- times -------------------------------------------------------------------------------------------------------


def _maintenance(items: object) -> Iterator[Problem]:
    yield from _names_twice("maintenance", items)
    for index, item in enumerate(listed(items)):
        if not isinstance(item, dict):
            continue
        path = ("maintenance", index)
        written = [key for key in ("weekly", "from", "to") if item.get(key) is not None]
        if written not in (["weekly"], ["from", "to"]):
            found = " and ".join(f"`{key}`" for key in written) or "no time"
            yield Problem(path, found, "either `weekly`, or both `from` and `to`")
        elif written == ["from", "to"]:
            yield from _order(path, item)


def _order(path: Path, item: dict[str, object]) -> Iterator[Problem]:
    begin, end, zone = item["from"], item["to"], item.get("time_zone", "UTC")
    if not (isinstance(begin, str) and isinstance(end, str) and isinstance(zone, str)):
        return
    try:
        window = parse_once(begin, end, time_zone=zone)
    except ValueError:
        return  # a fault of its own, found by the schema
    if window.starts is not None and window.ends is not None and window.ends <= window.starts:
        yield Problem((*path, "to"), f"{end!r}, not after {begin!r}", "a moment after `from`")


def _durations(document: object, bounds: Bounds) -> Iterator[Problem]:
    least, most = parse_duration(bounds.least), parse_duration(bounds.most)
    for path, text in _places(document, bounds.key.replace("[]", ".[]").split(".")):
        duration = duration_in(text)
        if duration is None or least <= duration <= most or (bounds.zero and not duration):
            continue
        besides = f"0s ({bounds.zero}), or " if bounds.zero else ""
        yield Problem(path, f"{text!r}", f"{besides}a duration from {bounds.least} to {bounds.most}")


def _places(value: object, steps: Sequence[str], path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every place that a key of the documentation names, with what stands there."""
    match steps:
        case []:
            yield path, value
        case ["NAME", *rest]:
            for name, inner in items(value):
                yield from _places(inner, rest, (*path, name))
        case ["[]", *rest]:
            for index, inner in enumerate(listed(value)):
                yield from _places(inner, rest, (*path, index))
        case [key, *rest] if isinstance(value, dict) and key in value:
            yield from _places(value[key], rest, (*path, key))


# --- shapes ------------------------------------------------------------------------------------------------------


def _names_twice(key: str, items: object) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, item in enumerate(listed(items)):
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and seen.setdefault(name, index) != index:
            yield Problem((key, index, "name"), f"{name!r}, the name of {key}[{seen[name]}]", "a name of its own")
