"""Sends to the services that Apprise knows, each message by itself: Teams, Discord, Telegram, SMS and many more.

Apprise waits for its services in threads. Here each address has a thread of its own for one attempt, which is let go
when its time is over: who hangs holds up nobody else, and only so many threads can hang. Apprise says whether a service
took a message, and hardly why not: what was not taken is tried again. Its addresses are secrets. They are read for each
message, never shown, and what Apprise and its libraries would log is not.

The library is imported when a policy needs it and not before: it takes a moment, and is an extra that may be missing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from guard.printable import printable
from receiver import message as messages
from receiver.channels import Unreachable
from receiver.channels.addresses import runbook_address
from receiver.channels.templates import NO_TEMPLATES, NO_WORDS, Templates, Words
from receiver.channels.terminal import again, alert_lines, digest_head, in_hand
from receiver.incident import severity_rank
from receiver.links import ANSWER_WORDS, Links
from receiver.message import Document, Kind, Message
from receiver.view import IncidentView

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

ADDRESSES_MAX = 10
FILE_BYTES_MAX = 65_536
THREADS_MAX = 4
TAKEN_MAX = 1_000
TITLE_CHARACTERS_MAX = 200
TEXT_CHARACTERS_MAX = 3_000
# From here on a severity is a failure to Apprise; what is less is a warning. Nothing that begins is less than that:
# some services note what is mere information beside an alert that they do not have.
_FAILURE = severity_rank("error")
_STATUS = re.compile(r"\berror=(\d{3})\b")


class NotInstalled(Exception):
    """The extra is missing."""


class Text(NamedTuple):
    """What the person reads, and how it is meant: `failure`, `warning`, `info` or `success`. Links are whole, or left
    out."""

    title: str
    body: str
    links: tuple[str, ...]
    mood: str

    def within(self, characters_max: int) -> str:
        """Body and links. What is too long ends with …; links have half of the room at most, the first ones first."""
        kept = ""
        for link in self.links:
            if 2 * len(f"{kept}\n{link}") <= characters_max:
                kept += f"\n{link}"
        return _cut(self.body, max(1, characters_max - len(kept))) + kept


class Apprise:
    """The addresses of one file. All of them are told; who took a message is not told again by another attempt."""

    parallel_max = 1  # services ask for pauses between messages, and Apprise keeps them for each address

    def __init__(
        self,
        *,
        addresses_file: Path,
        links: Links,
        templates: Templates = NO_TEMPLATES,
        timeout_seconds: float,
        retry_seconds_max: float,
    ) -> None:
        self._file = addresses_file
        self._links = links
        self._templates = templates
        self._timeout_seconds = timeout_seconds
        self._services: dict[str, _Service] = {}
        self._taken: dict[tuple[str, str], str] = {}  # by message and address: the name of the service
        self.retry_seconds_max = retry_seconds_max

    def preview(self, message: Message) -> str:
        """The file need not be there, and nobody sees what is in it."""
        text = text_of(message, links=self._links, words=self._templates.words_now(message))
        body = text.within(TEXT_CHARACTERS_MAX)
        return f"to the addresses in {self._file.name}, as {text.mood}\n\n{text.title}\n{body}\n"

    async def send(self, message: Message) -> str:
        addresses = read_addresses(self._file)
        words = await self._templates.words(message)
        text = text_of(message, links=self._links, words=words)
        self._services = {address: self._service(address) for address in addresses}
        missing = [address for address in addresses if (message.id, address) not in self._taken]
        answers = await asyncio.gather(*(self._tell(message, address, text) for address in missing))
        problems = [problem for problem in answers if problem is not None]
        if problems:
            raise Unreachable("; ".join(dict.fromkeys(problems)))
        names = dict.fromkeys(self._taken.pop((message.id, address), "") for address in addresses)
        return words.said(f"given to {', '.join(name for name in names if name)}")

    async def close(self) -> None:
        """A thread that still hangs ends with the process, or with its service."""

    def _service(self, address: str) -> _Service:
        return self._services.get(address) or _Service(address)

    async def _tell(self, message: Message, address: str, text: Text) -> str | None:
        """What went wrong, if anything."""

        def on_taken(name: str) -> None:
            self._taken[message.id, address] = name
            if len(self._taken) > TAKEN_MAX:
                del self._taken[next(iter(self._taken))]

        try:
            await self._services[address].tell(text, seconds=self._timeout_seconds, on_taken=on_taken)
        except Unreachable as error:
            return str(error)
        return None


class _Service:
    """One address, and the threads that are at it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._made: NotifyBase | None = None  # by the latest attempt that is not on its way any more
        self._threads = 0

    async def tell(self, text: Text, *, seconds: float, on_taken: Callable[[str], None]) -> None:
        if self._threads >= THREADS_MAX:
            raise Unreachable(f"{THREADS_MAX} earlier attempts at one address still hang")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[str] = loop.create_future()
        made, self._made = self._made, None

        def settle(service: NotifyBase | None, name: str, problem: str | None) -> None:
            self._threads -= 1
            self._made = service
            if problem is None:
                on_taken(name)  # also when it comes late: then no other attempt repeats it
            if not answered.done():
                answered.set_result(problem or "")

        def work() -> None:
            outcome = _attempt(made, self._address, text)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, *outcome)

        self._threads += 1
        # A daemon: a service that hangs must not keep the process from ending.
        threading.Thread(target=work, name="tocsin-apprise", daemon=True).start()
        done, _ = await asyncio.wait([answered], timeout=seconds)
        if not done:
            answered.cancel()
            raise Unreachable(f"a service did not answer within {seconds:g} seconds")
        if answered.result():
            raise Unreachable(answered.result())


def _attempt(service: NotifyBase | None, address: str, text: Text) -> tuple[NotifyBase | None, str, str | None]:
    """In a thread of its own: the service, its name, and what went wrong. Whatever a plugin raises may hold the
    address, so of that only its kind is told."""
    name = "a service"
    try:
        service = service or service_of(address)
        if service is None:
            return None, name, "an address is none that Apprise can use"
        name = printable(str(service.service_name), 60)
        with _statuses() as statuses:
            taken = service.notify(**_call(service, text))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and its message waits for another attempt
        return None, name, f"{name} failed: {type(error).__name__}"
    if taken:
        return service, name, None
    said = f" (status {statuses[-1]})" if statuses else ""
    return service, name, f"{name} did not take it{said}"


def _call(service: NotifyBase, text: Text) -> dict[str, Any]:
    """What is too long for the service ends with …, unless its address asks for several messages."""
    call = {"title": text.title, "notify_type": text.mood, "body_format": "text"}
    if service.overflow_mode.value == "split":
        return {**call, "body": text.within(TEXT_CHARACTERS_MAX)}
    length = len if service.resolve_format("text").value == "text" else _length_with_escapes
    limit = service.body_maxlen - (0 if service.title_maxlen else length(text.title) + 4)
    room = min(max(limit, 1), TEXT_CHARACTERS_MAX)
    while room > 1 and length(text.within(room)) > limit:
        room = room * 9 // 10
    return {**call, "body": text.within(room), "overflow": "truncate"}


def _length_with_escapes(text: str) -> int:
    """At most so many characters as Markdown or HTML."""
    lengths = (1 if each.isalnum() or each == " " else 6 if each in "&<>\"'\n" else 2 for each in text)
    return sum(lengths)


def service_of(address: str) -> NotifyBase | None:
    """Nothing if Apprise cannot use the address. Redirects are not followed, unless the address says so."""
    library = _library()
    asset = library.AppriseAsset(
        app_id="Tocsin", app_desc="Tocsin", app_url="", http_redirects=False, pgp_autogen=False, pem_autogen=False
    )
    made: NotifyBase | None = library.Apprise.instantiate(address, asset=asset)
    return made


def _library() -> Any:
    """Silent from the first moment on: addresses are secrets, and its libraries log them."""
    for name in ("apprise", "requests", "urllib3"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    try:
        return import_module("apprise")
    except ImportError:
        raise NotInstalled from None


@contextmanager
def _statuses() -> Iterator[list[str]]:
    """The HTTP statuses of which Apprise speaks in this thread. Nothing else that it says is kept."""
    heard: list[str] = []
    thread = threading.get_ident()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread and (found := _STATUS.search(record.getMessage())):
                heard.append(found[1])

    ear, logger = Ear(), logging.getLogger("apprise")
    logger.addHandler(ear)
    try:
        yield heard
    finally:
        logger.removeHandler(ear)


def read_addresses(file: Path) -> list[str]:
    """One a line; blank lines and lines that begin with # say nothing."""
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
        lines = [line.strip() for line in content.decode().splitlines()]
    except OSError as error:
        raise Unreachable(f"the file {file.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreachable(f"the file {file.name} is no text") from None
    if len(content) > FILE_BYTES_MAX:
        raise Unreachable(f"the file {file.name} has more than {FILE_BYTES_MAX} bytes")
    addresses = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not addresses:
        raise Unreachable(f"the file {file.name} holds no address")
    if len(addresses) > ADDRESSES_MAX:
        raise Unreachable(f"the file {file.name} holds {len(addresses)} addresses, and {ADDRESSES_MAX} are the most")
    return addresses


# --- what the person reads -----------------------------------------------------------------------------------------


def text_of(message: Message, *, links: Links, words: Words = NO_WORDS) -> Text:
    """In the words of the policy, where it has any. Below them stand the links, as ever."""
    text = _own_text(message, links=links)
    return text._replace(title=words.get("title") or text.title, body=words.get("body") or text.body)


def _own_text(message: Message, *, links: Links) -> Text:
    """Short and plain, for whatever shows it; what is hostile in labels is escaped."""
    document = messages.read(message)
    head, mood = f"[{message.kind.upper()}]", _mood(message.kind, document)
    if message.kind is Kind.DIGEST:
        lines = [f"{each.status} {_line(each)}" for each in document.incidents]
        if document.incidents_left_out:
            lines.append(f"and {document.incidents_left_out} more, in the next digest")
        overview = (links.overview,) if links.overview is not None else ()
        return Text(f"{head} {digest_head(document)}", "\n".join(lines), overview, mood)
    incident = document.incident
    firing, resolved = incident.alerts.firing, incident.alerts.resolved
    hand = printable(in_hand(incident), 300)
    lines = [f"{firing} firing, {resolved} resolved; source {printable(incident.source)}{again(incident)}{hand}"]
    lines += [line.strip() for line in alert_lines(document)]
    answer = links.answer(message, incident)
    shown = [f"{ANSWER_WORDS}: {answer}" if answer is not None else None]
    shown += [links.incident(incident.id), runbook_address(document.alerts)]
    return Text(
        title=_cut(f"{head} {_line(incident)}", TITLE_CHARACTERS_MAX),
        body="\n".join(lines),
        links=tuple(link for link in shown if link is not None),
        mood=mood,
    )


def _line(incident: IncidentView) -> str:
    return f"{incident.id} {printable(incident.severity, 40)}: {printable(incident.title, 400)}"


def _mood(kind: Kind, document: Document) -> str:
    match kind:
        case Kind.RESOLVED:
            return "success"
        case Kind.ACKNOWLEDGED | Kind.UPDATED:
            return "info"
        case Kind.OPENED | Kind.ESCALATED | Kind.DIGEST:
            return "failure" if severity_rank(document.incident.severity) >= _FAILURE else "warning"


def _cut(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"
