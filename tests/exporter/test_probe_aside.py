"""What hangs in the system is left behind, in threads that are bounded, and nobody else waits for it."""

import asyncio
import threading
from functools import partial

import pytest

from exporter.probes.allow import Allowed
from exporter.probes.aside import THREADS_MAX, Aside
from exporter.probes.attempt import Attempt, Failed
from exporter.probes.ground import Ground
from tests.exporter.builders import SURELY, promptly

AT_ONCE = 0.05


async def gives_up(waiting: "asyncio.Future[object] | asyncio.Task[object]") -> bool:
    try:
        await asyncio.wait_for(waiting, AT_ONCE)
    except TimeoutError:
        return True
    return False


def test_who_hangs_takes_a_thread_and_nobody_else_waits() -> None:
    async def scenario() -> None:
        aside, release = Aside(), threading.Event()
        for number in range(THREADS_MAX - 1):
            hung = asyncio.ensure_future(aside.run(number, partial(release.wait, SURELY)))
            assert await gives_up(hung)
        # What is waited for already takes no further thread, however often somebody asks.
        for _ in range(50):
            assert await gives_up(asyncio.ensure_future(aside.run(0, release.wait)))
        assert aside.held == THREADS_MAX - 1
        assert await aside.run("well", lambda: "done") == "done"
        assert await gives_up(asyncio.ensure_future(aside.run("last", partial(release.wait, SURELY))))
        with pytest.raises(Failed) as failed:
            await aside.run("one more", lambda: "done")
        assert failed.value.reason == "busy"
        # An address needs no thread.
        ground = Ground(Allowed.of(["127.0.0.1", "localhost"]), aside, procfs="/proc")
        assert str(await ground.place(Attempt(seconds=1.0), "127.0.0.1:80")) == "127.0.0.1:80"
        with pytest.raises(Failed, match="waited for already"):
            await ground.place(Attempt(seconds=1.0), "localhost:80")
        release.set()
        await asyncio.gather(*(aside.run(key, release.wait) for key in (*range(THREADS_MAX - 1), "last")))
        assert aside.held == 0
        assert await aside.run("one more", lambda: "done") == "done"

    promptly(scenario())


def test_who_waits_along_gets_the_same_answer_or_the_same_error() -> None:
    async def scenario() -> None:
        aside, release, entered = Aside(), threading.Event(), []

        def once() -> str:
            entered.append(1)
            release.wait(SURELY)
            raise OSError(2, "gone")

        waiting = [asyncio.ensure_future(aside.run("x", once)) for _ in range(5)]
        await asyncio.sleep(0)
        release.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert entered == [1]
        assert {type(each) for each in answers} == {FileNotFoundError}

    promptly(scenario())
