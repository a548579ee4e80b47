"""exporter.yml as a frozen value, and everything that can be wrong with it.

The file is optional: the exporter runs without one. A flag or an environment variable that says the same
thing outweighs the file.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from exporter.collectors import COLLECTORS
from guard.configfile import Kind, Problem

DEFAULT_TIMEOUT = "8s"
TIMEOUT_SECONDS_MIN = 0.1
TIMEOUT_SECONDS_MAX = 600.0
DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?!s))?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?")
DURATION_EXAMPLES = "a duration such as 8s, 1m30s or 500ms"


class CollectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collector."""

    enabled: Annotated[bool, msgspec.Meta(description="Whether the collector is asked at each scrape.")] = True


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    timeout: Annotated[
        str,
        msgspec.Meta(
            description="How long collectors may take when the scraper does not say how long it waits."
            " A scraper that waits longer does not get more.",
            examples=["8s", "1m30s", "500ms"],
        ),
    ] = DEFAULT_TIMEOUT
    collectors: Annotated[
        dict[str, CollectorSettings],
        msgspec.Meta(description="Collectors by name; one that is not named here is enabled."),
    ] = {}


def parse_timeout(text: str) -> float:
    """Seconds from Prometheus' way of writing durations; the flag takes the same words as the file."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"found {text!r}, expected {DURATION_EXAMPLES}")
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    if not TIMEOUT_SECONDS_MIN <= total <= TIMEOUT_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected between 100ms and 10m")
    return total


def is_enabled(settings: Settings, collector: str) -> bool:
    return settings.collectors.get(collector, CollectorSettings()).enabled


def problems(document: object) -> Iterable[Problem]:
    """What the shape of the file cannot say: which collectors exist, and how a duration is written."""
    if not isinstance(document, Mapping):
        return
    timeout = document.get("timeout", DEFAULT_TIMEOUT)
    if isinstance(timeout, str):
        try:
            parse_timeout(timeout)
        except ValueError as error:
            found, _, expected = str(error).removeprefix("found ").partition(", expected ")
            yield Problem(path=("timeout",), found=found, expected=expected)
    collectors = document.get("collectors")
    if isinstance(collectors, Mapping):
        known = [collector.name for collector in COLLECTORS]
        for name in collectors:
            if name not in known:
                expected = f"one of: {', '.join(known)}"
                yield Problem(path=("collectors", str(name)), found=repr(name), expected=expected)


KIND = Kind(
    name="exporter",
    struct=Settings,
    title="Configuration of the Tocsin exporter",
    file_names=("exporter.yml", "exporter.yaml"),
    check=problems,
)
