"""Everybody whom a receiver tells in one night, and one list of what they were told, in the order in which it came."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.real.servers import SURELY, Sink, sink, until
from tests.receiver.mailserver import Inbox, inbox
from tests.receiver.pagerdutysays import WEBHOOK_SECRET
from tests.receiver.pagerdutysink import ROUTING_KEY, PagerDutySink
from tests.receiver.provider import Reply, serving
from tests.receiver.slackpress import SIGNING_SECRET
from tests.receiver.slacksink import TOKEN, SlackSink

LINK = re.compile(r"https?://\S+/ack/\S+")


@dataclass
class Heard:
    """`ana: opened DatabaseDown` and so on; `since` is what nobody has looked at yet."""

    lines: list[str] = field(default_factory=list)
    seen: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hears(self, line: str) -> None:
        with self.lock:
            self.lines.append(line)

    @property
    def since(self) -> list[str]:
        with self.lock:
            return self.lines[self.seen :]

    def expect(self, *lines: str) -> None:
        """Exactly these came since the last time, to everybody in this order."""
        until(lambda: len(self.since) >= len(lines), what=f"{lines} are told, after {self.since}")
        came = self.since
        assert _by_hearer(came) == _by_hearer(lines), f"what was told is {came}"
        self.seen += len(came)


def _by_hearer(lines: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line.partition(":")[0], []).append(line)
    return found


class PostOffice(Inbox):
    """A mail server that may be down: then it takes nothing, and says that it is for now."""

    heard: Heard
    down = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.down:
            return "451 4.3.2 the system is down"
        answer = await super().handle_DATA(server, session, envelope)
        mail = self.came[-1].parsed
        who = ", ".join(each.partition("@")[0] for each in envelope.rcpt_tos)
        title = str(mail["Subject"]).removeprefix("Re: ").partition(": ")[2].partition(" (")[0]
        self.heard.hears(f"{who}: {mail['X-Tocsin-Kind']} {title}")
        return answer

    def link_to(self, person: str) -> str:
        """The signed link of the latest mail to that person."""
        mails = [mail for mail in self.came if mail.recipients == [f"{person}@example.org"]]
        (link, *_) = LINK.findall(mails[-1].text())
        return str(link)


class Chat(SlackSink):
    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        reply = super().answer(path, headers, body)
        document = json.loads(body)
        if not path.startswith("/api/"):
            self._heard.hears(f"chat: to one person: {document['text']}")
        elif json.loads(reply.body)["ok"] is not True:
            self.faults.append(f"{path} was answered {reply.body!r}")
        elif "thread_ts" in document:
            self._heard.hears(f"chat: a line: {re.split('; | until ', document['text'])[0]}")
        elif path == "/api/chat.postMessage":
            self._heard.hears(f"chat: a message: {document['blocks'][0]['text']['text']}")
        return reply


class Pager(PagerDutySink):
    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        reply = super().answer(path, headers, body)
        if reply.status == 202:
            self._heard.hears(f"pager: {json.loads(body)['event_action']}")
        return reply


@dataclass
class People:
    heard: Heard
    mail: PostOffice
    chat: Chat
    pager: Pager
    desk: Sink

    def faults(self) -> list[str]:
        return [*self.chat.faults, *self.pager.faults]

    def at_the_desk(self, kinds: Sequence[str]) -> list[str]:
        """The alerts of which the desk heard so, in messages and in digests."""
        with self.desk.lock:
            messages = [message for _, message in self.desk.messages]
        told = [each["incident"] for each in messages if each["kind"] in kinds]
        told += [one for each in messages if each["kind"] == "digest" for one in each["incidents"]]
        return [each["labels"]["alertname"] for each in told]


@contextmanager
def people(folder: Path) -> Iterator[People]:
    """Their servers, and their secrets in `folder`."""
    (folder / "slack.token").write_text(TOKEN)
    (folder / "signing.secret").write_text(SIGNING_SECRET)
    (folder / "pagerduty.key").write_text(ROUTING_KEY)
    (folder / "revoked.key").write_text("f" * len(ROUTING_KEY))
    (folder / "webhook.secret").write_text(WEBHOOK_SECRET)
    heard = Heard()
    chat, pager = Chat(heard), Pager(heard)
    with ExitStack() as running:
        running.enter_context(serving(chat))
        running.enter_context(serving(pager))
        office = running.enter_context(_post_office(heard))
        yield People(heard, office, chat, pager, running.enter_context(sink()))


@contextmanager
def _post_office(heard: Heard) -> Iterator[PostOffice]:
    """In a thread with a loop of its own."""
    office = PostOffice()
    office.heard = heard
    opened = threading.Event()
    loop = asyncio.new_event_loop()
    closing = asyncio.Event()

    async def serve() -> None:
        async with inbox(standing=office):
            opened.set()
            await closing.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert opened.wait(SURELY)
    try:
        yield office
    finally:
        loop.call_soon_threadsafe(closing.set)
        thread.join()
        loop.close()
