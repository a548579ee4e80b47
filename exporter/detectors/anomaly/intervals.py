"""Time as intervals of equal length, made up from whatever moments somebody comes with."""

from __future__ import annotations

# Where more have passed unseen, the machine has slept or its clock was set: what was usual before says nothing.
UNSEEN_INTERVALS_MAX = 60


class Intervals:
    """They begin with the first moment that is seen, so that none of them is cut short."""

    __slots__ = ("_begun", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._begun: float | None = None

    def turn(self, now: float) -> int | None:
        """How many are over since the last time. None: all begins anew, now."""
        begun = self._begun
        if begun is None:
            self._begun = now
            return None
        over = int((now - begun) // self.seconds)
        if over == -1:
            # Who comes late has asked for the time before somebody else did.
            return 0
        if not 0 <= over <= UNSEEN_INTERVALS_MAX:
            self._begun = now
            return None
        self._begun = begun + over * self.seconds
        return over
