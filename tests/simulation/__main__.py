"""Runs seeds again: `python -m tests.simulation 17` tells the story of one, `python -m tests.simulation 0-199` prints
what each left. `--workload=NAME` runs another workload than the seed's own."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.simulation.checkers import check_all, fingerprint
from tests.simulation.evidence import Evidence
from tests.simulation.story import told
from tests.simulation.workloads import WORKLOADS
from tests.simulation.world import World


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", help="one seed, or two with a dash between them: 0-199")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), help="instead of the seed's own")
    given = parser.parse_args(arguments)
    logging.disable()  # a channel that is down is the point here
    first, _, last = given.seeds.partition("-")
    broken = 0
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory() as folder:
            world = World(seed, Path(folder), workload=given.workload)
            history = world.history
            try:
                world.run()
                if not last:
                    Evidence(history, each=lambda moment, _: print(told(moment)))
                evidence = check_all(history)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other seeds are wanted too
                broken += 1
                print(f"seed {seed} ({history.workload}): {type(error).__name__}: {error}")
                continue
            print(
                f"seed {seed} ({history.workload}): {len(evidence.entries)} entries, {len(history.arrived)} messages "
                f"arrived, {history.crashes} crashes, {history.statements} statements, {fingerprint(evidence)[:16]}"
            )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
