"""What can be set about a collector: `--collector.NAME.OPTION`, or OPTION with underscores in exporter.yml.

A collector names its options in `options`, and is given what was chosen, checked already. Nothing here knows flags,
files or where the texts come from.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from exporter import duration

# What a filter remembers of the names it has seen.
FILTER_NAMES_MAX = 4096
COUNT_MAX = 999_999_999
SECONDS_MAX = 3600.0


class Kind(StrEnum):
    """How the text of an option is read."""

    PATTERN = "pattern"
    TEXT = "text"
    COUNT = "count"
    SWITCH = "switch"
    DURATION = "duration"


class Option(msgspec.Struct, frozen=True):
    """`name` has hyphens, as in the flag. An empty pattern matches nothing; a switch is `true` or `false`.

    A text that is `several` has commas between; its flag may be given several times.
    """

    name: str
    kind: Kind
    default: str
    help: str
    several: bool = False


class Chosen:
    """The options of one collector, each with what was said or its default. A text that is wrong is a ValueError."""

    def __init__(self, options: Sequence[Option], said: Mapping[str, str] | None = None) -> None:
        texts = {option.name: (said or {}).get(option.name, option.default) for option in options}
        for option in options:
            if _is_outdone(option, texts, {each.name: each.default for each in options}):
                texts[option.name] = ""
        self._values = {option.name: parse(option.kind, texts[option.name]) for option in options}

    def pattern(self, name: str) -> re.Pattern[str] | None:
        value = self._values[name]
        assert value is None or isinstance(value, re.Pattern)
        return value

    def text(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str)
        return value

    def count(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def on(self, name: str) -> bool:
        value = self._values[name]
        assert isinstance(value, bool)
        return value

    def seconds(self, name: str) -> float:
        value = self._values[name]
        assert isinstance(value, float)
        return value


def _is_outdone(option: Option, texts: Mapping[str, str], defaults: Mapping[str, str]) -> bool:
    """Who says what is kept means that, and not what is left out by default: as in node_exporter."""
    include = f"{option.name.removesuffix('-exclude')}-include"
    return texts[option.name] == option.default and defaults.get(include) == "" != texts[include]


def parse(kind: Kind, text: str) -> re.Pattern[str] | str | float | bool | None:
    """What the text means; ValueError says what was found and what was expected."""
    match kind:
        case Kind.PATTERN:
            if not text:
                return None
            try:
                with warnings.catch_warnings():
                    # [[:alpha:]], which other programs know, would mean something else here.
                    warnings.simplefilter("error", FutureWarning)
                    return re.compile(text)
            except (re.error, OverflowError, RecursionError, FutureWarning) as error:
                raise ValueError(f"found {text!r}, expected a regular expression ({error})") from None
        case Kind.TEXT:
            return text
        case Kind.COUNT:
            if not (text.isascii() and text.isdigit()) or len(text) > len(str(COUNT_MAX)):
                raise ValueError(f"found {text!r}, expected a whole number, from 0 to {COUNT_MAX}")
            return int(text)
        case Kind.SWITCH:
            if text not in ("true", "false"):
                raise ValueError(f"found {text!r}, expected true or false")
            return text == "true"
        case Kind.DURATION:
            seconds = duration.parse(text)
            if not 0 < seconds <= SECONDS_MAX:
                raise ValueError(f"found {text!r}, expected more than 0 and at most 1h")
            return seconds


class Filter:
    """node_exporter's pair of patterns: what matches `exclude` is left out, and only what matches `include` is kept."""

    def __init__(
        self,
        *,
        include: re.Pattern[str] | None,
        exclude: re.Pattern[str] | None,
        matching: Callable[[re.Pattern[str], str], object] = re.Pattern.search,
    ) -> None:
        self._include = include
        self._exclude = exclude
        self._matching = matching
        self._known: dict[str, bool] = {}

    def keeps(self, name: str) -> bool:
        """Remembered, as the same few names come back at every scrape; bounded, as names come and go."""
        known = self._known.get(name)
        if known is None:
            excluded = self._exclude is not None and self._matching(self._exclude, name) is not None
            included = self._include is None or self._matching(self._include, name) is not None
            known = included and not excluded
            if len(self._known) >= FILTER_NAMES_MAX:
                self._known.clear()
            self._known[name] = known
        return known
