"""What can be wrong with `detectors:` beyond its schema."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.detectors.settings import INTERVALS_MAX, INTERVALS_MIN, DetectorsSettings, Rate

# Where, what is there, what should be.
Wrong = tuple[tuple[str | int, ...], str, str]


def wrong(settings: DetectorsSettings) -> Iterator[Wrong]:
    for name in DetectorsSettings.__struct_fields__:
        chosen = getattr(settings, name)
        if isinstance(chosen, Rate):
            yield from _of_baseline((name,), chosen.baseline, chosen.baseline_seconds / chosen.window_seconds)


def _of_baseline(path: tuple[str | int, ...], baseline: str, windows: float) -> Iterator[Wrong]:
    if not INTERVALS_MIN <= windows <= INTERVALS_MAX:
        expected = f"from {INTERVALS_MIN} to {INTERVALS_MAX} windows"
        yield (*path, "baseline"), f"{baseline!r}, which is {windows:g} windows", expected
