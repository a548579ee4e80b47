"""Which mapping of a statsd_exporter file a name has, and what its lines become then. Pure.

Globs come first, then expressions. Among globs the first one of the file wins, or with `glob_disable_ordering` the one
that says most at the first place where they differ. What is found is remembered by who asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from exporter.intake.statsd.lines import Reason, Wrong
from exporter.intake.statsd.wanted import HELP, Wanted
from exporter.mapping.pattern import legal, varying
from exporter.mapping.rule import TTL_SECONDS, Type

# What is tried again and again takes long for long names: expressions look at no longer ones.
MATCHED_CHARACTERS_MAX = 120
WILDCARD = "*"
# Names of groups of characters that Go's expressions know and Python's do not.
_POSIX = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:word:]": r"\w",
    "[:space:]": r"\s",
    "[:xdigit:]": "0-9a-fA-F",
}
_GLOB_REFERENCE = re.compile(r"\$(?:(\d+)|\{(\d+)\})")
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")


Observer = Literal["histogram", "summary"]


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """One mapping, with the file's defaults filled in. `scale` is None where there is none."""

    match: str
    match_type: Literal["glob", "regex"]
    name: str
    labels: tuple[tuple[str, str], ...]
    drops: bool
    # counter, gauge or observer; empty: each.
    of_class: str
    help: str
    # What timers, histograms and distributions become.
    observer: Observer
    buckets: tuple[float, ...]
    quantiles: tuple[float, ...]
    ttl_seconds: float | None
    scale: float
    honor_labels: bool


class Mapper:
    """`choose` is what `Counting` asks."""

    def __init__(
        self,
        mappings: Sequence[Mapped],
        *,
        ordered: bool = True,
        observer: Observer = "histogram",
        buckets: tuple[float, ...] = (),
        quantiles: tuple[float, ...] = (),
        ttl_seconds: float | None = TTL_SECONDS,
    ) -> None:
        """`observer` and what follows are for names that no mapping has."""
        self._observer: Observer = observer
        self._quantiles = quantiles
        self._buckets = buckets
        self._ttl_seconds = ttl_seconds
        self._ordered = ordered
        # By the number of parts, and the first part where that is no wildcard.
        self._globs: dict[tuple[int, str], list[tuple[int, tuple[str, ...], Mapped]]] = {}
        self._expressions: list[tuple[re.Pattern[str], Mapped]] = []
        for place, mapping in enumerate(mappings):
            if mapping.match_type == "regex":
                self._expressions.append((expression(mapping.match), mapping))
            else:
                parts = tuple(mapping.match.split("."))
                self._globs.setdefault((len(parts), parts[0]), []).append((place, parts, mapping))

    def choose(self, name: str, kind: str) -> Wanted | None:
        """Raises `Wrong` where the mapping makes an empty name of it."""
        found = self._glob(name, kind) or self._expression(name, kind)
        if found is None:
            return Wanted(
                name,
                _type_of(kind, self._observer),
                buckets=self._buckets,
                quantiles=self._quantiles,
                ttl_seconds=self._ttl_seconds,
            )
        mapping, fill = found
        if mapping.drops:
            return None
        made = fill(mapping.name)
        if not made:
            raise Wrong(Reason.MALFORMED)
        return Wanted(
            made,
            _type_of(kind, mapping.observer),
            labels=tuple((label, fill(value)) for label, value in mapping.labels),
            help=mapping.help,
            buckets=mapping.buckets,
            quantiles=mapping.quantiles,
            ttl_seconds=mapping.ttl_seconds,
            scale=mapping.scale,
            honor_labels=mapping.honor_labels,
        )

    def _glob(self, name: str, kind: str) -> tuple[Mapped, Callable[[str], str]] | None:
        parts = name.split(".")
        fitting = [
            (place, pattern, mapping)
            for first in (parts[0], WILDCARD)
            for place, pattern, mapping in self._globs.get((len(parts), first), ())
            if mapping.of_class in ("", kind)
            and all(one in (WILDCARD, other) for one, other in zip(pattern, parts, strict=True))
        ]
        if not fitting:
            return None
        if self._ordered:
            _, pattern, mapping = min(fitting, key=lambda each: each[0])
        else:
            _, pattern, mapping = min(fitting, key=lambda each: ([part == WILDCARD for part in each[1]], each[0]))
        captures = [part for one, part in zip(pattern, parts, strict=True) if one == WILDCARD]

        def capture(match: re.Match[str]) -> str:
            number = int(match[1] or match[2])
            return captures[number - 1] if 0 < number <= len(captures) else ""

        return mapping, lambda template: _GLOB_REFERENCE.sub(capture, template)

    def _expression(self, name: str, kind: str) -> tuple[Mapped, Callable[[str], str]] | None:
        if len(name) > MATCHED_CHARACTERS_MAX:
            return None
        for pattern, mapping in self._expressions:
            if mapping.of_class in ("", kind) and (found := pattern.search(name)):
                groups = {**{str(number): found[number] for number in range(found.re.groups + 1)}, **found.groupdict()}
                return mapping, _filler(groups)
        return None


_TYPES: Mapping[str, Type] = {"counter": "counter", "gauge": "gauge"}


def _type_of(kind: str, observer: Observer) -> Type:
    return _TYPES.get(kind, observer)


def _filler(groups: Mapping[str, str | None]) -> Callable[[str], str]:
    """As Go fills in: `$1x` is the group that is called 1x, and what there is none of is empty."""

    def fill(match: re.Match[str]) -> str:
        return "$" if match[1] else groups.get(match[2] or match[3]) or ""

    return lambda template: _REFERENCE.sub(fill, template)


def expression(text: str) -> re.Pattern[str]:
    """ValueError says what was expected."""
    for name, characters in _POSIX.items():
        text = text.replace(name, characters)
    if "[:" in text:
        raise ValueError("classes of characters such as [:alnum:]")
    pattern = legal(text.replace(r"\z", r"\Z"))
    # Go's expressions never try again, so there it is harmless.
    varying(text)
    return pattern


def help_or(text: str) -> str:
    return text or HELP
