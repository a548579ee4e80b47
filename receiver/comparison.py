"""What Alertmanager has beside what the state has, over several looks at one source: what of it is news.

No input, no output, and no decision: a statement is handed to the journal, and the engine decides about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from receiver.alert import ALERTS_MAX, utc
from receiver.alertmanager import Seen, SeenGroup, Silence
from receiver.entry import AlertsFetched, Gone, Looked, Suppressed
from receiver.incident import AlertRecord
from receiver.known import Cut

# Unless the policy says otherwise. Prometheus sends what fires again each minute: an Alertmanager that has not had it
# for so long will not get it.
GONE_SECONDS = 300.0
# What was said and is not heeded is said again, so that nothing depends on one moment. Not at each look.
AGAIN_SECONDS = 300.0
COMMENT_CHARACTERS_MAX = 500

Statement = Suppressed | Gone | str  # a plain text is the fingerprint of an alert that is shown


class Comparison:
    """What Alertmanager has beside what the state has, over several looks at one source. No input, no output."""

    def __init__(self, *, gone_seconds: float = GONE_SECONDS) -> None:
        self._gone_seconds = gone_seconds
        self._runs_since: datetime | None = None  # by Alertmanager's clock: which process it is
        self._met_at = 0.0  # when we first saw that process
        self._absent: dict[str, tuple[datetime, float]] = {}
        self._said: dict[str, tuple[tuple[Statement, str, int], float]] = {}
        self._saying = self._said

    def meet(self, runs_since: datetime, *, elapsed: float) -> None:
        """`elapsed` are seconds by a clock that nobody sets."""
        if runs_since != self._runs_since:  # it was started anew, and knows only what it was sent since
            self._runs_since, self._met_at, self._absent = runs_since, elapsed, {}

    def statements(
        self,
        known: Iterable[AlertRecord],
        seen: Mapping[str, Seen],
        silences: Mapping[str, Silence],
        *,
        now: datetime,
        elapsed: float,
    ) -> list[Statement]:
        """What is news. `heard` follows when it is in the journal."""
        absent: dict[str, tuple[datetime, float]] = {}
        said: dict[str, tuple[tuple[Statement, str, int], float]] = {}
        news: list[Statement] = []
        for alert in known:
            there = seen.get(alert.fingerprint)
            if there is None:
                absent[alert.fingerprint] = self._absent.get(alert.fingerprint, (now, elapsed))
            statement = self._statement(alert, there, silences, absent.get(alert.fingerprint), elapsed)
            if statement is None:
                continue
            before, when = self._said.get(alert.fingerprint, (None, elapsed))
            key = (statement, alert.hidden, alert.changed)
            fresh = before != key or elapsed - when >= AGAIN_SECONDS
            if fresh:
                news.append(statement)
            said[alert.fingerprint] = (key, elapsed if fresh else when)
        self._absent, self._saying = absent, said
        return news

    def heard(self) -> None:
        """What `statements` returned is in the journal."""
        self._said = self._saying

    def _statement(
        self,
        alert: AlertRecord,
        there: Seen | None,
        silences: Mapping[str, Silence],
        absent: tuple[datetime, float] | None,
        elapsed: float,
    ) -> Statement | None:
        """What Alertmanager says about this alert, unless that is what is known."""
        if absent is not None:
            since, began = absent
            # A doubted one was resolved before: that Alertmanager does not have it confirms that, at the first look.
            counts_from = began if alert.firing else self._met_at
            return Gone(alert.fingerprint, since) if elapsed - counts_from >= self._gone_seconds else None
        if there is None or not alert.firing:
            return None
        if there.status.state == "suppressed":
            statement = _suppressed(there, silences)
            if statement is None or (alert.hidden, alert.hidden_until) == (statement.how, statement.until):
                return None
            return statement
        return alert.fingerprint if alert.hidden and there.status.state == "active" else None


def _suppressed(there: Seen, silences: Mapping[str, Silence]) -> Suppressed | None:
    """With the silence that ends last: until then nothing is heard of the alert."""
    if there.status.silenced_by:
        found = [silences[each] for each in there.status.silenced_by if each in silences]
        if not found:
            return Suppressed(there.fingerprint, "silenced")
        last = max(found, key=lambda silence: (silence.ends_at, silence.id))
        return Suppressed(
            there.fingerprint,
            "silenced",
            until=utc(last.ends_at),
            by=last.created_by[:COMMENT_CHARACTERS_MAX],
            comment=last.comment[:COMMENT_CHARACTERS_MAX],
        )
    return Suppressed(there.fingerprint, "inhibited") if there.status.inhibited_by else None


def looked(source: str, statements: Sequence[Statement]) -> Looked:
    return Looked(
        source=source,
        suppressed=tuple(each for each in statements if isinstance(each, Suppressed)),
        shown=tuple(each for each in statements if isinstance(each, str)),
        gone=tuple(each for each in statements if isinstance(each, Gone)),
    )


def fetched(cut: Cut, groups: Sequence[SeenGroup]) -> AlertsFetched:
    """What the group holds. The API does not show its key: routes with the same receiver and labels are one."""
    members = {
        member.fingerprint: member.alert()
        for group in groups
        if group.receiver.name == cut.group.receiver and group.labels == cut.group_labels
        for member in group.alerts
        if member.status.state != "suppressed"  # by a time interval; what else mutes was not asked for
    }
    return AlertsFetched(
        source=cut.group.source,
        receiver=cut.group.receiver,
        group_key=cut.group.key,
        alerts=tuple(members.values())[:ALERTS_MAX],
    )
