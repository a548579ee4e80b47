"""Years of bad luck: every seed must leave what the checkers demand, and the same in every process."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.checkers import check_all, fingerprint
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Channels that are down are the point here; a line for each would hide what matters."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_nothing_that_must_never_happen_happens(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    seeds = request.config.getoption("--seeds")
    crashes = repeats = refused = 0
    for seed in range(seeds):
        try:
            evidence = check_all(World(seed, tmp_path / str(seed)).run())
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed is what people need
            pytest.fail(f"seed {seed}: {error!r}  (again: python -m tests.simulation {seed})")
        crashes += evidence.history.crashes
        repeats += len(evidence.history.arrived) - len({each.message.id for each in evidence.history.arrived})
        refused += len(evidence.decided) - len({each.message.id for each in evidence.history.arrived})
    # A simulation in which nothing goes wrong proves nothing.
    assert crashes > seeds // 2
    assert repeats > 0
    assert refused > 0


def test_the_same_seed_is_the_same_story_whatever_the_hash_seed() -> None:
    told = [_told(seeds="0-7", hash_seed=hash_seed) for hash_seed in ("0", "12345")]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == 8


def test_a_seed_run_twice_in_one_process_is_the_same_story(tmp_path: Path) -> None:
    runs = [fingerprint(check_all(World(3, tmp_path / name).run())) for name in ("one", "two")]
    assert runs[0] == runs[1]


def _told(*, seeds: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.simulation", seeds]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
