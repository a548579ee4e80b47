"""A test of the tests: each promise is broken on purpose once, and a seed must notice."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from receiver.channels.action import Action
from receiver.engine import decide
from receiver.entry import AlertsReceived, Delivered, Entry, Looked, Merged, NotTaken
from receiver.incident import AlertRecord, Incident, Status
from receiver.known import ChannelKnown, Known, SourceKnown
from receiver.ledger import Decision
from receiver.message import Kind, Message
from receiver.message import read as read_message
from receiver.outbox import Outbox
from receiver.policy.policy import Escalation, Policy, Storms
from receiver.runner import Runner
from receiver.state import AlertChanged, Change, IncidentChanged, KnownChanged, MessageSettled, State, StepTaken
from receiver.store import Draft, StoreFailed
from receiver.store.database import Commit, Database
from receiver.store.sqlite import SqliteStore
from tests.simulation.checkers import check_all, nobody_is_paged_after_an_acknowledgement_was_answered
from tests.simulation.evidence import Broken, Evidence
from tests.simulation.workers import workers
from tests.simulation.world import Decide, Parts, World

ROOT = Path(__file__).parents[2]
SEEDS = 60


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class AnswersBeforeTheDisk(SqliteStore):
    """200 first, written afterwards."""

    def append(self, draft: Draft) -> asyncio.Future[Entry]:
        on_disk = super().append(draft)
        if not self._writer._position:
            return on_disk
        on_disk.add_done_callback(lambda each: each.cancelled() or each.exception())
        answered: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        answered.set_result(Entry(self._writer._position + len(self._waiting), draft.at, draft.fact))
        return answered


class WritesMessagesLater(Database):
    """Changes and position in one transaction, the messages in the next."""

    def _commit(self, commit: Commit) -> None:
        super()._commit(Commit(commit.changes, (), commit.position))
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        super()._commit(Commit((), commit.messages, commit.position))


class MovesThePositionFirst(Database):
    """The position in a transaction of its own, before what belongs to it."""

    def _commit(self, commit: Commit) -> None:
        self._put_meta("position", commit.position)
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        super()._commit(commit)


class ForgetsTheOutbox(Database):
    """Messages are handed on and not written down."""

    def _commit(self, commit: Commit) -> None:
        super()._commit(Commit(commit.changes, (), commit.position))


class BreaksTheChain(Database):
    """The hash before is not part of the next one after a restart."""

    def _head(self) -> tuple[int, bytes]:
        position, found = super()._head()
        return position, bytes(32) if position else found


class DrawsIdentifiers(Runner):
    """Messages named by chance: the same decision is a new message after a crash."""

    def _decide(self, entry: Entry) -> Decision:
        decision = super()._decide(entry)
        drawn = tuple(
            msgspec.structs.replace(each, id=f"{each.id}-{os.urandom(4).hex()}") for each in decision.messages
        )
        return Decision(decision.changes, drawn, decision.counts)


class SendsBeforeTheCommit(Runner):
    """The outbox gets the messages first, and again when they are committed."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        self._on_decided(messages, {}, ())
        await super()._commit_until_done(changes, messages, position)


class AnswersActsFirst(Runner):
    """Who acts is answered at once, and what they did is written afterwards."""

    async def perform(self, act: Any) -> str | None:
        self.append(act).add_done_callback(lambda each: each.cancelled() or each.exception())
        await asyncio.sleep(0)
        return None


class DropsWhatCouldNotBeCommitted(Runner):
    """A full disk is logged and forgotten."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        try:
            await self._store.commit(changes, messages, position)
        except StoreFailed:
            return


class LosesAChange(Runner):
    """Every seventh incident that changes is not written."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        kept = [each for each in changes if position % 7 or not isinstance(each, IncidentChanged)]
        await super()._commit_until_done(kept, messages, position)


class NeverSettles(Runner):
    """What is delivered stays in the outbox's table."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        await super()._commit_until_done(
            [each for each in changes if not isinstance(each, MessageSettled)], messages, position
        )


class ForgetsTheTime(Runner):
    """Nobody looks at the clock."""

    def _arm(self) -> None:
        pass


class AsksAgainInsteadOfWriting(Outbox):
    """When the journal cannot take the answer, the message is sent once more."""

    def __init__(self, *, report: Any, **more: Any) -> None:
        async def report_twice(fact: Any) -> None:
            await report(fact)
            if isinstance(fact, Delivered):
                await self._channels[fact.channel].send(self._sent[fact.message])

        self._sent: dict[str, Message] = {}
        super().__init__(report=report_twice, **more)

    def add(self, messages: Any) -> None:
        for message in messages:
            self._sent[message.id] = message
            super().add([message])


class ForgetsWhatItKnows(Database):
    """Sources, groups that were cut and channels are written, and not read."""

    def _known(self) -> list[Known]:
        return []


class ReportsNothing(Outbox):
    """Sends, and tells nobody."""

    def __init__(self, *, report: Any, **more: Any) -> None:
        async def nobody(_: object) -> None:
            await asyncio.sleep(0)

        super().__init__(report=nobody, **more)


class NeverSaysThatAPageIsLate(Outbox):
    """Whoever waits for a channel that is down waits."""

    def replace_channels(self, channels: Any, fallback_after: Any = None) -> None:
        super().replace_channels(channels)


class NeverLooksBeforeItSends(Outbox):
    """What was decided once goes out, whoever has it by now."""

    def __init__(self, *, incident: Any, **more: Any) -> None:
        super().__init__(incident=lambda _: None, **more)


class RunsAnyway(Action):
    """What somebody has, or what is over, does not keep it from running."""

    def _demand_open(self, message: Message) -> None:
        pass


BROKEN = {
    "answers before the disk": Parts(store=AnswersBeforeTheDisk),
    "writes messages later": Parts(database=WritesMessagesLater),
    "moves the position first": Parts(database=MovesThePositionFirst),
    "forgets the outbox": Parts(database=ForgetsTheOutbox),
    "forgets what it knows": Parts(database=ForgetsWhatItKnows),
    "breaks the chain": Parts(database=BreaksTheChain),
    "draws identifiers": Parts(runner=DrawsIdentifiers),
    "sends before the commit": Parts(runner=SendsBeforeTheCommit),
    "drops what could not be committed": Parts(runner=DropsWhatCouldNotBeCommitted),
    "loses a change": Parts(runner=LosesAChange),
    "never settles": Parts(runner=NeverSettles),
    "forgets the time": Parts(runner=ForgetsTheTime),
    "asks again instead of writing": Parts(outbox=AsksAgainInsteadOfWriting),
    "reports nothing": Parts(outbox=ReportsNothing),
    "never says that a page is late": Parts(outbox=NeverSaysThatAPageIsLate),
    "sends pages about what somebody has by now": Parts(outbox=NeverLooksBeforeItSends),
    "runs an action whatever somebody did meanwhile": Parts(action=RunsAnyway),
}

# --- engines that decide wrongly -----------------------------------------------------------------------------
#
# Each is the real one, given something else or changed in what it answers. The replay decides the same way: so what
# notices is never that the two differ, but what follows.


def other_policy(**parts: Any) -> Decide:
    """Decides as if the policy were another one in these parts."""

    def decides(state: State, entry: Entry, policy: Policy) -> Decision:
        return decide(state, entry, replace(policy, **parts))

    return decides


def other_changes(change_of: Callable[[Entry, State, Change], Change | None]) -> Decide:
    """What it changes is changed once more, or, None, left out."""

    def decides(state: State, entry: Entry, policy: Policy) -> Decision:
        decision = decide(state, entry, policy)
        changes = (change_of(entry, state, each) for each in decision.changes)
        return replace(decision, changes=tuple(each for each in changes if each is not None))

    return decides


def other_messages(message_of: Callable[[Message], Message | None]) -> Decide:
    def decides(state: State, entry: Entry, policy: Policy) -> Decision:
        decision = decide(state, entry, policy)
        messages = (message_of(each) for each in decision.messages)
        return replace(decision, messages=tuple(each for each in messages if each is not None))

    return decides


def other_incident(incident_of: Callable[[Entry, Incident], Incident]) -> Decide:
    def change_of(entry: Entry, state: State, change: Change) -> Change:
        return IncidentChanged(incident_of(entry, change.incident)) if isinstance(change, IncidentChanged) else change

    return other_changes(change_of)


def other_alert(alert_of: Callable[[Entry, AlertRecord], AlertRecord | None]) -> Decide:
    def change_of(entry: Entry, state: State, change: Change) -> Change | None:
        if not isinstance(change, AlertChanged) or change.alert.moved_on:
            return change
        alert = alert_of(entry, change.alert)
        return None if alert is None else AlertChanged(alert)

    return other_changes(change_of)


def takes_a_cut_body_for_whole(state: State, entry: Entry, policy: Policy) -> Decision:
    fact = entry.fact
    if isinstance(fact, AlertsReceived):
        fact = AlertsReceived(fact.source, fact.body, replace(fact.notification, truncated_alerts=0))
    return decide(state, Entry(entry.position, entry.at, fact), policy)


def does_not_look(state: State, entry: Entry, policy: Policy) -> Decision:
    if isinstance(entry.fact, Looked):
        return Decision(changes=(), messages=(), counts={})
    return decide(state, entry, policy)


def pages_what_somebody_has(message: Message) -> Message:
    document = read_message(message)
    had = document.incident.status == "acknowledged" and message.kind is Kind.UPDATED
    return replace(message, kind=Kind.ESCALATED) if had else message


def leaves_one_out_of_a_digest(message: Message) -> Message:
    document = read_message(message)
    fewer = replace(document, incidents=document.incidents[:-1])
    return replace(message, body=msgspec.json.encode(fewer)) if document.incidents else message


def loses_one_in_a_merge(entry: Entry, alert: AlertRecord) -> AlertRecord | None:
    lost = isinstance(entry.fact, Merged) and int(alert.fingerprint, 16) % 2
    return None if lost else alert


def loses_one_in_a_storm(entry: Entry, alert: AlertRecord) -> AlertRecord | None:
    many = isinstance(entry.fact, AlertsReceived) and len(entry.fact.notification.alerts) > 3
    return None if many and int(alert.fingerprint, 16) % 7 == 0 else alert


def leaves_it_open(entry: Entry, incident: Incident) -> Incident:
    nobody = incident.resolved_by is None and incident.merged_into is None
    return replace(incident, status=Status.OPEN) if incident.status is Status.RESOLVED and nobody else incident


def reopens_what_a_person_resolved(entry: Entry, incident: Incident) -> Incident:
    by_alerts = isinstance(entry.fact, AlertsReceived)
    again = by_alerts and incident.status is Status.RESOLVED and incident.resolved_by is not None
    return replace(incident, status=Status.OPEN) if again else incident


def never_believes_a_source_again(entry: Entry, state: State, change: Change) -> Change:
    if isinstance(change, KnownChanged) and isinstance(change.known, SourceKnown):
        return KnownChanged(replace(change.known, confirm_at=None))
    return change


def never_sends_the_digest(entry: Entry, state: State, change: Change) -> Change:
    if isinstance(change, KnownChanged) and isinstance(change.known, ChannelKnown):
        return KnownChanged(replace(change.known, due_at=None))
    return change


def never_late_with_what_it_holds(entry: Entry, state: State, change: Change) -> Change:
    if isinstance(change, KnownChanged) and isinstance(change.known, ChannelKnown):
        return KnownChanged(replace(change.known, late_at=None))
    return change


def forgets_the_calm(entry: Entry, incident: Incident) -> Incident:
    return replace(incident, calm_at=None)


def forgets_that_it_is_owed(entry: Entry, state: State, change: Change) -> Change:
    """A channel that is not told the latest yet, because it has not answered: it never is."""
    return IncidentChanged(replace(change.incident, stale=())) if isinstance(change, IncidentChanged) else change


def other_escalations(escalation_of: Callable[[Escalation], Escalation]) -> Decide:
    def decides(state: State, entry: Entry, policy: Policy) -> Decision:
        changed = {name: escalation_of(each) for name, each in policy.escalations.items()}
        return decide(state, entry, replace(policy, escalations=changed))

    return decides


def opens_it_in_silence(state: State, entry: Entry, policy: Policy) -> Decision:
    decision = decide(state, entry, policy)
    grew = {each.step.incident for each in decision.changes if isinstance(each, StepTaken) and each.step.what == "grew"}
    return replace(decision, messages=tuple(each for each in decision.messages if each.incident not in grew))


def forgets_a_stage(entry: Entry, incident: Incident) -> Incident:
    return replace(incident, due_at=None) if incident.status is Status.OPEN and incident.stage > 1 else incident


def forgets_that_the_fallback_was_told(entry: Entry, state: State, change: Change) -> Change:
    """So that it is told again when the page is refused after all."""
    if not isinstance(change, IncidentChanged) or not isinstance(entry.fact, NotTaken):
        return change
    known = state.incidents[change.incident.id]
    return IncidentChanged(replace(change.incident, pages=known.pages, paged=known.paged))


def goes_by_hash(state: State, entry: Entry, policy: Policy) -> Decision:
    decision = decide(state, entry, policy)
    return replace(decision, messages=tuple(sorted(decision.messages, key=lambda each: hash(each.id))))


# Each with the workload that shows it soonest.
DECIDES_WRONGLY: dict[str, tuple[str, Decide]] = {
    "pages what somebody has": ("everyday", other_messages(pages_what_somebody_has)),
    "pages again for the same stage": ("everyday", other_incident(lambda _, each: replace(each, stage=0))),
    "reopens what a person resolved": ("everyday", other_incident(reopens_what_a_person_resolved)),
    "forgets which person resolved it": ("everyday", other_incident(lambda _, each: replace(each, resolved_by=None))),
    "leaves it open when all is over": ("everyday", other_incident(leaves_it_open)),
    "tells nobody that it is over": (
        "everyday",
        other_messages(lambda each: None if each.kind is Kind.RESOLVED else each),
    ),
    "forgets what a channel does not know yet": ("storm", other_changes(forgets_that_it_is_owed)),
    "loses an alert in a storm": ("storm", other_alert(loses_one_in_a_storm)),
    "tells a channel over its limit": ("storm", other_policy(storms=Storms(limit=0))),
    "forgets what it held back": ("storm", other_incident(lambda _, each: replace(each, held={}))),
    "never sends the digest": ("storm", other_changes(never_sends_the_digest)),
    "leaves one out of a digest": ("storm", other_messages(leaves_one_out_of_a_digest)),
    "forgets when what flaps is calm": ("flapping", other_incident(forgets_the_calm)),
    "drops what came late": ("pairs", other_alert(lambda _, each: replace(each, doubted_until=None))),
    "takes a cut body for whole": ("truncated", takes_a_cut_body_for_whole),
    "believes a silent source": ("silent_source", other_policy(watchdogs={})),
    "never believes a source again": ("silent_source", other_changes(never_believes_a_source_again)),
    "does not look at what Alertmanager says": ("silences", does_not_look),
    "loses an alert in a merge": ("correlated", other_alert(loses_one_in_a_merge)),
    "skips a stage": ("unanswered", other_incident(lambda _, each: replace(each, stage=max(each.stage, 2)))),
    "takes a round twice": ("unanswered", other_incident(lambda _, each: replace(each, round=0))),
    "calls whoever is off duty": ("unanswered", other_policy(reach={"ana": ("phone2",), "ben": ("phone1",)})),
    "believes an answer for ever": (
        "unanswered",
        other_incident(lambda _, each: replace(each, acknowledged_until=None)),
    ),
    "forgets when the next stage is due": ("unanswered", other_incident(forgets_a_stage)),
    "lets an incident grow that somebody has": (
        "growing",
        other_incident(lambda _, each: replace(each, answered_firing=None)),
    ),
    "counts from what it has grown to": (
        "growing",
        other_incident(lambda _, each: replace(each, answered_firing=each.firing)),
    ),
    "goes on as if it were as mild as before": (
        "growing",
        other_escalations(lambda each: replace(each, again=replace(each.again, severity_rises=False))),
    ),
    "is open again and pages nobody": ("growing", opens_it_in_silence),
    "leaves an action out": ("storm", other_messages(lambda each: None if each.channel == "action:fix" else each)),
    "takes an action for a person": (
        "storm",
        other_incident(lambda _, each: replace(each, told=tuple(dict.fromkeys((*each.told, *each.owed.values()))))),
    ),
    "forgets by what a provider knows its message": (
        "pairs",
        other_incident(lambda _, each: replace(each, receipts={})),
    ),
    "shows what the policy hides": ("worst", other_policy(redact=())),
    "tells no fallback": ("everyday", other_policy(fallbacks={})),
    "forgets that what it holds is a page": ("storm", other_changes(never_late_with_what_it_holds)),
    "forgets which pages are owed": ("everyday", other_incident(lambda _, each: replace(each, pages={}))),
    "forgets from whom a page was withdrawn": (
        "everyday",
        other_incident(lambda _, each: replace(each, withdrawn={})),
    ),
    "forgets whom it paged": ("unanswered", other_incident(lambda _, each: replace(each, paged={}))),
    "tells a fallback twice": ("storm", other_changes(forgets_that_the_fallback_was_told)),
    "tells people in a maintenance window": ("maintenance", other_policy(maintenance=())),
    "tells people of what cools down": ("maintenance", other_alert(lambda _, each: replace(each, quiet_until=None))),
}


# Each of these pages people after somebody answered; the checker for just that must say so.
PAGES_AFTERWARDS = {
    "answers acts first": Parts(runner=AnswersActsFirst),
    "pages what somebody has and does not look": Parts(
        decide=other_messages(pages_what_somebody_has), outbox=NeverLooksBeforeItSends
    ),
    "does not look before it sends": Parts(outbox=NeverLooksBeforeItSends),
}


def pages_afterwards(name: str, seed: int, folder: Path) -> None:
    broken = PAGES_AFTERWARDS[name]
    history = World(seed, folder, broken, workload="everyday").run()
    nobody_is_paged_after_an_acknowledgement_was_answered(Evidence(history, decide=broken.decide))


def decides_wrongly(mistake: str, seed: int, folder: Path) -> None:
    workload, wrong = DECIDES_WRONGLY[mistake]
    check_all(World(seed, folder, Parts(decide=wrong), workload=workload).run(), decide=wrong)


def breaks_a_promise(promise: str, seed: int, folder: Path) -> None:
    check_all(World(seed, folder, BROKEN[promise]).run())


Trial = Callable[[str, int, Path], None]
TRIALS: tuple[tuple[Trial, Sequence[str]], ...] = (
    (pages_afterwards, tuple(PAGES_AFTERWARDS)),
    (decides_wrongly, tuple(DECIDES_WRONGLY)),
    (breaks_a_promise, tuple(BROKEN)),
)


def is_noticed(trial: Trial, name: str, folder: Path) -> bool:
    """Whether one of the seeds finds it out."""
    for seed in range(SEEDS):
        try:
            trial(name, seed, folder / str(seed))
        except Broken:
            return True
    return False


@pytest.fixture(scope="module")
def found_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[bool]]]:
    """All of them are tried at once, on every processor."""
    with workers() as pool:
        yield {
            f"{trial.__name__} {name}": pool.submit(is_noticed, trial, name, tmp_path_factory.mktemp(trial.__name__))
            for trial, names in TRIALS
            for name in names
        }


@pytest.mark.parametrize("name", [f"{trial.__name__} {name}" for trial, names in TRIALS for name in names])
def test_what_is_broken_on_purpose_is_noticed(name: str, found_out: Mapping[str, Future[bool]]) -> None:
    assert found_out[name].result(), f"{SEEDS} seeds did not notice"


def test_an_engine_that_goes_by_hash_tells_another_story_in_another_process(tmp_path: Path) -> None:
    program = (
        "import logging, pathlib, sys, tempfile; logging.disable();"
        "from tests.simulation.checkers import check_all, fingerprint;"
        "from tests.simulation.test_simulation_notices import goes_by_hash;"
        "from tests.simulation.world import Parts, World;"
        "folder = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1]));"
        "history = World(0, folder, Parts(decide=goes_by_hash)).run();"
        "print(fingerprint(check_all(history, decide=goes_by_hash)))"
    )

    def told_with(hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    with ThreadPoolExecutor() as pool:
        assert len(set(pool.map(told_with, ("0", "1", "2")))) > 1


def test_an_unbroken_world_is_not_accused(tmp_path: Path) -> None:
    check_all(World(0, tmp_path, Parts()).run())
