"""Durations in Prometheus' way of writing them; a flag takes the same words as a file."""

import re
from functools import lru_cache

# So many different ones are remembered: a setting is asked for its seconds with everything that is found.
REMEMBERED_MAX = 128
TIMEOUT_SECONDS_MIN = 0.1
TIMEOUT_SECONDS_MAX = 600.0
DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?!s))?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?")


@lru_cache(maxsize=REMEMBERED_MAX)
def parse(text: str) -> float:
    """Seconds; ValueError says what was found and what was expected."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"found {text!r}, expected a duration such as 8s, 1m30s or 500ms")
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def parse_timeout(text: str) -> float:
    """How long collectors may take."""
    total = parse(text)
    if not TIMEOUT_SECONDS_MIN <= total <= TIMEOUT_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected between 100ms and 10m")
    return total
