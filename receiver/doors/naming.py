"""What somebody is called in the story who acts from elsewhere: a person of the policy, or a name that says whence."""

from __future__ import annotations

import re

from guard.printable import printable
from receiver.policy.policy import Contact, Policy

NAME_CHARACTERS_MAX = 80  # with whence it is, less than the 100 that the API takes
_BETWEEN = re.compile(r"[\s._-]+")


def by_member(policy: Policy, member: str, username: str) -> str:
    """The person with this Slack member ID. No person's name begins with `@`."""
    contact = Contact("slack", member)
    found = next((name for name, ways in policy.people.items() if contact in ways), None)
    return found or _from_elsewhere(f"@{username or member}", "Slack")


def by_display_name(policy: Policy, shown: str, email: str = "") -> str:
    """The one person of PagerDuty's with this name or this address. No person's name has a bracket."""
    wanted = _plain(shown)
    addresses = {address.strip().casefold() for address in (shown, email) if "@" in address}
    found = [
        name
        for name, ways in policy.people.items()
        if (wanted and _plain(name) == wanted)
        or any(way.method == "email" and way.to.casefold() in addresses for way in ways)
    ]
    return found[0] if len(found) == 1 else _from_elsewhere(shown.strip() or "somebody", "PagerDuty")


def cut(text: str, characters_max: int) -> str:
    """What does not print becomes longer when it is shown."""
    shown = printable(text, characters_max)
    return shown if len(shown) <= characters_max else shown[: characters_max - 1] + "…"


def _plain(name: str) -> str:
    """`Ana Lopez` and `ana.lopez` are the same."""
    return _BETWEEN.sub(" ", name).strip().casefold()


def _from_elsewhere(name: str, where: str) -> str:
    return f"{cut(name.strip(), NAME_CHARACTERS_MAX)} ({where})"
