"""An Alertmanager and its pair, as far as a receiver can tell: what fires, what is silenced, what is posted when.

A workload drives it ahead of time. It remembers everything: so it can be asked at any moment, as its API would be, and
the checkers compare what it knows in the end with what the receiver knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from receiver.alert import Alert, fingerprint_of
from receiver.entry import AlertsFetched, Gone, Looked, Suppressed
from receiver.incident import Hidden
from receiver.state import State

BEGIN = datetime(2026, 3, 28, 20, tzinfo=UTC)
GONE_SECONDS = 300.0
FIRES = "0001-01-01T00:00:00Z"


def moment(at: float) -> datetime:
    """The true time; a receiver's clock may differ."""
    return BEGIN + timedelta(seconds=at)


@dataclass(frozen=True)
class Post:
    """A webhook, and when it is first tried."""

    at: float
    source: str
    body: bytes


@dataclass
class Episode:
    """From when to when an alert fires."""

    begin: float
    end: float | None
    body: dict[str, object]


@dataclass
class _Group:
    members: dict[str, None] = field(default_factory=dict)
    over: dict[str, float] = field(default_factory=dict)  # ended, and not posted yet


class Alertmanager:
    """One source. `asked`: its API answers. `alerts_max`: what a body may hold; the rest is left out."""

    def __init__(self, source: str = "am", *, asked: bool = True, alerts_max: int = 0) -> None:
        self.source = source
        self.asked = asked
        self.posts: list[Post] = []
        self._alerts_max = alerts_max
        self._episodes: dict[str, list[Episode]] = {}
        self._silences: dict[str, list[tuple[float, float]]] = {}
        self._groups: dict[str, _Group] = {}

    # --- what happens in it --------------------------------------------------------------------------------

    def fires(self, at: float, group: str, labels: Mapping[str, str], *, value: str = "", began: float | None = None):
        """`began`: what it says about that, if it is not now."""
        fingerprint = fingerprint_of(labels)
        if self.is_firing(fingerprint, at):
            return
        body: dict[str, object] = {
            "status": "firing",
            "labels": dict(labels),
            "annotations": {"value": value},
            "startsAt": moment(at if began is None else began).isoformat(),
            "endsAt": FIRES,
            "fingerprint": fingerprint,
        }
        self._episodes.setdefault(fingerprint, []).append(Episode(at, None, body))
        known = self._groups.setdefault(group, _Group())
        known.members[fingerprint] = None
        known.over.pop(fingerprint, None)

    def ends(self, at: float, group: str, labels: Mapping[str, str]) -> None:
        fingerprint = fingerprint_of(labels)
        if self.is_firing(fingerprint, at):
            self._episodes[fingerprint][-1].end = at
            self._groups[group].over[fingerprint] = at

    def silences(self, at: float, labels: Mapping[str, str], *, until: float) -> None:
        self._silences.setdefault(fingerprint_of(labels), []).append((at, until))

    def posts_group(self, at: float, group: str, *, late: float = 0.0) -> bytes | None:
        """The group's snapshot goes out. Returns it; None when there is nothing to say."""
        known = self._groups.get(group)
        if known is None:
            return None
        alerts = []
        for fingerprint in list(known.members):
            if self.silenced(fingerprint, at) is not None:
                if fingerprint in known.over:  # muted alerts are filtered, their resolves too
                    del known.over[fingerprint], known.members[fingerprint]
                continue
            body = self._episodes[fingerprint][-1].body
            if fingerprint in known.over:
                body = {**body, "status": "resolved", "endsAt": moment(known.over.pop(fingerprint)).isoformat()}
                del known.members[fingerprint]
            alerts.append(body)
        if not alerts:
            return None
        body = self.body(group, alerts)
        self.posts.append(Post(at + late, self.source, body))
        return body

    def body(self, group: str, alerts: list[dict[str, object]]) -> bytes:
        alerts = sorted(alerts, key=lambda each: str(each["labels"]))
        shown = alerts[: self._alerts_max] if self._alerts_max else alerts
        firing = any(each["status"] == "firing" for each in shown)
        return msgspec.json.encode(
            {
                "version": "4",
                "groupKey": group,
                "receiver": "r",
                "status": "firing" if firing else "resolved",
                "groupLabels": {"group": group},
                "truncatedAlerts": len(alerts) - len(shown),
                "alerts": shown,
            }
        )

    def again(self, at: float, body: bytes) -> None:
        """The same body once more: a retry whose answer was lost, or the other one of a pair."""
        self.posts.append(Post(at, self.source, body))

    def repeats(self, begin: float, end: float, every: float) -> None:
        """From now on nothing changes any more: what fires is posted again and again."""
        at = begin
        while at < end:
            for group in self._groups:
                self.posts_group(at, group)
            at += every

    # --- what it knows at a moment -------------------------------------------------------------------------

    def is_firing(self, fingerprint: str, at: float) -> bool:
        return self._episode(fingerprint, at) is not None

    def silenced(self, fingerprint: str, at: float) -> float | None:
        """Until when."""
        ends = [end for begin, end in self._silences.get(fingerprint, ()) if begin <= at < end]
        return max(ends, default=None)

    def known(self) -> list[str]:
        """Every alert that there ever was."""
        return list(self._episodes)

    def fetched(self, state: State, at: float) -> list[AlertsFetched]:
        """For each group that was cut: all that it would notify of."""
        return [
            AlertsFetched(cut.group.source, cut.group.receiver, cut.group.key, tuple(self._shown(cut.group.key, at)))
            for cut in state.cut.values()
            if cut.group.source == self.source
        ]

    def looked(self, state: State, at: float, absent: dict[str, float]) -> Looked | None:
        """What is news about the alerts that a receiver takes for firing, or doubts. `absent`: since when, at each look
        before this one, it did not have them; changed here."""
        suppressed, shown, gone = [], [], []
        for (source, fingerprint), alert in state.alerts.items():
            if source != self.source or not (alert.firing or alert.doubted_until is not None):
                continue
            if not self.is_firing(fingerprint, at):
                since = absent.setdefault(fingerprint, at)
                if at - since >= GONE_SECONDS or (not alert.firing and at - since > 0):
                    gone.append(Gone(fingerprint, moment(since)))
                continue
            absent.pop(fingerprint, None)
            until = self.silenced(fingerprint, at)
            if not alert.firing:
                continue
            if until is not None and (alert.hidden, alert.hidden_until) != (Hidden.SILENCED, moment(until)):
                suppressed.append(Suppressed(fingerprint, Hidden.SILENCED, moment(until), "ana", "patching"))
            elif until is None and alert.hidden:
                shown.append(fingerprint)
        if not (suppressed or shown or gone):
            return None
        return Looked(self.source, tuple(suppressed), tuple(shown), tuple(gone))

    def _shown(self, group: str, at: float) -> list[Alert]:
        known = self._groups.get(group, _Group())
        found = []
        for fingerprint in known.members:
            episode = self._episode(fingerprint, at)
            if episode is not None and self.silenced(fingerprint, at) is None:
                found.append(msgspec.convert(episode.body, Alert))
        return found

    def _episode(self, fingerprint: str, at: float) -> Episode | None:
        for each in reversed(self._episodes.get(fingerprint, ())):
            if each.begin <= at:
                return each if each.end is None or at < each.end else None
        return None
