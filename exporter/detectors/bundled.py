"""The detectors that come with Tocsin, by name: how each is made of what is set about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exporter.detectors import Detector
from exporter.detectors.brute_force_address import BruteForceAddress

# What is set is in the field of `DetectorsSettings` that has the same name.
DETECTORS: Mapping[str, Callable[[Any], Detector]] = {
    "brute_force_address": BruteForceAddress,
}
