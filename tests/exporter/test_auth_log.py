"""Lines of sshd, sudo and su as events: each attempt once, with the address that sshd itself wrote, or with none."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.event import Fields
from exporter.intake.logs.authlog import CONNECTIONS_MAX, MATCHED_CHARACTERS_MAX, REPEATS_MAX
from exporter.intake.logs.parsing import parser_of
from exporter.intake.logs.settings import Log
from exporter.reader import Found
from tests.exporter.mapped import faults

ASKED = {
    "auth": Fields(("method", "outcome", "reason", "factor"), addresses=("ip",), people=("user",)),
    "sudo": Fields(("outcome", "reason"), people=("user",)),
}
FROM = "from 192.0.2.7 port 50122"
# An event: what was tried, how it ended, why, by what, whose address, whose name.
Event = tuple[str, ...]


def parser() -> Any:
    return parser_of(Log(name="ssh", paths=("/x",), format="auth_log"), ASKED)


def events(found: Found, kind: str = "auth") -> list[Event]:
    names = ("method", "outcome", "reason", "factor", "ip", "user")
    names = names if kind == "auth" else ("outcome", "reason", "user")
    rows = []
    for raw in found.events:
        if raw.kind == kind:
            rows += list(zip(*(raw.columns[name] for name in names), strict=True))
    return rows


def said(*messages: str, program: str = "sshd", kind: str = "auth") -> list[Event]:
    lines = [f"Nov  2 03:40:18 crow {program}[4711]: {message}\n" for message in messages]
    return events(parser().parse("".join(lines).encode()), kind)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (f"Failed password for ana {FROM} ssh2", ("failed", "password", "password", "192.0.2.7", "ana")),
        (
            f"Failed password for invalid user admin {FROM} ssh2",
            ("failed", "invalid_user", "password", "192.0.2.7", "admin"),
        ),
        (
            f"Failed publickey for ana {FROM} ssh2: ED25519 SHA256:mmElTb7V",
            ("failed", "publickey", "publickey", "192.0.2.7", "ana"),
        ),
        (
            f"Failed keyboard-interactive/pam for ana {FROM} ssh2",
            ("failed", "keyboard-interactive", "keyboard-interactive", "192.0.2.7", "ana"),
        ),
        (
            f"Accepted publickey for ana {FROM} ssh2: ED25519 SHA256:mmElTb7V",
            ("success", "", "publickey", "192.0.2.7", "ana"),
        ),
        (
            "Failed password for ana from 2001:db8::7 port 50122 ssh2",
            ("failed", "password", "password", "2001:db8::7", "ana"),
        ),
        (
            "Connection closed by authenticating user ana 192.0.2.7 port 50122 [preauth]",
            ("failed", "preauth", "", "192.0.2.7", "ana"),
        ),
        (
            "Connection reset by invalid user admin 192.0.2.7 port 50122 [preauth]",
            ("failed", "invalid_user", "", "192.0.2.7", "admin"),
        ),
        (
            "Disconnected from invalid user  192.0.2.7 port 50122 [preauth]",
            ("failed", "invalid_user", "", "192.0.2.7", ""),
        ),
        (
            "Disconnecting authenticating user ana 192.0.2.7 port 50122: Too many authentication failures [preauth]",
            ("failed", "preauth", "", "192.0.2.7", "ana"),
        ),
    ],
)
def test_an_attempt_is_an_event(message: str, event: Event) -> None:
    assert said(message) == [("ssh", *event)]


@pytest.mark.parametrize(
    "message",
    [
        "Server listening on 0.0.0.0 port 22.",
        f"Invalid user admin {FROM}",
        f"Failed none for invalid user admin {FROM} ssh2",
        f"maximum authentication attempts exceeded for ana {FROM} ssh2 [preauth]",
        f"Received disconnect {FROM}:11: Bye Bye [preauth]",
        "Disconnected from user ana 192.0.2.7 port 50122",
        "Connection closed by 192.0.2.7 port 50122 [preauth]",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=ana",
        "banner exchange: Connection from 192.0.2.7 port 50122: invalid format",
    ],
)
def test_what_says_the_same_once_more_or_is_no_attempt_is_none(message: str) -> None:
    assert said(message) == []


def test_the_end_of_a_connection_in_which_an_attempt_failed_is_no_other_attempt() -> None:
    end = "Connection closed by authenticating user ana 192.0.2.7 port {} [preauth]"
    first = f"Failed password for ana {FROM} ssh2"
    assert [event[2] for event in said(first, first, end.format(50122))] == ["password", "password"]
    assert [event[2] for event in said(first, end.format(50123))] == ["password", "preauth"]
    assert [event[2] for event in said(first, end.format(50122), end.format(50122))] == ["password", "preauth"]


def test_connections_are_remembered_over_pieces_of_the_log_and_bounded() -> None:
    log = parser()
    for port in range(CONNECTIONS_MAX + 1):
        log.parse(f"Failed password for ana from 192.0.2.7 port {port} ssh2\n".encode())
    end = "Connection closed by authenticating user ana 192.0.2.7 port {} [preauth]\n"
    assert events(log.parse(end.format(CONNECTIONS_MAX).encode())) == []
    assert [event[2] for event in events(log.parse(end.format(0).encode()))] == ["preauth"]


HEADERS = [
    "Nov 22 03:40:18 crow sshd[7]: ",
    "Nov  2 03:40:18 crow sshd-session[7]: ",
    "<38>Nov  2 03:40:18 crow sshd[7]: ",
    "2026-11-22T03:40:18.123456+01:00 crow sshd[7]: ",
    "2026-11-22T03:40:18+0000 crow sshd[7]: ",
    "1 2026-11-22T03:40:18.123456+01:00 crow sshd 7 - - ",
    '<38>1 2026-11-22T03:40:18.123456Z crow sshd 7 - [meta sequenceId="3"] ',
    "<38>1 2026-11-22T03:40:18.123456Z crow sshd 7 - - \ufeff",
    "",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_way_to_write_a_line_is_read(header: str, end: str) -> None:
    line = f"{header}Failed password for ana {FROM} ssh2{end}"
    assert events(parser().parse(line.encode())) == [("ssh", "failed", "password", "password", "192.0.2.7", "ana")]


@pytest.mark.parametrize("program", ["CRON", "sshdx", "my-sshd", "sudo"])
def test_what_another_program_says_is_no_login(program: str) -> None:
    assert said(f"Failed password for ana {FROM} ssh2", program=program) == []
    assert said(f"sshd[7]: Failed password for ana {FROM} ssh2", program=program) == []


VICTIM = "198.51.100.1"
NAMES = [
    f"a from {VICTIM} port 1 ssh2",
    f"a from {VICTIM} port 1 ssh2: RSA SHA256:x",
    f"a {VICTIM} port 1 [preauth]",
    f"a\u2028Failed password for root from {VICTIM} port 1 ssh2",
    f"a\x85Failed password for root from {VICTIM} port 1 ssh2",
    f"a\rFailed password for root from {VICTIM} port 1 ssh2",
    f"a {VICTIM} port 1: Too many authentication failures [preauth]",
]
ENDS = [
    "Failed password for {} from 192.0.2.7 port 5 ssh2",
    "Failed password for invalid user {} from 192.0.2.7 port 5 ssh2",
    "Failed publickey for invalid user {} from 192.0.2.7 port 5 ssh2: RSA SHA256:abc",
    "Failed publickey for ana from 192.0.2.7 port 5 ssh2: RSA-CERT SHA256:x ID {} (serial 0) CA RSA SHA256:y",
    "Failed publickey for ana from 192.0.2.7 port 5 ssh2: RSA-CERT SHA256:x ID {}",
    "Connection closed by invalid user {} 192.0.2.7 port 5 [preauth]",
    "Disconnecting invalid user {} 192.0.2.7 port 5: Too many authentication failures [preauth]",
    "Disconnecting invalid user a 192.0.2.7 port 5: Change of username not allowed: (a,b) -> ({},b) [preauth]",
    "Invalid user {} from 192.0.2.7 port 5",
    "Received disconnect from 192.0.2.7 port 5:11: {} [preauth]",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("end", ENDS)
def test_nobody_can_have_somebody_else_blocked_by_a_name(end: str, name: str) -> None:
    assert {event[4] for event in said(end.format(name))} <= {"192.0.2.7", ""}


@given(name=st.text(alphabet=f"ab :[]\n{VICTIM}port from ssh2", max_size=60), end=st.sampled_from(ENDS))
def test_nobody_can_with_any_other_name(name: str, end: str) -> None:
    written = name.replace("\n", "\\n")  # as sshd does
    assert {event[4] for event in said(end.format(f"{written} from {VICTIM} port 1 ssh2"))} <= {"192.0.2.7", ""}


def test_equal_lines_that_are_written_once_count_as_often_as_they_came_and_are_bounded() -> None:
    line = "message repeated {} times: [ Failed password for ana from 192.0.2.7 port 5 ssh2]"
    assert len(said(line.format(3))) == 3
    assert len(said(line.format(999_999_999))) == REPEATS_MAX


def test_a_line_that_is_too_long_is_none() -> None:
    name = "a" * MATCHED_CHARACTERS_MAX
    assert said(f"Failed password for {name} {FROM} ssh2") == []


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ("     ana : TTY=pts/0 ; PWD=/home/ana ; USER=root ; COMMAND=/usr/bin/ls", ("success", "", "ana")),
        ("     ana : PWD=/ ; USER=root ; COMMAND=/usr/bin/ls", ("success", "", "ana")),
        (
            "     ana : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            ("failed", "wrong_password", "ana"),
        ),
        (
            "     ana : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            ("failed", "not_allowed", "ana"),
        ),
        (
            "     eve : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            ("failed", "not_in_sudoers", "eve"),
        ),
        (
            "     ana : a password is required ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            ("failed", "no_password", "ana"),
        ),
        ("     ana : the moon is full ; PWD=/ ; USER=root ; COMMAND=/bin/sh", ("failed", "other", "ana")),
    ],
)
def test_a_command_by_sudo_is_an_event(message: str, event: Event) -> None:
    assert said(message, program="sudo", kind="sudo") == [event]


def test_sessions_of_sudo_are_no_commands() -> None:
    assert said("pam_unix(sudo:session): session opened for user root(uid=0) by (uid=0)", program="sudo") == []


def test_su_is_a_login_to_the_account_that_it_is_about() -> None:
    assert said("FAILED SU (to root) ana on pts/1", program="su") == [("su", "failed", "password", "", "", "root")]
    assert said("(to root) ana on pts/1", program="su") == [("su", "success", "", "", "", "root")]


def test_what_no_line_is_about_is_counted_as_unmatched() -> None:
    lines = f"Nov  2 03:40:18 crow CRON[1]: x\n\nnonsense\nFailed password for ana {FROM} ssh2\n"
    found = parser().parse(lines.encode())
    assert found.unmatched == {"": 2}
    assert found.faults == []


def test_a_kind_that_nobody_asks_for_is_unmatched() -> None:
    log = parser_of(Log(name="ssh", paths=("/x",), format="auth_log"), {})
    assert log.parse(f"Failed password for ana {FROM} ssh2\n".encode()).unmatched == {"auth": 1}


@given(data=st.binary(max_size=300))
def test_no_line_makes_it_fail(data: bytes) -> None:
    with contextlib.suppress(UnicodeError):
        assert parser().parse(data).faults == []


@pytest.mark.parametrize("key", ["event: auth", "fields: {ip: a}", "time: {field: a}", "patterns: ['a']"])
def test_the_format_says_all_of_this_itself(key: str) -> None:
    (fault,) = faults(f"logs: [{{name: a, paths: [/a], format: auth_log, {key}}}]\n")
    assert f"logs[0].{key.partition(':')[0]}" in fault
