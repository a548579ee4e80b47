"""Ways to people. A channel is one file: what it needs of the policy file, and how one message is sent.

terminal.py     prints on standard output
webhook.py      posts JSON
email.py        sends mails
letter.py       what stands in a mail
linked.py       lines of a text as HTML
chart.py        a picture of how many alerts fired, and when
slack.py        one message for each incident, kept up to date, with its story in a thread
slackblocks.py  what that message looks like
slackbuttons.py  the buttons in it
slackreply.py   a text for whoever pressed one
pagerduty.py    one PagerDuty incident for each of ours: triggered, acknowledged, resolved
apprise.py      whatever Apprise knows: Teams, Discord, Telegram, SMS
action.py       what a stage runs, as a channel of its own kind
command.py      one program, run without a shell and ended with all that it started
output.py       what it wrote, without what looks like a secret
addresses.py    what an alert links to
trust.py        whose certificates are believed, and by which one we show who we are
posting.py      one POST, for those of them that need its answer
templates.py    the words of a policy in place of our own
templating.py   how a template and a message become words
sandbox.py      what a template may do, and how much of it
filters.py      what templates do to values
samples.py      messages to try templates with
templatechecks.py  what is wrong with the templates of a policy
making.py       makes each of what the policy file says
inforce.py      those of the policy in force

A channel makes one attempt. It returns what the other side said, or raises Unreachable (try again later) or
Refused (trying again cannot help). Retries, order and limits are the outbox's.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from receiver.message import Message


class Unreachable(Exception):
    """Try again later; after `seconds` if the other side named a time."""

    def __init__(self, text: str, *, seconds: float | None = None) -> None:
        self.seconds = seconds
        super().__init__(text)


class Refused(Exception):
    """Trying again cannot help."""


class Channel(Protocol):
    """One configured way to people. `retry_seconds_max`: how long a message is tried before it is given up."""

    @property
    def retry_seconds_max(self) -> float: ...

    @property
    def parallel_max(self) -> int: ...

    def preview(self, message: Message) -> str:
        """What `send` would send, as text for somebody who tries out a policy; no secret is in it."""

    async def send(self, message: Message) -> str: ...

    async def close(self) -> None: ...


class Taken(NamedTuple):
    """What the other side said, and by what it knows the message again; nothing if it does not matter."""

    answer: str
    receipt: str = ""


@runtime_checkable
class Quotable(Protocol):
    """A channel whose answers are worth more room in the story than those of others, and none in the log after the
    first colon: there they hold labels, and what a program printed."""

    @property
    def answer_characters_max(self) -> int: ...


@runtime_checkable
class Following(Protocol):
    """A channel to which it matters what it sent before. It is handed the latest receipt about the same incident, or
    nothing; `send` is the same without one."""

    async def follow(self, message: Message, receipt: str) -> Taken: ...
