"""Personal data as strategies of hypothesis: each value long enough to be known again wherever it leaks."""

from __future__ import annotations

import ipaddress
import uuid

from hypothesis import strategies as st

from guard.redaction.checks import luhn

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_PHONES = (
    "+{country} {place} {first}{rest}",
    "+{country}{place}{first}{rest}",
    "+{country} ({place}) {first}-{rest}",
    "00{country} {place} {first} {rest}",
    "0{place} {first}{rest}",
    "0{place}/{first}{rest}",
    "(212) {first}-{rest}",
)


def words(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


emails = st.builds(
    lambda first, middle, sign, host, end: f"{first}{sign}{middle}@{host}.{end}",
    words(_LETTERS, 3, 12),
    words(_LETTERS + _DIGITS, 3, 12),
    st.sampled_from(["", ".", "_", "-", "+", "'"]),
    words(_LETTERS, 3, 12),
    st.sampled_from(["org", "co.uk", "example", "MUSEUM", "рф", "xn--p1ai"]),
)


def _with_check_digit(digits: str) -> str:
    return next(digits + check for check in _DIGITS if luhn(digits + check))


def _in_groups(digits: str, sign: str) -> str:
    return sign.join(digits[at : at + 4] for at in range(0, len(digits), 4))


cards = st.builds(
    lambda first, rest, sign: _in_groups(_with_check_digit(first + rest), sign),
    st.sampled_from("3456"),
    words(_DIGITS, 11, 17),
    st.sampled_from(["", " ", "-"]),
)
ipv4 = st.ip_addresses(v=4).map(str)
# What has no digit before its colons may be a name in a program; ::a is not worth a search.
ipv6 = st.builds(
    lambda number, form: form(ipaddress.IPv6Address(number)),
    st.integers(2**112, 2**128 - 1),
    st.sampled_from([str, lambda address: address.exploded, lambda address: str(address).upper()]),
)
uuids = st.uuids().map(str) | st.builds(lambda number: uuid.UUID(int=number).urn.upper(), st.integers(0, 2**128 - 1))
phones = st.builds(
    lambda country, place, number, form: form.format(country=country, place=place, first=number[:3], rest=number[3:]),
    st.sampled_from(["1", "44", "49", "91", "380"]),
    st.sampled_from(["30", "170", "212", "944"]),
    words(_DIGITS, 7, 7),
    st.sampled_from(_PHONES),
)
tokens = st.builds(
    "{}{}".format,
    st.sampled_from(["ghp_", "sk_live_", "xoxb-", "glpat-", "AKIA", "Bearer ", "password=", "eyJ", "api_key: 7"]),
    words("ABCDEFGHIJKLMNOPQRSTUVWXYZ" + _DIGITS, 24, 40).filter(lambda text: not text.isalpha()),
) | words("0123456789abcdef", 32, 64).filter(lambda text: not text.isdecimal() and not text.isalpha())

PERSONAL = {
    "email": emails,
    "card": cards,
    "ipv4": ipv4,
    "ipv6": ipv6,
    "uuid": uuids,
    "phone": phones,
    "token": tokens,
}
anything = st.one_of(*PERSONAL.values())


def needles(value: str) -> tuple[str, ...]:
    """By what it would be known again: itself, and its secret where words stand before that."""
    return value, value.removeprefix("Bearer ").removeprefix("password=").removeprefix("api_key: 7")
