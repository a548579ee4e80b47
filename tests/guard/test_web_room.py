"""Large bodies: no more of them at once than there is room for."""

from __future__ import annotations

import pytest

from guard.judge import Refusal
from guard.web.room import Place, Room


def test_what_does_not_fit_is_refused_and_what_left_makes_room() -> None:
    room = Room(body_bytes_max=lambda: 8, bytes_max=10, refused=lambda status: None)
    room.take(6)
    with pytest.raises(Refusal, match="send it again") as refused:
        room.take(5)
    assert (refused.value.status, dict(refused.value.headers)) == (503, {"Retry-After": "1"})
    room.take(4)
    room.give_back(6)
    room.take(6)
    assert room.taken == 10


def test_one_alone_is_always_let_in() -> None:
    room = Room(body_bytes_max=lambda: 100, bytes_max=10, refused=lambda status: None)
    room.take(50)
    assert room.taken == 50


def test_one_alone_is_let_in_piece_by_piece() -> None:
    room = Room(body_bytes_max=lambda: 100, bytes_max=10, refused=lambda status: None)
    one, other = Place(room), Place(room)
    for _ in range(5):
        one.take(10)
    with pytest.raises(Refusal):
        other.take(1)
    one.leave()
    other.take(1)
    assert room.taken == 1
