"""Servers that take mail: a real one, one that says what a test wants said, and certificates for both."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.left_out import left_out

HANG = "hang"


class Certificate(NamedTuple):
    """Signed by itself, so that it is its own authority."""

    key: Path
    pem: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.pem, self.key)
        return context


def certificate(folder: Path, *, names: str = "DNS:localhost,IP:127.0.0.1") -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        reason = "openssl is not installed (Debian's package openssl; `make test` as root installs it)"
        left_out(reason)
    made = Certificate(folder / "key.pem", folder / "cert.pem")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=a test", "-addext", f"subjectAltName={names}"]
    subprocess.run([*command, "-keyout", made.key, "-out", made.pem], check=True, capture_output=True, timeout=60)
    return made


class Mail(NamedTuple):
    """What came: from whom, to whom, the bytes, and over what."""

    sender: str
    recipients: list[str]
    content: bytes
    over_tls: bool
    user: bytes | None

    @property
    def parsed(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def text(self, kind: str = "plain") -> str:
        part = self.parsed.get_body((kind,))
        assert part is not None
        return str(part.get_content())


@dataclass
class Inbox:
    """Takes what comes. `refuses` says what is answered to a recipient; `answers` to the next mails, in their order."""

    refuses: Mapping[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    password: bytes = b""
    came: list[Mail] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            content = envelope.original_content or b""
            user = session.auth_data.login if session.auth_data else None
            mail = Mail(envelope.mail_from or "", envelope.rcpt_tos, content, session.ssl is not None, user)
            self.came.append(mail)
        return answer

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=data.password == self.password, handled=False, auth_data=data)


@asynccontextmanager
async def inbox(
    *,
    certificate: Certificate | None = None,
    implicit: bool = False,
    password: bytes | None = None,
    refuses: Mapping[str, str] | None = None,
    answers: list[str] | None = None,
    standing: Inbox | None = None,
) -> AsyncIterator[Inbox]:
    """A real server. With a certificate it offers STARTTLS and demands it, or speaks TLS from the first byte."""
    standing = standing or Inbox(refuses=refuses or {}, answers=answers or [], password=password or b"")
    context = certificate.server_context() if certificate else None
    loop = asyncio.get_running_loop()

    def serve() -> SMTP:
        return SMTP(
            standing,
            hostname="mail.example.org",
            loop=loop,
            tls_context=None if implicit else context,
            require_starttls=bool(context and not implicit),
            auth_require_tls=False,
            authenticator=standing.authenticate if password is not None else None,
            auth_exclude_mechanism=() if password is not None else ("LOGIN", "PLAIN"),
        )

    server = await loop.create_server(serve, "127.0.0.1", 0, ssl=context if implicit else None)
    async with server:
        standing.port = server.sockets[0].getsockname()[1]
        yield standing


@asynccontextmanager
async def scripted(
    replies: Mapping[str, str] | None = None,
    *,
    greeting: str = "220 ready",
    otherwise: str = "250 ok",
    hangs_up: bool = False,
) -> AsyncIterator[int]:
    """A server that answers each command as it is told, and all else with `otherwise`; HANG answers nothing more."""
    told = {"DATA": "354 go on", "QUIT": "221 bye", ".": "250 taken", "": greeting, **(replies or {})}
    released = asyncio.Event()

    async def say(writer: asyncio.StreamWriter, word: str) -> None:
        if (reply := told.get(word, otherwise)) == HANG:
            await released.wait()
        writer.write(f"{reply}\r\n".encode())
        await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await say(writer, "")
            in_mail = False
            while not hangs_up and (line := await reader.readline()):
                word = line.split(b" ")[0].strip().decode(errors="replace").upper()
                if not in_mail or word == ".":
                    await say(writer, word)
                    in_mail = word == "DATA" and told["DATA"].startswith("354")
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            released.set()
