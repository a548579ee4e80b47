"""How often somebody may do something."""

from __future__ import annotations

import pytest

from guard.limits import Buckets, network_of


class Clock:
    """It stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_at_once_and_then_as_they_come_back() -> None:
    clock = Clock()
    buckets = Buckets(burst=3, per_second=0.5, clock=clock)
    assert [buckets.take("ana") for _ in range(4)] == [0, 0, 0, 2.0]
    clock.now += 1
    assert buckets.take("ana") == 1.0
    clock.now += 1
    assert (buckets.take("ana"), buckets.take("ana")) == (0, 2.0)
    clock.now += 1000
    assert [buckets.take("ana") for _ in range(4)] == [0, 0, 0, 2.0]  # it never holds more than at the start


def test_what_is_given_back_can_be_taken_again_and_never_makes_more() -> None:
    buckets = Buckets(burst=1, per_second=1, clock=Clock())
    assert [buckets.take("ana"), buckets.take("ana")] == [0, 1.0]
    for _ in range(3):
        buckets.give_back("ana")
    buckets.give_back("nobody")
    assert [buckets.take("ana"), buckets.take("ana")] == [0, 1.0]
    assert len(buckets) == 1


def test_one_does_not_pay_for_another() -> None:
    buckets = Buckets(burst=1, per_second=1, clock=Clock())
    assert [buckets.take("ana"), buckets.take("ben"), buckets.take("ana")] == [0, 0, 1.0]


def test_the_table_is_bounded_and_who_was_seen_last_stays() -> None:
    buckets = Buckets(burst=2, per_second=0.001, clock=Clock(), buckets_max=2)
    for name in ("ana", "ben", "ana", "cleo"):
        assert buckets.take(name) == 0
    assert len(buckets) == 2
    assert buckets.take("ana") > 0
    assert [buckets.take("ben"), buckets.take("ben")] == [0, 0]  # forgotten, so full again


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "unknown"),
        (None, "local"),
    ],
)
def test_by_what_an_address_is_counted(remote: str | None, network: str) -> None:
    assert network_of(remote) == network
