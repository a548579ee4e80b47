"""Families into the bytes of a page, in the text format or in OpenMetrics.

The body is always whole before the first byte is sent, because half an exposition is invalid. Labels keep
the order in which the family names them, so a series is the same bytes at every scrape and Prometheus finds
it in its cache. Nothing here knows HTTP or where the families come from.
"""

from collections.abc import Iterable, Iterator
from enum import Enum

from exporter.compound import Compound
from exporter.escaping import Escaping, escaped, metric
from exporter.family import Family, Shape, Type, rewritten
from exporter.layout import PIECE_SERIES, encoded, plain_lines


class Format(Enum):
    """The value is the media type that the answer carries, but for the escaping."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    TEXT_1_0_0 = "text/plain; version=1.0.0; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    OPENMETRICS_0_0_1 = "application/openmetrics-text; version=0.0.1; charset=utf-8"

    @property
    def is_text(self) -> bool:
        return self in (Format.TEXT, Format.TEXT_1_0_0)

    @property
    def escapes(self) -> bool:
        """Whether a scraper of this format can choose how names beyond ASCII are written."""
        return self in (Format.TEXT_1_0_0, Format.OPENMETRICS)


# The text format has no word for these.
TEXT_TYPES: dict[Type, str] = {"unknown": "untyped", "info": "gauge", "stateset": "gauge"}
# Units that OpenMetrics names, where the name of a family ends in one.
UNITS = (
    "amperes", "bytes", "celsius", "grams", "hertz", "joules", "meters", "ratio", "seconds", "volts", "watts",
)  # fmt: skip


def render(families: Iterable[Family], form: Format, escaping: Escaping = Escaping.UNDERSCORES) -> bytes:
    return b"".join(page(families, form, escaping))


def page(families: Iterable[Family], form: Format, escaping: Escaping = Escaping.UNDERSCORES) -> Iterator[bytes]:
    """The parts of the page, none of them large, so that it can be compressed while it is being written."""
    is_text = form.is_text
    for family in families:
        lines = family.lines
        if lines == b"":
            continue
        shape = family.shape
        if shape.utf8 and escaping is not Escaping.ALLOW_UTF8:
            family = Family(rewritten(shape, escaping), family.samples)  # noqa: PLW2901
            shape, lines = family.shape, family.lines
        yield shape.heads.get(is_text) or head(shape, is_text=is_text)
        if lines is not None:
            yield lines
        elif family.written is None:
            yield from laborious(family, is_text=is_text)
        else:
            yield family.written.get(is_text) or kept(family, family.written, is_text=is_text)
    if not is_text:
        yield b"# EOF\n"


def head(shape: Shape, *, is_text: bool) -> bytes:
    """Heads never change from scrape to scrape."""
    if is_text:
        name, line = metric(shape.name), shape.help.replace("\\", r"\\").replace("\n", r"\n")
        text = f"# HELP {name} {line}\n# TYPE {name} {TEXT_TYPES.get(shape.type, shape.type)}\n"
    else:
        name, unit = metric(shape.base_name), unit_of(shape)
        unit_line = f"# UNIT {name} {unit}\n" if unit else ""
        text = f"# TYPE {name} {shape.type}\n{unit_line}# HELP {name} {escaped(shape.help)}\n"
    found = shape.heads[is_text] = encoded(text)
    return found


def unit_of(shape: Shape) -> str:
    """The unit in which the family says it counts; an info and a stateset count nothing."""
    rest, _, unit = shape.base_name.rpartition("_")
    return unit if rest and unit in UNITS and shape.type not in ("info", "stateset") else ""


def kept(family: Family, written: dict[bool, bytes], *, is_text: bool) -> bytes:
    found = written[is_text] = b"".join(laborious(family, is_text=is_text))
    return found


def laborious(family: Family, *, is_text: bool) -> Iterator[bytes]:
    """The lines of a family that is very large, or whose values are more than numbers."""
    shape = family.shape
    compound = Compound(shape, is_text=is_text)
    for start in range(0, len(family.samples), PIECE_SERIES):
        piece = family.samples[start : start + PIECE_SERIES]
        try:
            yield encoded(plain_lines(shape.name, shape.labels, piece))  # type: ignore[arg-type]
        except TypeError:
            yield encoded(compound.lines(piece))
