"""A file system that does not answer: its log waits, and nothing else does."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from exporter.intake.logs.counts import Counts
from exporter.intake.logs.follower import Follower, Turn
from exporter.intake.logs.settings import Log
from exporter.intake.logs.tail import Tail
from exporter.mapping.rule import Metric, Rule
from exporter.pipeline import Pipeline
from exporter.pool import Pool
from tests.exporter.builders import SURELY
from tests.guard.webserver import until

RULE = Rule(event="job", metric=Metric(name="jobs_total", type="counter", help="Jobs."))


class Held(Follower):
    """Its files are read once somebody lets them be."""

    answers = threading.Event()

    def turn(self, now: float) -> Turn:
        self.answers.wait()
        return super().turn(now)


def test_a_file_system_that_does_not_answer_holds_up_its_own_log_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text('{"event": "job"}\n')
    log = Log(name="a", paths=(str(path),))

    async def follow() -> None:
        pipeline = Pipeline([RULE], redact=lambda kind, field: lambda text: text)
        pool, held, other, gate = Pool("test"), Counts(), Counts(), asyncio.Lock()
        tails = [
            Tail(Held(log, [], from_end=False), pipeline, pool, held, gate=gate),
            Tail(Follower(log, [], from_end=False), pipeline, pool, other, gate=gate),
        ]
        await until(lambda: held.stuck and other.lines == 1)
        assert not other.stuck
        assert held.lines == 0
        with path.open("a") as file:
            file.write('{"event": "job"}\n')
        await until(lambda: other.lines == 2)
        Held.answers.set()
        await until(lambda: held.lines == 2 and not held.stuck)
        for tail in tails:
            tail.leave()
            await tail.left()
        pool.close()

    asyncio.run(asyncio.wait_for(follow(), SURELY))


def test_the_end_does_not_wait_for_it(tmp_path: Path) -> None:
    log = Log(name="a", paths=(str(tmp_path / "a.log"),))

    class Never(Held):
        answers = threading.Event()

    async def follow() -> Tail:
        pipeline = Pipeline([RULE], redact=lambda kind, field: lambda text: text)
        tail = Tail(Never(log, [], from_end=False), pipeline, Pool("test"), Counts(), gate=asyncio.Lock())
        await until(lambda: tail.counts.stuck)
        tail.leave()
        await tail.left()
        return tail

    try:
        assert asyncio.run(asyncio.wait_for(follow(), SURELY)).places is None
    finally:
        Never.answers.set()
