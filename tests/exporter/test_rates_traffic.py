"""The bundled detectors with a baseline on generated traffic: no false alarms, and attacks that are found soon."""

import pytest

from bench.detection import ATTACK_SECONDS, ATTACKER, BEGAN, alarms, delays, found_in
from bench.traffic import Attack, Step, daily, steps
from exporter.detectors.rates import RATES

SEEDS = (1, 2, 3)
OF_ALL = pytest.mark.parametrize("name", RATES)


@OF_ALL
@pytest.mark.parametrize("per_second", [0.02, 2.0])
def test_a_day_of_people_is_no_attack(name: str, per_second: float) -> None:
    assert alarms(name, per_second, seed=SEEDS[0], days=1) == 0


@OF_ALL
@pytest.mark.parametrize("seed", SEEDS)
def test_thirty_times_as_much_is_found_within_a_third_of_a_minute(name: str, seed: int) -> None:
    (delay,) = delays(name, 5.0, 30, seed=seed, attacks=1)
    assert delay <= 20


@pytest.mark.parametrize("seed", SEEDS)
def test_the_attacker_is_named_and_no_one_else(seed: int) -> None:
    attack = Attack(4_000, ATTACK_SECONDS, 5.0 * daily(4_000) * 30, ATTACKER)
    traffic = steps("message_sent", 5.0, seed=seed, seconds=4_200, began=BEGAN, attacks=(attack,))
    found = list(found_in("message_flood", traffic))
    assert {each.address for each in found} == {None, ATTACKER}
    assert all(4_000 <= each.at - BEGAN <= 4_030 for each in found)


def test_the_same_seed_makes_the_same_traffic_and_another_another() -> None:
    def made(seed: int) -> list[int]:
        return [step.batch.size for step in steps("auth", 1.0, seed=seed, seconds=3_600)]

    assert made(1) == made(1) != made(2)
    assert sum(made(1)) == pytest.approx(3_600 * daily(1_800), rel=0.3)
    assert isinstance(next(steps("auth", 1.0, seed=1, seconds=60)), Step)
