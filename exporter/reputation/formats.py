"""The blocklist as those read it who keep addresses out: nginx, HAProxy, nftables, Envoy. Pure.

Each text says in its first line what it is and in its last that it is whole, so that nobody puts half a list into
force. With nobody in it, it is as valid as with many. It is the same as long as the list is, but for nftables', which
says of each address how long it stays: there a list that nobody brings up to date any more empties itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple, Protocol

FIRST_LINE = "# Addresses that Tocsin blocks"
LAST_LINE = "# the list is whole"
# So many addresses are written at once: whoever writes a long list lets others in between.
PIECE_ADDRESSES = 1_000
# The kernel keeps milliseconds in 64 bits; nothing is blocked for as long as that by anybody who means it.
NFT_SECONDS_MAX = 31_536_000


class Blocked(Protocol):
    """An address or a network, as it is written, and until when. Of IPv6, nothing is smaller than a /64."""

    @property
    def address(self) -> str: ...

    @property
    def until(self) -> float: ...


class Format(NamedTuple):
    content_type: str
    pieces: Callable[[Sequence[Blocked], float], Iterator[str]]


def pieces(name: str, blocked: Sequence[Blocked], *, now: float) -> Iterator[str]:
    """The whole text, in pieces of bounded size. `name` is one of `FORMATS`."""
    yield f"{FIRST_LINE}: {len(blocked)}\n"
    yield from FORMATS[name].pieces(blocked, now)
    yield f"{LAST_LINE}\n"


def _lines(form: str) -> Callable[[Sequence[Blocked], float], Iterator[str]]:
    def written(blocked: Sequence[Blocked], now: float) -> Iterator[str]:  # noqa: ARG001 - they are the same until they go
        for some in _cut(blocked):
            yield "".join([form % each.address for each in some])

    return written


def _nft(blocked: Sequence[Blocked], now: float) -> Iterator[str]:
    """One transaction of the kernel: the old list is in force until the new one is."""
    yield "add table inet tocsin\n"
    for family, kind in (("4", "ipv4_addr"), ("6", "ipv6_addr")):
        yield f"add set inet tocsin blocked{family} {{ type {kind}; flags interval, timeout; }}\n"
        yield f"flush set inet tocsin blocked{family}\n"
    is_held = _holding([each.address for each in blocked if _may_hold(each.address)])
    for family, is_six in (("4", False), ("6", True)):
        for some in _cut([each for each in blocked if (":" in each.address) is is_six]):
            # The kernel takes no network that lies in another one.
            apart = [f"{each.address} timeout {_seconds(each, now)}s" for each in some if not is_held(each.address)]
            if apart:
                yield f"add element inet tocsin blocked{family} {{ {', '.join(apart)} }}\n"


def _seconds(blocked: Blocked, now: float) -> int:
    return max(1, min(round(blocked.until - now), NFT_SECONDS_MAX))


def _envoy(blocked: Sequence[Blocked], now: float) -> Iterator[str]:  # noqa: ARG001
    """What Envoy's extension discovery reads. A policy with nobody in it is none, so an empty list has no policy."""
    yield (
        "resources:\n"
        '- "@type": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n'
        "  name: tocsin_blocklist\n"
        "  typed_config:\n"
        '    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\n'
        "    rules:\n"
        "      action: DENY\n"
    )
    if not blocked:
        yield "      policies: {}\n"
        return
    yield "      policies:\n        blocked:\n          permissions: [{any: true}]\n          principals:\n"
    for some in _cut(blocked):
        yield "".join(map(_principal, some))


def _principal(blocked: Blocked) -> str:
    address, _, length = blocked.address.partition("/")
    bits = length or ("128" if ":" in address else "32")
    return f'          - remote_ip: {{address_prefix: "{address}", prefix_len: {bits}}}\n'


def _may_hold(address: str) -> bool:
    return "/" in address and not address.endswith("/64")


def _holding(networks: Sequence[str]) -> Callable[[str], bool]:
    """What tells whether an address or a network lies in another one of these."""
    numbers = {_numbers(each) for each in networks}
    lengths = sorted({(size, length) for size, _, length in numbers})

    def is_held(address: str) -> bool:
        size, first, length = _numbers(address)
        return any(
            (size, first >> size - wider << size - wider, wider) in numbers
            for family, wider in lengths
            if family == size and wider < length
        )

    return is_held if numbers else lambda _: False


def _numbers(network: str) -> tuple[int, int, int]:
    """How many bits its addresses have, the first of them as a number, and how many bits are of the network."""
    address, _, length = network.partition("/")
    packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    size = 8 * len(packed)
    return size, int.from_bytes(packed), int(length) if length else size


def _cut(blocked: Sequence[Blocked]) -> Iterator[Sequence[Blocked]]:
    for start in range(0, len(blocked), PIECE_ADDRESSES):
        yield blocked[start : start + PIECE_ADDRESSES]


FORMATS: Mapping[str, Format] = {
    "nginx": Format("text/plain; charset=utf-8", _lines("%s 1;\n")),
    "haproxy": Format("text/plain; charset=utf-8", _lines("%s\n")),
    "nft": Format("text/plain; charset=utf-8", _nft),
    "envoy": Format("application/yaml", _envoy),
}
