"""The blocklist as other programs read it, as text. What they make of it is in tests/real/test_blocklist_real.py."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.reputation.formats import FORMATS, NFT_SECONDS_MAX, PIECE_ADDRESSES, pieces

NOW = 1_000.0


class Blocked(NamedTuple):
    address: str
    until: float


SOME = (
    Blocked("203.0.113.7", NOW + 900),
    Blocked("2001:db8:1:2::/64", NOW + 60.4),
    Blocked("198.51.100.0/24", NOW + 5),
)


def text(name: str, *blocked: Blocked, now: float = NOW) -> str:
    return "".join(pieces(name, blocked, now=now))


def test_nginx_reads_values_of_a_geo_map() -> None:
    assert text("nginx", *SOME) == (
        "# Addresses that Tocsin blocks: 3\n"
        "203.0.113.7 1;\n"
        "2001:db8:1:2::/64 1;\n"
        "198.51.100.0/24 1;\n"
        "# the list is whole\n"
    )


def test_haproxy_reads_one_a_line() -> None:
    assert text("haproxy", *SOME).splitlines()[1:-1] == [each.address for each in SOME]


def test_nftables_gets_one_transaction_in_which_each_address_has_its_time() -> None:
    assert text("nft", *SOME) == (
        "# Addresses that Tocsin blocks: 3\n"
        "add table inet tocsin\n"
        "add set inet tocsin blocked4 { type ipv4_addr; flags interval, timeout; }\n"
        "flush set inet tocsin blocked4\n"
        "add set inet tocsin blocked6 { type ipv6_addr; flags interval, timeout; }\n"
        "flush set inet tocsin blocked6\n"
        "add element inet tocsin blocked4 { 203.0.113.7 timeout 900s, 198.51.100.0/24 timeout 5s }\n"
        "add element inet tocsin blocked6 { 2001:db8:1:2::/64 timeout 60s }\n"
        "# the list is whole\n"
    )


@pytest.mark.parametrize(("until", "seconds"), [(NOW - 5, 1), (NOW + 1e12, NFT_SECONDS_MAX)])
def test_a_time_is_never_one_that_the_kernel_takes_for_none(until: float, seconds: int) -> None:
    assert f"203.0.113.7 timeout {seconds}s" in text("nft", Blocked("203.0.113.7", until))


def test_envoy_reads_principals_of_a_rule_that_denies() -> None:
    (resource,) = yaml.safe_load(text("envoy", *SOME))["resources"]
    rules = resource["typed_config"]["rules"]
    assert rules["action"] == "DENY"
    assert rules["policies"]["blocked"] == {
        "permissions": [{"any": True}],
        "principals": [
            {"remote_ip": {"address_prefix": "203.0.113.7", "prefix_len": 32}},
            {"remote_ip": {"address_prefix": "2001:db8:1:2::", "prefix_len": 64}},
            {"remote_ip": {"address_prefix": "198.51.100.0", "prefix_len": 24}},
        ],
    }


def test_nobody_is_denied_by_an_empty_list() -> None:
    assert text("nginx") == text("haproxy") == "# Addresses that Tocsin blocks: 0\n# the list is whole\n"
    assert "element" not in text("nft")
    (resource,) = yaml.safe_load(text("envoy"))["resources"]
    assert resource["typed_config"]["rules"] == {"action": "DENY", "policies": {}}


@pytest.mark.parametrize("name", FORMATS)
def test_a_long_list_comes_in_pieces(name: str) -> None:
    many = [Blocked(f"10.0.{number >> 8}.{number & 255}", NOW + 9) for number in range(3 * PIECE_ADDRESSES)]
    cut = list(pieces(name, many, now=NOW))
    assert max(each.count("10.0.") for each in cut) == PIECE_ADDRESSES
    assert sum(each.count("10.0.") for each in cut) == len(many)


NETWORKS = st.one_of(
    st.builds(
        lambda number, length: ipaddress.ip_network((0x0A000000 | number << 16, length), strict=False),
        st.integers(0, 3),
        st.sampled_from([8, 14, 16, 24, 32]),
    ),
    st.builds(
        lambda number, length: ipaddress.ip_network((0x20010DB8 << 96 | number << 64, length), strict=False),
        st.integers(0, 3),
        st.sampled_from([32, 48, 62, 64]),
    ),
)


@given(networks=st.lists(NETWORKS, unique=True, max_size=12))
def test_nftables_gets_no_network_within_another_and_misses_none(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> None:
    written = text(
        "nft",
        *(Blocked(str(each).removesuffix("/32") if each.version == 4 else str(each), NOW + 9) for each in networks),
    )
    outermost = {
        str(each)
        for each in networks
        if not any(
            each != other and each.version == other.version and each.subnet_of(other)  # type: ignore[arg-type]
            for other in networks
        )
    }
    elements = {
        element.split()[0]
        for line in written.splitlines()
        if line.startswith("add element")
        for element in line.partition("{")[2].strip(" }").split(", ")
    }
    assert {str(ipaddress.ip_network(each)) for each in elements} == outermost
