"""The e-mail channel against real servers: what arrives, what is tried again, and what never goes out in the clear."""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.channels import Refused, Unreachable
from receiver.channels.chart import chart_of
from receiver.channels.email import Email
from receiver.message import Kind, read
from receiver.policy.mail import Smarthost, Tls, parse_mailbox
from tests.receiver.builders import AT, SURELY, message
from tests.receiver.mailserver import HANG, Certificate, certificate, inbox, scripted

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def channel(port: int, *, host: str = "127.0.0.1", to: tuple[str, ...] = (), **how: Any) -> AsyncIterator[Email]:
    made = Email(
        smarthost=Smarthost(host, port),
        sender=parse_mailbox("Tocsin <tocsin@example.org>"),
        recipients=[parse_mailbox(each) for each in to or ("ana@example.org",)],
        **{"tls": Tls.NONE, "timeout_seconds": SURELY, "retry_seconds_max": 60.0, **how},
    )
    try:
        yield made
    finally:
        await made.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def secret(folder: Path, content: str = f"{PASSWORD}\n") -> dict[str, Any]:
    path = folder / "mail.password"
    path.write_text(content)
    return {"username": "tocsin", "password_file": path}


def test_a_mail_arrives_with_text_and_html_and_the_headers_of_its_thread() -> None:
    async def test() -> None:
        sent = message("T-7", labels={"alertname": "Down", "severity": "critical"}, title="the shop is down")
        async with inbox() as box, channel(box.port, to=("Ana <ana@example.org>", "ben@example.org")) as mail:
            assert await mail.send(sent) == "250 taken"
        (came,) = box.came
        assert (came.sender, came.recipients) == ("tocsin@example.org", ["ana@example.org", "ben@example.org"])
        parsed = came.parsed
        assert parsed["Subject"] == "critical: the shop is down (T-7)"
        assert parsed["From"] == "Tocsin <tocsin@example.org>"
        assert parsed["To"] == "Ana <ana@example.org>, ben@example.org"
        assert parsed["Message-ID"] == "<j-T-7-1-chat@example.org>"
        assert parsed["In-Reply-To"] == parsed["References"] == "<j-T-7@example.org>"
        assert parsed["Auto-Submitted"] == "auto-generated"
        assert parsed["X-Tocsin-Incident"] == "T-7"
        assert parsedate_to_datetime(parsed["Date"]) == AT
        assert "the shop is down" in came.text("plain")
        assert "the shop is down" in came.text("html")

    run(test())


def test_a_repeat_is_the_same_mail_and_all_of_an_incident_are_one_thread() -> None:
    async def test() -> None:
        sent = [
            message("T-7", step=1),
            message("T-7", step=1),
            message("T-7", step=2, kind=Kind.ESCALATED),
            message("T-7", step=3, kind=Kind.RESOLVED, channel="chat.2"),
            message("T-8", step=1),
        ]
        async with inbox() as box, channel(box.port) as mail:
            for each in sent:
                await mail.send(each)
        parsed = [came.parsed for came in box.came]
        names = [each["Message-ID"] for each in parsed]
        assert names[0] == names[1]
        assert len({*names}) == 4
        threads = [each["References"] for each in parsed]
        assert {*threads[:4]} == {"<j-T-7@example.org>"}
        assert threads[4] == "<j-T-8@example.org>"
        assert not {*threads} & {*names}
        assert {each["Subject"].removeprefix("Re: ") for each in parsed[:4]} == {"critical: Down (T-7)"}

    run(test())


def test_the_incident_is_attached_as_a_webhook_would_post_it() -> None:
    async def test() -> None:
        sent = message(firing=3)
        async with inbox() as box, channel(box.port, attach_json=True) as mail:
            await mail.send(sent)
        (attachment,) = box.came[0].parsed.iter_attachments()
        assert attachment.get_content_type() == "application/json"
        assert attachment.get_payload(decode=True) == sent.body

    run(test())


def test_a_chart_arrives_as_it_was_drawn_and_the_same_again() -> None:
    async def test() -> None:
        sent = message(firing=3)
        async with inbox() as box, channel(box.port, attach_chart=True) as mail:
            await mail.send(sent)
            await mail.send(sent)
        pictures = [
            part.get_payload(decode=True)
            for came in box.came
            for part in came.parsed.walk()
            if part.get_content_type() == "image/png"
        ]
        chart = chart_of(read(sent), at=AT)
        assert chart is not None
        assert pictures == [chart.png] * 2

    run(test())


# --- who we are, and who they are --------------------------------------------------------------------------------


def test_the_password_is_the_one_that_the_file_holds_now(tmp_path: Path) -> None:
    async def test() -> None:
        async with inbox(password=b"second") as box, channel(box.port, **secret(tmp_path, "first\n")) as mail:
            with pytest.raises(Unreachable, match="535"):
                await mail.send(message())
            assert box.came == []
            secret(tmp_path, " second \n")
            await mail.send(message())
        assert [came.user for came in box.came] == [b"tocsin"]

    run(test())


@pytest.mark.parametrize(
    ("content", "fault"), [(None, "cannot be read"), ("", "is empty"), (" \n", "is empty"), ("a\nb", "one line")]
)
def test_without_its_password_nothing_is_sent(tmp_path: Path, content: str | None, fault: str) -> None:
    async def test() -> None:
        how = secret(tmp_path, content or "")
        if content is None:
            how["password_file"].unlink()
        async with inbox(password=b"x") as box, channel(box.port, **how) as mail:
            with pytest.raises(Unreachable, match=rf"the password file mail\.password .*{fault}"):
                await mail.send(message())
        assert (box.came, box.logins) == ([], [])

    run(test())


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.TLS])
def test_over_tls_with_a_certificate_that_is_trusted(tmp_path: Path, trusted: Certificate, tls: Tls) -> None:
    async def test() -> None:
        how = {**secret(tmp_path), "tls": tls, "ca_file": trusted.pem}
        implicit, password = tls is Tls.TLS, PASSWORD.encode()
        async with (
            inbox(certificate=trusted, implicit=implicit, password=password) as box,
            channel(box.port, host="localhost", **how) as mail,
        ):
            assert await mail.send(message()) == "250 taken"
            assert await mail.send(message("T-2")) == "250 taken"
        assert [(came.over_tls or implicit, came.user) for came in box.came] == [(True, b"tocsin")] * 2

    run(test())


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.TLS])
@pytest.mark.parametrize("fault", ["unknown", "another name"])
def test_a_certificate_that_is_not_trusted_gets_neither_mail_nor_password(
    tmp_path: Path, trusted: Certificate, tls: Tls, fault: str
) -> None:
    other = certificate(tmp_path, names="DNS:mail.example.com")
    how = {"ca_file": other.pem} if fault == "another name" else {}
    shown = other if fault == "another name" else trusted

    async def test() -> None:
        async with (
            inbox(certificate=shown, implicit=tls is Tls.TLS, password=PASSWORD.encode()) as box,
            channel(box.port, host="localhost", tls=tls, **secret(tmp_path), **how) as mail,
        ):
            with pytest.raises(Unreachable, match="its certificate is not trusted: "):
                await mail.send(message())
        assert (box.came, box.logins) == ([], [])

    run(test())


def test_a_server_without_starttls_gets_neither_mail_nor_password(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            inbox(password=PASSWORD.encode()) as box,
            channel(box.port, tls=Tls.STARTTLS, **secret(tmp_path)) as mail,
        ):
            with pytest.raises(Unreachable, match="STARTTLS"):
                await mail.send(message())
        assert (box.came, box.logins) == ([], [])

    run(test())


def test_a_server_that_speaks_no_tls_gets_nothing() -> None:
    async def test() -> None:
        async with scripted() as port, channel(port, tls=Tls.TLS) as mail:
            with pytest.raises(Unreachable, match="no TLS with it"):
                await mail.send(message())

    run(test())


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_file_of_certificates_without_any_is_said(tmp_path: Path, content: str) -> None:
    async def test() -> None:
        authority = tmp_path / "ca.pem"
        authority.write_text(content)
        async with channel(1, tls=Tls.STARTTLS, ca_file=authority) as mail:
            with pytest.raises(Unreachable, match=r"the file of certificates ca\.pem holds none"):
                await mail.send(message())
            authority.unlink()
            with pytest.raises(Unreachable, match=r"the file of certificates ca\.pem cannot be read"):
                await mail.send(message())

    run(test())


# --- what the server says ----------------------------------------------------------------------------------------

TWO = ("ana@example.org", "ben@example.org")


def test_who_is_refused_does_not_keep_the_mail_from_the_others() -> None:
    async def test() -> None:
        refuses = {"ben@example.org": "550 5.1.1 no such user"}
        async with inbox(refuses=refuses) as box, channel(box.port, to=TWO) as mail:
            answer = await mail.send(message())
        assert answer == "250 taken; not to 1 of 2: ben@example.org 550 5.1.1 no such user"
        assert box.came[0].recipients == ["ana@example.org"]

    run(test())


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (("550 no such user", "553 not here"), Refused),
        (("450 greylisted", "451 later"), Unreachable),
        (("550 no such user", "450 greylisted"), Unreachable),
    ],
)
def test_when_all_are_refused_time_may_cure_it_or_not(answers: tuple[str, str], kind: type[Exception]) -> None:
    async def test() -> None:
        async with inbox(refuses=dict(zip(TWO, answers, strict=True))) as box, channel(box.port, to=TWO) as mail:
            with pytest.raises((Refused, Unreachable)) as raised:
                await mail.send(message())
        assert type(raised.value) is kind
        assert str(raised.value) == "; ".join(f"{who} {said}" for who, said in zip(TWO, answers, strict=True))
        assert box.came == []

    run(test())


def test_a_server_that_is_busy_gets_the_mail_later() -> None:
    async def test() -> None:
        async with inbox(answers=["452 too much mail", "250 now"]) as box, channel(box.port) as mail:
            with pytest.raises(Unreachable, match="answered 452 too much mail"):
                await mail.send(message())
            assert await mail.send(message()) == "250 now"
        assert len(box.came) == 1

    run(test())


@pytest.mark.parametrize("command", ["MAIL", "DATA", "."])
@pytest.mark.parametrize(("answer", "kind"), [("554 no", Refused), ("451 later", Unreachable)])
def test_what_the_server_says_about_the_mail_decides(command: str, answer: str, kind: type[Exception]) -> None:
    async def test() -> None:
        async with scripted({command: answer}) as port, channel(port) as mail:
            with pytest.raises((Refused, Unreachable)) as raised:
                await mail.send(message())
        assert type(raised.value) is kind
        assert str(raised.value) == f"answered {answer}"

    run(test())


@pytest.mark.parametrize("greeting", ["554 not you", "421 closing", "SSH-2.0-OpenSSH", "999 what"])
def test_a_server_that_does_not_want_us_says_nothing_about_the_mail(greeting: str) -> None:
    async def test() -> None:
        async with scripted(greeting=greeting) as port, channel(port) as mail:
            with pytest.raises(Unreachable):
                await mail.send(message())

    run(test())


@pytest.mark.parametrize("command", ["", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "."])
def test_a_server_that_hangs_costs_its_timeout_and_no_more(command: str) -> None:
    async def test() -> None:
        replies = {"EHLO": "250-here\r\n250 STARTTLS", command: HANG}
        tls = Tls.STARTTLS if command == "STARTTLS" else Tls.NONE
        async with scripted(replies) as port, channel(port, tls=tls, timeout_seconds=0.2) as mail:
            with pytest.raises(Unreachable, match=r"did not take the mail within 0\.2 seconds"):
                await mail.send(message())

    run(test())


def test_a_handshake_that_hangs_costs_its_timeout_and_no_more() -> None:
    async def test() -> None:
        replies = {"EHLO": "250-here\r\n250 STARTTLS", "STARTTLS": "220 go on"}
        async with (
            scripted(replies, otherwise=HANG) as port,
            channel(port, tls=Tls.STARTTLS, timeout_seconds=0.2) as mail,
        ):
            with pytest.raises(Unreachable, match=r"did not take the mail within 0\.2 seconds"):
                await mail.send(message())

    run(test())


def test_a_server_that_says_no_goodbye_has_taken_the_mail() -> None:
    async def test() -> None:
        async with scripted({"QUIT": HANG}) as port, channel(port) as mail:
            assert await mail.send(message()) == "250 taken"

    run(test())


def test_a_server_that_hangs_up_or_is_not_there_is_tried_again() -> None:
    async def test() -> None:
        async with scripted(hangs_up=True) as port, channel(port) as mail:
            with pytest.raises(Unreachable):
                await mail.send(message())
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free = probe.getsockname()[1]
        for host in ("127.0.0.1", "nowhere.invalid"):
            async with channel(free, host=host) as mail:
                with pytest.raises(Unreachable, match=f"{host}:{free}: "):
                    await mail.send(message())

    run(test())


def test_a_server_that_repeats_the_password_does_not_put_it_into_the_error(tmp_path: Path) -> None:
    async def test() -> None:
        plain = b64encode(f"\0tocsin\0{PASSWORD}".encode()).decode()
        said = f"no user with {PASSWORD} or {b64encode(PASSWORD.encode()).decode()} or {plain}"
        replies = {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": f"535 {said}"}
        async with scripted(replies) as port, channel(port, **secret(tmp_path)) as mail:
            with pytest.raises(Unreachable) as raised:
                await mail.send(message())
        assert str(raised.value) == f"127.0.0.1:{port} answered 535 no user with … or … or …"
        replies = {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "235 ok", ".": f"250 {said}"}
        async with scripted(replies) as port, channel(port, **secret(tmp_path)) as mail:
            assert await mail.send(message()) == "250 no user with … or … or …"

    run(test())
