"""Who a caller is, and how often they may be wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from guard.access import Access, Approach, Denied, Unverified
from guard.callers import ALLOWED, THIS_MACHINE, Caller, Need, Role
from guard.limits import Buckets
from guard.passwords import Passwords
from guard.webconfig import WebConfig
from tests.guard.test_limits import Clock

HERE, THERE = "127.0.0.1", "192.0.2.7"
HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
BENS_HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()


def digest(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


TEXT = f"""
basic_auth_users: {{ana: {HASH}, ben: {BENS_HASH}}}
roles: {{ana: responder}}
tokens:
  - {{name: bot, role: admin, hash: "{digest("bot-token")}"}}
  - {{name: am, role: source, hash: "{digest("am-token")}", sources: [eu1]}}
"""


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def config(folder: Path, text: str = TEXT) -> WebConfig:
    (folder / "web.yml").write_text(text)
    return WebConfig(folder / "web.yml", environ={})


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


async def denied(access: Access, approach: Approach) -> Denied:
    with pytest.raises(Denied) as raised:
        await access.who(approach)
    return raised.value


def test_without_configuration_this_machine_may_everything_and_others_what_the_program_says() -> None:
    async def test() -> None:
        assert await Access(None).who(Approach(HERE, None)) == THIS_MACHINE
        assert await Access(None).who(Approach(HERE, "Bearer whatever")) == THIS_MACHINE
        assert await Access(None, strangers=Role.VIEWER).who(Approach(THERE, None)) == Caller(Role.VIEWER)
        refusal = await denied(Access(None), Approach(THERE, None))
        assert (refusal.status, refusal.reason, refusal.login) == (403, "not_loopback", False)

    run(test)


def test_with_users_or_tokens_everybody_says_who_they_are(tmp_path: Path) -> None:
    async def test() -> None:
        access = Access(config(tmp_path))
        for remote in (HERE, THERE, None):
            refusal = await denied(access, Approach(remote, None))
            assert (refusal.status, refusal.reason, refusal.login) == (401, "anonymous", False)
            challenge = 'Basic realm="tocsin", charset="UTF-8", Bearer realm="tocsin"'
            assert refusal.headers == {"WWW-Authenticate": challenge}
        assert await access.who(Approach(THERE, "Bearer bot-token")) == Caller(Role.ADMIN, "bot")
        assert await access.who(Approach(THERE, "bearer  am-token ")) == Caller(Role.SOURCE, "am", ("eu1",))
        assert await access.who(Approach(THERE, basic("ana", "right"))) == Caller(Role.RESPONDER, "ana")
        assert await access.who(Approach(THERE, basic("ben", "right"))) == Caller(Role.VIEWER, "ben")
        access.close()

    run(test)


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        ("Bearer ", ""),
        ("Bearer wrong", ""),
        (f"Bearer {digest('bot-token')}", ""),  # the hash of a token is none
        ("Digest whatever", ""),
        ("nonsense", ""),
        ("Basic", ""),
        ("Basic !!!", ""),
        ("Basic \udcff", ""),
        (basic("ana", "wrong"), "ana"),
        (basic("ana", ""), "ana"),
        (basic("nobody", "right"), ""),  # a password typed in the wrong place is not repeated
        (basic("", ""), ""),
    ],
)
def test_whatever_is_wrong_is_answered_the_same(tmp_path: Path, authorization: str, name: str) -> None:
    async def test() -> None:
        access = Access(config(tmp_path))
        refusal = await denied(access, Approach(THERE, authorization))
        assert (refusal.status, refusal.reason, refusal.login) == (401, "login", True)
        assert str(refusal) == "the token, or the name or the password, is not right"
        assert refusal.name == name
        access.close()

    run(test)


class Watched(Passwords):
    """Remembers against which hashes it was asked to hold passwords."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def verify(self, password: bytes, hashed: str) -> bool:
        self.asked.append(hashed)
        return await super().verify(password, hashed)


def test_a_name_that_does_not_exist_costs_as_much_as_one_that_does(tmp_path: Path) -> None:
    async def test() -> None:
        passwords = Watched()
        access = Access(config(tmp_path), passwords=passwords)
        await denied(access, Approach(THERE, basic("ana", "wrong")))
        await denied(access, Approach(THERE, basic("nobody", "wrong")))
        assert [each[:7] for each in passwords.asked] == ["$2b$04$", "$2b$04$"]
        access.close()

    run(test)


def test_a_password_is_verified_once_and_anew_when_its_hash_changes(tmp_path: Path) -> None:
    async def test() -> None:
        access = Access(config(tmp_path))
        approach = Approach(THERE, basic("ana", "right"))
        with pytest.raises(Unverified):
            access.at_once(approach)
        await access.who(approach)
        assert access.at_once(approach).name == "ana"
        config(tmp_path, TEXT.replace(f"ana: {HASH}", f"ana: {bcrypt.hashpw(b'new', bcrypt.gensalt(4)).decode()}"))
        with pytest.raises(Unverified):
            access.at_once(approach)
        assert (await denied(access, approach)).status == 401
        access.close()

    run(test)


def test_an_address_waits_after_some_failures_and_nobody_else_does(tmp_path: Path) -> None:
    async def test() -> None:
        clock = Clock()
        passwords = Watched()
        failures = Buckets(burst=3, per_second=0.5, clock=clock)
        access = Access(config(tmp_path), failures=failures, passwords=passwords)
        await access.who(Approach(THERE, basic("ana", "right")))
        for authorization in ("Bearer wrong", basic("ana", "wrong"), basic("nobody", "wrong")):
            assert (await denied(access, Approach(THERE, authorization))).status == 401
        verified = len(passwords.asked)
        for authorization in ("Bearer wrong", basic("ana", "wrong"), basic("ben", "right")):
            refusal = await denied(access, Approach(THERE, authorization))
            assert (refusal.status, refusal.reason, refusal.headers) == (429, "logins", {"Retry-After": "2"})
        assert len(passwords.asked) == verified  # nothing was held against a hash any more
        # What is known to be right is let in all the same, and so are other addresses.
        assert (await access.who(Approach(THERE, "Bearer bot-token"))).name == "bot"
        assert (await access.who(Approach(THERE, basic("ana", "right")))).name == "ana"
        assert (await denied(access, Approach("192.0.2.8", "Bearer wrong"))).status == 401
        clock.now += 2
        assert (await access.who(Approach(THERE, basic("ben", "right")))).name == "ben"
        access.close()

    run(test)


def test_guesses_that_come_at_once_are_no_more_than_those_one_after_the_other(tmp_path: Path) -> None:
    async def test() -> None:
        passwords = Watched()
        failures = Buckets(burst=3, per_second=0.5, clock=Clock())
        access = Access(config(tmp_path), failures=failures, passwords=passwords)
        guesses = [Approach(THERE, basic("ana", f"guess {number}")) for number in range(20)]
        found = await asyncio.gather(*(denied(access, each) for each in guesses))
        assert sorted(each.status for each in found) == [401] * 3 + [429] * 17
        assert len(passwords.asked) == 3
        access.close()

    run(test)


def test_a_certificate_says_who_somebody_is_where_nobody_must_log_in(tmp_path: Path) -> None:
    def certificate(name: str) -> dict[str, object]:
        return {"subject": ((("organizationName", "x"),), (("commonName", name),))}

    async def test() -> None:
        access = Access(config(tmp_path, "http_server_config: {http2: true}\n"))
        assert await access.who(Approach(THERE, None, certificate("scraper"))) == Caller(Role.VIEWER, "scraper")
        assert (await denied(access, Approach(THERE, None, {}))).status == 403
        access = Access(config(tmp_path))
        assert (await denied(access, Approach(THERE, None, certificate("ana")))).status == 401

    run(test)


@pytest.mark.parametrize(
    ("role", "needs"),
    [
        (Role.VIEWER, {"viewer"}),
        (Role.RESPONDER, {"viewer", "responder"}),
        (Role.ADMIN, {"viewer", "responder", "admin", "source", "any source"}),
        (Role.SOURCE, {"source", "any source"}),
    ],
)
def test_what_each_role_may(role: Role, needs: set[str]) -> None:
    assert {need.value for need in Need if Caller(role).may(need)} == needs
    assert set(ALLOWED) == set(Role)


def test_a_source_posts_as_the_sources_that_its_token_names() -> None:
    assert Caller(Role.SOURCE, "am").may_post("anything")
    assert Caller(Role.SOURCE, "am", ("eu1",)).may_post("eu1")
    assert not Caller(Role.SOURCE, "am", ("eu1",)).may_post("eu2")
    assert not Caller(Role.RESPONDER, "ana").may_post("eu1")


@pytest.mark.parametrize(
    ("proved", "said", "who"),
    [
        ("", "ana", "ana"),
        ("", None, ""),
        ("ana", None, "ana"),
        ("ana", "ana", "ana"),
        ("deploy-bot", "ana", "ana (deploy-bot)"),
    ],
)
def test_whoever_acts_for_another_stands_beside_them(proved: str, said: str | None, who: str) -> None:
    assert Caller(Role.RESPONDER, proved).as_who(said) == who
