"""What exporter.yml says of dependencies, as frozen values, and what can be wrong with it besides its shape."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.dependencies.breaker import Patience
from exporter.dependencies.graph import cycles
from exporter.duration import parse

DEPENDENCIES_MAX = 500
NEEDS_MAX = 50
TARGET_CHARACTERS_MAX = 2_000
IN_A_ROW_MAX = 100
EVERY_SECONDS_MIN = 0.1
EVERY_SECONDS_MAX = 3_600.0
WAIT_SECONDS_MAX = 86_400.0
NAME = r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$"

_Name = Annotated[str, Meta(pattern=NAME)]


def _between(text: str, least: float, most: float, words: str) -> float:
    total = parse(text)
    if not least <= total <= most:
        raise ValueError(f"found {text!r}, expected {words}")
    return total


def every_seconds(text: str) -> float:
    return _between(text, EVERY_SECONDS_MIN, EVERY_SECONDS_MAX, "between 100ms and 1h")


def wait_seconds(text: str) -> float:
    return _between(text, EVERY_SECONDS_MIN, WAIT_SECONDS_MAX, "between 100ms and 24h")


_Every = Annotated[str, Meta(extra_json_schema={"format": "every"})]
_Wait = Annotated[str, Meta(extra_json_schema={"format": "wait"})]
_InARow = Annotated[int, Meta(ge=1, le=IN_A_ROW_MAX)]


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a dependency is asked."""

    module: Annotated[str, Meta(description="A module of probes, with its settings.", min_length=1, max_length=100)]
    target: Annotated[
        str,
        Meta(
            description="Whom it asks, as the module wants it.",
            examples=["127.0.0.1:5432", "http://127.0.0.1:8080/ready"],
            max_length=TARGET_CHARACTERS_MAX,
        ),
    ] = ""


class DependencySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that is asked in the background whether it is well."""

    probe: Annotated[Probe, Meta(description="How it is asked.")]
    every: Annotated[_Every, Meta(description="How often it is asked, while it is not known to be sick.")] = "15s"
    timeout: Annotated[
        Annotated[str, Meta(extra_json_schema={"format": "timeout"})] | None,
        Meta(description="How long it has for its answer; the module's without it."),
    ] = None
    slow_after: Annotated[
        str,
        Meta(
            description="An answer that takes longer makes it slow, which is degraded. 0s is never.",
            extra_json_schema={"format": "duration"},
        ),
    ] = "0s"
    critical: Annotated[bool, Meta(description="While it is down, /health is 503.")] = False
    needs: Annotated[
        tuple[_Name, ...],
        Meta(description="Names of dependencies that it cannot do without.", max_length=NEEDS_MAX),
    ] = ()
    failures: Annotated[_InARow, Meta(description="So many failures in a row mean that it is down.")] = 3
    successes: Annotated[_InARow, Meta(description="So many successes in a row mean that it is up again.")] = 2
    wait: Annotated[
        _Wait, Meta(description="What is down is asked again after this; each trial that fails doubles it.")
    ] = "15s"
    wait_max: Annotated[_Wait, Meta(description="At the longest.")] = "2m"

    @property
    def every_seconds(self) -> float:
        return parse(self.every)

    @property
    def slow_seconds(self) -> float:
        return parse(self.slow_after)

    @property
    def patience(self) -> Patience:
        return Patience(
            failures=self.failures,
            successes=self.successes,
            wait_seconds=parse(self.wait),
            wait_seconds_max=parse(self.wait_max),
        )


class HealthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked in the background, for /health."""

    dependencies: Annotated[
        dict[_Name, DependencySettings],
        Meta(description="What is asked, by name.", max_length=DEPENDENCIES_MAX),
    ] = {}


def wrong(
    dependencies: Mapping[str, DependencySettings], *, modules: Collection[str]
) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """What their shape cannot say: where, what was found, what was expected."""
    for name, each in dependencies.items():
        if each.probe.module not in modules:
            yield (name, "probe", "module"), repr(each.probe.module), f"one of {', '.join(sorted(modules))}"
        for place, need in enumerate(each.needs):
            if need not in dependencies:
                yield (name, "needs", place), repr(need), "the name of a dependency"
            elif need in each.needs[:place]:
                yield (name, "needs", place), repr(need), "each name once"
        if parse(each.wait) > parse(each.wait_max):
            yield (name, "wait_max"), repr(each.wait_max), f"at least {each.wait}, which is wait"
    for way in cycles({name: each.needs for name, each in dependencies.items()}):
        yield (way[-2], "needs"), f"a cycle, {' → '.join(way)}", "no dependency that needs itself"


FORMATS = {"every": every_seconds, "wait": wait_seconds}
