"""A city under attack: thousands of addresses through the real doors, and who is blocked for what, and who never is."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.real import city
from tests.real.attacked import Follower, Site, nginx
from tests.real.servers import (
    Server,
    Sink,
    alertmanager,
    receiver,
    sink,
    until,
    webhook_policy,
)

pytestmark = pytest.mark.real

BY_HAND, RETURNING = "198.19.251.1", "198.19.251.2"
ROUTES = """
route: {receiver: tocsin, group_by: [detector], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: tocsin, webhook_configs: [{url: 'URL/webhook/alertmanager'}]}]
"""
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?!/24)")
PEOPLE = re.compile(r"neighbour-|victim-|leaked-|sprayed-")
PAGES = (
    *("/", "/metrics", "/metrics/app", "/metrics/app/shop", "/metrics/self", "/metrics/security", "/metrics/probes"),
    *("/series", "/health", "/health/detailed", "/sd", "/stats/graphql", "/stats/websocket"),
)


def guess_at_sshd(site: Site) -> None:
    lines = [f"Failed password for root from {city.GUESSER} port {number + 1024} ssh2\n" for number in range(60)]
    (site.folder / "ssh.log").write_text("".join(lines))


def leaks(text: str) -> set[str]:
    """Addresses and names of people in a text that is to have none."""
    found = {each for each in ADDRESS.findall(text) if each.startswith((city.CITY + ".", city.BOTNET + "."))}
    found |= {each for each in (city.HOUSEHOLD, city.ROTATING) if each.removesuffix(":/64") in text}
    return found | set(PEOPLE.findall(text))


def test_who_attacks_a_city_is_blocked_and_nobody_else(tmp_path: Path, needs: Callable[[str], str]) -> None:
    programs = {name: needs(name) for name in ("nginx", "prometheus-alertmanager", "curl")}
    (tmp_path / "listed.netset").write_text(f"# from somewhere\n{city.LISTED_NETWORK}\n")
    chance = Random(7)
    with ExitStack() as running:
        standing = running.enter_context(sink())
        ours = running.enter_context(receiver(tmp_path, policy=webhook_policy(standing.url)))
        theirs = running.enter_context(
            alertmanager(programs["prometheus-alertmanager"], tmp_path, configuration=ROUTES.replace("URL", ours.url))
        )
        site = Site(tmp_path, theirs.url)
        site.configure()
        first = running.enter_context(site.exporter())
        follower = running.enter_context(Follower(site))
        status = running.enter_context(nginx(programs["nginx"], site))

        known = under_attack(site, chance)
        an_attacker_through_nginx(site, status)
        known |= {city.BURGLAR}
        is_found_in_time(site, ours, theirs, standing)

        wish = {"reason": "phone call of the bank", "duration": "2h", "by": "ana"}
        assert site.ask(f"/blocklist/{BY_HAND}", method="PUT", body=wish)["on_disk"] is True
        known |= {BY_HAND}
        posted = site.posted
        with sending(site, shuffled(chance, city.a_day(chance))):
            until(lambda: site.posted > posted, what="events come in")
            first.ended(signal.SIGKILL)
            running.enter_context(site.exporter())
            # What was kept is there from the first moment on, and those who come now are found as before.
            assert site.blocked == known
        newcomers = city.attackers(city.NEWCOMERS)
        guess_at_sshd(site)
        site.send(shuffled(chance, *(each.events for each in newcomers), city.a_day(chance)))
        known |= {each.address for each in newcomers}
        known |= {city.GUESSER}
        until(lambda: site.blocked == known, what="those who came later are blocked")
        until(lambda: follower.listed == known, what="whoever asks for what has changed knows the same")
        assert follower.began_anew == 2

        a_person_decides(site, *sorted(each.address for each in newcomers)[:2], status)
        ends_and_comes_again(site)

        never_anybody_else(site, follower, known)
        pages = [site.ask(path) for path in PAGES]
        incidents = ours.incidents()
        texts = [*pages, incidents, standing.messages, theirs.get("/api/v2/alerts"), ours.text("/metrics")]
        texts += [ours.get(f"/api/v1/incidents/{each['id']}") for each in incidents]
        texts += [log.read_text() for log in tmp_path.glob("*.log") if log.name not in ("ssh.log", "logins.log")]
        assert [leaks(str(text)) for text in texts] == [set()] * len(texts)
        assert leaks(str(site.ask("/findings")))


def shuffled(chance: Random, *lists: Sequence[city.Event]) -> list[city.Event]:
    events = [event for each in lists for event in each]
    chance.shuffle(events)
    return events


def under_attack(site: Site, chance: Random) -> set[str]:
    """Whoever does too much is on the list, with the reason, and nobody else."""
    attackers = [*city.attackers(city.ATTACKERS), *city.others()]
    site.send(shuffled(chance, *(each.events for each in attackers), city.botnet(), city.a_day(chance)))
    expected = {each.address for each in attackers}
    assert site.blocked == expected
    for each in attackers:
        known = site.ask(f"/reputation/{each.address.replace('/', '%2F')}")
        assert known["blocked"]["origin"] == "automatic"
        assert each.detector in known["blocked"]["reason"], known
    probe = site.ask(f"/reputation/{city.PROBE}")
    assert probe["blocked"] is None
    assert probe["score"] >= 100
    assert probe["never_blocked"]
    assert site.ask(f"/reputation/{city.OFFICE}")["findings"] == []
    # People whom a botnet tries are found, though no address of it does much.
    found = site.ask("/findings?detector=brute_force_person&limit=1000")["findings"]
    assert len(found) >= city.BOT_VICTIMS
    assert {each["address"] for each in found} == {None}
    return expected


def an_attacker_through_nginx(site: Site, status: Callable[[str, str], int]) -> None:
    """Goes on until nginx shuts the door; nginx' own log is what it is shut for."""
    assert status(city.BURGLAR, "/login") == 401
    until(lambda: status_after(status, 10) == 403, what="nginx refuses the attacker")
    # nginx goes on with its old list for a moment, whenever it is told of another.
    until(lambda: status(city.BURGLAR, "/") == 403, what="nginx refuses the attacker everywhere")
    assert [status(each, "/") for each in (city.OFFICE, f"{city.CITY}.1.1", city.PROBE)] == [200, 200, 200]
    assert "brute_force_address" in site.ask(f"/reputation/{city.BURGLAR}")["blocked"]["reason"]


def status_after(status: Callable[[str, str], int], tries: int) -> int:
    return [status(city.BURGLAR, "/login") for _ in range(tries)][-1]


def is_found_in_time(site: Site, ours: Server, theirs: Server, standing: Sink) -> None:
    """On the page, in Alertmanager, as incidents, and people are told."""
    detectors = {each.detector for each in (*city.attackers(city.ATTACKERS), *city.others())} | {"brute_force_person"}
    counted = {
        match[1]
        for line in site.ask("/metrics/security").splitlines()
        if (match := re.match(r'security_findings_total\{detector="(\w+)".* (\d+)', line)) and int(match[2])
    }
    assert counted == detectors
    alerts = until(
        lambda: {each["labels"]["detector"] for each in theirs.get("/api/v2/alerts")} >= detectors,
        what="Alertmanager knows all of them",
    )
    assert alerts
    until(lambda: len(ours.incidents("open")) >= len(detectors), what="each detector is an incident")
    until(lambda: standing.of_kind("opened", "SecurityFinding"), what="people are told")


@contextmanager
def sending(site: Site, events: Sequence[city.Event]) -> Iterator[None]:
    """Meanwhile; at the end all of it has been taken."""
    with ThreadPoolExecutor(1) as others:
        sent = others.submit(site.send, events)
        yield
        sent.result()


def a_person_decides(site: Site, customer: str, partner: str, status: Callable[[str, str], int]) -> None:
    """One is released by hand, the other is never blocked from now on; neither is blocked for what comes then."""
    until(lambda: status(customer, "/") == 403, what="nginx refuses those who came later")
    wish = {"reason": "a customer", "by": "ana"}
    assert site.ask(f"/blocklist/{customer}", method="DELETE", body=wish)["on_disk"] is True
    site.configure(partner)
    site.ask("/-/reload", method="POST", body={})
    assert not {customer, partner} & site.blocked
    site.send([*city.failed(customer, "victim-again", 60), *city.failed(partner, "victim-again", 60)])
    assert not {customer, partner} & site.blocked
    until(lambda: [status(each, "/") for each in (customer, partner)] == [200, 200], what="nginx serves both")


def ends_and_comes_again(site: Site) -> None:
    """The second block in a row lasts twice as long."""
    site.configure(block_for="1s")
    site.ask("/-/reload", method="POST", body={})
    for times in (1, 2):
        site.send([city.query(RETURNING, accepted=False)] * 20)
        until(lambda times=times: len(of_returning(site)) == 2 * times, what="the block is over")  # type: ignore[misc]
    assert RETURNING not in site.blocked
    deeds = of_returning(site)
    assert [(each["what"], each["times"]) for each in deeds] == [
        ("blocked", 1),
        ("released", 1),
        ("blocked", 2),
        ("released", 2),
    ]
    assert [round(lasts(each)) for each in deeds if each["what"] == "blocked"] == [1, 2]


def of_returning(site: Site) -> list[dict[str, Any]]:
    return [deed for deed in site.deeds() if deed["address"] == RETURNING]


def lasts(deed: dict[str, Any]) -> float:
    began, ends = (datetime.fromisoformat(deed[name]) for name in ("since", "until"))
    return (ends - began).total_seconds()


def never_anybody_else(site: Site, follower: Follower, known: set[str]) -> None:
    """Neither now nor for a moment: by the audit trail of both lives, and by what was told of changes."""
    known = known | {RETURNING}
    deeds = site.deeds()
    assert {deed["address"] for deed in deeds if deed["what"] in ("blocked", "extended")} <= known
    assert follower.ever <= known
    assert city.PROBE in {deed["address"] for deed in deeds if deed["what"] == "refused"}
