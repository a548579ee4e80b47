"""What the scraper says about its wishes: which format, compressed or not, which collectors, how long it will wait.

Headers come from anybody, so nothing in them is an error: what cannot be read counts as not said. Only a collector that
is asked for by name and is not there is refused, as a page without it would look as if all were well.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from exporter.escaping import Escaping
from exporter.exposition import Format

# A scraper that gives up in less than the offset still gets something: half of what it grants.
SHORTEST_SHARE = 0.5
# Nothing can be collected in less, whatever a header claims.
SECONDS_MIN = 0.01
# Further ranges of one header are not looked at.
RANGES_MAX = 64
# Commas and semicolons between quotes separate nothing.
LISTED = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
OPTION = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*"?)+')


class Offer(NamedTuple):
    form: Format
    media_type: str
    version: str


# What the ranges of a header are compared with. Where nothing decides, the first one is sent.
OFFERS = (
    Offer(Format.TEXT, "text/plain", "0.0.4"),
    Offer(Format.OPENMETRICS, "application/openmetrics-text", "1.0.0"),
    Offer(Format.OPENMETRICS_0_0_1, "application/openmetrics-text", "0.0.1"),
    Offer(Format.TEXT_1_0_0, "text/plain", "1.0.0"),
)
# Who does not ask for a version gets these.
DEFAULTS = (Format.TEXT, Format.OPENMETRICS)
ESCAPINGS = {scheme.value: scheme for scheme in Escaping}


class WrongSelection(ValueError):
    """`collect[]` or `exclude[]` that cannot be followed; the message says why."""


class Wishes(NamedTuple):
    """One scrape as it was asked for. `only` names the collectors; None is all of them."""

    seconds: float
    form: Format = Format.TEXT
    escaping: Escaping = Escaping.UNDERSCORES
    gzip: bool = False
    only: tuple[str, ...] | None = None

    @property
    def content_type(self) -> str:
        """What is sent; the scheme only where the scraper can choose one."""
        media_type: str = self.form.value
        return f"{media_type}; escaping={self.escaping}" if self.form.escapes else media_type


class Range(NamedTuple):
    """One part of a header: `text/plain; version=0.0.4; q=0.5`."""

    value: str
    parameters: dict[str, str]
    quality: float


# Each Prometheus sends one and the same header for ever.
@lru_cache(maxsize=64)
def choose_format(accept: str | None) -> tuple[Format, Escaping]:
    """What to write, and by which scheme.

    The text format is the fallback of last resort: a scraper that cannot read it can read nothing we have,
    and a page with an honest Content-Type serves it better than a refusal.
    """
    ranges = list(_ranges(accept or "*/*"))
    # The highest quality; then what stands first in the header; then what stands first among our offers.
    best, best_rank = (Format.TEXT, Escaping.UNDERSCORES), (0.0, 1)
    for offer in OFFERS:
        closeness, quality, position = max(
            ((_closeness(each, offer), each.quality, -at) for at, each in enumerate(ranges)), default=(0, 0.0, 0)
        )
        if closeness and quality > 0 and (quality, position) > best_rank:
            best_rank = (quality, position)
            best = (offer.form, _escaping(offer.form, ranges[-position]))
    return best


def _closeness(asked: Range, offer: Offer) -> int:
    """How specifically the range speaks of this offer; the closest one decides, whatever wider ones say."""
    version = asked.parameters.get("version")
    if (asked.value, version) == (offer.media_type, offer.version):
        return 4
    if version is not None or offer.form not in DEFAULTS:
        return 0
    major = offer.media_type.partition("/")[0]
    return {offer.media_type: 3, f"{major}/*": 2, "*/*": 1}.get(asked.value, 0)


def _escaping(form: Format, asked: Range) -> Escaping:
    scheme = ESCAPINGS.get(asked.parameters.get("escaping", ""), Escaping.UNDERSCORES)
    return scheme if form.escapes else Escaping.UNDERSCORES


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str | None) -> bool:
    """A coding that is named outweighs the asterisk; a quality of zero is a refusal."""
    if not accept_encoding:
        return False
    qualities = {each.value.removeprefix("x-"): each.quality for each in _ranges(accept_encoding)}
    plain = qualities.get("identity")
    # Without compression is acceptable to everybody who does not say that it is not.
    squeezed = qualities.get("gzip", qualities.get("*", 1.0 if plain == 0 else 0.0))
    return squeezed > 0 and squeezed >= (plain or 0.0)


def choose_collectors(
    collect: Sequence[str], exclude: Sequence[str], *, there: Sequence[str]
) -> tuple[str, ...] | None:
    """node_exporter's `collect[]` and `exclude[]`, as names in the order in which they are there; None is all."""
    if collect and exclude:
        raise WrongSelection("collect[] and exclude[] cannot be used together")
    named = (*collect, *exclude)
    for name in named:
        if name not in there:
            raise WrongSelection(f"no collector {name[:80]!r} is enabled here; these are: {', '.join(there)}")
    chosen = tuple(name for name in there if (name in named) == bool(collect))
    return None if len(chosen) == len(there) else chosen


def scrape_seconds(header: str | None, *, offset: float, longest: float) -> float:
    """How long collecting may take: the scraper's own timeout less the time for the way back."""
    try:
        granted = float(header) if header is not None else math.inf
    except ValueError:
        granted = math.inf
    # NaN compares as neither, so it is turned away together with zero and what is negative.
    if not granted > 0:
        granted = math.inf
    return min(longest, max(granted - offset, granted * SHORTEST_SHARE, SECONDS_MIN))


def _ranges(header: str) -> Iterator[Range]:
    for count, listed in enumerate(LISTED.finditer(header)):
        if count == RANGES_MAX:
            return
        value, *options = [piece.strip() for piece in OPTION.findall(listed.group())] or [""]
        parameters = {}
        for option in options:
            key, _, content = option.partition("=")
            parameters[key.strip().lower()] = content.strip().strip('"').lower()
        yield Range(value.lower(), parameters, _quality(parameters.get("q")))


def _quality(text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
