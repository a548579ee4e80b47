"""Who something came from, as numbers that nobody can make a label of."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.event import Fields, Memories, Raw, checked
from exporter.identity import REMEMBERED_MAX, Numbers, address_of, network_of, people, written

KNOWN = st.ip_addresses().filter(lambda address: int(address) >> (64 if address.version == 6 else 0) > 0)


@given(KNOWN)
def test_an_address_is_known_again(address: IPv4Address | IPv6Address) -> None:
    number = address_of(str(address))
    assert number is not None
    if isinstance(address, IPv4Address):
        assert written(number) == str(address)
        assert network_of(number) == str(ip_network(f"{address}/24", strict=False))
    else:
        assert ip_network(written(number)) == ip_network(f"{address}/64", strict=False)
        assert ip_network(network_of(number)) == ip_network(f"{address}/48", strict=False)


@given(KNOWN, KNOWN)
def test_two_customers_are_two_numbers(one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address) -> None:
    first, second = address_of(str(one)), address_of(str(other))
    assert first is not None
    assert second is not None
    assert (first == second) == (written(first) == written(second))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_what_stands_behind_an_address_does_not_matter(text: str, expected: str) -> None:
    number = address_of(text)
    assert number is not None
    assert written(number) == expected


@pytest.mark.parametrize(
    "text",
    ["", "shop", "1.2.3", "1.2.3.4.5", "203.0.113.7, 198.51.100.1", "0.0.0.0", "::", "::1", "[", "a:b:c", "\0::\0"],
)
def test_what_is_no_address_is_nobody(text: str) -> None:
    assert address_of(text) is None


def test_a_name_is_the_same_person_in_capitals_and_another_one_with_another_key() -> None:
    person_of = people(b"one")
    assert person_of("Ana") == person_of("ana")
    assert person_of("ana") != people(b"other")("ana")


def test_numbers_are_remembered_within_bounds() -> None:
    person_of = people(b"")
    numbers = Numbers(person_of)
    for each in range(REMEMBERED_MAX * 2):
        assert numbers[str(each)] == person_of(str(each))
        assert len(numbers) <= REMEMBERED_MAX + 2
    assert numbers["x" * 1_000] is None
    assert numbers[" 7 "] == numbers[7]


def test_detectors_are_given_numbers_and_rules_are_not_given_addresses() -> None:
    fields = Fields(texts=("outcome",), numbers=("duration",), addresses=("ip",), people=("user",))
    columns = {
        "outcome": ["failed", "failed", "ok", None],
        "duration": [1, "?", 2, None],
        "ip": ["203.0.113.7", "203.0.113.7", ["x"], True],
        "user": ["Ana", "ana", 7, None],
    }
    person_of = people(b"key")
    memories = Memories.of(fields, lambda _: str, person_of)
    batch, faults = checked(Raw("auth", "shop", range(4), columns), fields, memories, now=1.0)
    assert [fault.place for fault in faults] == [1]
    assert batch.addresses("ip") == [address_of("203.0.113.7"), None, None]
    assert batch.people("user") == [person_of("ana"), person_of("7"), None]
    assert batch.texts("ip") == batch.texts("user") == [None, None, None]
