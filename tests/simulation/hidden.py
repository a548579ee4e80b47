"""What must never happen where a policy hides labels: that a message shows one.

The rules are read again here in the plainest way; the values are those of the alerts as each decision left them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from receiver.message import Document
from receiver.policy.actionnames import action_named
from receiver.policy.policy import Policy
from tests.simulation.evidence import Evidence, Moment, expect

# A shorter value is found in anything.
_LONG = 6
_SHOWN_AS = {"masked": re.compile("•••"), "hashed": re.compile("#[0-9a-f]{12}"), "shown": re.compile(".*", re.DOTALL)}


def nobody_is_told_what_the_policy_hides(evidence: Evidence) -> None:
    for moment in evidence.moments:
        for message, document in moment.documents:
            if action_named(message.channel) in moment.policy.commands or not moment.policy.redact:
                continue
            for labels in _labels_in(document):
                for name, value in labels.items():
                    way = _way(moment.policy, message.channel, name)
                    shown = way in _SHOWN_AS and _SHOWN_AS[way].fullmatch(value) is not None
                    expect(shown, f"{moment}: {message.id} says {name}={value}, which is {way}")
            for name, value in _values(moment):
                said = f"{name}={value}"
                hidden = name != "severity" and _way(moment.policy, message.channel, name) != "shown"
                told = re.search(rf"{re.escape(said)}(?!\w)", " ".join(_texts_in(document)))
                expect(not (hidden and told), f"{moment}: {message.id} says {said} in a text")


def what_is_hidden_stands_nowhere(evidence: Evidence) -> None:
    """Not in an address, nor in another label: no value that an alert ever had under a name that is hidden."""
    values: dict[tuple[str, str], bytes] = {}
    for moment in evidence.moments:
        values.update({each: each[1].encode() for each in _values(moment) if len(each[1]) >= _LONG})
        for message in moment.decision.messages if moment.policy.redact else ():
            if action_named(message.channel) in moment.policy.commands:
                continue
            told = [each for each, written in values.items() if written in message.body]
            hidden = [each for each in told if _way(moment.policy, message.channel, each[0]) != "shown"]
            expect(not hidden, f"{moment}: {message.id} says {hidden[:3]}")


def _way(policy: Policy, channel: str, name: str) -> str:
    for rule in policy.redact:
        whole = not rule.channels or channel.split("@")[-1] in rule.channels
        if whole and name != "severity" and any(fnmatchcase(name, pattern) for pattern in rule.names):
            return str(rule.way)
    return "shown"


def _labels_in(document: Document) -> Iterator[Mapping[str, str]]:
    for incident in (document.incident, *document.incidents):
        yield incident.labels
    for alert in document.alerts:
        yield alert.labels
        yield alert.annotations


def _texts_in(document: Document) -> Iterator[str]:
    for incident in (document.incident, *document.incidents):
        yield from (incident.title, incident.why)


def _values(moment: Moment) -> Iterator[tuple[str, str]]:
    for alert in moment.alerts_after.values():
        yield from alert.labels.items()
