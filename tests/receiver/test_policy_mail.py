"""The e-mail channel in receiver.yml: what is told as a fault, and how a connection is secured."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.policy.mail import Smarthost, Tls, parse_smarthost, tls_of


def faults(folder: Path, channel: str) -> list[str]:
    """Of one channel; `{...}` is added to what every mail needs."""
    whole = f"{{type: email, smarthost: 'smtp.example.org:587', from: t@example.org, to: [a@example.org], {channel}}}"
    return told(folder, whole)


def told(folder: Path, channel: str) -> list[str]:
    path = folder / "receiver.yml"
    path.write_text(f"channels: {{mail: {channel}}}\n")
    try:
        settings.load(path, environ={})
    except InvalidConfig as invalid:
        return [f"{each.path}: found {each.found}, expected {each.expected}" for each in invalid.faults]
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "password").write_text("s3cret\n")
    return tmp_path


@pytest.mark.parametrize(
    "channel",
    [
        "tls: starttls",
        "tls: none",
        "username: t, password_file: password",
        "username: t, password_file: password, tls: tls, timeout: 10s, retry_for: 1h",
        "attach_json: true, attach_chart: true",
    ],
)
def test_what_fits_together_is_no_fault(folder: Path, channel: str) -> None:
    assert faults(folder, channel) == []


@pytest.mark.parametrize(
    ("channel", "fault"),
    [
        ("username: t", "channels.mail.username: found a user and no password, expected password_file beside it"),
        ("password_file: password", "channels.mail.password_file: found a password and no user, expected username"),
        ("username: t, password_file: nowhere", "channels.mail.password_file: found 'nowhere', expected a file that"),
        (
            "username: t, password_file: password, tls: none",
            "channels.mail.tls: found 'none', which sends the password",
        ),
        ("tls: none, ca_file: password", "channels.mail.ca_file: found certificates, and no TLS"),
        ("ca_file: password", "channels.mail.ca_file: found the file of certificates password holds none"),
        ("tls: ssl", "channels.mail.tls: found 'ssl'"),
        ("timeout: 5", "channels.mail.timeout: found the number 5"),
        ("password: s3cret", "channels.mail.password: found an unknown key"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(folder: Path, channel: str, fault: str) -> None:
    (found,) = faults(folder, channel)
    assert found.startswith(fault)
    assert "s3cret" not in found


@pytest.mark.parametrize("content", ["", " \n", "one\ntwo\n"])
def test_a_password_file_without_a_password_is_a_fault_of_the_policy(folder: Path, content: str) -> None:
    (folder / "password").write_text(content)
    (found,) = faults(folder, "username: t, password_file: password")
    assert found.startswith("channels.mail.password_file: found the password file password ")
    assert found.endswith("expected a file with a password in one line")


@pytest.mark.parametrize(
    ("channel", "fault"),
    [
        ("{type: email}", "channels.mail.smarthost: found nothing"),
        ("{type: email, smarthost: 'a:25', from: a@b, to: []}", "channels.mail.to: found an empty list"),
        ("{type: email, smarthost: 'a:25', from: a@b, to: [c@d, nobody]}", "channels.mail.to[1]: found 'nobody'"),
        ("{type: email, smarthost: 'a:25', from: nobody, to: [c@d]}", "channels.mail.from: found 'nobody'"),
        ("{type: email, smarthost: a, from: a@b, to: [c@d]}", "channels.mail.smarthost: found 'a'"),
        ('{type: email, smarthost: "a:25", from: "a@b\\r\\nBcc: x@y", to: [c@d]}', "channels.mail.from: found"),
    ],
)
def test_addresses_are_judged_one_by_one(tmp_path: Path, channel: str, fault: str) -> None:
    assert [each for each in told(tmp_path, channel) if each.startswith(fault)], told(tmp_path, channel)


@pytest.mark.parametrize(
    ("smarthost", "chosen", "tls"),
    [
        ("smtp.example.org:587", None, Tls.STARTTLS),
        ("smtp.example.org:25", None, Tls.STARTTLS),
        ("smtp.example.org:465", None, Tls.TLS),
        ("localhost:25", None, Tls.NONE),
        ("127.0.0.1:1025", None, Tls.NONE),
        ("[::1]:25", None, Tls.NONE),
        ("localhost.example.org:25", None, Tls.STARTTLS),
        ("127.0.0.1.example.org:25", None, Tls.STARTTLS),
        ("smtp.example.org:587", "none", Tls.NONE),
        ("localhost:25", "starttls", Tls.STARTTLS),
    ],
)
def test_nothing_goes_out_in_the_clear_unless_it_is_said(smarthost: str, chosen: str | None, tls: Tls) -> None:
    assert tls_of(parse_smarthost(smarthost), chosen) is tls


@pytest.mark.parametrize(
    ("text", "expected"),
    [("smtp.example.org:587", Smarthost("smtp.example.org", 587)), ("[2001:db8::1]:25", Smarthost("2001:db8::1", 25))],
)
def test_a_smarthost_is_read_and_written(text: str, expected: Smarthost) -> None:
    assert parse_smarthost(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "smtp.example.org", ":25", "a:0", "a:65536", "a:b", "a b:25", "a:25\n", "::1:25"])
def test_what_is_no_smarthost_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a host and a port such as smtp\.example\.org:587"):
        parse_smarthost(text)
