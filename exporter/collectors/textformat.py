"""Reads what others have written in the text format 0.0.4: descriptions and samples, line by line.

A text is right as a whole or wrong as a whole: the first line that is wrong ends the reading with an error that
names it. Nothing here knows where the text comes from, or what of it can be shown.
"""

import re
from math import inf, isinf

import msgspec

from exporter.collectors.files import Malformed
from exporter.escaping import LABEL_NAME, METRIC_NAME, is_legal
from exporter.family import RESERVED_SUFFIXES
from exporter.points import Bucket, Histogram, InvalidFamily, Summary, Value

# A name in quotes can have characters beyond ASCII. The parts exclude each other, so a long line costs its length once.
QUOTED = r'"((?:[^"\\]++|\\.)*+)"'
QUOTED_NAME = re.compile(QUOTED)
# What stands between braces: a label and its value, or the name of the metric in quotes; and what follows it.
ITEM = re.compile(rf'[ \t]*+(?:{QUOTED}|([^ \t="{{}},]*+))[ \t]*+(?:=[ \t]*+{QUOTED}[ \t]*+)?([,}}])')
ESCAPE = re.compile(r"\\(.?)")
ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
NO_TYPE = "untyped"
# What a histogram or a summary has besides its own name, and the label that tells its own samples apart.
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
STEP_LABEL = {"histogram": "le", "summary": "quantile"}
DIGITS_MAX = 15

# Label names and values, by name. An empty value says the same as no label, so it is not kept.
Labels = tuple[tuple[str, str], ...]


class Parts(msgspec.Struct):
    """One histogram or summary; `steps` has counts by upper bound, or values by quantile."""

    steps: dict[float, float]
    sum: float | None = None
    count: float | None = None


class Described(msgspec.Struct):
    """A family as the text has it."""

    name: str
    type: str | None = None
    help: str | None = None
    values: dict[Labels, Value] = {}


class Text(msgspec.Struct, frozen=True):
    """All families that have samples, and how many samples there are, each part of a histogram by itself."""

    families: tuple[Described, ...]
    samples: int


class Wrong(Exception):
    """What was expected instead of a line; the line itself is known to who reads it."""


class Reader:
    """Families by name, in the order in which the text names them first."""

    def __init__(self, *, samples_max: int) -> None:
        self.families: dict[str, Described] = {}
        self.samples = 0
        self._parts: dict[str, dict[Labels, Parts]] = {}
        self._samples_max = samples_max

    def whole(self, where: str) -> Text:
        """Everything that was read, once there is no more."""
        for name, parts in self._parts.items():
            family = self.families[name]
            make = histogram if family.type == "histogram" else summary
            for labels, each in parts.items():
                try:
                    family.values[labels] = make(each)
                except (Wrong, InvalidFamily) as error:
                    raise Malformed(where, found=name, expected=f"a whole {family.type}: {error}") from None
        return Text(tuple(family for family in self.families.values() if family.values), self.samples)

    def line(self, line: str) -> None:
        if line.startswith("#"):
            self._comment(line)
        elif line:
            self._sample(line)

    def _comment(self, line: str) -> None:
        keyword, *more = line[1:].split(maxsplit=1)[:2] or [""]
        if keyword not in ("HELP", "TYPE") or not more:
            return
        name, rest = name_and_rest(more[0])
        family = self._family(name)
        if keyword == "HELP":
            if family.help is not None:
                raise Wrong(f"one HELP of {name}")
            family.help = unescaped(rest)
        elif rest:
            if family.type is not None:
                raise Wrong(f"one TYPE of {name}, before its samples")
            family.type = rest.lower()
            if family.type not in TYPES:
                raise Wrong(f"one of the types {', '.join(TYPES)}")

    def _sample(self, line: str) -> None:
        brace = line.find("{")
        labels: dict[str, str] = {}
        if brace >= 0:
            quoted, end = read_labels(line, brace + 1, labels)
            bare, words = line[:brace].rstrip(), line[end:].split()
        else:
            quoted = ""
            bare, *words = line.split()
        if len(words) != 1:
            raise Wrong("a name, labels in braces, and one number; no time stamp")
        self.samples += 1
        if self.samples > self._samples_max:
            raise Wrong(f"at most {self._samples_max} samples")
        value = number(words[0])
        if bare if quoted else not METRIC_NAME.fullmatch(bare):
            raise Wrong("a metric name, in quotes and between the braces if it is not of ASCII's letters and digits")
        family, part = self._owner(quoted or bare)
        if family.type in SUFFIXES:
            self._compose(family, part, labels, value)
        else:
            key = labels_of(labels)
            if key in family.values:
                raise Wrong("each series once")
            family.values[key] = value

    def _owner(self, name: str) -> tuple[Described, str]:
        """The family that a sample belongs to, and which part of a histogram or a summary it is."""
        family = self.families.get(name)
        if family is None:
            for part in ("_bucket", "_sum", "_count"):
                stem = self.families.get(name.removesuffix(part)) if name.endswith(part) else None
                if stem is not None and part in SUFFIXES.get(stem.type or "", ()):
                    return stem, part
            family = self._family(name)
        if family.type is None:
            family.type = NO_TYPE
        return family, ""

    def _compose(self, family: Described, part: str, labels: dict[str, str], value: float) -> None:
        if family.name.endswith(RESERVED_SUFFIXES):
            raise Wrong(f"a name of a {family.type} without the ending of a part")
        step_label = STEP_LABEL[family.type or ""]
        step = labels.pop(step_label, None)
        has_step = part == ("_bucket" if family.type == "histogram" else "")
        if (step is None) is has_step or (family.type == "histogram" and not part):
            raise Wrong(f"the parts of a {family.type}, with the label {step_label} where it belongs")
        parts = self._parts.setdefault(family.name, {}).setdefault(labels_of(labels), Parts({}))
        if step is not None:
            bound = number(step)
            if bound in parts.steps:
                raise Wrong("each series once")
            parts.steps[bound] = value
        elif part == "_sum" and parts.sum is None:
            parts.sum = value
        elif part == "_count" and parts.count is None:
            parts.count = value
        else:
            raise Wrong("each series once")

    def _family(self, name: str) -> Described:
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Described(name)
        return family


def read(content: bytes, *, where: str, samples_max: int) -> Text:
    """What the text says. One that does not end with its line is not whole yet."""
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        at = content.count(b"\n", 0, error.start) + 1
        found = content[error.start : error.start + 20]
        raise Malformed(f"{where}, line {at}", found=found, expected="UTF-8") from None
    if lines[-1].strip():
        raise Malformed(f"{where}, line {len(lines)}", found=lines[-1], expected="a line break after the last line")
    reader = Reader(samples_max=samples_max)
    for index, line in enumerate(lines, 1):
        try:
            reader.line(line.strip())
        except Wrong as wrong:
            raise Malformed(f"{where}, line {index}", found=line, expected=str(wrong)) from None
    return reader.whole(where)


def histogram(parts: Parts) -> Histogram:
    """The bucket without a bound may be missing, or the count: each says the same as the other."""
    steps = dict(sorted(parts.steps.items()))
    count = parts.count if parts.count is not None else steps.get(inf)
    if count is None or parts.sum is None or steps.setdefault(inf, count) != count:
        raise Wrong("its sum, and its count as in the bucket +Inf")
    return Histogram(tuple(Bucket(bound, number) for bound, number in steps.items()), parts.sum)


def summary(parts: Parts) -> Summary:
    if parts.count is None or parts.sum is None:
        raise Wrong("its sum and its count")
    return Summary(parts.count, parts.sum, tuple(sorted(parts.steps.items())))


def read_labels(line: str, position: int, labels: dict[str, str]) -> tuple[str, int]:
    """Fills `labels` from what follows the opening brace; the metric's name, if it is in there, and where it ends."""
    metric = ""
    while True:
        match = ITEM.match(line, position)
        if match is None:
            raise Wrong('labels such as {name="value"}')
        quoted, bare, value, after = match.groups()
        position = match.end()
        if value is None:
            # No labels at all, or a comma after the last one; or the name of the metric, which comes first.
            if quoted is not None and not metric and not labels:
                metric = quoted_name(quoted)
            elif bare or quoted is not None or after != "}":
                raise Wrong('labels such as {name="value"}')
        else:
            name = bare if quoted is None else quoted_name(quoted)
            if name.startswith("__") or (quoted is None and not LABEL_NAME.fullmatch(name)):
                raise Wrong(f"a label name instead of {name!r}")
            if name in labels:
                raise Wrong(f"the label {name} once")
            labels[name] = unescaped(value) if "\\" in value else value
        if after == "}":
            return metric, position


def name_and_rest(text: str) -> tuple[str, str]:
    """The metric's name at the beginning, perhaps in quotes, and what comes after it."""
    match = QUOTED_NAME.match(text)
    if match is not None:
        return quoted_name(match[1]), text[match.end() :].lstrip()
    name = text.replace("\t", " ").partition(" ")[0]
    if not METRIC_NAME.fullmatch(name):
        raise Wrong("a metric name")
    return name, text[len(name) :].lstrip()


def quoted_name(text: str) -> str:
    name = unescaped(text)
    if not is_legal(name):
        raise Wrong("a name of printable characters")
    return name


def labels_of(labels: dict[str, str]) -> Labels:
    return tuple(sorted(item for item in labels.items() if item[1]))


def unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[1] not in ESCAPED:
            raise Wrong(f'\\\\, \\n or \\" instead of {match[0]}')
        return ESCAPED[match[1]]

    return ESCAPE.sub(character, text)


def number(word: str) -> float:
    """A number in Go's way of writing it; a whole one stays whole."""
    if word.isdecimal() and word.isascii() and len(word) <= DIGITS_MAX:
        return int(word)
    try:
        value = float(word)
    except ValueError:
        raise Wrong(f"a number instead of {word!r}") from None
    # Python would also take 1_000, digits of other scripts, and what is too large for a number.
    if "_" in word or not word.isascii() or (isinf(value) and "inf" not in word.lower()):
        raise Wrong(f"a number instead of {word!r}")
    return value
