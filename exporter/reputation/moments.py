"""How moments are written."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: float) -> str:
    """To the second."""
    return f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%dT%H:%M:%SZ}"
