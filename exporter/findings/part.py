"""The place of findings in the program: whatever a detector finds comes here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Self

from exporter.control import Plan, Refused
from exporter.detection import Told
from exporter.family import Family
from exporter.finding import Finding
from exporter.findings.alerts import Alerts, Choice
from exporter.findings.counts import Counts, Kind
from exporter.findings.kept import Kept
from exporter.findings.lines import Lines
from exporter.findings.settings import FindingsSettings, resolve_after_seconds
from exporter.findings.tally import FindingCounts

if TYPE_CHECKING:  # nothing of it is loaded before somebody asks for an Alertmanager
    from exporter.findings.client import Target
    from exporter.findings.poster import Poster


class Findings:
    """Belongs to one event loop."""

    def __init__(self, told: FindingCounts, *, expected: Callable[[], Iterable[Kind]] = tuple) -> None:
        """`expected` are the detectors that are on, and how severe what they find is."""
        self.kept = Kept()
        self._counts = Counts(expected=expected)
        self._lines = Lines(told)
        self._hearers: tuple[Told, ...] = ()
        self._told = told
        self._alerts = Alerts(dropped=told.drop)
        told.owed = self._alerts.owed
        self._targets: Sequence[Target] = ()
        self._posters: Sequence[Poster] = ()
        self._running = False

    def tell(self, hearer: Told) -> None:
        """Who is told of what was found, too; also of what a dry run finds."""
        self._hearers = (*self._hearers, hearer)

    def take(self, found: Sequence[Finding]) -> None:
        self._counts.take(found)
        self.kept.take(found)
        self._lines.take(found)
        if self._alerts.take(found):
            for poster in self._posters:
                poster.wake()
        for hearer in self._hearers:
            hearer(found)

    def families(self, now: float) -> Iterable[Family]:  # noqa: ARG002 - counts have no age
        return self._counts.families()

    def prepare(self, plan: Plan) -> Callable[[], None]:
        settings = FindingsSettings() if plan.file is None else plan.file.findings
        targets, choice = _targets_of(plan.alertmanager_urls, settings), choice_of(settings)
        return lambda: self._use(targets, choice)

    async def __aenter__(self) -> Self:
        self._running = True
        self._post()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        self._post()

    def _use(self, targets: Sequence[Target], choice: Choice) -> None:
        self._lines.networks = choice.networks
        self._told.follow(target.name for target in targets)
        self._alerts.use(choice, [target.name for target in targets])
        self._targets = targets
        self._post()

    def _post(self) -> None:
        """Each Alertmanager gets its poster, a new one, as its token or its certificate may be another."""
        for poster in self._posters:
            poster.stop()
        self._posters = ()
        if self._running and self._targets:
            from exporter.findings.poster import Poster

            self._posters = [
                Poster(target, self._alerts, self._told.alertmanagers[target.name]) for target in self._targets
            ]


def choice_of(settings: FindingsSettings) -> Choice:
    return Choice(
        resolve_after_seconds(settings.resolve_after),
        {"instance": socket.gethostname(), **settings.labels},
        settings.external_url,
        settings.networks,
    )


def _targets_of(urls: Sequence[str], settings: FindingsSettings) -> Sequence[Target]:
    if not urls:
        return ()
    from exporter.findings.client import targets_of
    from exporter.findings.poster import PATH

    try:
        return targets_of(urls, settings, path=PATH)
    except OSError as error:  # that of TLS is one
        raise Refused((f"findings.ca_file: found a file that cannot be used ({_said(error)}), expected PEM",)) from None


def _said(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else error.strerror or "it cannot be read"
