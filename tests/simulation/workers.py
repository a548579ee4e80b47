"""Seeds on every processor at once: what a simulation says does not depend on who else runs."""

from __future__ import annotations

import logging
import multiprocessing
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path


@contextmanager
def workers() -> Iterator[ProcessPoolExecutor]:
    """Processes of their own, each begun anew; what nobody waits for any more is not begun."""
    pool = ProcessPoolExecutor(
        max_workers=os.cpu_count(), mp_context=multiprocessing.get_context("spawn"), initializer=logging.disable
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def all_seeds(live: Callable[[int, Path], Counter[str]], seeds: int, folder: Path) -> Counter[str]:
    """What all of them saw together. Where one fails, so does the test, with its number."""
    seen: Counter[str] = Counter()
    with workers() as pool:
        for each in pool.map(partial(_lived, live), range(seeds), (folder / str(seed) for seed in range(seeds))):
            assert not isinstance(each, str), each
            seen.update(each)
    return seen


def _lived(live: Callable[[int, Path], Counter[str]], seed: int, folder: Path) -> Counter[str] | str:
    """What went wrong is told as a text: not every error can travel from one process to another."""
    try:
        return live(seed, folder)
    except Exception:  # noqa: BLE001 - whatever it is, the seed is what people need
        return f"seed {seed}: {traceback.format_exc()}"
