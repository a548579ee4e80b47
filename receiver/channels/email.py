"""Sends each message as a mail, through one server, on a connection of its own.

A certificate that is not trusted, or a server without STARTTLS, is a failure: nothing goes out in the clear instead.
What goes wrong before the mail is offered says nothing about the mail, so it is tried again; what the server says about
the mail decides. No error shows the password, not even when the server repeats it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from receiver.channels import Refused, Unreachable, letter
from receiver.channels.templates import NO_TEMPLATES, Templates, Words
from receiver.channels.trust import trust, why_no_tls
from receiver.links import NO_LINKS, Links
from receiver.message import Message
from receiver.policy.mail import Mailbox, Smarthost, Tls

ANSWER_CHARACTERS_MAX = 500
PASSWORD_BYTES_MAX = 4096
# The mail is taken by then: a server that does not say goodbye is not waited for.
GOODBYE_SECONDS_MAX = 1.0


class Email:
    """One server. The password and a `ca_file` are read for each mail: they can be changed without a restart."""

    parallel_max = 4

    def __init__(
        self,
        *,
        smarthost: Smarthost,
        sender: Mailbox,
        recipients: Sequence[Mailbox],
        username: str | None = None,
        password_file: Path | None = None,
        tls: Tls,
        ca_file: Path | None = None,
        attach_json: bool = False,
        attach_chart: bool = False,
        links: Links = NO_LINKS,
        templates: Templates = NO_TEMPLATES,
        timeout_seconds: float,
        retry_seconds_max: float,
    ) -> None:
        self._smarthost = smarthost
        self._sender = sender
        self._recipients = tuple({each.address: each for each in recipients}.values())
        self._username = username
        self._password_file = password_file
        self._tls = tls
        self._ca_file = ca_file
        self._attach_json = attach_json
        self._attach_chart = attach_chart
        self._links = links
        self._templates = templates
        self._timeout_seconds = timeout_seconds
        self._system_context: ssl.SSLContext | None = None
        self.retry_seconds_max = retry_seconds_max

    def preview(self, message: Message) -> str:
        mail, words = self._write(message)
        html = words.get("html")
        return letter.shown(mail) + (f"\nand in HTML:\n{html}\n" if html is not None else "")

    async def send(self, message: Message) -> str:
        # In a thread: writing a large one takes a while, and other channels wait for nobody.
        mail, words = await asyncio.to_thread(self._write, message)
        password = read_password(self._password_file) if self._password_file is not None else b""
        try:
            return words.said(self._harmless(await self._attempt(mail, password), password))
        except (Unreachable, Refused) as error:
            raise type(error)(self._harmless(str(error), password)) from None

    async def close(self) -> None:
        """Nothing is kept open between two mails."""

    def _write(self, message: Message) -> tuple[bytes, Words]:
        words = self._templates.words_now(message)
        mail = letter.write(
            message,
            sender=self._sender,
            recipients=self._recipients,
            attach_json=self._attach_json,
            attach_chart=self._attach_chart,
            links=self._links,
            templated=words,
        )
        return mail, words

    async def _attempt(self, mail: bytes, password: bytes) -> str:
        client = SMTP(
            hostname=self._smarthost.host,
            port=self._smarthost.port,
            timeout=None,  # there is one for the whole attempt
            use_tls=self._tls is Tls.TLS,
            start_tls=self._tls is Tls.STARTTLS,
            tls_context=await self._context(),
            local_hostname=_own_name(),
        )
        answer: str | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._connect(client, password)
                answer = await self._offer(client, mail)
                with suppress(SMTPException, OSError):
                    await client.quit(timeout=GOODBYE_SECONDS_MAX)
        except TimeoutError:
            if answer is None:
                text = f"{self._smarthost} did not take the mail within {self._timeout_seconds:g} seconds"
                raise Unreachable(text) from None
        finally:
            client.close()
        assert answer is not None
        return answer

    async def _connect(self, client: SMTP, password: bytes) -> None:
        """To where a mail can be offered."""
        try:
            await client.connect()
            if self._username is not None:
                await client.login(self._username.encode(), password)
        except SMTPResponseException as error:
            raise Unreachable(f"{self._smarthost} answered {error.code} {error.message}") from None
        except (SMTPException, OSError) as error:
            raise Unreachable(f"{self._smarthost}: {_why(error)}") from None

    async def _offer(self, client: SMTP, mail: bytes) -> str:
        addresses = [each.address for each in self._recipients]
        try:
            refused, said = await client.sendmail(self._sender.address, addresses, mail)
        except SMTPRecipientsRefused as error:
            raise _judged(error.recipients, _refusals((each.recipient, each) for each in error.recipients)) from None
        except SMTPResponseException as error:
            raise _judged([error], f"answered {error.code} {error.message}") from None
        except (SMTPException, OSError) as error:
            raise Unreachable(f"{self._smarthost}: {_why(error)}") from None
        answer = f"250 {said}"
        if not refused:
            return answer
        errors = ((address, SMTPRecipientRefused(*response, address)) for address, response in refused.items())
        return f"{answer}; not to {len(refused)} of {len(addresses)}: {_refusals(errors)}"

    async def _context(self) -> ssl.SSLContext | None:
        if self._tls is Tls.NONE:
            return None
        if self._ca_file is not None:
            return await asyncio.to_thread(trust, self._ca_file)
        if self._system_context is None:
            self._system_context = await asyncio.to_thread(ssl.create_default_context)
        return self._system_context

    def _harmless(self, text: str, password: bytes) -> str:
        """One line without the password, in none of the ways in which it was sent."""
        if password:
            plain = b"\0" + (self._username or "").encode() + b"\0" + password
            for secret in (b64encode(plain), b64encode(password), password):
                text = text.replace(secret.decode(errors="surrogateescape"), "…")
        return " ".join(text.split())[:ANSWER_CHARACTERS_MAX]


def read_password(path: Path) -> bytes:
    """What the file holds, without white space around it. Raises Unreachable: the file may be there again soon."""
    try:
        with path.open("rb") as file:
            password = file.read(PASSWORD_BYTES_MAX + 1).strip()
    except OSError as error:
        raise Unreachable(f"the password file {path.name} cannot be read: {error.strerror}") from None
    if not password:
        raise Unreachable(f"the password file {path.name} is empty")
    if len(password) > PASSWORD_BYTES_MAX or len(password.splitlines()) > 1 or b"\0" in password:
        raise Unreachable(f"the password file {path.name} does not hold one line with a password")
    return password


def _judged(errors: Sequence[SMTPResponseException], text: str) -> Unreachable | Refused:
    """5xx is the last word. If it is not for all of them, another attempt can help."""
    return Refused(text) if all(500 <= error.code < 600 for error in errors) else Unreachable(text)


def _refusals(errors: Iterable[tuple[str, SMTPRecipientRefused]]) -> str:
    return "; ".join(f"{address} {error.code} {error.message}" for address, error in errors)


def _why(error: BaseException) -> str:
    """What the library says repeats the address, and wraps what the system said."""
    inner: BaseException | None = error
    while inner is not None:
        match inner:
            case ssl.SSLError():
                return why_no_tls(inner)
            case OSError() if inner.strerror:
                return inner.strerror
        inner = inner.__cause__
    return error.message if isinstance(error, SMTPException) else type(error).__name__


def _own_name() -> str:
    """How we greet. Without asking the network who we are: that can hang."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name) else "[127.0.0.1]"
