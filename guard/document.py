"""YAML text into a plain document (mappings, lists, text, numbers, booleans, nothing) that knows its lines.

What YAML would settle silently is a problem here: a key said twice, a key that is not text, a tag that
makes an object. Dates and times of day stay text. Anchors, aliases and merge keys work, and are counted
where they are used, so that a small file cannot become a large document.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from guard.faults import Path, Problem
from guard.wording import describe, quote

NODES_MAX = 100_000
DEPTH_MAX = 64
INTEGER_MAX = 2**63 - 1

_TAG = "tag:yaml.org,2002:"
# YAML 1.1 reads 12:30 as a number of base 60, 2026-01-05 as a date, and a lone = as nothing it can build.
_WHOLE = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$")
_BROKEN = re.compile(r"([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|[-+]?\.[0-9_]+([eE][-+][0-9]+)?"
                     r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$")  # fmt: skip
_UNWANTED = {f"{_TAG}{name}" for name in ("int", "float", "timestamp", "value")}


class Unparsable(Exception):
    """The text is no YAML document that could be looked at any further."""

    def __init__(self, line: int, found: str, expected: str) -> None:
        super().__init__(f"line {line}: found {found}, expected {expected}")
        self.line, self.found, self.expected = line, found, expected


@dataclass(frozen=True, slots=True)
class Document:
    """A plain value, the line of each place in it, and what YAML would have kept to itself."""

    value: object
    lines: dict[Path, int]
    problems: tuple[Problem, ...]
    unreadable: frozenset[Path]

    def line(self, path: Path) -> int:
        """The line of a place, or of the nearest place around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def _reading(base: Any) -> Any:
    """A loader whose plain scalars are what people mean by them."""
    resolvers = {
        first: [(tag, regexp) for tag, regexp in known if tag not in _UNWANTED]
        for first, known in base.yaml_implicit_resolvers.items()
    }
    loader = type(f"Reading{base.__name__}", (base,), {"yaml_implicit_resolvers": resolvers})
    loader.add_implicit_resolver(f"{_TAG}int", _WHOLE, list("-+0123456789"))  # type: ignore[attr-defined]
    loader.add_implicit_resolver(f"{_TAG}float", _BROKEN, list("-+0123456789."))  # type: ignore[attr-defined]
    return loader


PLAIN_LOADER = _reading(yaml.SafeLoader)
LOADER = _reading(yaml.CSafeLoader) if yaml.__with_libyaml__ else PLAIN_LOADER


def parse(text: str, *, loader: Any = LOADER) -> Document:
    """The document of a YAML text; an empty text is a document that says nothing. Raises `Unparsable`."""
    last = max(1, len(text.splitlines()))
    try:
        text.encode()
        _measure(text, loader)
        root = yaml.compose(text, Loader=loader)
        return _Walk(last).document(root)
    except yaml.MarkedYAMLError as error:
        line = getattr(error.problem_mark or error.context_mark, "line", 0) + 1
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise _unparsable(line, last, what) from None
    except yaml.reader.ReaderError as error:
        raise _unparsable(_line_of_byte(text, error.position), last, "a control character") from None
    except UnicodeEncodeError as error:
        raise _unparsable(_line_of_byte(text, error.start), last, "half of a surrogate pair") from None


def _unparsable(line: int, last: int, what: str) -> Unparsable:
    return Unparsable(min(line, last), f"what YAML cannot read ({what})", "a YAML document")


def _line_of_byte(text: str, position: object) -> int:
    offset = position if isinstance(position, int) else 0
    return text.encode("utf-8", "surrogatepass")[:offset].count(b"\n") + 1


def _measure(text: str, loader: Any) -> None:
    """Refuses a text that is too deep or too long before anything recursive is given it."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        _hold(depth, nodes, getattr(event.start_mark, "line", 0) + 1)


def _hold(depth: int, nodes: int, line: int) -> None:
    if depth > DEPTH_MAX:
        raise Unparsable(line, f"more than {DEPTH_MAX} levels of nesting", f"at most {DEPTH_MAX}")
    if nodes > NODES_MAX:
        raise Unparsable(line, f"more than {NODES_MAX} values, aliases followed", f"at most {NODES_MAX}")


class _Walk:
    """One walk over the nodes of one text, gathering the value, its lines and its problems."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._lines: dict[Path, int] = {}
        self._problems: list[Problem] = []
        self._unreadable: set[Path] = set()
        self._nodes = 0

    def document(self, root: yaml.Node | None) -> Document:
        value = None if root is None else self._value(root, (), ())
        return Document(value, self._lines, tuple(self._problems), frozenset(self._unreadable))

    def _line(self, node: yaml.Node) -> int:
        return min(node.start_mark.line + 1, self._last)

    def _wrong(self, path: Path, found: str, expected: str) -> None:
        self._problems.append(Problem(path, found, expected))
        self._unreadable.add(path)

    def _value(self, node: yaml.Node, path: Path, around: tuple[int, ...]) -> object:
        line = self._line(node)
        self._nodes += 1
        _hold(len(around), self._nodes, line)
        self._lines.setdefault(path, line)
        if id(node) in around:
            raise Unparsable(line, "an alias inside of what it stands for", "a document with an end")
        inside = (*around, id(node))
        match node:
            case yaml.MappingNode(tag=tag) if tag == f"{_TAG}map":
                return self._mapping(node, path, inside)
            case yaml.SequenceNode(tag=tag) if tag == f"{_TAG}seq":
                return [self._value(item, (*path, at), inside) for at, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, path)
        self._wrong(path, f"the tag {_tag(node)}", "a plain value")
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path, inside: tuple[int, ...]) -> dict[str, object]:
        result: dict[str, object] = {}
        own = [(key, value) for key, value in node.value if key.tag != f"{_TAG}merge"]
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                self._merge(value, path, inside, result)
        said: dict[str, int] = {}
        for key_node, value_node in own:
            key = self._key(key_node, path)
            if key is None:
                continue
            here, line = (*path, key), self._line(key_node)
            self._lines[here] = line
            if key in said:
                twice = f"the key a second time (first on line {said[key]})"
                self._problems.append(Problem(here, twice, "each key once"))
            said.setdefault(key, line)
            result[key] = self._value(value_node, here, inside)
        return result

    def _merge(self, node: yaml.Node, path: Path, inside: tuple[int, ...], into: dict[str, object]) -> None:
        """`<<: *base` and `<<: [*first, *second]`: the earlier wins, and the mapping itself over both."""
        for base in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self._value(base, path, inside)
            if isinstance(value, dict):
                into.update((key, inner) for key, inner in value.items() if key not in into)
            else:
                self._wrong((*path, "<<"), describe(value), "a mapping to merge")

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        self._nodes += 1
        if isinstance(node, yaml.ScalarNode):
            key = self._scalar(node, (*path, node.value))
            if isinstance(key, str):
                return key
            found = f"a key that is {describe(key)}"
        else:
            found = "a key that is not a single word"
        here = (*path, node.value if isinstance(node, yaml.ScalarNode) else "?")
        self._lines[here] = self._line(node)
        if here not in self._unreadable:
            self._wrong(here, found, "a key that is text (put it in quotes)")
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        try:
            value = _build(node)
        except (ValueError, KeyError, IndexError):
            self._wrong(path, f"{quote(node.value)} with the tag {_tag(node)}", "a plain value")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._wrong(path, f"the number {node.value}", "a number that is finite")
        elif isinstance(value, int) and abs(value) > INTEGER_MAX:
            self._wrong(path, "a number with too many digits", f"a number of at most {INTEGER_MAX}")
        elif isinstance(value, str) and not _encodes(value):
            self._wrong(path, "half of a surrogate pair", "text")
        else:
            return value
        return None


def _build(node: yaml.ScalarNode) -> object:
    builder = SafeConstructor()
    match node.tag.removeprefix(_TAG):
        case "str":
            return str(node.value)
        case "null":
            return None
        case "bool":
            return builder.bool_values[node.value.lower()]
        case "int":
            return builder.construct_yaml_int(node)
        case "float":
            return builder.construct_yaml_float(node)
    raise ValueError(node.tag)


def _tag(node: yaml.Node) -> str:
    return quote(node.tag.replace(_TAG, "!!", 1))


def _encodes(text: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in text)
