"""Prints each message on standard output: for a first look, and for logs that are collected.

A terminal can stand still (a paused screen, a pipe nobody reads). The printing therefore has a thread of its
own; a message that waits in it is not printed again by a second attempt, it is waited for again.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from typing import TextIO

from guard.printable import printable
from receiver import message as messages
from receiver.channels import Unreachable
from receiver.channels.templates import NO_TEMPLATES, Templates
from receiver.message import Document, Kind, Message
from receiver.view import IncidentView

PRINT_SECONDS_MAX = 5.0
ALERTS_SHOWN = 5
_COLORS = {
    Kind.OPENED: "\x1b[1;31m",
    Kind.ESCALATED: "\x1b[1;35m",
    Kind.UPDATED: "\x1b[1;33m",
    Kind.ACKNOWLEDGED: "\x1b[1;36m",
    Kind.RESOLVED: "\x1b[1;32m",
    Kind.DIGEST: "\x1b[1;34m",
}
_PLAIN = "\x1b[0m"
# No line of a template begins as a message does: a break in a label would forge one.
_BREAK, _CONTINUED = "\n", "\n    "


class Terminal:
    """One line for the incident, one for each of its first alerts; of a digest one for each incident."""

    retry_seconds_max = 24 * 3600.0
    parallel_max = 1

    def __init__(
        self, stream: TextIO, *, seconds_max: float = PRINT_SECONDS_MAX, templates: Templates = NO_TEMPLATES
    ) -> None:
        self._stream = stream
        self._templates = templates
        self._said = "printed"
        self._seconds_max = seconds_max
        self._color = stream.isatty()
        self._texts: queue.SimpleQueue[tuple[str, Future[None]] | None] = queue.SimpleQueue()
        self._pending: tuple[str, Future[None]] | None = None
        self._printed_late: set[str] = set()  # while another message was waiting for the same stream
        # A daemon: a stream that hangs for ever must not keep the process from ending.
        threading.Thread(target=self._print_all, name="tocsin-terminal", daemon=True).start()

    def preview(self, message: Message) -> str:
        return render(message, text=self._templates.words_now(message).get("text"))

    async def send(self, message: Message) -> str:
        if message.id in self._printed_late:
            self._printed_late.discard(message.id)
            return "printed"
        if self._pending is None:
            words = await self._templates.words(message)
            self._said = words.said("printed")
            printed: Future[None] = Future()
            self._pending = (message.id, printed)
            self._texts.put((render(message, color=self._color, text=words.get("text")), printed))
        waiting_for, printed = self._pending
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(printed)), self._seconds_max)
        except TimeoutError:
            raise Unreachable(f"standard output took nothing for {self._seconds_max:g} seconds") from None
        except (OSError, ValueError) as error:
            self._pending = None
            raise Unreachable(f"standard output: {error}") from None
        self._pending = None
        if waiting_for != message.id:
            self._printed_late.add(waiting_for)
            return await self.send(message)
        return self._said

    async def close(self) -> None:
        self._texts.put(None)

    def _print_all(self) -> None:
        while (next_one := self._texts.get()) is not None:
            text, printed = next_one
            try:
                self._stream.write(_in_its_characters(text, self._stream.encoding or "utf-8"))
                self._stream.flush()
            except (OSError, ValueError) as error:
                printed.set_exception(error)
            else:
                printed.set_result(None)


def _in_its_characters(text: str, encoding: str) -> str:
    """What the terminal's character set lacks becomes an escape: that is better than no message."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def render(message: Message, *, color: bool = False, text: str | None = None) -> str:
    """The text of a message for a terminal, or that of a template. Control characters in labels cannot reach it."""
    document = messages.read(message)
    head = f"[{message.kind.upper()}]"
    if color:
        head = f"{_COLORS[message.kind]}{head}{_PLAIN}"
    when = f"{message.created_at:%H:%M:%S} {head}"
    if text is not None:
        lines = [f"{when} {text.replace(_BREAK, _CONTINUED)}"]
    elif message.kind is Kind.DIGEST:
        lines = [f"{when} {digest_head(document)}"]
        lines += [f"    {_safe(incident.status)} {_about(incident)}" for incident in document.incidents]
        if document.incidents_left_out:
            lines.append(f"    and {document.incidents_left_out} more, in the next digest")
    else:
        lines = [f"{when} {_about(document.incident)}", *alert_lines(document)]
    return "\n".join(lines) + "\n"


def digest_head(document: Document) -> str:
    count = len(document.incidents)
    incidents = "1 incident was" if count == 1 else f"{count} incidents were"
    return f"{incidents} held back; as of now:"


def _about(incident: IncidentView) -> str:
    firing, resolved = incident.alerts.firing, incident.alerts.resolved
    counts = f"{firing} firing, {resolved} resolved; source {_safe(incident.source)}"
    title = f"{incident.id} {_safe(incident.severity)}: {_safe(incident.title)}"
    return f"{title}  ({counts}{again(incident)}{_safe(in_hand(incident))})"


def again(incident: IncidentView) -> str:
    if incident.flaps == 0:
        return ""
    return f"; opened again {'once' if incident.flaps == 1 else f'{incident.flaps} times'}"


def in_hand(incident: IncidentView) -> str:
    """Who has it, so that nobody else gets up for it; or where it went."""
    if incident.merged_into is not None:
        return f"; merged into {incident.merged_into}"
    if incident.resolved_by is not None:
        return f"; resolved by {incident.resolved_by}"
    if incident.snoozed_until is not None:
        return f"; snoozed until {incident.snoozed_until:%Y-%m-%d %H:%M:%S}Z"
    if incident.acknowledged_by is not None:
        return f"; acknowledged by {incident.acknowledged_by}"
    return f"; assigned to {incident.assigned_to}" if incident.assigned_to is not None else ""


def alert_lines(document: Document) -> list[str]:
    """One for each of the first alerts, and how many more there are."""
    lines = []
    for alert in document.alerts[:ALERTS_SHOWN]:
        labels = ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
        texts = (alert.annotations.get(name, "") for name in ("summary", "description"))
        said = next((text for text in texts if text and text not in document.incident.title), "")
        lines.append(f"    {alert.status}: {_safe(labels, 300)}" + (f" - {_safe(said, 300)}" if said else ""))
    left_out = document.incident.alerts.firing + document.incident.alerts.resolved - len(lines)
    if left_out > 0:
        lines.append(f"    and {left_out} more")
    return lines


def _safe(text: str, characters_max: int = 400) -> str:
    return printable(text, characters_max)
