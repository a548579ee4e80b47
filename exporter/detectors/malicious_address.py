"""An address comes that is on a list of known malicious ones.

Addresses of machines of one's own are never found, though lists of what may not be seen on the internet contain them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.detectors import Held
from exporter.detectors.lists import Listed
from exporter.detectors.settings import MaliciousAddress as Settings
from exporter.event import Batch, Fields
from exporter.finding import Finding
from exporter.reputation.allowed import PRIVATE_PLACES, Allowed, Entry

KINDS = (
    *("auth", "mfa", "permission", "http_request", "api_call", "graphql_validation"),
    *("websocket_attempt", "connection_opened", "message_sent", "transaction"),
)


class MaliciousAddress:
    name = "malicious_address"
    held = Held()

    def __init__(self, settings: Settings, listed: Listed) -> None:
        self._settings = settings
        self._listed = listed
        self._private = Allowed([Entry(place, "") for place in PRIVATE_PLACES])
        # Without a list there is nothing to look for.
        self.asked: Mapping[str, Fields] = dict.fromkeys(KINDS, Fields(addresses=("ip",))) if settings.files else {}

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        addresses = [address for address in dict.fromkeys(batch.addresses("ip")) if address is not None]
        return [
            Finding(
                detector=self.name,
                severity=self._settings.severity,
                at=now,
                why=f"an address that is on the list {name} was seen",
                value=1,
                threshold=0,
                window_seconds=0,
                address=address,
            )
            for address, name in self._listed.found(addresses)
            if not self._private.meets(address)
        ]
