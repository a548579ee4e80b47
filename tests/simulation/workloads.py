"""What happens to a receiver: which alerts come and go, how it is told, under which policies, by which clock.

Each workload is a function of the dice; the seed chooses one, and `--workload=NAME` another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from tests.simulation.alertmanager import Alertmanager
from tests.simulation.script import CALM_HOURS, DAY, HOURS, Script, come_and_go, labels_of, times, until_the_end


def everyday(chance: random.Random) -> Script:
    """Some groups of alerts that come and go; bodies come twice, and late. The API cannot be asked."""
    alertmanager = Alertmanager(asked=False)
    for group in range(chance.randrange(1, 5)):
        come_and_go(chance, alertmanager, group, times=chance.randrange(1, 25))
    return until_the_end(Script([alertmanager]))


def storm(chance: random.Random) -> Script:
    """Hundreds of alerts in many groups at once, and most of them over soon after."""
    alertmanager = Alertmanager()
    for _ in range(chance.randrange(1, 4)):
        begin = chance.uniform(0, HOURS * 3000)
        for group in range(chance.randrange(10, 60)):
            at = begin + chance.expovariate(1 / 20)
            mine = [labels_of(chance, number, group) for number in range(chance.randrange(1, 12))]
            for labels in mine:
                alertmanager.fires(at, f"group {group}", labels)
            alertmanager.posts_group(at, f"group {group}")
            at += chance.choice([20.0, 300.0, 900.0])
            for labels in mine:
                if chance.random() < 0.8:
                    alertmanager.ends(at, f"group {group}", labels)
            alertmanager.posts_group(at, f"group {group}")
    policies = chance.choice([("storms",), ("storms", "nothing passes"), ("nothing passes", "plain", "storms")])
    return until_the_end(Script([alertmanager], policies))


def flapping(chance: random.Random) -> Script:
    """The same few alerts, again and again."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(1, 4)):
        at = chance.uniform(0, 3600)
        labels = labels_of(chance, group, group, **({"cooldown": "20m"} if chance.random() < 0.3 else {}))
        for _ in range(chance.randrange(5, 40)):
            alertmanager.fires(at, f"group {group}", labels, value=str(chance.randrange(3)))
            alertmanager.posts_group(at, f"group {group}")
            at += chance.choice([10.0, 60.0, 200.0])
            alertmanager.ends(at, f"group {group}", labels)
            alertmanager.posts_group(at, f"group {group}")
            at += chance.choice([10.0, 100.0, 280.0, 310.0, 1500.0])
    return until_the_end(Script([alertmanager], chance.choice([("storms",), ("plain", "storms"), ("night",)])))


def pairs(chance: random.Random) -> Script:
    """Two Alertmanagers, one startsAt each; an older firing of one arrives after the resolve of the other."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(1, 4)):
        name, at = f"group {group}", chance.uniform(0, 1800)
        labels = [labels_of(chance, number, group) for number in range(chance.randrange(1, 4))]
        for _ in range(chance.randrange(2, 12)):
            one = chance.choice(labels)
            alertmanager.fires(at, name, one, began=at - chance.choice([0.0, 0.5, 30.0]))
            body = alertmanager.posts_group(at, name)
            assert body is not None
            alertmanager.again(at + chance.choice([0.0, 15.0]), body.replace(b"+00:00", b"Z"))
            at += chance.choice([30.0, 300.0, 900.0])
            alertmanager.ends(at, name, one)
            over = alertmanager.posts_group(at, name)
            assert over is not None
            if chance.random() < 0.6:
                alertmanager.again(at + chance.choice([1.0, 20.0, 59.0, 70.0]), body)
                alertmanager.again(at + chance.choice([80.0, 300.0, 320.0]), over)
            at += chance.choice([20.0, 200.0, 900.0])
    return until_the_end(Script([alertmanager], chance.choice([("plain",), ("rules", "plain")])))


def out_of_order(chance: random.Random) -> Script:
    """Any body may come minutes after the ones that follow it."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(1, 5)):
        come_and_go(chance, alertmanager, group, times=chance.randrange(2, 20), late=(0.0, 0.0, 5.0, 100.0, 700.0))
    return until_the_end(Script([alertmanager], ("plain", "storms")))


def truncated(chance: random.Random) -> Script:
    """Bodies leave alerts out; what fires there, and what is over, only the API says."""
    alertmanager = Alertmanager(alerts_max=chance.choice([1, 3, 5]))
    for group in range(chance.randrange(1, 4)):
        come_and_go(chance, alertmanager, group, times=chance.randrange(3, 20), alerts=10)
    return until_the_end(Script([alertmanager], chance.choice([("plain",), ("storms", "rules")])))


def silent_source(chance: random.Random) -> Script:
    """A watchdog stops. Alertmanager takes what it does not hear of for over and says so; then all of it is back."""
    one, two = Alertmanager("am"), Alertmanager("eu1", asked=False)
    for each in (one, two):
        watchdog = {"alertname": "Watchdog", "severity": "none"}
        each.fires(0, "watchdog", watchdog)
        silent = [(begin, begin + chance.choice([60.0, 400.0, 3000.0])) for begin in times(chance, HOURS, 4)]
        at = 1.0
        while at < (HOURS + CALM_HOURS) * 3600:
            if not any(begin <= at < end for begin, end in silent):
                each.posts_group(at, "watchdog")
            at += 100.0
        for group in range(chance.randrange(1, 3)):
            _silent_group(chance, each, group, silent)
    policies = chance.choice(
        [("watched",), ("plain", "watched"), ("watched", "watched otherwise"), ("watched", "other")]
    )
    return until_the_end(Script([one, two], policies))


def _silent_group(
    chance: random.Random, alertmanager: Alertmanager, group: int, silent: list[tuple[float, float]]
) -> None:
    """What fires all the time, and is said to be over while the source is silent."""
    name = f"group {group}"
    labels = [labels_of(chance, number, group) for number in range(chance.randrange(1, 4))]
    alertmanager.fires(10.0, name, labels[0])
    at = 10.0
    while at < HOURS * 3600:
        hushed = [(begin, end) for begin, end in silent if begin <= at < end]
        for other in labels[1:] if hushed and chance.random() < 0.5 else []:
            alertmanager.ends(at, name, other)  # this one is over indeed
        body = alertmanager.posts_group(at, name)
        if hushed and body is not None:
            begin, end = hushed[0]
            alertmanager.posts.pop()
            guess = body.replace(b'"status":"firing"', b'"status":"resolved"')
            alertmanager.again(max(at, begin + 240.0), guess)
            at = max(end + chance.choice([1.0, 200.0]), at + 1.0)
            continue
        for other in labels[1:]:
            if chance.random() < 0.5:
                alertmanager.fires(at, name, other)
            else:
                alertmanager.ends(at, name, other)
        at += chance.choice([60.0, 300.0, 1000.0])


def silences(chance: random.Random) -> Script:
    """Alerts are silenced in Alertmanager, end meanwhile or not, and are shown again."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(1, 4)):
        name, at = f"group {group}", chance.uniform(0, 3600)
        labels = [labels_of(chance, number, group) for number in range(chance.randrange(1, 4))]
        for _ in range(chance.randrange(3, 20)):
            one = chance.choice(labels)
            match chance.randrange(4):
                case 0:
                    for each in labels if chance.random() < 0.6 else [one]:
                        alertmanager.silences(at, each, until=at + chance.choice([120.0, 1200.0, 7000.0]))
                case 1:
                    alertmanager.ends(at, name, one)
                case _:
                    alertmanager.fires(at, name, one)
            alertmanager.posts_group(at, name)
            at += chance.choice([1.0, 60.0, 300.0, 1800.0])
    return until_the_end(Script([alertmanager], chance.choice([("plain",), ("storms", "night"), ("rules",)])))


def correlated(chance: random.Random) -> Script:
    """Causes and symptoms, services and what they need, steps of an attack, in any order; people merge and split."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(2, 8)):
        name, at = f"group {group}", chance.uniform(0, 7200)
        for _ in range(chance.randrange(2, 14)):
            for _ in range(chance.randrange(1, 4)):
                labels = {
                    **labels_of(chance, chance.randrange(4), group),
                    "cluster": chance.choice(["eu1", "us1"]),
                    **({"host": chance.choice(["a", "b"])} if chance.random() < 0.4 else {}),
                    **({"service": chance.choice(["shop", "cart", "search", "db"])} if chance.random() < 0.5 else {}),
                    **({"tier": "app"} if chance.random() < 0.5 else {}),
                }
                alertmanager.fires(at, name, labels)
                if chance.random() < 0.6:
                    alertmanager.ends(at + chance.choice([0.5, 100.0]), name, labels)
            alertmanager.posts_group(at + 101.0, name)
            at += 110.0 + chance.choice([0.0, 60.0, 600.0, 3000.0])
    policies = chance.choice([("rules",), ("rules", "other rules"), ("plain", "rules", "other rules", "plain")])
    return until_the_end(Script([alertmanager], policies, people_seconds=200.0))


def unanswered(chance: random.Random) -> Script:
    """Long incidents that nobody answers, or that somebody answers and forgets."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(2, 6)):
        at = chance.uniform(0, HOURS * 1800)
        mine = [labels_of(chance, number, group) for number in range(chance.randrange(1, 4))]
        for labels in mine:
            alertmanager.fires(at, f"group {group}", labels)
        alertmanager.posts_group(at, f"group {group}")
        if chance.random() < 0.5:
            alertmanager.ends(at + chance.uniform(600, 9000), f"group {group}", mine[0])
            alertmanager.posts_group(at + 9100, f"group {group}")
    policies = chance.choice([("insisting",), ("insisting", "plain"), ("plain", "insisting", "other")])
    return until_the_end(Script([alertmanager], policies, people_seconds=chance.choice([900.0, 3000.0])))


def growing(chance: random.Random) -> Script:
    """Incidents that somebody has grow, shrink, and become worse, in one body or in many."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(1, 4)):
        name, at = f"group {group}", chance.uniform(0, 3600)
        firing: list[dict[str, str]] = []
        severities = ["warning"] * chance.randrange(3, 12) + ["error", "critical"] * chance.randrange(3)
        for number, severity in enumerate(severities):
            labels = {"alertname": f"Alert{number}", "group": str(group), "severity": severity}
            alertmanager.fires(at, name, labels)
            firing.append(labels)
            if len(firing) > 2 and chance.random() < 0.2:
                alertmanager.ends(at, name, firing.pop(0))
            if chance.random() < 0.7:
                alertmanager.posts_group(at, name)
            at += chance.choice([1.0, 120.0, 600.0, 1500.0])
        alertmanager.posts_group(at, name)
        for labels in firing if chance.random() < 0.5 else []:
            alertmanager.ends(at + 600.0, name, labels)
        alertmanager.posts_group(at + 601.0, name)
    policies = chance.choice([("growing",), ("growing", "insisting"), ("insisting", "growing", "plain")])
    return until_the_end(Script([alertmanager], policies, people_seconds=chance.choice([150.0, 500.0])))


def maintenance(chance: random.Random) -> Script:
    """Over the night on which an hour is skipped, with cooldowns."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(1, 5)):
        at = chance.uniform(3.5 * 3600, 5.2 * 3600)
        cooldown = {"cooldown": chance.choice(["10m", "2h", "2h", "nonsense"])} if chance.random() < 0.6 else {}
        come_and_go(chance, alertmanager, group, times=chance.randrange(2, 20), begin=at, more=cooldown)
    return until_the_end(Script([alertmanager], chance.choice([("night",), ("night", "plain"), ("storms", "night")])))


def reloads(chance: random.Random) -> Script:
    """The policy changes again and again."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(2, 6)):
        come_and_go(chance, alertmanager, group, times=chance.randrange(3, 20), more={"host": f"h{group % 2}"})
    names = ["plain", "other", "storms", "nothing passes", "rules", "other rules", "night", "watched"]
    return until_the_end(Script([alertmanager], tuple(chance.choices(names, k=chance.randrange(3, 9)))))


def clock_steps(chance: random.Random) -> Script:
    """Somebody, or something, sets the clock: by minutes, forwards and backwards."""
    alertmanager = Alertmanager()
    for group in range(chance.randrange(1, 4)):
        come_and_go(chance, alertmanager, group, times=chance.randrange(3, 20))
    at = times(chance, HOURS, chance.randrange(1, 6))
    steps = tuple((each, chance.choice([-1800.0, -300.0, -61.0, -1.0, 61.0, 300.0, 1800.0])) for each in at)
    return until_the_end(
        Script([alertmanager], chance.choice([("plain",), ("storms", "night"), ("rules",)]), steps=steps)
    )


def months(chance: random.Random) -> Script:
    """A long and quiet time: now and then an alert. Some are never heard of again."""
    alertmanager = Alertmanager(asked=False)
    days = chance.randrange(20, 60)
    for group in range(chance.randrange(1, 4)):
        at = chance.uniform(0, 3600 * DAY)
        while at < days * DAY * 3600:
            labels = labels_of(chance, chance.randrange(3), group)
            alertmanager.fires(at, f"group {group}", labels)
            alertmanager.posts_group(at, f"group {group}")
            forgotten = chance.random() < 0.3
            for _ in range(chance.randrange(4)):
                at += 4 * 3600.0
                if not forgotten:
                    alertmanager.posts_group(at, f"group {group}")
            alertmanager.ends(at + 60, f"group {group}", labels)
            if not forgotten:
                alertmanager.posts_group(at + 61, f"group {group}")
            at += chance.expovariate(1 / (3 * DAY * 3600)) + 100.0
    return Script([alertmanager], ("years",), hours=days * DAY, calm_hours=14.0, people_seconds=2 * DAY * 3600)


def mixed(chance: random.Random) -> Script:
    """A little of everything."""
    alertmanager = Alertmanager(alerts_max=chance.choice([0, 4]))
    for group in range(chance.randrange(2, 6)):
        late = chance.choice([(0.0,), (0.0, 5.0, 100.0)])
        more = {"cluster": "eu1", "service": chance.choice(["shop", "cart", "db"]), "host": chance.choice("ab")}
        come_and_go(chance, alertmanager, group, times=chance.randrange(3, 16), late=late, more=more)
        for _ in range(chance.randrange(3)):
            at = chance.uniform(0, HOURS * 3600)
            alertmanager.silences(at, labels_of(chance, chance.randrange(4), group, **more), until=at + 2000.0)
    names = ["plain", "storms", "nothing passes", "rules", "other rules", "night"]
    steps = tuple((at, chance.choice([-300.0, 300.0])) for at in times(chance, HOURS, chance.randrange(2)))
    return until_the_end(Script([alertmanager], tuple(chance.choices(names, k=3)), steps=steps, people_seconds=250.0))


def worst(chance: random.Random) -> Script:
    """Everything at once: what grows, flaps, storms and is silenced, many hands, many crashes, and policies that change
    who stands in for whom."""
    alertmanager = Alertmanager(alerts_max=chance.choice([0, 0, 4]))
    for group in range(chance.randrange(2, 6)):
        name, at = f"group {group}", chance.uniform(0, 3600)
        mine = [
            labels_of(chance, number, group, host=chance.choice(["machine-one", "machine-two"]), user=f"person{number}")
            for number in range(chance.randrange(3, 12))
        ]
        for _ in range(chance.randrange(4, 16)):
            for labels in chance.sample(mine, chance.randrange(1, 4)):
                if chance.random() < 0.35:
                    alertmanager.ends(at, name, labels)
                else:
                    alertmanager.fires(at, name, labels)
            if chance.random() < 0.1:
                alertmanager.silences(at, chance.choice(mine), until=at + chance.choice([200.0, 3000.0]))
            alertmanager.posts_group(at, name, late=chance.choice([0.0, 0.0, 0.0, 50.0]))
            at += chance.choice([0.5, 20.0, 200.0, 200.0, 900.0, 1800.0])
    for burst in range(chance.randrange(3)):
        at = chance.uniform(0, HOURS * 3000)
        for group in range(chance.randrange(4, 15)):
            name = f"burst {burst} {group}"
            labels = labels_of(chance, group, 100 * (burst + 1) + group, host=f"machine-{group}", user="person9")
            alertmanager.fires(at, name, labels)
            alertmanager.posts_group(at + chance.uniform(0, 60), name)
            if chance.random() < 0.8:
                later = at + chance.choice([100.0, 900.0, 4000.0])
                alertmanager.ends(later, name, labels)
                alertmanager.posts_group(later + 1.0, name)
    names = ["worst", "worst", "worst otherwise", "worst with less", "growing"]
    steps = tuple((at, chance.choice([-200.0, 200.0])) for at in times(chance, HOURS, chance.choice([0, 0, 0, 2])))
    return until_the_end(
        Script(
            [alertmanager],
            ("worst", *chance.choices(names, k=chance.randrange(7))),
            steps=steps,
            people_seconds=chance.choice([60.0, 150.0, 600.0]),
            crashes_max=10,
        )
    )


WORKLOADS: Mapping[str, Callable[[random.Random], Script]] = {
    each.__name__: each
    for each in (
        everyday,
        storm,
        flapping,
        pairs,
        out_of_order,
        truncated,
        silent_source,
        silences,
        correlated,
        unanswered,
        growing,
        maintenance,
        reloads,
        clock_steps,
        mixed,
        worst,
        months,
    )
}


def name_for(seed: int) -> str:
    return list(WORKLOADS)[seed % len(WORKLOADS)]
