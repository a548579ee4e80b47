"""Seeds on every processor at once: what a simulation says does not depend on who else runs."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


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
