"""The channel that is told what another one does not take: read from the channels, and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from receiver.policy.channelfile import ChannelFile
from receiver.policy.duration import parse_duration
from receiver.policy.policy import Fallback
from receiver.policy.shapes import Told, items, one_of
from receiver.policy.topology import cycle


def fallbacks_of(channels: Mapping[str, ChannelFile]) -> dict[str, Fallback]:
    return {
        name: Fallback(channel=file.fallback, after=parse_duration(file.fallback_after))
        for name, file in sorted(channels.items())
        if file.fallback is not None
    }


def fallback_faults(channels: object) -> Iterator[Told]:
    """Each is given as it was written, whatever its shape is."""
    written = {name: dict(items(channel)) for name, channel in items(channels)}
    leads: dict[str, list[str]] = {}
    for name, channel in written.items():
        fallback = channel.get("fallback")
        if fallback is None and channel.get("fallback_after") is not None:
            yield ("channels", name, "fallback_after"), "a time and no fallback", "`fallback` beside it"
        if not isinstance(fallback, str):
            continue
        if fallback in written:
            leads[name] = [fallback]
        else:
            yield ("channels", name, "fallback"), f"{fallback!r}", one_of(written)
    if found := cycle(leads):
        way = " -> ".join([*found, found[0]])
        yield (
            ("channels", found[0], "fallback"),
            f"a cycle: {way}",
            "fallbacks that end with a channel that has none",
        )
