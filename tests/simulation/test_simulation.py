"""Years of bad luck: every seed must leave what the checkers demand, and the same in every process."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.simulation.checkers import check_all, fingerprint
from tests.simulation.workers import workers
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Channels that are down are the point here; a line for each would hide what matters."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Run(NamedTuple):
    """What a seed came to: why it failed, or how much went wrong in it without harm."""

    failure: str | None = None
    crashes: int = 0
    repeats: int = 0
    refused: int = 0


def run(seed: int, folder: Path) -> Run:
    try:
        evidence = check_all(World(seed, folder).run())
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed is what people need
        return Run(f"seed {seed}: {error!r}  (again: python -m tests.simulation {seed})")
    arrived = evidence.history.arrived
    messages = {each.message.id for each in arrived}
    return Run(None, evidence.history.crashes, len(arrived) - len(messages), len(evidence.decided) - len(messages))


def test_nothing_that_must_never_happen_happens(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    seeds = request.config.getoption("--seeds")
    with workers() as pool:
        runs = []
        for each in pool.map(run, range(seeds), (tmp_path / str(seed) for seed in range(seeds))):
            assert each.failure is None, each.failure
            runs.append(each)
    # A simulation in which nothing goes wrong proves nothing.
    assert sum(each.crashes for each in runs) > seeds // 2
    assert sum(each.repeats for each in runs) > 0
    assert sum(each.refused for each in runs) > 0


def test_the_same_seed_is_the_same_story_whatever_the_hash_seed() -> None:
    # Each is a process of its own, so they run beside each other.
    with ThreadPoolExecutor() as pool:
        told = list(pool.map(partial(_told, "0-7"), ("0", "12345")))
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == 8


def test_a_seed_run_twice_in_one_process_is_the_same_story(tmp_path: Path) -> None:
    runs = [fingerprint(check_all(World(3, tmp_path / name).run())) for name in ("one", "two")]
    assert runs[0] == runs[1]


def _told(seeds: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.simulation", seeds]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
