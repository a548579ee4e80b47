"""A button in a message about an incident: what it says when somebody presses it, and which act that is.

Whoever shows the button writes it, and the door by which the press comes back reads it. A button knows its journal, its
incident and the place where it was shown, so that a press on one of another Tocsin, or of another place, does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from receiver.entry import Acknowledged, Act, ResolvedByHand, Snoozed

ACKNOWLEDGE, SNOOZE, RESOLVE = "tocsin_acknowledge", "tocsin_snooze", "tocsin_resolve"
# Shown in this order.
SNOOZES: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "24h": timedelta(hours=24),
}
_VALUE = re.compile(r"(\S{1,100}) (\S{1,100}) (\S{1,100})")


class Button(NamedTuple):
    """What every button of one message has in common. `place`: such as the channel of a chat."""

    journal: str
    incident: str
    place: str

    @property
    def value(self) -> str:
        return " ".join(self)


class Pressed(NamedTuple):
    button: Button
    action: str
    duration: timedelta = timedelta()

    def act(self, *, by: str, via: str) -> Act:
        if self.action == ACKNOWLEDGE:
            return Acknowledged(self.button.incident, by, via)
        if self.action == RESOLVE:
            return ResolvedByHand(self.button.incident, by, via)
        return Snoozed(self.button.incident, by, self.duration, via)


def snooze_value(button: Button, duration: str) -> str:
    return f"{duration} {button.value}"


def read(action: str, value: str) -> Pressed | None:
    """None where it is no button of ours."""
    duration = timedelta()
    if action == SNOOZE:
        written, _, value = value.partition(" ")
        if written not in SNOOZES:
            return None
        duration = SNOOZES[written]
    elif action not in (ACKNOWLEDGE, RESOLVE):
        return None
    match = _VALUE.fullmatch(value)
    return None if match is None else Pressed(Button(match[1], match[2], match[3]), action, duration)
