"""What is known besides alerts and incidents, as values: how a source is, which groups were cut, what a channel is
held back from, where the journal was found broken. Each is kept under a name of its own and written down with the
decision that changes it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from receiver.incident import Group


class SourceKnown(msgspec.Struct, frozen=True, tag="source"):
    """A source with a watchdog. Resolves that come while it is silent are not believed."""

    name: str
    heard_at: datetime  # its watchdog
    late_at: datetime | None  # then it is silent, if it is not heard before; None: it is
    silent_since: datetime | None = None
    confirm_at: datetime | None = None  # it is back: what was not repeated by then is believed

    @property
    def deadline(self) -> datetime | None:
        return min((when for when in (self.late_at, self.confirm_at) if when is not None), default=None)


class Cut(msgspec.Struct, frozen=True, tag="cut"):
    """The last body of this group left alerts out: what is not in it may fire."""

    group: Group
    group_labels: dict[str, str]
    at: datetime
    left_out: int


class ChannelKnown(msgspec.Struct, frozen=True, tag="channel"):
    """What one channel was sent lately. What is held back from it is noted in each incident."""

    name: str
    sent: tuple[datetime, ...] = ()  # as many as count against its limit
    due_at: datetime | None = None  # the digest
    digests: dict[str, tuple[str, ...]] = {}  # message -> its incidents; owed, neither taken nor refused yet
    late_at: datetime | None = None  # pages that are held by then, as it answers nothing, are its fallback's

    @property
    def deadline(self) -> datetime | None:
        return min((when for when in (self.due_at, self.late_at) if when is not None), default=None)


class ChainKnown(msgspec.Struct, frozen=True, tag="chain"):
    """The last place at which the journal's chain was found broken: people were told of it."""

    position: int
    problem: str


Known = SourceKnown | Cut | ChannelKnown | ChainKnown


def name_of(known: Known) -> str:
    """Under which it is kept."""
    match known:
        case SourceKnown():
            return f"source {known.name}"
        case ChannelKnown():
            return f"channel {known.name}"
        case ChainKnown():
            return "chain"
        case Cut():
            return f"cut {known.group.index}"
