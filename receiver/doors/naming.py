"""What somebody is called in the story who acts from elsewhere: a person of the policy, or a name that says whence."""

from __future__ import annotations

from guard.printable import printable
from receiver.policy.policy import Contact, Policy

NAME_CHARACTERS_MAX = 80  # with whence it is, less than the 100 that the API takes


def by_member(policy: Policy, member: str, username: str) -> str:
    """The person with this Slack member ID. No person's name begins with `@`."""
    contact = Contact("slack", member)
    found = next((name for name, ways in policy.people.items() if contact in ways), None)
    return found or _from_elsewhere(f"@{username or member}", "Slack")


def _from_elsewhere(name: str, where: str) -> str:
    shown = printable(name.strip(), NAME_CHARACTERS_MAX)
    cut = shown if len(shown) <= NAME_CHARACTERS_MAX else shown[: NAME_CHARACTERS_MAX - 1] + "…"
    return f"{cut} ({where})"
