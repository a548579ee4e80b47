"""The auth log of Linux: who logged in over SSH or could not, sudo and su, as the events `auth` and `sudo`.

An attacker chooses what stands in place of a name, and would like another address to be blocked. So an address is taken
only from where sshd itself writes it, which is behind the name; where that is not certain, the event has no address.
Each attempt counts once: the end of a connection is an attempt only if none was written before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from exporter.columns import Written
from exporter.event import Fields
from exporter.intake.logs.columns import found_in, wanted
from exporter.intake.logs.patterns import NOTHING
from exporter.reader import Found

# Of a line. sshd cuts names and writes no line that is longer.
MATCHED_CHARACTERS_MAX = 2_048
# Connections in which an attempt has failed, and whose end has not been seen; the oldest are forgotten.
CONNECTIONS_MAX = 4_096
# rsyslog writes equal lines once, and how often; further ones do not count.
REPEATS_MAX = 1_000

# As rsyslog writes for people, with ISO 8601 since Debian 12, and by RFC 5424; journalctl writes the first two as well.
_HEADER = re.compile(
    r"(?:<\d{1,3}>)?(?:1 \S+ \S+ (?P<named>\S+) \S+ \S+ (?:-|(?:\[[^\]]*\])+) \ufeff?"
    r"|(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ (?P<tagged>[^\s:\[]+)(?:\[\d+\])?: )"
)
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ (.*)\]")
_ATTEMPT = re.compile(
    r"(?P<outcome>Failed|Accepted) (?P<factor>[a-z-]{1,40})(?:/[a-z]{1,40})? for (?P<invalid>invalid user )?"
    r"(?P<user>.*) from (?P<ip>\S+) port (?P<port>\d{1,5})(?: ssh2)?(?P<key>: .*)?"
)
_END = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting) (?P<known>authenticating|invalid) user"
    r" (?P<user>.*) (?P<ip>\S+) port (?P<port>\d{1,5})(?:: Too many authentication failures)? \[preauth\]"
)
_SUDO = re.compile(r" *(?P<user>[^\s:]+) : (?:(?P<why>[^;=]*) ; )?[A-Z]+=")
_SU = re.compile(r"(?P<failed>FAILED SU )?\(to (?P<user>[^)]*)\) \S+ on ")
_WHY_SUDO = {
    "incorrect password attempt": "wrong_password",
    "command not allowed": "not_allowed",
    "NOT in sudoers": "not_in_sudoers",
    "NOT authorized": "not_in_sudoers",
    "is required": "no_password",
}
_SSHD = frozenset(("sshd", "sshd-session", "sshd-auth"))
# Ways to log in of which nothing is written behind the address.
_WITHOUT_KEY = frozenset(("password", "keyboard-interactive"))
# What an event of each kind says.
_FIELDS = {
    "auth": ("method", "outcome", "reason", "factor", "ip", "user"),
    "sudo": ("outcome", "reason", "user"),
}

# The kind of event, and the fields that it has.
Event = tuple[str, dict[str, str]]


class AuthLog:
    """Remembers connections from one piece of the log to the next."""

    def __init__(self, asked: Mapping[str, Fields], written: Written) -> None:
        self._asked = asked
        self._written = written
        self._wanted = wanted(asked, written)
        self._failed: dict[tuple[str, str], None] = {}

    def parse(self, data: bytes) -> Found:
        rows: dict[str, list[dict[str, str]]] = {kind: [] for kind in _FIELDS}
        places: dict[str, list[int]] = {kind: [] for kind in _FIELDS}
        nothing = 0
        # Nothing else ends a line: a name may have other characters that do elsewhere.
        for place, line in enumerate(data.decode(errors="replace").split("\n")):
            if not line.strip():
                continue
            event, times = self._said(line.rstrip("\r"))
            if event is None:
                nothing += 1
                continue
            kind, fields = event
            rows[kind] += [fields] * times
            places[kind] += [place] * times
        found = Found([], [], {NOTHING: nothing} if nothing else {})
        for kind in filter(rows.get, _FIELDS):
            of_kind = self._events(kind, rows[kind])
            found.events.extend(raw._replace(places=places[kind]) for raw in of_kind.events)
            found.unmatched.update(of_kind.unmatched)
        return found

    def _events(self, kind: str, rows: list[dict[str, str]]) -> Found:
        columns = {name: [row.get(name, "") for row in rows] for name in _FIELDS[kind] if name in self._wanted}
        return found_in(columns, len(rows), self._written._replace(kind=kind), self._asked)

    def _said(self, line: str) -> tuple[Event | None, int]:
        """What the line says, and how often."""
        # Of a longer line the end is missing, and the end is where the address is.
        if len(line) > MATCHED_CHARACTERS_MAX:
            return None, 0
        header = _HEADER.match(line)
        # Without one, sshd itself has written the file (`-E`).
        program = "sshd" if header is None else header["named"] or header["tagged"]
        message = line if header is None else line[header.end() :]
        times = 1
        repeated = _REPEATED.fullmatch(message)
        if repeated is not None:
            times, message = min(int(repeated[1]), REPEATS_MAX), repeated[2]
        if program in _SSHD:
            return self._ssh(message), times
        if program == "sudo":
            return _sudo(message), times
        return (_su(message) if program == "su" else None), times

    def _ssh(self, message: str) -> Event | None:
        attempt = _ATTEMPT.fullmatch(message)
        if attempt is not None:
            return self._attempt(attempt)
        end = _END.fullmatch(message)
        if end is None:
            return None
        connection = (end["ip"], end["port"])
        if connection in self._failed:
            del self._failed[connection]
            return None
        reason = "invalid_user" if end["known"] == "invalid" else "preauth"
        return _event("failed", reason=reason, ip=end["ip"], user=end["user"])

    def _attempt(self, attempt: re.Match[str]) -> Event | None:
        factor, connection = attempt["factor"], (attempt["ip"], attempt["port"])
        if attempt["outcome"] == "Failed" and factor == "none":
            return None  # a client asks which methods there are
        # Behind the address may come what a certificate says, which the attacker may have made.
        certain = attempt.string.count(" from ") == 1 or (factor in _WITHOUT_KEY and not attempt["key"])
        who = {"ip": attempt["ip"], "user": attempt["user"]} if certain else {}
        if attempt["outcome"] == "Accepted":
            self._failed.pop(connection, None)
            return _event("success", factor=factor, **who)
        self._failed[connection] = None
        if len(self._failed) > CONNECTIONS_MAX:
            del self._failed[next(iter(self._failed))]
        return _event("failed", reason="invalid_user" if attempt["invalid"] else factor, factor=factor, **who)


def _event(outcome: str, **fields: str) -> Event:
    return "auth", {"method": "ssh", "outcome": outcome, **fields}


def _sudo(message: str) -> Event | None:
    match = _SUDO.match(message)
    if match is None:
        return None
    user, why = match["user"], match["why"]
    if why is None:
        return "sudo", {"outcome": "success", "user": user}
    reason = next((reason for text, reason in _WHY_SUDO.items() if text in why), "other")
    return "sudo", {"outcome": "failed", "reason": reason, "user": user}


def _su(message: str) -> Event | None:
    """Whose account it was to be, as that is what is attacked."""
    match = _SU.match(message)
    if match is None:
        return None
    outcome = {"outcome": "failed", "reason": "password"} if match["failed"] else {"outcome": "success"}
    return "auth", {"method": "su", "user": match["user"], **outcome}
