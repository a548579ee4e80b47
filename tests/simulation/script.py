"""What a world is to live through, and the parts that workloads make it of."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation.alertmanager import Alertmanager, Post

HOURS = 6.0
CALM_HOURS = 3.0
DAY = 24.0
CRASHES_MAX = 4


@dataclass
class Script:
    """What a world is to live through. `steps`: when the receiver's clock is set, and by how much."""

    alertmanagers: list[Alertmanager]
    policies: tuple[str, ...] = ("plain", "other")  # the first at the start, the others later
    hours: float = HOURS
    calm_hours: float = CALM_HOURS
    steps: tuple[tuple[float, float], ...] = ()
    people_seconds: float = 400.0  # between two acts
    crashes_max: int = CRASHES_MAX

    @property
    def end(self) -> float:
        return self.hours * 3600

    @property
    def calm_end(self) -> float:
        return self.end + self.calm_hours * 3600

    def posts(self) -> list[Post]:
        return sorted((post for each in self.alertmanagers for post in each.posts), key=lambda post: post.at)


def labels_of(chance: random.Random, number: int, group: int, **more: str) -> dict[str, str]:
    severity = ["warning", "critical"][number % 2] if chance.random() < 0.9 else chance.choice(["warning", "critical"])
    return {"alertname": f"Alert{number}", "group": str(group), "severity": severity, **more}


def times(chance: random.Random, hours: float, many: int) -> list[float]:
    return sorted(chance.uniform(0, hours * 3600) for _ in range(many))


def until_the_end(script: Script) -> Script:
    """When it is calm Alertmanager goes on: it repeats what fires."""
    for each in script.alertmanagers:
        each.repeats(script.end + 300.0, script.calm_end - 1200.0, 2400.0)
        each.posts = [post for post in each.posts if post.at < script.calm_end]
    return script


def come_and_go(
    chance: random.Random,
    alertmanager: Alertmanager,
    group: int,
    *,
    times: int,
    alerts: int = 4,
    begin: float | None = None,
    late: tuple[float, ...] = (0.0,),
    more: Mapping[str, str] | None = None,
) -> None:
    """Some alerts of a group begin or end, a snapshot is posted, perhaps twice, perhaps late; and again."""
    name = f"group {group}"
    at = chance.uniform(0, 3600) if begin is None else begin
    mine = [labels_of(chance, number, group, **(more or {})) for number in range(alerts)]
    for _ in range(times):
        all_over = chance.random() < 0.2
        for labels in mine if all_over else chance.sample(mine, chance.randrange(1, alerts)):
            if all_over or chance.random() < 0.5:
                alertmanager.ends(at, name, labels)
            else:
                alertmanager.fires(at, name, labels, value=str(chance.randrange(3)))
        after = chance.choice(late)
        body = alertmanager.posts_group(at, name, late=after)
        if body is not None and chance.random() < 0.3:
            alertmanager.again(at + after + chance.choice([0.0, 0.01, 15.0, 45.0]), body)
        at += chance.choice([0.001, 1.0, 30.0, 300.0, 1800.0])
        if at > HOURS * 3600:
            return
