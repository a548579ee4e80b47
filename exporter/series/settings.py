"""`series:` in exporter.yml."""

from typing import Annotated

import msgspec
from msgspec import Meta

from exporter import duration

ZERO_FIRST_SECONDS_MAX = 3_600.0


class SeriesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is set about the series of applications."""

    zero_first: Annotated[
        str,
        Meta(
            description="For how long a new counter, histogram or summary is shown as 0 before its value, so that its"
            " first increase is seen. A little more than the scrape interval; 0s is off.",
            examples=["0s", "30s", "1m10s"],
            extra_json_schema={"format": "zero_first"},
        ),
    ] = "0s"


def zero_first_seconds(text: str) -> float:
    """ValueError says what was found and what was expected."""
    found = duration.parse(text)
    if found > ZERO_FIRST_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected at most 1h")
    return found
