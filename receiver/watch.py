"""Whether a source can be believed: is it still talking, and what does its Alertmanager hide?

A source with a watchdog that is late, or whose watchdog was resolved, is silent: Prometheus or Alertmanager is in
trouble, and resolves that come from there are Alertmanager's guesses. They are noted and not believed until the
source is heard again and had time to repeat what still fires.

An alert that Alertmanager does not show any more is hidden, never resolved: silenced, inhibited, or sent to another
group. What its API says (`Looked`) tells which, and which alerts it does not have any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from guard.matcher import matches_all
from receiver.alert import Alert
from receiver.entry import Looked, Suppressed
from receiver.episode import ended
from receiver.incident import AlertRecord, Group, Hidden, Incident, Status
from receiver.joining import Moves, named
from receiver.known import SourceKnown
from receiver.ledger import Ledger
from receiver.lifecycle import mute, shown_again
from receiver.own import tell_heard, tell_silent
from receiver.policy.duration import format_duration
from receiver.policy.policy import Watchdog
from receiver.state import SourceForgotten
from receiver.telling import tell_change, tell_stages

# How exactly it is written down when a source was heard: a part of its `late_after`.
HEARD_PARTS = 20

# --- silent sources ----------------------------------------------------------------------------------------


def hear(ledger: Ledger, source: str, alerts: Iterable[Alert]) -> None:
    """A body came. If its watchdog is in it, the source is heard, or was told that it is over."""
    watchdog = ledger.policy.watchdogs.get(source)
    if watchdog is None:
        return
    mine = [alert for alert in alerts if matches_all(watchdog.matchers, alert.labels)]
    if any(alert.status == "firing" for alert in mine):
        _heard(ledger, source, watchdog)
    elif mine:
        _silent(ledger, source, "its watchdog was resolved: whatever evaluates its rules has stopped")


def is_silent(ledger: Ledger, source: str) -> bool:
    known = ledger.source(source)
    return known is not None and known.silent_since is not None


def source_due(ledger: Ledger, name: str) -> None:
    known = ledger.source(name)
    if known is None:
        return
    if known.late_at is not None and known.late_at <= ledger.at:
        ago = format_duration(ledger.at - known.heard_at)
        _silent(ledger, name, f"its watchdog was last heard {ago} ago, at {known.heard_at:%Y-%m-%d %H:%M:%S}Z")
    elif known.confirm_at is not None and known.confirm_at <= ledger.at:
        ledger.put_known(replace(known, confirm_at=None))
        _believe(ledger, name)


def watchdogs_changed(ledger: Ledger) -> None:
    """A new policy: a source is given its time from now on."""
    for name, watchdog in sorted(ledger.policy.watchdogs.items()):
        known = ledger.source(name)
        late_at = ledger.at + watchdog.late_after
        if known is None:
            ledger.put_known(SourceKnown(name=name, heard_at=ledger.at, late_at=late_at))
        elif known.silent_since is None and known.late_at is not None:
            ledger.put_known(replace(known, late_at=max(known.heard_at + watchdog.late_after, ledger.at)))
    for name in sorted(set(ledger.state.sources) - set(ledger.policy.watchdogs)):
        ledger.other.append(SourceForgotten(name))
        tell_heard(ledger, name, "the policy has no watchdog for this source any more")
        _believe(ledger, name)


def _heard(ledger: Ledger, name: str, watchdog: Watchdog) -> None:
    known = ledger.source(name)
    late_at = ledger.at + watchdog.late_after
    if known is None or known.silent_since is not None:
        confirm_at = None if known is None else late_at
        ledger.put_known(SourceKnown(name=name, heard_at=ledger.at, late_at=late_at, confirm_at=confirm_at))
        if known is not None and known.silent_since is not None:
            ago = format_duration(ledger.at - known.silent_since)
            tell_heard(ledger, name, f"its watchdog is heard again, after {ago}")
    elif known.late_at is None or late_at - known.late_at > watchdog.late_after / HEARD_PARTS:
        ledger.put_known(replace(known, heard_at=ledger.at, late_at=late_at))


def _silent(ledger: Ledger, name: str, why: str) -> None:
    known = ledger.source(name) or SourceKnown(name=name, heard_at=ledger.at, late_at=None)
    if known.silent_since is None:
        ledger.counts["sources_silent"] += 1
        ledger.put_known(replace(known, silent_since=ledger.at, late_at=None, confirm_at=None))
        tell_silent(ledger, name, why)


def _believe(ledger: Ledger, source: str) -> None:
    """What was resolved while the source was silent, and not repeated since it is back, is over."""
    moves = Moves(ledger)
    for key in sorted(key for key, alert in ledger.state.alerts.items() if alert.unconfirmed and key[0] == source):
        alert = ledger.state.alerts[key]
        why = "resolved while its source was silent, and not repeated since"
        moves.go(ended(ledger, alert, alert.unconfirmed), why)
        ledger.counts["resolved"] += 1
    moves.finish()


# --- what Alertmanager hides -------------------------------------------------------------------------------


def hide_absent(ledger: Ledger, group: Group, shown: dict[tuple[str, str], None]) -> None:
    """A whole body of the group came without them. What the API says comes later, where it can be asked."""
    absent: dict[str, list[AlertRecord]] = {}
    for alert in ledger.state.firing_of(group):
        if (alert.source, alert.fingerprint) not in shown and not alert.hidden:
            hidden = ledger.put_alert(replace(alert, hidden=Hidden.UNKNOWN))
            absent.setdefault(alert.incident, []).append(hidden)
            ledger.counts["hidden"] += 1
    for identifier, alerts in absent.items():
        why = f"{named(alerts)}: silenced, inhibited, or in another group now. That does not resolve it"
        ledger.step(ledger.incident(identifier), "hidden", why)


def looked(ledger: Ledger, fact: Looked) -> None:
    """What Alertmanager's API said."""
    moves = Moves(ledger)
    touched: dict[str, list[Suppressed]] = {}
    for each in fact.suppressed:
        alert = ledger.alert((fact.source, each.fingerprint))
        if alert is not None and alert.firing:
            ledger.put_alert(replace(alert, hidden=each.how, hidden_until=each.until))
            touched.setdefault(alert.incident, []).append(each)
    for identifier, those in touched.items():
        _muted(ledger, ledger.incident(identifier), those)
    for fingerprint in fact.shown:
        alert = ledger.alert((fact.source, fingerprint))
        if alert is not None and alert.firing:
            show(ledger, alert)
    for gone in fact.gone:
        alert = ledger.alert((fact.source, gone.fingerprint))
        if alert is None:
            continue
        if not alert.firing:
            ledger.put_alert(replace(alert, doubted_until=None))
        elif is_silent(ledger, fact.source):
            ledger.put_alert(replace(alert, unconfirmed=gone.since))
        else:
            why = f"Alertmanager has not had it since {gone.since:%H:%M:%S}Z"
            moves.go(ended(ledger, alert, gone.since), why)
            ledger.counts["gone"] += 1
    moves.finish()


def show(ledger: Ledger, alert: AlertRecord) -> AlertRecord:
    """Alertmanager shows it: nothing hides it, and it fires."""
    shown = ledger.put_alert(replace(alert, hidden="", hidden_until=None, unconfirmed=None))
    incident = ledger.incident(alert.incident)
    if incident.muted:
        incident = shown_again(ledger, incident, f"Alertmanager shows {named([shown])} again")
        tell_stages(ledger, incident)
        tell_change(ledger, ledger.incident(incident.id))
    elif alert.hidden:
        ledger.step(incident, "shown again", f"{named([shown])}: nothing hides it any more")
    return shown


def _muted(ledger: Ledger, incident: Incident, news: list[Suppressed]) -> None:
    words = "; ".join(dict.fromkeys(_in_words(each) for each in news))
    by = next((each.by for each in news if each.by), "Alertmanager")
    incident = ledger.step(incident, "hidden", words, by=by)
    firing = [alert for alert in ledger.alerts_of(incident) if alert.firing]
    all_hidden = all(alert.hidden in (Hidden.SILENCED, Hidden.INHIBITED) for alert in firing)
    if all_hidden and (incident.status is Status.OPEN or incident.muted):
        ends: list[datetime] = [alert.hidden_until for alert in firing if alert.hidden_until is not None]
        before = incident.muted
        incident = mute(ledger, incident, until=min(ends, default=None), why="all that fires in it is hidden", by=by)
        if not before:
            tell_change(ledger, incident)


def _in_words(each: Suppressed) -> str:
    if each.how == Hidden.INHIBITED:
        return "inhibited by another alert in Alertmanager"
    until = "" if each.until is None else f" until {each.until:%Y-%m-%d %H:%M:%S}Z"
    return f"silenced in Alertmanager{f' by {each.by}' if each.by else ''}{until}" + (
        f": {each.comment[:200]}" if each.comment else ""
    )
