"""Each door against each caller; what a name that was proved does to an act; limits; and what the journal is told."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from guard.access import FAILED_LOGINS_MAX
from guard.judge import REQUESTS_BURST_MAX, Use
from receiver.accesses import Accesses
from receiver.doors.app import NEEDS
from receiver.engine import decide
from receiver.entry import Access, Accessed, Entry, read, write
from receiver.ledger import Decision
from receiver.state import State
from receiver.store import StoreFailed
from tests.guard.certificates import authority, signed
from tests.guard.test_access import HASH, basic
from tests.receiver.builders import AT, webhook
from tests.receiver.elsewhere import Answer, elsewhere
from tests.receiver.world import World, receiver, run

ROLES = ("viewer", "responder", "admin", "source")
WEB = "tokens:\n" + "".join(
    f"  - {{name: {role}-bot, role: {role}, hash: 'sha256:{hashlib.sha256(role.encode()).hexdigest()}'}}\n"
    for role in ROLES
)
BOUND = hashlib.sha256(b"bound").hexdigest()
WEB += f"  - {{name: eu1-am, role: source, sources: [eu1], hash: 'sha256:{BOUND}'}}\n"
WEB += f"basic_auth_users: {{ana: {HASH}}}\nroles: {{ana: responder}}\n"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- each door, each caller ------------------------------------------------------------------------------------

MAY = {
    "nothing": ("viewer", "responder", "admin", "source", "nobody"),
    "viewer": ("viewer", "responder", "admin"),
    "responder": ("responder", "admin"),
    "admin": ("admin",),
    "source": ("source", "admin"),
    "signature": ("viewer", "responder", "admin", "source", "nobody"),
}


def doors_of(world: World) -> list[str]:
    return [
        f"{route.method} {route.resource.canonical}"
        for route in world.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    ]


def is_turned_away(answer: Answer) -> bool:
    """For who asks; a door that verifies signatures has refusals of its own."""
    said = (
        "this needs the role",
        "posting as",
        "say who you are",
        "a token or a login",
        "is not right",
        "this machine",
    )
    return answer.status in (401, 403) and any(part in str(answer.said) for part in said)


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "x", path)


def test_every_door_says_what_it_needs(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            assert sorted(doors_of(world)) == sorted(NEEDS)

    run(test())


@pytest.mark.parametrize("who", [*ROLES, "nobody", "wrong"])
def test_each_door_opens_to_whom_it_should_and_to_nobody_else(tmp_path: Path, who: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world, elsewhere(world, "127.0.0.1") as ask:
            headers = {} if who == "nobody" else bearer(who)
            found: dict[str, Answer] = {}
            for door in doors_of(world):
                method, path = door.split()
                path = filled(path)
                # Those that fail would otherwise wait after a while.
                async with elsewhere(world, f"192.0.2.{len(found) + 1}") as ask_from_another:
                    found[door] = await ask_from_another(method, path, headers=headers, body=b"{}")
            closed = {door for door, answer in found.items() if is_turned_away(answer)}
            known = "nobody" if who == "wrong" else who
            assert closed == {door for door in found if known not in MAY[NEEDS[door].value]}
            wanted = {401} if known == "nobody" else {403}
            assert {found[door].status for door in closed} <= wanted
            # What is not there is told to nobody who may not look; and this machine is asked like any other.
            assert (await ask("GET", "/nothing", headers=headers)).status == (
                404 if known in MAY["viewer"] else min(wanted)
            )

    run(test())


def test_without_configuration_only_this_machine_is_served(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world, elsewhere(world) as ask:
            for door in doors_of(world):
                method, path = door.split()
                found = await ask(method, filled(path), body=b"{}")
                open_to_all = NEEDS[door].value in ("nothing", "signature")
                assert is_turned_away(found) is not open_to_all, door
            assert "--web.config.file" in (await ask("GET", "/metrics")).said["error"]
            assert (await world.get("/api/v1/status"))[0] == 200

    run(test())


def test_a_refusal_says_what_would_do(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world:
            status, said = await world.ask("POST", "/api/v1/incidents/T-1/resolve", headers=bearer("viewer"), json={})
            assert (status, said["error"]) == (403, "this needs the role responder, and viewer-bot has the role viewer")
            status, said = await world.ask("POST", "/-/reload", headers=bearer("responder"))
            assert (status, said["error"]) == (
                403,
                "this needs the role admin, and responder-bot has the role responder",
            )
            async with world.client.get(world.url + "/api/v1/alerts") as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"].startswith('Basic realm="tocsin"')
            page = (await world.ask("GET", "/metrics", headers=bearer("viewer")))[1]
            assert 'tocsin_receiver_requests_refused_total{reason="role"} 2.0' in page
            assert 'tocsin_receiver_requests_refused_total{reason="anonymous"} 1.0' in page
            assert "tocsin_receiver_web_config_last_reload_successful 1.0" in page

    run(test())


def test_headers_of_the_web_configuration_are_on_each_answer(tmp_path: Path) -> None:
    async def test() -> None:
        text = "http_server_config: {headers: {X-Frame-Options: deny, X-XSS-Protection: ''}}\n"
        async with receiver(tmp_path, web_config=text) as world:
            for path in ("/", "/-/ready", "/nothing"):
                async with world.client.get(world.url + path) as answer:
                    assert answer.headers["X-Frame-Options"] == "deny"
                    assert "X-XSS-Protection" not in answer.headers

    run(test())


# --- webhooks --------------------------------------------------------------------------------------------------

SOURCES = "sources: {am: {}, eu1: {token_file: eu1.token}}\nchannels: {chat: {type: terminal}}\n"


@pytest.mark.parametrize("more", [{}, {"Connection": "keep-alive"}], ids=["quick", "framework"])
@pytest.mark.parametrize(
    ("source", "authorization", "status", "reason"),
    [
        ("am", "Bearer source", 200, None),
        ("am", "Bearer admin", 200, None),
        ("am", "Bearer responder", 403, "role"),
        ("am", "Bearer bound", 403, "role"),
        ("am", "Bearer own", 401, "unauthorized"),
        ("am", None, 401, "unauthorized"),
        ("am", basic("ana", "right"), 403, "role"),
        ("am", basic("ana", "wrong"), 401, "unauthorized"),
        ("eu1", "Bearer own", 200, None),
        ("eu1", "Bearer bound", 200, None),
        ("eu1", "Bearer source", 200, None),
        ("eu1", "Bearer wrong", 401, "unauthorized"),
        ("eu2", "Bearer source", 404, "source"),
    ],
)
def test_who_may_post_by_either_way(
    tmp_path: Path, more: dict[str, str], source: str, authorization: str | None, status: int, reason: str | None
) -> None:
    async def test() -> None:
        (tmp_path / "eu1.token").write_text("own\n")
        async with receiver(tmp_path, policy=SOURCES, web_config=WEB) as world:
            for address in ("127.0.0.1", "192.0.2.7"):
                async with elsewhere(world, address) as ask:
                    headers = more | ({"Authorization": authorization} if authorization else {})
                    found = await ask("POST", f"/webhook/{source}", headers=headers, body=webhook())
                    assert found.status == status
                    assert ("www-authenticate" in found.headers) is (status == 401)
            assert await world.refused() == ({reason: 2.0} if reason else {})

    run(test())


def test_a_login_that_is_known_goes_the_quick_way(tmp_path: Path) -> None:
    """The first one is verified by the framework's way, which keeps its connection."""
    text = f"basic_auth_users: {{am: {HASH}}}\nroles: {{am: source}}\n"

    async def test() -> None:
        async with receiver(tmp_path, web_config=text) as world, elsewhere(world) as ask:
            login = {"Authorization": basic("am", "right")}
            first, second = [await ask("POST", "/webhook/am", headers=login, body=webhook()) for _ in range(2)]
            assert (first.status, second.status) == (200, 200)
            assert ("server" in first.headers, "server" in second.headers) == (True, False)

    run(test())


def test_webhooks_are_not_limited_and_the_api_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world:
            path, headers = "/api/v1/oncall", bearer("viewer")
            found = [(await world.ask("GET", path, headers=headers))[0] for _ in range(REQUESTS_BURST_MAX + 100)]
            assert set(found) == {200, 429}
            async with world.client.get(world.url + path, headers=headers) as answer:
                if answer.status == 429:
                    assert answer.headers["Retry-After"] == "1"
            assert (await world.ask("GET", path, headers=bearer("responder")))[0] == 200  # another caller
            assert (await world.get("/-/ready"))[0] == 200
            posts = [(await world.post(webhook([]), **bearer("source")))[0] for _ in range(REQUESTS_BURST_MAX + 50)]
            assert set(posts) == {200}

    run(test())


def test_who_guesses_passwords_waits_and_a_known_source_still_posts(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world, elsewhere(world) as ask:
            wrong = {"Authorization": "Bearer guess"}
            found = [await ask("POST", "/webhook/am", headers=wrong, body=webhook()) for _ in range(20)]
            assert [each.status for each in found] == [401] * FAILED_LOGINS_MAX + [503] * (20 - FAILED_LOGINS_MAX)
            assert int(found[-1].headers["retry-after"]) <= 6
            assert (await ask("GET", "/", headers={"Authorization": basic("ana", "right")})).status == 429
            assert (await ask("POST", "/webhook/am", headers=bearer("source"), body=webhook())).status == 200
            assert await world.refused() == {"unauthorized": 10.0, "logins": 10.0}

    run(test())


# --- under which name somebody acts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "who"),
    [
        (bearer("responder"), {}, "responder-bot"),
        (bearer("responder"), {"by": "ana"}, "ana (responder-bot)"),
        ({"Authorization": basic("ana", "right")}, {}, "ana"),
        ({"Authorization": basic("ana", "right")}, {"by": "ana"}, "ana"),
        ({"Authorization": basic("ana", "right")}, {"by": "ben"}, "ben (ana)"),
        (bearer("admin"), {"by": "ana"}, "ana (admin-bot)"),
    ],
)
def test_an_act_has_the_name_that_was_proved(
    tmp_path: Path, headers: dict[str, str], body: dict[str, str], who: str
) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world:
            await world.post(webhook(), **bearer("source"))
            await world.decided()
            listed = await world.ask("GET", "/api/v1/incidents", headers=bearer("viewer"))
            path = f"/api/v1/incidents/{listed[1]['incidents'][0]['id']}/acknowledge"
            status, incident = await world.ask("POST", path, headers=headers, json=body)
            assert (status, incident["acknowledged_by"]) == (200, who)
            assert [step["by"] for step in incident["timeline"] if step["what"] == "acknowledged"] == [who]

    run(test())


def test_whoever_is_known_needs_no_body(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world:
            await world.post(webhook(), **bearer("source"))
            await world.decided()
            listed = await world.ask("GET", "/api/v1/incidents", headers=bearer("viewer"))
            path = f"/api/v1/incidents/{listed[1]['incidents'][0]['id']}/acknowledge"
            assert (await world.ask("POST", path, headers=bearer("responder")))[0] == 200

    run(test())


def test_nobody_acts_without_a_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, said = await world.ask("POST", "/api/v1/incidents/T-2/acknowledge", json={})
            wanted = "body: found no `by`, expected who does this: a token or a login would tell"
            assert (status, said["error"]) == (400, wanted)
            assert (await world.ask("POST", "/api/v1/incidents/T-2/acknowledge")) == (400, {"error": wanted})

    run(test())


# --- what the journal is told ----------------------------------------------------------------------------------


def test_uses_of_the_api_and_logins_that_failed_become_one_entry(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world:
            for _ in range(3):
                await world.ask("GET", "/api/v1/alerts", headers=bearer("viewer"))
            await world.ask("POST", "/api/v1/incidents/T-2/resolve", headers=bearer("viewer"), json={})
            await world.ask("GET", "/", headers={"Authorization": basic("ana", "wrong")})
            await world.post(webhook(), **bearer("guess"))
            await world.ask("GET", "/metrics", headers=bearer("viewer"))
            await world.get("/api/v1/alerts")  # says nothing of itself: a refusal, and no use
            await world.post(webhook(), **bearer("source"))
            position = world.runner.position
            await world.accesses.flush()
            await world.accesses.flush()  # nothing was used since: no entry
            await world.decided()
            entries = await world.disk.entries(after=position, limit=100)
            facts = [entry.fact for entry in entries if isinstance(entry.fact, Accessed)]
            assert facts == [
                Accessed(
                    (
                        Access("", "", "127.0.0.1", "POST /webhook/{source}", 1, 1),
                        Access("ana", "", "127.0.0.1", "GET /", 1, 1),
                        Access("viewer-bot", "viewer", "127.0.0.1", "GET /api/v1/alerts", 3),
                        Access("viewer-bot", "viewer", "127.0.0.1", "POST /api/v1/incidents/{id}/resolve", 1, 1),
                    )
                )
            ]

    run(test())


def used(name: str) -> Use:
    return Use(name, None, "192.0.2.7", "GET /", refused=True)


def test_the_table_of_uses_is_bounded_and_survives_a_full_disk() -> None:
    written: list[Accessed] = []
    full = True

    async def submit(fact: Accessed) -> int:
        if full:
            raise StoreFailed("disk is full")
        written.append(fact)
        return 1

    async def test() -> None:
        nonlocal full
        accesses = Accesses(submit=submit, accesses_max=2)
        for name in ("ana", "ben", "cleo", "ana"):
            accesses.note(used(name))
        await accesses.flush()
        for name in ("ana", "dora"):
            accesses.note(used(name))
        full = False
        await accesses.flush()

    asyncio.run(test())
    rows = tuple(Access(name, "", "192.0.2.7", "GET /", count, count) for name, count in (("ana", 3), ("ben", 1)))
    assert written == [Accessed(rows, left_out=2)]


def test_the_start_page_connects_alertmanager_as_this_receiver_wants_it(tmp_path: Path) -> None:
    trusting = authority(tmp_path)
    ours = signed(tmp_path, trusting, "server-name")
    tls = f"tls_server_config: {{cert_file: {ours.certificate}, key_file: {ours.key}}}\n{WEB}"

    async def test() -> None:
        async with receiver(tmp_path) as world:
            page = (await world.get("/"))[1]
            assert f"- url: http://{world.url.removeprefix('http://')}/webhook/" in page
            assert "credentials_file" not in page
            assert "--token-file" not in page
        async with receiver(tmp_path, web_config=tls) as world:
            how: dict[str, Any] = {"ssl": ours.client_context(trusting.certificate), "headers": bearer("viewer")}
            async with world.client.get(world.url + "/", **how) as answer:
                page = await answer.text()
            assert f"- url: https://{world.url.removeprefix('https://')}/webhook/" in page
            assert "authorization: {credentials_file: FILE}" in page
            assert "--token-file=FILE alertname=Demo" in page

    run(test())


def test_a_connection_of_tls_has_the_quick_way_too(tmp_path: Path) -> None:
    """Its transport is another one; only the framework says what it is."""
    trusting = authority(tmp_path)
    ours = signed(tmp_path, trusting, "server-name")
    client = signed(tmp_path, trusting, "alertmanager")
    text = (
        f"tls_server_config: {{cert_file: {ours.certificate}, key_file: {ours.key}, "
        f"client_ca_file: {trusting.certificate}, client_auth_type: RequireAndVerifyClientCert}}\n"
        "roles: {alertmanager: source}\n"
    )

    async def test() -> None:
        async with receiver(tmp_path, web_config=text) as world:
            assert world.url.startswith("https://")
            how: dict[str, Any] = {"ssl": client.client_context(trusting.certificate)}
            async with world.client.post(world.url + "/webhook/am", data=webhook(), **how) as answer:
                assert (answer.status, "Server" in answer.headers) == (200, False)
            async with world.client.get(world.url + "/api/v1/alerts", **how) as answer:
                assert (answer.status, "Server" in answer.headers) == (200, True)
            await world.decided()

    run(test())


def test_uses_decide_nothing_and_are_read_as_they_were_written() -> None:
    fact = Accessed((Access("ana", "viewer", "192.0.2.7", "GET /", 2, 1),), left_out=3)
    assert read(write(fact)) == fact
    state = State(journal="j")
    assert decide(state, Entry(1, AT, fact), state.policy) == Decision(changes=(), messages=(), counts={})


def test_asking_for_the_head_only_needs_what_the_whole_needs(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, web_config=WEB) as world:
            for token, status in (("viewer", 200), ("source", 403), ("wrong", 401)):
                async with world.client.head(world.url + "/api/v1/alerts", headers=bearer(token)) as answer:
                    assert answer.status == status

    run(test())
