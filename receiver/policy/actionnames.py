"""The names under which the outbox has actions, beside channels to people. No channel of a policy has a colon in it."""

from __future__ import annotations

_PREFIX = "action:"


def channel_named(action: str) -> str:
    """The name under which the outbox has it."""
    return f"{_PREFIX}{action}"


def action_named(channel: str) -> str | None:
    """The other way round; nothing for a channel to people."""
    return channel.removeprefix(_PREFIX) if channel.startswith(_PREFIX) else None
