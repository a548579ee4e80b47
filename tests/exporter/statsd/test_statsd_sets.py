"""Sets: how many different values there were in the last minute."""

import pytest

from exporter.intake.statsd import sets
from tests.exporter.statsd.world import NOW, World


def test_a_set_counts_different_values_of_the_last_minute_also_when_nobody_sends_anything() -> None:
    world = World()
    world.send(b"users:ana|s\nusers:ben|s\nusers:ana|s\nusers:|s", b"users:a b_c|s|@0.1")
    assert world.lines() == ["users 4.0"]
    world.send(b"users:ana|s\nusers:carl|s", now=NOW + 30)
    assert world.lines() == ["users 5.0"]
    world.counting.tick(NOW + 61)
    assert world.lines() == ["users 2.0"]
    world.counting.tick(NOW + 91)
    assert world.lines() == ["users 0.0"]
    world.send(b"users:dora|s", now=NOW + 92)
    assert (world.lines(), world.faults) == (["users 1.0"], {})


def test_a_clock_that_was_set_back_does_not_keep_values_for_ever() -> None:
    world = World()
    world.send(b"users:ana|s")
    world.counting.tick(NOW - 1_000)
    assert world.lines() == ["users 0.0"]


def test_each_series_of_a_set_counts_alone_and_labels_may_come_later() -> None:
    world = World()
    world.send(b"users:ana|s\nusers:ben|s\nusers:ana|s|#plan:free")
    world.send(b"users:carl|s\nusers:ben|s|#plan:free")
    world.counting.tick(NOW + 1)
    assert world.lines() == ['users{plan=""} 3.0', 'users{plan="free"} 2.0']


def test_a_set_is_bounded_and_so_are_all_of_them() -> None:
    world = World()
    names = sets.ALL_MEMBERS_MAX // sets.MEMBERS_MAX + 1
    for number in range(names):
        world.send(b"\n".join(b"s%d:%d|s" % (number, value) for value in range(sets.MEMBERS_MAX + 1)))
    assert world.faults == {"set_full": names - 1 + sets.MEMBERS_MAX + 1}
    assert world.lines()[0] == f"s0 {float(sets.MEMBERS_MAX)}"
    assert world.lines()[-1] == f"s{names - 1} 0.0"
    world.counting.tick(NOW + 61)
    world.send(b"later:1|s", now=NOW + 62)
    assert "later 1.0" in world.lines()


def test_no_value_of_a_set_is_kept() -> None:
    kept = sets.Sets(b"secret")
    assert kept.add("users", (), b"ana@example.org", NOW)
    assert b"ana" not in repr(vars(kept)).encode()


@pytest.mark.parametrize("line", [b"x:1:2|s", b"x:1|g:a|s"])
def test_a_set_takes_one_value_a_line(line: bytes) -> None:
    world = World()
    world.send(line)
    assert (world.told.lines, sum(world.told.faults.values()) + bool(world.lines())) == (1, 1)
