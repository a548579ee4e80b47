"""The same callers before the same doors, behind the web framework and behind our own server: the same answers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import bcrypt
import pytest
from aiohttp import web

from guard.access import FAILED_LOGINS_MAX, Access
from guard.callers import ALLOWED, Need, Role
from guard.doorkeeper import Doorkeeper, caller_of
from guard.framework import listening
from guard.judge import REQUESTS_BURST_MAX, Judge, Use
from guard.listen import parse_address
from guard.web.messages import Answer, Request, text_answer
from guard.web.routes import Route, Routes
from guard.web.server import Server, serving
from guard.webconfig import WebConfig

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
# A door for each need, and one that the table does not know.
NEEDS: Mapping[str, Need] = {f"GET /{need.name.lower()}": need for need in Need}
PATHS = [f"/{need.name.lower()}" for need in Need] + ["/unknown"]
WEB = f"basic_auth_users: {{ana: {HASH}}}\ntokens:\n" + "".join(
    f"  - {{name: {role}-bot, role: {role}, hash: 'sha256:{hashlib.sha256(role.value.encode()).hexdigest()}'}}\n"
    for role in Role
)
FRAMEWORK, OWN = "framework", "own"
BOTH = pytest.mark.parametrize("kind", [FRAMEWORK, OWN])


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"ana:{password}".encode()).decode()


class Behind(NamedTuple):
    """A client in front of a server, and what the judge has told."""

    client: aiohttp.ClientSession
    refused: Counter[str]
    uses: list[Use]

    async def get(self, path: str, authorization: str | None = None) -> tuple[int, str, Mapping[str, str]]:
        headers = {} if authorization is None else {"Authorization": authorization}
        async with self.client.get(path, headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers


@asynccontextmanager
async def behind(kind: str, access: Access) -> AsyncIterator[Behind]:
    refused: Counter[str] = Counter()
    uses: list[Use] = []

    def on_refused(reason: str) -> None:
        refused[reason] += 1

    async def who(request: web.Request) -> web.Response:
        try:
            return web.Response(text=caller_of(request).name)
        except KeyError:
            return web.Response(text="")

    async def own(request: Request) -> Answer:
        return text_answer("" if request.caller is None else request.caller.name)

    addresses = [parse_address("127.0.0.1:0")]
    if kind == FRAMEWORK:
        app = web.Application()
        for path in PATHS:
            app.router.add_get(path, who)
        Doorkeeper(access, NEEDS, on_refused=on_refused, on_use=uses.append).guard(app)
        serves = listening(app, addresses, grace_seconds=0.1)
    else:
        judge = Judge(access, NEEDS, on_refused=on_refused, on_use=uses.append)
        serves = serving(
            Server(Routes([Route("GET", path, own) for path in PATHS]), judge), addresses, grace_seconds=0.1
        )
    async with serves as (url,), aiohttp.ClientSession(url) as client:
        yield Behind(client, refused, uses)


def access_of(folder: Path, text: str = WEB) -> Access:
    (folder / "web.yml").write_text(text)
    return Access(WebConfig(folder / "web.yml", environ={}))


def expected(path: str, role: Role | None) -> int:
    need = NEEDS.get(f"GET {path}", Need.ADMIN)
    if need in (Need.NOTHING, Need.SOURCE, Need.SIGNATURE):
        return 200
    if role is None:
        return 401
    return 200 if need in ALLOWED[role] else 403


@BOTH
@pytest.mark.parametrize("role", [*Role, None])
def test_each_door_opens_to_whom_it_should(tmp_path: Path, kind: str, role: Role | None) -> None:
    async def scenario() -> None:
        async with behind(kind, access_of(tmp_path)) as doors:
            authorization = None if role is None else f"Bearer {role.value}"
            found = {path: (await doors.get(path, authorization))[0] for path in PATHS}
            assert found == {path: expected(path, role) for path in PATHS}
            closed = Counter(status for status in found.values() if status != 200)
            assert doors.refused == {{401: "anonymous", 403: "role"}[status]: count for status, count in closed.items()}
            named = [use for use in doors.uses if use.name]
            judged = [
                path for path in PATHS if NEEDS.get(f"GET {path}") in (None, Need.VIEWER, Need.RESPONDER, Need.ADMIN)
            ]
            assert len(named) == (0 if role is None else len(judged))
            # Whether something is there is told to those who may look.
            assert (await doors.get("/nowhere", authorization))[0] in (
                (401, 403) if expected("/viewer", role) != 200 else (404,)
            )

    asyncio.run(asyncio.wait_for(scenario(), 60))


@BOTH
def test_who_logs_in_is_known_to_the_door_and_who_cannot_waits(tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        async with behind(kind, access_of(tmp_path)) as doors:
            assert (await doors.get("/viewer", basic("right")))[:2] == (200, "ana")
            status, text, headers = await doors.get("/viewer", basic("wrong"))
            assert (status, text) == (401, '{"error": "the token, or the name or the password, is not right"}')
            assert headers["WWW-Authenticate"].startswith('Basic realm="tocsin"')
            for _ in range(FAILED_LOGINS_MAX):
                status, _, headers = await doors.get("/viewer", basic("wrong"))
            assert (status, int(headers["Retry-After"]) > 0) == (429, True)
            assert (await doors.get("/viewer", basic("right")))[0] == 200
            assert doors.refused == {"login": FAILED_LOGINS_MAX, "logins": 1}
            assert next(use.name for use in doors.uses if use.refused) == "ana"

    asyncio.run(asyncio.wait_for(scenario(), 60))


@BOTH
def test_who_asks_too_often_waits_and_load_balancers_do_not(tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        async with behind(kind, access_of(tmp_path)) as doors:
            taken = 0
            while (status := (await doors.get("/viewer", "Bearer viewer"))[0]) == 200:
                taken += 1
            assert status == 429
            assert taken >= REQUESTS_BURST_MAX
            assert doors.refused == {"requests": 1}
            assert (await doors.get("/nothing"))[0] == 200
            assert (await doors.get("/viewer", "Bearer admin"))[0] == 200

    asyncio.run(asyncio.wait_for(scenario(), 60))


@BOTH
def test_headers_of_the_file_are_on_each_answer_and_an_answers_own_is_left(tmp_path: Path, kind: str) -> None:
    text = f"{WEB}http_server_config: {{headers: {{X-Frame-Options: deny, X-Content-Type-Options: nosniff}}}}\n"

    async def scenario() -> None:
        async with behind(kind, access_of(tmp_path, text)) as doors:
            for path in ("/nothing", "/viewer", "/nowhere"):
                _, _, headers = await doors.get(path)
                assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("deny", "nosniff")

    asyncio.run(asyncio.wait_for(scenario(), 60))
