"""How moments are written."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

# Seconds whose text is remembered: blocks of an attack begin and end together.
REMEMBERED_MAX = 4_096
# In seconds since 1970, and one that can be written; what comes from elsewhere may be anything.
Moment = Annotated[float, Meta(ge=0, le=1e11)]


def moment(at: float) -> str:
    """To the second."""
    return _written(int(at))


@lru_cache(maxsize=REMEMBERED_MAX)
def _written(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
