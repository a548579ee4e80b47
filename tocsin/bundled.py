"""Where the configuration is that travels with the program: in the wheel, or in the repository beside it."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def folder() -> Path:
    """Holds prometheus/ and rules/, side by side."""
    in_wheel = _HERE / "bundled"
    return in_wheel if in_wheel.is_dir() else _HERE.parent
