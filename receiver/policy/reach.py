"""How people are reached: each way to a person is a channel of that person's own, made of one of the policy's.

`{email: ana@example.org}` becomes the channel `ana@mail`, if `mail` is the first e-mail channel of the file: the same
server and sender, and only her address. `{slack: U024BE7LH}` takes the first Slack channel with a token. A name of the
file cannot have an `@`, so nothing clashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from receiver.policy.channelfile import ChannelFile, EmailFile, SlackFile
from receiver.policy.policy import Contact, Policy


class Reach(NamedTuple):
    """The channels of each person, in the order in which they are written, and those that are made for that."""

    by_person: dict[str, tuple[str, ...]]
    made: dict[str, ChannelFile]


def reach_of(channels: Mapping[str, ChannelFile], people: Mapping[str, tuple[Contact, ...]]) -> Reach:
    by_person: dict[str, tuple[str, ...]] = {}
    made: dict[str, ChannelFile] = {}
    for person, contacts in people.items():
        names: dict[str, None] = {}
        for contact in contacts:
            if contact.method == "channel":
                names[contact.to] = None
                continue
            found = _made(channels, person, contact)
            if found is not None and found[0] not in made:
                made.update([found])
                names[found[0]] = None
        by_person[person] = tuple(names)
    return Reach(by_person, made)


def only_person(policy: Policy, channel: str) -> str | None:
    """Whose channel it is, where it is one person's alone: a way to nobody else, and told by no stage itself."""
    stages = (stage for escalation in policy.escalations.values() for stage in escalation.stages)
    people = [person for person, channels in policy.reach.items() if channel in channels]
    return people[0] if len(people) == 1 and not any(channel in stage.notify for stage in stages) else None


def _made(channels: Mapping[str, ChannelFile], person: str, contact: Contact) -> tuple[str, ChannelFile] | None:
    for name, file in channels.items():
        if contact.method == "email" and isinstance(file, EmailFile):
            return f"{person}@{name}", replace(file, to=[contact.to])
        if contact.method == "slack" and isinstance(file, SlackFile) and file.token_file is not None:
            return f"{person}@{name}", replace(file, channel=contact.to)
    return None
