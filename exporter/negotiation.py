"""What the scraper says about its wishes: which format, compressed or not, how long it will wait.

Headers come from anybody, so nothing in them is an error: what cannot be read counts as not said.
"""

import math
from collections.abc import Iterator

from exporter.exposition import Format

ESCAPING_SCHEMES = ("allow-utf-8", "underscores")
# A scraper that gives up in less than the offset still gets something: half of what it grants.
SHORTEST_SHARE = 0.5
# Nothing can be collected in less, whatever a header claims.
SECONDS_MIN = 0.01


def choose_format(accept: str | None) -> tuple[Format, str]:
    """The format to write, and the Content-Type to send.

    The text format is the fallback of last resort: a scraper that cannot read it can read nothing we have,
    and a page with an honest Content-Type serves it better than a refusal.
    """
    best, best_quality, content_type = Format.TEXT, 0.0, Format.TEXT.value
    for media_type, parameters, quality in _ranges(accept or ""):
        form = _format_of(media_type, parameters.get("version"))
        if form is not None and quality > best_quality:
            best, best_quality = form, quality
            content_type = _content_type(form, parameters.get("escaping"))
    return best, content_type


def accepts_gzip(accept_encoding: str | None) -> bool:
    """A coding that is named outweighs the asterisk; a quality of zero is a refusal."""
    qualities = {coding: quality for coding, _, quality in _ranges(accept_encoding or "")}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


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


def _format_of(media_type: str, version: str | None) -> Format | None:
    match media_type:
        case "application/openmetrics-text" if version in (None, "1.0.0"):
            return Format.OPENMETRICS
        case "text/plain" if version in (None, "0.0.4"):
            return Format.TEXT
        case "text/*" | "*/*":
            return Format.TEXT
        case _:
            return None


def _content_type(form: Format, escaping: str | None) -> str:
    """Our names are plain ASCII, so both of these schemes leave them as they are."""
    media_type: str = form.value
    if form is Format.TEXT:
        return media_type
    return f"{media_type}; escaping={escaping if escaping in ESCAPING_SCHEMES else 'underscores'}"


def _ranges(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for part in header.split(","):
        value, *options = (piece.strip() for piece in part.split(";"))
        parameters = {}
        for option in options:
            key, _, content = option.partition("=")
            parameters[key.strip().lower()] = content.strip().strip('"').lower()
        yield value.lower(), parameters, _quality(parameters.get("q"))


def _quality(text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
