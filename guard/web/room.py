"""Room for large bodies: how large each may be, and how much all of them may hold until they are answered."""

from collections.abc import Callable

from guard.judge import Refusal

CROWDED_SECONDS = 1


class Room:
    """`bytes_max` is for all bodies together; one alone is always let in. Belongs to one event loop."""

    def __init__(self, *, body_bytes_max: Callable[[], int], bytes_max: int, refused: Callable[[int], None]) -> None:
        """`refused` is told the status with which a body was refused before it was whole."""
        self._body_bytes_max = body_bytes_max
        self._bytes_max = bytes_max
        self.refused = refused
        self.taken = 0

    @property
    def body_bytes_max(self) -> int:
        return self._body_bytes_max()

    def take(self, size: int, *, before: int = 0) -> None:
        """`before` is what the same body has taken so far. Raises Refusal; then nothing was taken."""
        if self.taken > before and self.taken + size > self._bytes_max:
            text = "too many bodies arrive at once: send it again"
            raise Refusal(503, text, {"Retry-After": str(CROWDED_SECONDS)})
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


class Place:
    """What one body takes of a room until it is answered; where there is no room, nothing is counted."""

    def __init__(self, room: Room | None) -> None:
        self._room = room
        self._taken = 0

    def take(self, size: int) -> None:
        """Raises Refusal."""
        if self._room is not None:
            self._room.take(size, before=self._taken)
            self._taken += size

    def refused(self, status: int) -> None:
        if self._room is not None:
            self._room.refused(status)

    def leave(self) -> None:
        if self._room is not None:
            self._room.give_back(self._taken)
        self._taken = 0
