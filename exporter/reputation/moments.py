"""How moments are written."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

# Seconds whose text is remembered: blocks of an attack begin and end together.
REMEMBERED_MAX = 4_096


def moment(at: float) -> str:
    """To the second."""
    return _written(int(at))


@lru_cache(maxsize=REMEMBERED_MAX)
def _written(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
