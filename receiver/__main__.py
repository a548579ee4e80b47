"""`tocsin receiver`: reads flags and policy, wires the parts, runs until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from guard import framework, listen
from guard import log as logs
from guard.access import Access
from guard.configfile import Fault, InvalidConfig
from guard.tokens import Unreadable
from guard.webconfig import WebConfig
from receiver import settings
from receiver.accesses import Accesses
from receiver.chaincheck import ChainCheck
from receiver.channels.inforce import InForce
from receiver.channels.slackreply import SlackReplies
from receiver.clock import SystemClock
from receiver.commandline import parser
from receiver.doors.ack import AckDoor
from receiver.doors.acts import Acts
from receiver.doors.api import Api
from receiver.doors.app import application
from receiver.doors.doing import Doing
from receiver.doors.health import Health
from receiver.doors.incidentpage import IncidentPage
from receiver.doors.oncall import OnCall
from receiver.doors.page import Page
from receiver.doors.pagerduty import PagerDutyDoor
from receiver.doors.quick import Quick
from receiver.doors.slack import SlackDoor
from receiver.doors.statistics import StatisticsDoor
from receiver.doors.webhook import WebhookDoor
from receiver.entry import PolicyLoaded
from receiver.incident import Incident
from receiver.links import NO_LINKS, Links
from receiver.message import Message
from receiver.metrics import Metrics
from receiver.outbox import Outbox
from receiver.policy.duration import parse_duration
from receiver.policy.file import RetentionFile
from receiver.receipts import Receipts
from receiver.reconcile import Reconciliation
from receiver.retention import Keep, Retention
from receiver.runner import Runner
from receiver.settings import Settings
from receiver.sources import Sources
from receiver.spell import Timed
from receiver.store import Store, StoreFailed, StoreUnusable
from receiver.store.sqlite import open_sqlite

log = logging.getLogger("tocsin.receiver")

PROGRAM = "tocsin-receiver"
# Alertmanager waits for an answer; requests in flight get this long when we are told to stop.
DOORS_GRACE_SECONDS = 2.0
OUTBOX_GRACE_SECONDS = 5.0
RUNNER_GRACE_SECONDS = 5.0
CHAIN_CHECKED_AT_START = 1000
WARNINGS_LOGGED_MAX = 20


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    chosen = parser(environ).parse_args(arguments)
    try:
        kept = logs.start(format=chosen.log_format, level=chosen.log_level, output=chosen.log_output, program=PROGRAM)
        return listen.run(_serve(chosen, environ, kept))
    except InvalidConfig as error:
        count = f"{len(error.faults)} {'fault' if len(error.faults) == 1 else 'faults'}"
        return _said(f"the configuration has {count}:\n{error}")
    except (StoreUnusable, StoreFailed, listen.CannotListen, logs.CannotLog) as error:
        return _said(str(error))


def _said(text: str) -> int:
    print(f"tocsin receiver: {text}", file=sys.stderr)  # noqa: T201 - the person who started it reads this
    return 1


async def _serve(chosen: argparse.Namespace, environ: Mapping[str, str], kept: logs.Log) -> int:
    path = Path(chosen.config_file) if chosen.config_file else settings.EXAMPLE
    web_path = Path(chosen.web_config_file) if chosen.web_config_file else None
    first, web_config = settings.load_with_web(path, web_path, environ=environ)
    store = open_sqlite(chosen.storage_url)
    try:
        receiver = _Receiver(chosen, path=path, environ=environ, store=store, web_config=web_config, kept=kept)
        await receiver.start(first)
        return await receiver.run()
    finally:
        await store.close()


class _Receiver:
    """The parts, and who knows whom."""

    def __init__(
        self,
        chosen: argparse.Namespace,
        *,
        path: Path,
        environ: Mapping[str, str],
        store: Store,
        web_config: WebConfig | None,
        kept: logs.Log,
    ) -> None:
        self._chosen = chosen
        self._kept = kept
        self._path = path
        self._environ = environ
        self._store = store
        self._clock = SystemClock()
        self._metrics = Metrics(clock=self._clock)
        self._runner = Runner(
            store, clock=self._clock, on_decided=self._decided, messages_owed=lambda: self._outbox.owed
        )
        receipts = Receipts(self._incident)
        self._outbox = Outbox(
            report=self._runner.submit,
            clock=self._clock,
            chance=random.random,
            receipts=receipts,
            incident=self._incident,
            on_page=self._metrics.count_page,
        )
        self._reconciliation = Reconciliation(
            known=lambda: self._runner.state, perform=self._runner.perform, clock=self._clock
        )
        self._keep = Keep.of(RetentionFile())
        self._retention = Retention(store, submit=self._runner.submit, clock=self._clock, keep=lambda: self._keep)
        self._chain = ChainCheck(
            store,
            on_checked=lambda intact: self._metrics.chain_checked(intact=intact),
            submit=self._runner.submit,
            known=lambda: self._runner.state,
        )
        self._web_config = web_config
        self._access = Access(web_config)
        self._accesses = Accesses(submit=self._runner.submit)
        self._door = WebhookDoor(
            runner=self._runner,
            store=store,
            metrics=self._metrics,
            clock=self._clock,
            on_use=self._accesses.note,
        )
        self._slack_replies = SlackReplies(on_untold=self._metrics.untold.inc)
        self._slack = SlackDoor(
            doing=Doing(store=store, runner=self._runner),
            known=lambda: self._runner.state,
            tell=self._slack_replies.tell,
            metrics=self._metrics,
            clock=self._clock,
        )
        self._pagerduty = PagerDutyDoor(
            doing=Doing(store=store, runner=self._runner),
            store=store,
            known=lambda: self._runner.state,
            metrics=self._metrics,
            clock=self._clock,
        )
        self._links = NO_LINKS  # until the store has said what they are signed with
        self._reloading: asyncio.Task[None] | None = None
        self._one_reading = asyncio.Lock()  # at a time, so that what was read last is in force last

    async def start(self, first: Settings) -> None:
        """Everything but the doors: when they open, what the last run left is decided."""
        gc.disable()  # nothing that a start makes is garbage, and looking for some takes as long as loading
        await self._check_journal()
        self._links = Links(
            external_url=self._chosen.web_external_url,
            key=await self._signing_key(),
            journal=lambda: self._runner.state.journal,
        )
        self._in_force = InForce(
            links=self._links,
            incident=self._incident,
            home=self._environ.get("HOME", "/"),
            on_template_failed=self._metrics.template_failed,
        )
        self._put_in_force(first, self._sources_of(first))
        _log_warnings(first)
        self._outbox.add(await self._runner.start(first.policy))
        self._metrics.policy_read(successful=True)
        self._metrics.observe(self._runner, self._outbox)
        self._metrics.observe_reconciliation(self._reconciliation)
        self._metrics.observe_retention(self._retention)
        self._metrics.observe_web_config(self._web_config)
        self._metrics.observe_log(self._kept.counts)
        gc.freeze()
        gc.enable()

    async def run(self) -> int:
        stop = await listen.signals(on_reload=self._reload_on_signal)
        deciding = asyncio.create_task(self._runner.run())
        self._outbox.start()
        self._reconciliation.start()
        running = (self._retention.run(), self._chain.run(), self._accesses.run())
        behind = [asyncio.create_task(each) for each in running]
        try:
            addresses = self._chosen.web_listen_address
            app, front = self._application(), Quick(self._door)
            tls = None if self._web_config is None else self._web_config.server_context()
            grace = DOORS_GRACE_SECONDS
            async with framework.listening(app, addresses, grace_seconds=grace, front=front, tls=tls) as urls:
                listen.announce(f"tocsin receiver: listening on {', '.join(urls)}")
                log.info(
                    "listening",
                    extra={"urls": urls, "policy": str(self._path), "journal": self._runner.state.journal},
                )
                await _first_of(stop, deciding)
        finally:
            await self._reconciliation.stop()
            for each in behind:
                each.cancel()
            await self._slack_replies.close()
            await self._outbox.stop(grace_seconds=OUTBOX_GRACE_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._accesses.flush(), RUNNER_GRACE_SECONDS)
            self._access.close()
            self._runner.stop()
            await asyncio.wait([deciding], timeout=RUNNER_GRACE_SECONDS)
            deciding.cancel()
        if deciding.done() and not deciding.cancelled() and (error := deciding.exception()):
            log.critical("the decider failed", exc_info=error)
            return 1
        log.info("stopped", extra={"decided": self._runner.position, "owed": self._outbox.owed})
        return 0

    async def reload(self) -> str:
        """The digest of the policy that is in force from here on; InvalidConfig and StoreFailed leave the old one."""
        async with self._one_reading:
            return await self._reload()

    async def _reload(self) -> str:
        try:
            # In a thread: templates are tried out, which takes a while.
            fresh = await asyncio.to_thread(settings.load, self._path, environ=self._environ)
            sources = self._sources_of(fresh)
        except InvalidConfig as error:
            self._metrics.policy_read(successful=False)
            log.error("the policy has faults: the old one stays in force", extra={"faults": str(error)})
            raise
        if fresh.policy != self._runner.state.policy:
            await self._runner.submit(PolicyLoaded(fresh.policy))
        self._put_in_force(fresh, sources)
        _log_warnings(fresh)
        self._metrics.policy_read(successful=True)
        log.info("policy loaded", extra={"file": fresh.name, "digest": logs.Ours(fresh.policy.digest)})
        return fresh.policy.digest

    def _sources_of(self, fresh: Settings) -> Sources:
        """Before anything of the policy is in force: a token file may be gone again since it was checked."""
        try:
            return Sources(fresh.sources, access=self._access)
        except Unreadable as error:
            fault = Fault(fresh.name, 0, "sources", str(error), "files with one token a line")
            raise InvalidConfig([fault]) from error

    def _put_in_force(self, fresh: Settings, sources: Sources) -> None:
        """What acts. What decides is put in force by the journal's entry."""
        self._links.valid_for = parse_duration(fresh.links.valid_for)
        self._metrics.observe_actions(fresh.actions, self._in_force.tally)
        self._metrics.templates_of([name for name, file in fresh.channels.items() if file.templates is not None])
        self._outbox.replace_channels(
            self._in_force.renew(fresh.channels, fresh.actions),
            {name: each.after.total_seconds() for name, each in fresh.policy.fallbacks.items()},
        )
        self._metrics.known_people(fresh.policy.reach)
        self._door.sources = sources
        self._slack.replace_channels(fresh.channels)
        self._pagerduty.replace_channels(fresh.channels)
        self._reconciliation.replace_sources(fresh.sources or {})
        self._keep = Keep.of(fresh.retention)

    def _incident(self, identifier: str) -> Incident | None:
        return self._runner.state.incidents.get(identifier)

    def _decided(self, messages: Sequence[Message], counts: Mapping[str, int], timed: Sequence[Timed]) -> None:
        self._outbox.add(messages)
        self._reconciliation.stir()
        self._metrics.count_decisions(messages, counts, timed)

    def _reload_on_signal(self) -> None:
        self._kept.reopen()
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_and_log())

    async def _reload_and_log(self) -> None:
        with suppress(InvalidConfig):  # already logged, with every fault
            try:
                await self.reload()
            except StoreFailed as error:
                log.error(
                    "the new policy could not be written: the old one stays in force",
                    extra={"error": str(error)},
                )

    async def _signing_key(self) -> bytes | None:
        """A disk that is full must not keep anybody from being told: without the key, messages have no links to answer
        by."""
        try:
            return await self._store.signing_key()
        except StoreFailed as error:
            log.error(
                "the key of signed links could not be written: there are none until the next start",
                extra={"error": str(error)},
            )
            return None

    async def _check_journal(self) -> None:
        problem = await self._store.verify(last=CHAIN_CHECKED_AT_START)
        self._metrics.chain_checked(intact=problem is None)
        if problem is not None:
            log.error(
                "the journal's chain does not hold: somebody or something changed it",
                extra={"problem": problem},
            )

    def _application(self) -> web.Application:
        runner, outbox, store, clock = self._runner, self._outbox, self._store, self._clock
        doing = Doing(store=store, runner=runner)
        return application(
            webhook=self._door,
            api=Api(
                store=store,
                runner=runner,
                outbox=outbox,
                clock=clock,
                started_at=clock.now(),
                reconciliation=self._reconciliation,
                chain=self._chain,
            ),
            acts=Acts(doing=doing),
            slack=self._slack,
            pagerduty=self._pagerduty,
            oncall=OnCall(runner=runner, clock=clock),
            statistics=StatisticsDoor(store=store, runner=runner, clock=clock),
            health=Health(store=store, runner=runner, outbox=outbox, metrics=self._metrics, reload=self.reload),
            page=Page(store=store, runner=runner, clock=clock, external_url=self._chosen.web_external_url),
            incident=IncidentPage(store=store, clock=clock),
            ack=AckDoor(store=store, runner=runner, doing=doing, links=self._links, clock=clock, metrics=self._metrics),
            metrics=self._metrics,
            access=self._access,
            external_url=self._chosen.web_external_url,
            on_use=self._accesses.note,
        )


def _log_warnings(settings: Settings) -> None:
    for each in settings.warnings[:WARNINGS_LOGGED_MAX]:
        log.warning("a part of the policy is valid, and hardly meant", extra={"warning": str(each)})
    more = len(settings.warnings) - WARNINGS_LOGGED_MAX
    if more > 0:
        log.warning("more of the policy is hardly meant: tocsin check names all of it", extra={"warnings": more})


async def _first_of(stop: asyncio.Event, deciding: asyncio.Task[None]) -> None:
    """Until we are told to stop, or the decider ends, which it never should."""
    told = asyncio.create_task(stop.wait())
    await asyncio.wait([told, deciding], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()


if __name__ == "__main__":
    sys.exit(main())
