"""A reload makes anew what is set differently, and nothing else."""

import gc
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from exporter.collectors import Collector
from exporter.collectors.files import Kept
from exporter.control import Control, Plan, Prepare, Refused
from exporter.family import Family
from exporter.metrics import Tally
from exporter.outcome import Reason
from exporter.registry import Registry
from tests.exporter.builders import PATIENT, SURELY, Hangs, Says, gauge, promptly

AT_ONCE = 0.01


class World:
    """A control whose plan is whatever the test says next, and every collector that it has made."""

    def __init__(self, plan: Plan, *first: Collector, parts: Sequence[Prepare] = ()) -> None:
        self.next: Plan = plan
        self.made: list[tuple[str, Mapping[str, str]]] = []
        self._first = {collector.name: collector for collector in first}
        self.tally = Tally(started_at=0.0)
        self.registry = Registry((), failed=self.tally.failed, quarantined=self.tally.quarantine)
        self.control = Control(
            plan,
            load=lambda: self.next,
            build=self._build,
            registry=self.registry,
            tally=self.tally,
            parts=parts,
        )

    def _build(self, name: str, options: Mapping[str, str]) -> Collector:
        if options.get("pattern") == "(":
            raise Refused(("collector b: found '(', expected a regular expression",))
        self.made.append((name, options))
        return self._first.pop(name, None) or Says(name, gauge(f"node_{name}"))

    def reload(self, plan: Plan) -> tuple[str, ...]:
        self.next = plan
        return self.control.reload()


def plan(**options: Mapping[str, str]) -> Plan:
    return Plan(tuple(options), PATIENT, options)


def test_only_a_collector_whose_options_changed_is_made_anew() -> None:
    world = World(plan(a={"most": "1"}, b={"most": "1"}))
    assert world.reload(plan(a={"most": "1"}, b={"most": "2"}, c={})) == ()
    assert world.made == [("a", {"most": "1"}), ("b", {"most": "1"}), ("b", {"most": "2"}), ("c", {})]
    assert world.registry.names == ("a", "b", "c")


def test_a_collector_that_cannot_be_made_leaves_everything_as_it_was() -> None:
    world = World(plan(a={}))
    faults = world.reload(plan(a={"most": "2"}, b={"pattern": "("}))
    assert faults == ("collector b: found '(', expected a regular expression",)
    assert world.registry.names == ("a",)
    assert world.control.plan == plan(a={})
    assert not world.tally.reload_successful
    assert world.reload(plan(a={})) == ()
    assert world.made.count(("a", {})) == 1


class Part:
    """Follows the plan, and refuses those that have a collector called as it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.in_force: list[Plan] = []

    def prepare(self, plan: Plan) -> Callable[[], None]:
        if self.name in plan.collectors:
            raise Refused((f"{self.name}: refused",))
        return lambda: self.in_force.append(plan)


def test_parts_follow_the_plan_from_the_start_on() -> None:
    part = Part("x")
    world = World(plan(a={}), parts=(part.prepare,))
    assert part.in_force == [plan(a={})]
    assert world.reload(plan(b={})) == ()
    assert part.in_force == [plan(a={}), plan(b={})]


def test_a_plan_that_one_part_refuses_comes_into_force_nowhere_and_all_faults_are_told() -> None:
    parts = [Part("x"), Part("z"), Part("y")]
    world = World(plan(a={}), parts=[part.prepare for part in parts])
    assert world.reload(plan(x={}, y={}, b={"pattern": "("})) == (
        "collector b: found '(', expected a regular expression",
        "x: refused",
        "y: refused",
    )
    assert [part.in_force for part in parts] == [[plan(a={})]] * 3
    assert world.registry.names == ("a",)


def test_a_collector_that_hangs_while_it_is_replaced_stays_stuck_until_it_comes_back() -> None:
    async def scenario() -> None:
        hangs = Hangs("a")
        world = World(plan(a={"most": "1"}), hangs)
        await world.registry.scrape(AT_ONCE)
        assert world.reload(plan(a={"most": "2"})) == ()
        assert world.registry.is_stuck("a")
        seen = await world.registry.scrape(PATIENT)
        assert seen.outcomes["a"].reason is Reason.STUCK
        hangs.release.set()
        assert hangs.left.wait(SURELY)
        while (await world.registry.scrape(PATIENT)).outcomes["a"].reason is Reason.STUCK:
            pass
        assert (await world.registry.scrape(PATIENT)).families[0].name == "node_a"
        assert hangs.entered == 1

    promptly(scenario())


class Keeping:
    """Keeps a file open, as collectors do."""

    name = "keeping"
    help = "A test."

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:
        self._kept.read(self._path)
        return ()


def test_a_collector_that_is_replaced_takes_its_open_files_along(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    path = str(tmp_path / "file")

    def open_files() -> list[str]:
        descriptors = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
        return [os.readlink(each) for each in descriptors if os.path.lexists(each)]

    def made(_: str, options: Mapping[str, str]) -> Collector:
        return Keeping(options["path"])

    async def scenario() -> None:
        tally = Tally(started_at=0.0)
        registry = Registry((), failed=tally.failed, quarantined=tally.quarantine)
        plans = [plan(keeping={"path": path}), plan(keeping={"path": path, "most": "1"})]
        control = Control(plans[0], load=lambda: plans[1], build=made, registry=registry, tally=tally)
        await registry.scrape(PATIENT)
        assert open_files().count(path) == 1
        control.reload()
        await registry.scrape(PATIENT)
        gc.collect()
        assert open_files().count(path) == 1

    promptly(scenario())
