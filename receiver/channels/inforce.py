"""The channels and actions of the policy that is in force. What did not change stays, with what it remembers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from receiver.channels import Channel
from receiver.channels.action import Tally
from receiver.channels.making import action_of, channel_of
from receiver.incident import Incident
from receiver.links import Links
from receiver.policy.actionfile import ActionFile
from receiver.policy.actionnames import action_named, channel_named
from receiver.policy.channelfile import ChannelFile

log = logging.getLogger("tocsin.receiver")


class InForce:
    """`incident` looks up what is decided; `home` is where programs find their own settings; `on_template_failed` hears
    of each failure, with the channel's name, from any thread."""

    def __init__(
        self,
        *,
        links: Links,
        incident: Callable[[str], Incident | None],
        home: str,
        on_template_failed: Callable[[str], None],
    ) -> None:
        self._links = links
        self._incident = incident
        self._home = home
        self._on_template_failed = on_template_failed
        self._logged: set[tuple[str, str]] = set()
        self._made: dict[str, tuple[ChannelFile | ActionFile, Channel]] = {}
        self.tally: Tally = Counter()  # of what actions came to

    def renew(self, channels: Mapping[str, ChannelFile], actions: Mapping[str, ActionFile]) -> dict[str, Channel]:
        """All of them by their names."""
        self._logged.clear()
        files = {**channels, **{channel_named(name): file for name, file in actions.items()}}
        before = self._made
        self._made = {
            name: before[name] if name in before and before[name][0] == file else (file, self._make(name, file))
            for name, file in files.items()
        }
        return {name: channel for name, (_, channel) in self._made.items()}

    def _make(self, name: str, file: ChannelFile | ActionFile) -> Channel:
        if isinstance(file, ActionFile):
            action = action_named(name) or ""
            return action_of(action, file, incident=self._incident, tally=self.tally, home=self._home)
        return channel_of(file, links=self._links, on_failed=partial(self._failed, name))

    def _failed(self, channel: str, key: str, error: str) -> None:
        """Logged once for each reading of the policy."""
        self._on_template_failed(channel)
        if (channel, key) not in self._logged:
            self._logged.add((channel, key))
            log.warning(
                "a template failed: its default goes out", extra={"channel": channel, "template": key, "error": error}
            )
