"""A few nights as a store keeps them, for tests that read statistics: what began, who was paged when, who answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from receiver.incident import Spell
from receiver.message import Kind, Message
from receiver.spell import ITSELF, MERGED, PERSON
from receiver.state import Change, MessageSettled, SpellChanged

POLICY = """\
channels:
  chat: {type: terminal}
  mail: {type: email, smarthost: '127.0.0.1:25', from: tocsin@example.org, to: [ops@example.org]}
schedules:
  primary:
    time_zone: Europe/Berlin
    rotations: [{people: [ana, ben], shift: 7d, starts: '2026-01-05T09:00'}]
people:
  ana: {notify: [{email: ana@example.org}]}
  ben: {notify: [{email: ben@example.org}]}
  cleo: {notify: [{channel: chat}]}
"""
NIGHT = datetime.fromisoformat("2026-03-28T21:30:00Z")  # Berlin puts its clocks forward at 01:00Z


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def _spell(
    number: int,
    name: str,
    severity: str,
    begun: float,
    *,
    acknowledged: tuple[float, str] | None = None,
    ended: tuple[float, str] | None = None,
    spell: int = 1,
) -> SpellChanged:
    at = NIGHT + minutes(begun)
    return SpellChanged(
        f"T-{number}",
        severity,
        name,
        Spell(
            number=spell,
            begun_at=at,
            paged_at=at,
            acknowledged_at=None if acknowledged is None else at + minutes(acknowledged[0]),
            acknowledged_by="" if acknowledged is None else acknowledged[1],
            ended_at=None if ended is None else at + minutes(ended[0]),
            end="" if ended is None else ended[1],
            flaps=1 if spell > 1 else 0,
        ),
    )


SPELLS: Sequence[SpellChanged] = (
    _spell(1, "ShopDown", "critical", 0, acknowledged=(4, "ana"), ended=(45, PERSON)),
    _spell(2, "DiskFull", "warning", 20, ended=(3, ITSELF)),
    _spell(2, "DiskFull", "warning", 27, spell=2, ended=(2, ITSELF)),
    _spell(3, "DiskFull", "warning", 100, acknowledged=(10.5, "ben"), ended=(300, ITSELF)),
    _spell(4, "ShopDown", "critical", 150, acknowledged=(2, "ana"), ended=(30, ITSELF)),
    _spell(5, "CartSlow", "warning", 151, ended=(1, MERGED)),
    _spell(6, "CertExpires", "info", 900),
)
# Minutes, incident, channel, kind, outcome.
_SENT: Sequence[tuple[float, str, str, Kind, str]] = (
    (0, "T-1", "ana@mail", Kind.OPENED, "delivered"),
    (5, "T-1", "chat", Kind.ESCALATED, "delivered"),
    (5, "T-1", "ben@mail", Kind.ESCALATED, "refused"),
    (4, "T-1", "ana@mail", Kind.ACKNOWLEDGED, "delivered"),
    (20, "T-2", "chat", Kind.OPENED, "delivered"),
    (100, "T-3", "ben@mail", Kind.OPENED, "delivered"),
    (150, "T-4", "ana@mail", Kind.OPENED, "delivered"),
    (155, "digest", "chat", Kind.DIGEST, "delivered"),
    (220, "T-4", "ana@mail", Kind.ESCALATED, "delivered"),
    (900, "T-6", "chat", Kind.OPENED, "owed"),
    (570, "T-3", "ben@mail", Kind.ESCALATED, "delivered"),
)


def messages() -> list[Message]:
    return [
        Message(f"m{number}", channel, about, kind, NIGHT + minutes(at), b"{}")
        for number, (at, about, channel, kind, _) in enumerate(_SENT)
    ]


def settled() -> list[Change]:
    return [
        MessageSettled(f"m{number}", outcome, 1, 0.1, "ok", NIGHT + minutes(at))
        for number, (at, _, _, _, outcome) in enumerate(_SENT)
        if outcome != "owed"
    ]
