"""What templates do to values: Jinja's filters and our own, each of which pays for what it is given.

Work is counted, not timed, so that a template which is good on one day is good on every other. Everything that a filter
gives is there at once, and not too large.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from jinja2 import Undefined
from jinja2.filters import FILTERS
from markupsafe import Markup

from receiver.policy.duration import format_duration

WORK_MAX = 200_000
TEXT_CHARACTERS_MAX = 1_000_000
NUMBER_MAX = 10**15
INDENT_MAX = 40
DIGITS_MAX = 10
_CHARACTERS_A_UNIT = 64  # so much text is as much work as one step

_AS_IN_JINJA = (
    "capitalize", "count", "dictsort", "e", "escape", "first", "float", "int", "items", "last", "length", "list",
    "lower", "map", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title", "trim", "unique",
    "upper", "urlencode",
)  # fmt: skip
_OF_TEXTS = frozenset({"capitalize", "e", "escape", "lower", "title", "trim", "upper", "urlencode"})


class TooMuch(Exception):
    """More work, or more text, than a template may make."""


class NotAllowed(Exception):
    """A template did what it may not. The text names nothing that came with an alert."""


class Open(dict[str, Any]):
    """Names that are not known beforehand, such as labels: what is not there is nothing."""


class Budget:
    def __init__(self, work: int = WORK_MAX) -> None:
        self.left = work

    def charge(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise TooMuch("it takes too much work: loops in loops, or filters over everything")


BUDGET: ContextVar[Budget] = ContextVar("budget")


def filters() -> dict[str, Callable[..., Any]]:
    own: dict[str, Callable[..., Any]] = {
        "_concat": _concat,
        "_counted": _counted,
        "_get": _get,
        "_weighed": _weighed,
        "datetime": _datetime,
        "default": _default,
        "duration": _duration,
        "indent": _indent,
        "join": _join,
        "replace": _replace,
        "round": _round,
        "tojson": _tojson,
        "truncate": _truncate,
    }
    return {**{name: _of_texts(name) for name in _AS_IN_JINJA}, **own}


def filter_names() -> list[str]:
    return sorted(name for name in filters() if not name.startswith("_"))


def charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a filter is given is what it costs; what it gives is there at once, and not too large."""

    @functools.wraps(function)
    def paying(*given: Any, **named: Any) -> Any:
        BUDGET.get().charge(1 + sum(map(_size, given)))
        result = function(*given, **named)
        return list(result) if isinstance(result, Iterator) else bounded(result)

    return paying


def _of_texts(name: str) -> Callable[..., Any]:
    """Jinja's own; those that make a text of whatever it is are given none but texts."""
    function: Callable[..., Any] = FILTERS[name]
    if name not in _OF_TEXTS:
        return function

    @functools.wraps(function)
    def of_text(value: Any, *given: Any, **named: Any) -> Any:
        return function(shown(value), *given, **named)

    return of_text


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value) // _CHARACTERS_A_UNIT
    return len(value) if isinstance(value, (list, tuple, dict)) else 0


def bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS_MAX:
        raise TooMuch(f"it makes a text of more than {TEXT_CHARACTERS_MAX} characters")
    return value


def shown(value: Any) -> Any:
    """As it stands in a text: what is not there is nothing, a moment is one that people read."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _datetime(value)
    if not isinstance(value, (str, int, float, Undefined)):
        raise NotAllowed("a list or a mapping, which is no text (there are `join`, `items` and `tojson`)")
    return value


def _counted(value: Any, weight: int) -> list[Any]:
    members = list(value)
    BUDGET.get().charge(len(members) * weight)
    return members


def _weighed(value: Any) -> Any:
    """All that is in it, however deep, costs."""
    inside = [value]
    while inside:
        each = inside.pop()
        if isinstance(each, (list, tuple, dict)):
            BUDGET.get().charge(1 + len(each))
            inside += each.values() if isinstance(each, dict) else each
    return value


def _concat(parts: Sequence[Any]) -> Any:
    return _join(parts)


def _join(parts: Any, separator: str = "") -> Any:
    """What is HTML by the template stays so, and the rest of it becomes text in it."""
    texts = [shown(part) for part in parts]
    if sum(map(_size, texts)) * _CHARACTERS_A_UNIT + len(texts) * len(separator) > TEXT_CHARACTERS_MAX:
        raise TooMuch(f"it makes a text of more than {TEXT_CHARACTERS_MAX} characters")
    if any(isinstance(each, Markup) for each in (*texts, separator)):
        return Markup("").join(texts) if not separator else Markup.escape(separator).join(texts)
    return str(separator).join(map(str, texts))


def _get(named: Any, name: Any, otherwise: Any = "") -> Any:
    if not isinstance(named, dict):
        raise NotAllowed("`get` is for labels and annotations")
    return named.get(name, otherwise)


def _default(value: Any, otherwise: Any = "", _: Any = None) -> Any:
    """For what is empty as well: a label that is not there has the value "", and what nobody did has none."""
    return value if value or value == 0 else otherwise


def _datetime(at: Any, zone: str = "UTC", form: str = "") -> str:
    if not isinstance(at, datetime):
        return ""
    try:
        local = at.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise NotAllowed("`datetime` was given a time zone that there is not") from None
    if form:
        return local.strftime(form[:100])
    return f"{local:%Y-%m-%d %H:%M:%S}" + ("Z" if zone == "UTC" else f" {local:%Z}")


def _duration(value: Any) -> str:
    """Of so many seconds: `1h30m`."""
    if not isinstance(value, (int, float)):
        raise NotAllowed("`duration` is for a number of seconds")
    return format_duration(timedelta(seconds=int(value))) if 0 <= value <= NUMBER_MAX / 10**5 else ""


def _truncate(value: Any, characters: int = 255, end: str = "…") -> str:
    text = str(shown(value))
    return text if len(text) <= characters else text[: max(0, int(characters) - len(end))] + end


def _replace(value: Any, old: str, new: str) -> Any:
    text = str(shown(value))
    if (text.count(str(old)) + 1) * (len(str(new)) + 1) + len(text) > TEXT_CHARACTERS_MAX:
        raise TooMuch(f"it makes a text of more than {TEXT_CHARACTERS_MAX} characters")
    return text.replace(str(old), str(new))


def _indent(value: Any, width: int = 4) -> str:
    """Every line but the first."""
    return str(shown(value)).replace("\n", "\n" + " " * max(0, min(int(width), INDENT_MAX)))


def _round(value: Any, digits: int = 0) -> Any:
    if not isinstance(value, (int, float)):
        raise NotAllowed("`round` is for a number")
    rounded = round(value, max(0, min(int(digits), DIGITS_MAX)))
    return rounded if digits else int(rounded)


def _tojson(value: Any) -> str:
    return msgspec.json.encode(_weighed(value), enc_hook=_plain).decode()


def _plain(value: Any) -> str:
    """A label that is not there, and what is HTML by the template."""
    if isinstance(value, (Undefined, str)):
        return str(value)
    raise NotAllowed("`tojson` is for texts, numbers, lists and mappings")
