"""Runs seeds and prints what each left: `python -m tests.simulation 17`, or `python -m tests.simulation 0-199`."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from tests.simulation.checkers import check_all, fingerprint
from tests.simulation.world import World


def main(arguments: list[str]) -> int:
    logging.disable()  # a channel that is down is the point here
    first, _, last = arguments[0].partition("-")
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory() as folder:
            history = World(seed, Path(folder)).run()
            evidence = check_all(history)
            print(
                f"seed {seed}: {len(evidence.entries)} entries, {len(history.arrived)} messages arrived, "
                f"{history.crashes} crashes, {history.statements} statements, {fingerprint(evidence)[:16]}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
