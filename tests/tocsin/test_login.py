"""The commands against a receiver that asks who they are, over TLS."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import MappingProxyType

import pytest
from aiohttp import web

from guard.framework import listening
from guard.listen import parse_address
from tests.guard.certificates import authority, signed
from tests.receiver.test_door_access import WEB
from tests.receiver.world import World, receiver, run
from tocsin import delivery, fire, incident, oncall
from tocsin.client import Login, Refused, ask

COMMANDS = {"incident": incident.main, "delivery": delivery.main, "fire": fire.main, "oncall": oncall.main}
NOBODY: Mapping[str, str] = MappingProxyType({"LOGNAME": "login-of-this-machine"})


async def typed(*words: str, environ: Mapping[str, str] = NOBODY) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""

    def told() -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                status = COMMANDS[words[0]](words[1:], environ)
            except SystemExit as ended:
                status = int(ended.code or 0)
        return status, out.getvalue(), err.getvalue()

    return await asyncio.to_thread(told)


def guarded(folder: Path) -> str:
    """The text of a web.yml, and beside it the files of who uses it."""
    ours = signed(folder, authority(folder), "localhost")
    for name in ("viewer", "responder", "source"):
        (folder / f"{name}.token").write_text(f"{name}\n")
    (folder / "ana.password").write_text("right\n")
    return f"tls_server_config: {{cert_file: {ours.certificate}, key_file: {ours.key}}}\n{WEB}"


def test_each_command_logs_in_and_acts_under_its_name(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        to = [f"--url={world.url}", f"--ca-file={tmp_path}/authority.pem"]
        ana = ["--user=ana", f"--password-file={tmp_path}/ana.password"]
        status, out, err = await typed("fire", *to, f"--token-file={tmp_path}/source.token", "alertname=Down")
        assert (status, out.split(":")[0], err) == (0, "fired Down", "")
        await world.decided()
        status, out, err = await typed("incident", *to, f"--token-file={tmp_path}/viewer.token", "list")
        assert (status, "Down" in out, err) == (0, True, "")
        (name,) = re.findall(r"^T-\d+", out, re.MULTILINE)
        assert await typed("incident", *to, *ana, "ack", name) == (0, f"{name}: ana has it\n", "")
        bot = f"--token-file={tmp_path}/responder.token"
        assert await typed("incident", "resolve", name, *to, bot, "--by=ben") == (0, f"{name}: resolved\n", "")
        story = (await typed("incident", *to, *ana, "show", name))[1]
        assert "acknowledged, by ana via cli" in story
        assert "resolved by hand, by ben (responder-bot) via cli" in story
        assert (await typed("oncall", *to, *ana))[:2] == (0, "there are no schedules\n")

    async def whole() -> None:
        async with receiver(tmp_path, web_config=guarded(tmp_path)) as world:
            await test(world)

    run(whole())


def test_who_is_let_in_nowhere_is_told_why(tmp_path: Path) -> None:
    async def whole() -> None:
        async with receiver(tmp_path, web_config=guarded(tmp_path)) as world:
            to = [f"--url={world.url}", f"--ca-file={tmp_path}/authority.pem"]
            url = f"{world.url}/api/v1/incidents?status=active&limit=100&q="
            hint = "(--token-file, or --user with --password-file)"
            wanted = f"tocsin incident: {url} answered 401: say who you are {hint}\n"
            assert await typed("incident", *to, "list") == (1, "", wanted)
            viewer = f"--token-file={tmp_path}/viewer.token"
            refusal = "T-1: answered 403: this needs the role responder, and viewer-bot has the role viewer"
            assert await typed("incident", *to, viewer, "ack", "T-1") == (1, "", f"tocsin incident: {refusal}\n")
            status, _, err = await typed("incident", f"--url={world.url}", viewer, "list")
            assert status == 1
            assert "its certificate is not trusted" in err
            assert err.endswith("--ca-file names who signed it\n")  # it runs: there is nothing to start

    run(whole())


@pytest.mark.parametrize("command", [["incident", "list"], ["oncall"], ["fire", "alertname=x"]])
@pytest.mark.parametrize("half", ["--user=ana", "--password-file=x"])
def test_half_a_login_is_wrong(command: list[str], half: str) -> None:
    status, _, err = asyncio.run(typed(*command, half))
    assert (status, "a login needs both --user and --password-file" in err) == (2, True)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--token-file=gone", "the token file gone cannot be read: No such file or directory"),
        ("--ca-file=gone", "the file of authorities gone cannot be used"),
    ],
)
def test_a_file_that_is_not_there_is_told(flag: str, said: str) -> None:
    status, _, err = asyncio.run(typed("incident", "--url=https://127.0.0.1:1", flag, "list"))
    assert (status, said in err) == (1, True)


@pytest.mark.parametrize("verb", [("incident", "list"), ("delivery", "list"), ("oncall",)])
def test_an_empty_flag_takes_the_place_of_what_the_environment_says(verb: tuple[str, ...]) -> None:
    environ = {"TOCSIN_TOKEN_FILE": "gone", "TOCSIN_URL": "http://127.0.0.1:1"}
    _, _, err = asyncio.run(typed(*verb, environ=environ))
    assert "the token file gone cannot be read" in err
    _, _, err = asyncio.run(typed(*verb, "--token-file=", environ=environ))
    assert "cannot reach http://127.0.0.1:1" in err


def test_a_redirect_is_not_followed_with_the_token(tmp_path: Path) -> None:
    came: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        came.append(request.path)
        raise web.HTTPFound("/other")

    async def test() -> None:
        app = web.Application()
        app.add_routes([web.get("/{any}", elsewhere)])
        (tmp_path / "t").write_text("secret")
        async with listening(app, [parse_address("127.0.0.1:0")], grace_seconds=1) as (url,):
            with pytest.raises(Refused, match="302"):
                await asyncio.to_thread(ask, f"{url}/first", login=Login(token_file=str(tmp_path / "t")))

    run(test())
    assert came == ["/first"]
