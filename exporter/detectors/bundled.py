"""The detectors that come with Tocsin, by name: how each is made of what is set about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from exporter.detectors import Detector
from exporter.detectors.brute_force_address import BruteForceAddress
from exporter.detectors.brute_force_person import BruteForcePerson
from exporter.detectors.credential_stuffing import CredentialStuffing
from exporter.detectors.impossible_travel import ImpossibleTravel
from exporter.detectors.lists import Listed
from exporter.detectors.malicious_address import MaliciousAddress
from exporter.detectors.rates import RATES, rate
from exporter.detectors.regulars import Regulars
from exporter.detectors.rejections import graphql_bomb, websocket_flood


def bundled(listed: Listed) -> Mapping[str, Callable[[Any], Detector]]:
    """What is set is in the field of `DetectorsSettings` that has the same name."""
    regulars = Regulars()
    return {
        "brute_force_address": partial(BruteForceAddress, regulars=regulars),
        "brute_force_person": BruteForcePerson,
        "credential_stuffing": partial(CredentialStuffing, regulars=regulars),
        "graphql_bomb": graphql_bomb,
        "websocket_flood": websocket_flood,
        **{name: partial(rate, name) for name in RATES},
        "malicious_address": partial(MaliciousAddress, listed=listed),
        "impossible_travel": ImpossibleTravel,
    }
