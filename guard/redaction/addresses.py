"""IPv4, IPv6 and MAC addresses."""

import re
from collections.abc import Callable
from socket import AF_INET6, inet_ntop, inet_pton

Seen = Callable[[str], object]
# What stands for an address.
Shown = Callable[[str], str]

MASK = "[IP]"
# The port of tcpdump is a fifth number. More of them are an identifier of an object, or a long version.
_IPV4 = re.compile(
    r"(?<![0-9])(?<![0-9]\.)((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9])(?:\.[0-9]{1,5}(?![0-9]))?(?!\.[0-9])(?:/[0-9]{1,2}(?![0-9]))?"
)
# As in names of machines: ip-10-0-0-7, 203-0-113-7.example.
_DASHED = re.compile(r"(?<![0-9])(?:(?<![0-9]-)|(?<=ec2-))([0-9]{1,3}(?:-[0-9]{1,3}){3})(?!-?[0-9])")
_IPV6 = re.compile(r"([0-9A-Fa-f:.]{3,})((?:%[0-9A-Za-z_.-]{1,20})?(?:/[0-9]{1,3})?)")
_MAC = re.compile(
    r"(?<![0-9A-Fa-f])(?<![0-9A-Fa-f][:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![:-]?[0-9A-Fa-f])"
    r"|(?<![0-9A-Za-z])(?<![0-9A-Za-z]\.)[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?!\.?[0-9A-Za-z])"
)
# A name may be written with colons too: std::dec. With this many groups it is an address wherever it stands.
_GROUPS_SURE = 3
_GROUPS = 8
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,4}")
_DIGIT = re.compile(r"[0-9]")


def masked(address: str) -> str:  # noqa: ARG001 - all addresses are shown as this
    return MASK


def network(address: str) -> str:
    """The /24 of an IPv4 address, the /48 of an IPv6 address."""
    if ":" not in address:
        return f"{address.rpartition('.')[0]}.0/24"
    try:
        packed = inet_pton(AF_INET6, address)
    except OSError:
        return MASK
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        return f"{packed[12]}.{packed[13]}.{packed[14]}.0/24"
    return f"{inet_ntop(AF_INET6, packed[:6] + bytes(10))}/48"


def hidden(text: str, seen: Seen, shown: Shown) -> str:
    if text.count(":") >= 2 or text.count("-") >= 5 or text.count(".") >= 2:
        text = _MAC.sub(lambda _: _said("mac", seen, "[MAC]"), text)
    if text.count(":") >= 2:
        text = _IPV6.sub(lambda found: _ipv6(found, seen, shown), text)
    if text.count(".") >= 3:
        text = _IPV4.sub(lambda found: _ipv4(found, seen, shown), text)
    if text.count("-") >= 3:
        text = _DASHED.sub(lambda found: _ipv4(found, seen, shown), text)
    return text


def _said(pattern: str, seen: Seen, word: str) -> str:
    seen(pattern)
    return word


def _ipv4(found: re.Match[str], seen: Seen, shown: Shown) -> str:
    octets = found[1].replace("-", ".").split(".")
    if max(map(int, octets)) > 255:
        return found[0]
    return _said("ip", seen, shown(".".join(str(int(octet)) for octet in octets)))


def _ipv6(found: re.Match[str], seen: Seen, shown: Shown) -> str:
    run, rest = found[1], found[2]
    span = _span(found) if run.count(":") >= 2 else None
    if span is None:
        return found[0]
    start, end = span
    # The zone and the length of a network belong to the address that they follow.
    after = "" if end == len(run) else run[end:] + rest
    return run[:start] + _said("ip", seen, shown(run[start:end])) + after


def _span(found: re.Match[str]) -> tuple[int, int] | None:
    """Which part of the run is an address: a colon before or behind it may be the sentence's."""
    run = found[1]
    start = 0 if run.startswith("::") else len(run) - len(run.lstrip(":."))
    end = len(run.rstrip("."))
    end = end if run[:end].endswith("::") else len(run[:end].rstrip(":"))
    address = run[start:end]
    groups = [group for group in address.split(":") if group]
    if len(groups) >= _GROUPS and all(map(_HEXADECIMAL.fullmatch, groups)):
        return start, end
    if len(groups) > _GROUPS + 1:
        return None
    if not _free(found, start, end) and len(groups) < _GROUPS_SURE:
        return None
    if len(groups) < _GROUPS_SURE and not _DIGIT.search(address):
        return None
    first = address.find(":", 1) + 1
    last = address.rfind(":", 0, -1)
    for left, right in ((0, len(address)), (first, len(address)), (0, last)):
        if _is_ipv6(address[left:right]):
            return start + left, start + right
    return None


def _free(found: re.Match[str], start: int, end: int) -> bool:
    """Whether no letter stands right beside it."""
    text, at = found.string, found.start()
    before, after = text[max(at + start - 1, 0) : at + start], text[at + end : at + end + 1]
    return not (before.isalnum() or after.isalnum())


def _is_ipv6(text: str) -> bool:
    try:
        inet_pton(AF_INET6, text)
    except OSError:
        return False
    return text != "::"
