"""The blocklist over HTTP: what a firewall, a script and a person see of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.identity import Address
from exporter.reputation import blocklist as limits
from exporter.reputation.block import Block
from exporter.reputation.blocklist import Blocklist
from exporter.reputation.place import place_of, written
from exporter.reputation.policy import Policy
from exporter.reputation.reputation import Reputation
from guard.access import Access
from guard.callers import Role
from guard.webconfig import WebConfig
from tests.exporter.builders import Running, promptly, running
from tests.exporter.test_reputation import HOUR, MALLORY, NOW, address, allowing, finding

JSON = {"Accept": "application/json"}


def attacked() -> Reputation:
    reputation = Reputation()
    reputation.take([finding(), finding("2001:db8:1:2::9"), finding("198.51.100.1")], now=NOW)
    reputation.block(place_of("192.0.2.0/24"), now=NOW, seconds=HOUR, reason="phone call", by="ana")
    return reputation


class Client:
    """Asks an exporter."""

    def __init__(self, exporter: Running) -> None:
        self.exporter = exporter

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str, Mapping[str, str]]:
        async with self.exporter.client.request(
            method, path, data=None if body is None else json.dumps(body), headers=headers
        ) as answer:
            return answer.status, await answer.text(), answer.headers

    async def json(self, path: str) -> Any:
        status, text, _ = await self.ask("GET", path, **JSON)
        assert status == 200, text
        return json.loads(text)


def test_the_list_is_text_for_scripts_and_json_for_programs() -> None:
    async def scenario() -> None:
        async with running(reputation=attacked(), clock=lambda: NOW + 1) as exporter:
            client = Client(exporter)
            status, text, headers = await client.ask("GET", "/blocklist")
            assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
            assert text.split() == [MALLORY, "2001:db8:1:2::/64", "198.51.100.1", "192.0.2.0/24"]
            said = await client.json("/blocklist")
            assert said["cursor"] == headers["X-Tocsin-Cursor"]
            assert said["blocks"][0] == {
                "address": MALLORY,
                "origin": "automatic",
                "since": "2027-01-15T08:00:00Z",
                "until": "2027-01-15T08:15:00Z",
                "reason": "brute_force (+120): 51 failed logins in 1 h",
                "by": "",
                "score": 120.0,
                "times": 1,
            }
            assert [block["address"] for block in said["blocks"]] == text.split()
            assert (await client.ask("GET", "/blocklist?family=6"))[1] == "2001:db8:1:2::/64\n"
            assert len((await client.json("/blocklist?family=4"))["blocks"]) == 3

    promptly(scenario())


def test_who_has_the_list_already_is_told_so_until_it_changes() -> None:
    async def scenario() -> None:
        reputation = attacked()
        async with running(reputation=reputation, clock=lambda: NOW + 1) as exporter:
            client = Client(exporter)
            tags = set()
            for headers in ({}, JSON, {"Accept-Encoding": "identity"}):
                status, _, answered = await client.ask("GET", "/blocklist", **headers)
                tag = answered["ETag"]
                tags.add(tag)
                status, text, _ = await client.ask("GET", "/blocklist", **headers, **{"If-None-Match": f'"x", W/{tag}'})
                assert (status, text) == (304, "")
            assert len(tags) == 3
            reputation.block(place_of("45.0.0.1"), now=NOW, seconds=60, reason="x")
            for tag in tags:
                assert (await client.ask("GET", "/blocklist", **{"If-None-Match": tag}))[0] == 200

    promptly(scenario())


def test_the_list_is_squeezed_for_those_who_can_read_that() -> None:
    async def scenario() -> None:
        async with running(reputation=attacked(), clock=lambda: NOW + 1) as exporter:
            asked = exporter.client.get("/blocklist", headers={"Accept-Encoding": "gzip"})
            async with asked as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                assert (await answer.text()).split()[0] == MALLORY
            async with exporter.client.get("/blocklist", headers={"Accept-Encoding": "identity"}) as answer:
                assert "Content-Encoding" not in answer.headers

    promptly(scenario())


def test_the_list_comes_as_a_firewall_reads_it() -> None:
    async def scenario() -> None:
        now = [NOW + 1]
        async with running(reputation=attacked(), clock=lambda: now[0]) as exporter:
            client = Client(exporter)
            status, text, headers = await client.ask("GET", "/blocklist?format=nginx&family=6")
            assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
            assert text.splitlines()[1:] == ["2001:db8:1:2::/64 1;", "# the list is whole"]
            assert (await client.ask("GET", "/blocklist?format=envoy"))[2]["Content-Type"] == "application/yaml"
            for seconds in (899, 889):
                assert f"{MALLORY} timeout {seconds}s" in (await client.ask("GET", "/blocklist?format=nft"))[1]
                now[0] += 10
            assert (await client.ask("GET", "/blocklist?format=json"))[1].startswith('{"cursor"')

    promptly(scenario())


def test_what_has_changed_since_a_cursor_makes_of_an_old_list_the_new_one() -> None:
    async def scenario() -> None:
        reputation = attacked()
        async with running(reputation=reputation, clock=lambda: NOW + 1) as exporter:
            client = Client(exporter)
            before = await client.json("/blocklist")
            reputation.release(place_of(MALLORY), now=NOW, reason="x")
            reputation.block(place_of("45.0.0.1"), now=NOW, seconds=60, reason="x")
            said = await client.json(f"/blocklist?since={before['cursor']}")
            assert (said["whole"], said["removed"]) == (False, [MALLORY])
            assert [block["address"] for block in said["added"]] == ["45.0.0.1"]
            text = (await client.ask("GET", f"/blocklist?since={before['cursor']}"))[1]
            assert text == f"-{MALLORY}\n+45.0.0.1\n"
            assert (await client.ask("GET", f"/blocklist?since={before['cursor']}&family=6"))[1] == ""
            again = await client.json(f"/blocklist?since={said['cursor']}")
            assert again == {"whole": False, "removed": [], "cursor": said["cursor"], "added": []}

    promptly(scenario())


@pytest.mark.parametrize("cursor", ["00000000-1", "{start}-99999"])
def test_a_cursor_that_says_nothing_gets_the_whole_list_and_is_told_so(cursor: str) -> None:
    async def scenario() -> None:
        async with running(reputation=attacked(), clock=lambda: NOW + 1) as exporter:
            client = Client(exporter)
            start = (await client.json("/blocklist"))["cursor"].partition("-")[0]
            path = f"/blocklist?since={cursor.replace('{start}', start)}"
            said = await client.json(path)
            assert said["whole"]
            assert len(said["added"]) == 4
            assert (await client.ask("GET", path))[1].split()[:2] == ["*", f"+{MALLORY}"]

    promptly(scenario())


def test_changes_that_are_too_long_ago_are_the_whole_list() -> None:
    reputation = Reputation()
    for block in many(limits.CHANGES_MAX + 1):
        reputation.blocks.put(block)
    assert reputation.blocks.since(0) is None
    changes = reputation.blocks.since(1)
    assert changes is not None
    assert len(changes.added) == limits.CHANGES_MAX


def many(count: int) -> list[Block]:
    (block,) = attacked_once()
    places = (Address((45 << 24) + at) for at in range(count))
    return [replace(block, place=place, address=written(place)) for place in places]


def attacked_once() -> Blocklist:
    reputation = Reputation()
    reputation.take([finding()], now=NOW)
    return reputation.blocks


def test_a_person_blocks_with_a_reason_for_a_time_and_releases() -> None:
    async def scenario() -> None:
        now = [NOW]
        async with running(reputation=Reputation(), clock=lambda: now[0]) as exporter:
            client = Client(exporter)
            wish = {"reason": "phone call", "duration": "2h", "by": "ana"}
            status, text, _ = await client.ask("PUT", "/blocklist/203.0.113.0%2F24", wish)
            assert status == 200
            assert json.loads(text)["blocked"]["until"] == "2027-01-15T10:00:00Z"
            assert json.loads(text)["blocked"]["by"] == "ana"
            said = await client.json(f"/reputation/{MALLORY}")
            assert said["blocked"]["address"] == "203.0.113.0/24"
            status, text, _ = await client.ask("DELETE", f"/blocklist/{MALLORY}")
            assert (status, "as a part of 203.0.113.0/24" in text) == (409, True)
            status, text, _ = await client.ask("DELETE", "/blocklist/203.0.113.0%2F24", {"reason": "a mistake"})
            assert json.loads(text)["released"]["address"] == "203.0.113.0/24"
            assert (await client.ask("DELETE", "/blocklist/203.0.113.0%2F24"))[0] == 404
            await client.ask("PUT", "/blocklist/2001:db8::1", {"reason": "x"})
            now[0] += HOUR - 1
            assert (await client.ask("GET", "/blocklist"))[1] == "2001:db8::/64\n"
            now[0] += 1
            assert (await client.ask("GET", "/blocklist"))[1] == ""

    promptly(scenario())


def test_the_slash_of_a_network_may_be_written_as_it_is() -> None:
    async def scenario() -> None:
        async with running(reputation=Reputation(), clock=lambda: NOW) as exporter:
            client = Client(exporter)
            status, text, _ = await client.ask("PUT", "/blocklist/203.0.113.0/24", {"reason": "scans us"})
            assert (status, json.loads(text)["blocked"]["address"]) == (200, "203.0.113.0/24")
            assert (await client.json("/reputation/203.0.113.0/24"))["blocked"]["reason"] == "scans us"
            assert (await client.ask("DELETE", "/blocklist/203.0.113.0/24"))[0] == 200
            assert (await client.ask("PUT", "/blocklist/203.0.113.0/24/1", {"reason": "x"}))[0] == 404

    promptly(scenario())


def test_who_blocks_by_hand_is_told_that_a_restart_forgets_it() -> None:
    async def scenario() -> None:
        async with running(reputation=Reputation(), clock=lambda: NOW) as exporter:
            _, text, _ = await Client(exporter).ask("PUT", f"/blocklist/{MALLORY}", {"reason": "x"})
            said = json.loads(text)
            assert said["on_disk"] is False
            assert said["note"] == "a restart forgets it, as there is no --security.state-file"

    promptly(scenario())


def test_what_is_known_of_an_address_says_why() -> None:
    async def scenario() -> None:
        reputation = Reputation()
        reputation.take([finding(severity="high"), finding(severity="high", detector="rate")], now=NOW)
        async with running(reputation=reputation, clock=lambda: NOW + 30 * 60) as exporter:
            client = Client(exporter)
            said = await client.json(f"/reputation/{MALLORY}")
            assert (said["score"], said["threshold"], said["blocks_in_a_row"]) == (60.0, 100.0, 1)
            assert (
                said["blocked"] is said["never_blocked"] is said["left_alone_until"] is said["would_be_blocked"] is None
            )
            assert [each["detector"] for each in said["findings"]] == ["brute_force", "rate"]
            assert said["findings"][0]["why"] == "51 failed logins in 1 h"
            said = await client.json("/reputation/10.1.1.1")
            assert (said["score"], said["never_blocked"]) == (0.0, "10.0.0.0/8 (reputation.allow_private)")

    promptly(scenario())


def test_who_would_be_blocked_is_shown_apart() -> None:
    async def scenario() -> None:
        reputation = Reputation(Policy(dry_run=True))
        reputation.take([finding()], now=NOW)
        async with running(reputation=reputation, clock=lambda: NOW) as exporter:
            client = Client(exporter)
            assert (await client.ask("GET", "/blocklist"))[1] == ""
            assert (await client.ask("GET", "/blocklist?dry_run=true"))[1] == f"{MALLORY}\n"
            assert (await client.json(f"/reputation/{MALLORY}"))["would_be_blocked"]["address"] == MALLORY

    promptly(scenario())


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/blocklist?since=x", None, 400, "since: expected a cursor"),
        ("GET", "/blocklist?since=-", None, 400, "since: expected a cursor"),
        ("GET", "/blocklist?family=5", None, 400, "family: found something else, expected one of 0, 4, 6"),
        ("GET", "/blocklist?format=iptables", None, 400, "expected one of text, json, nginx, haproxy, nft, envoy"),
        ("GET", "/blocklist?format=nft&since=0-0", None, 400, "since: found with the format nft"),
        ("GET", "/blocklist?dry_run=maybe", None, 400, "dry_run"),
        ("GET", "/blocklist?famly=4", None, 400, "expected each of since, family, format, dry_run at most once"),
        ("GET", "/reputation/mallory", None, 400, "expected an IPv4 or IPv6 address"),
        ("PUT", "/blocklist/203.0.113.9%2F24", {"reason": "x"}, 400, "expected the first address of that network"),
        ("PUT", f"/blocklist/{MALLORY}", None, 400, "reason: found none"),
        ("PUT", f"/blocklist/{MALLORY}", {"reason": " "}, 400, "reason: found none"),
        ("PUT", f"/blocklist/{MALLORY}", {"reason": 7}, 400, "Expected `str`"),
        ("PUT", f"/blocklist/{MALLORY}", {"reason": "x", "for": "1h"}, 400, "unknown field `for`"),
        (
            "PUT",
            f"/blocklist/{MALLORY}",
            {"reason": "x", "duration": "soon"},
            400,
            "duration: found 'soon', expected a",
        ),
        ("PUT", f"/blocklist/{MALLORY}", {"reason": "x", "duration": "721h"}, 400, "duration: found '721h', expected"),
        ("PUT", f"/blocklist/{MALLORY}", ["x"], 400, "the body: Expected `object`"),
        ("PUT", f"/blocklist/{MALLORY}", {"reason": "x" * 501}, 400, "length <= 500"),
        ("PUT", f"/blocklist/{MALLORY}", {"reason": "x" * 5_000}, 413, "larger"),
        ("PUT", "/blocklist/198.51.100.7", {"reason": "x"}, 409, "it is never blocked"),
        ("DELETE", f"/blocklist/{MALLORY}", None, 404, "it is not blocked"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    method: str, path: str, body: object, status: int, said: str
) -> None:
    async def scenario() -> None:
        async with running(reputation=Reputation(allowing("198.51.100.0/24")), clock=lambda: NOW) as exporter:
            answered, text, _ = await Client(exporter).ask(method, path, body)
            assert answered == status
            assert said in json.loads(text)["error"]
            assert MALLORY not in text

    promptly(scenario())


def test_who_has_a_name_acts_under_it(tmp_path: Path) -> None:
    token = hashlib.sha256(b"secret").hexdigest()
    (tmp_path / "web.yml").write_text(f"tokens:\n  - {{name: bot, role: admin, hash: 'sha256:{token}'}}\n")
    access = Access(WebConfig(tmp_path / "web.yml", environ={}), strangers=Role.VIEWER)

    async def scenario() -> None:
        async with running(reputation=Reputation(), clock=lambda: NOW, access=access) as exporter:
            wish = {"reason": "x", "by": "ana"}
            _, text, _ = await Client(exporter).ask("PUT", f"/blocklist/{MALLORY}", wish, Authorization="Bearer secret")
            assert json.loads(text)["blocked"]["by"] == "ana (bot)"

    promptly(scenario())


def test_a_hundred_thousand_addresses_are_listed_while_others_are_answered() -> None:
    async def scenario() -> None:
        reputation = Reputation()
        for block in many(limits.BLOCKS_MAX):
            reputation.blocks.put(block)
        async with running(reputation=reputation, clock=lambda: NOW) as exporter:
            answered = 0
            whole = asyncio.create_task(Client(exporter).ask("GET", "/blocklist", **JSON))
            while not whole.done():
                assert (await Client(exporter).ask("GET", "/-/healthy"))[0] == 200
                answered += 1
            assert len(json.loads((await whole)[1])["blocks"]) == limits.BLOCKS_MAX
            assert answered > 5
            _, text, _ = await Client(exporter).ask("GET", "/blocklist", **{"Accept-Encoding": "gzip"})
            assert text.count("\n") == limits.BLOCKS_MAX
            assert reputation.blocks.covering(address("45.1.134.159")) is not None

    promptly(scenario())
