"""The webhook channel over TLS, against a real server: whom it believes, and by what it shows who it is."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.channels import Unreachable
from receiver.channels.making import channel_of
from receiver.channels.trust import Certificates
from receiver.channels.webhook import Webhook
from tests.receiver.builders import message
from tests.receiver.mailserver import Certificate, certificate


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Certificate]:
    def make(name: str, **how: str) -> Certificate:
        folder = tmp_path / name
        folder.mkdir()
        return certificate(folder, **how)

    return make


@asynccontextmanager
async def serving(mine: Certificate, *, asks_for: Certificate | None = None) -> AsyncIterator[tuple[str, list[Any]]]:
    """An address, and the certificates that were shown there. `asks_for`: only who shows this one is let in."""
    context = mine.server_context()
    if asks_for is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(asks_for.pem)
    shown: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown.append(request.transport.get_extra_info("peercert"))
        await request.read()
        return web.Response(text="thanks")

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/", shown
    finally:
        await runner.cleanup()


@asynccontextmanager
async def channel(url: str, **files: Path) -> AsyncIterator[Webhook]:
    hook = Webhook(
        url=url,
        headers={},
        timeout_seconds=5.0,
        retry_seconds_max=60.0,
        secret_file=None,
        certificates=Certificates(**files),
    )
    try:
        yield hook
    finally:
        await hook.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def refusal(url: str, **files: Path) -> str:
    async with channel(url, **files) as hook:
        with pytest.raises(Unreachable) as raised:
            await hook.send(message())
    return str(raised.value)


def test_a_server_is_believed_by_the_file_and_no_other_is(made: Callable[..., Certificate]) -> None:
    async def test() -> None:
        server, other = made("server"), made("other")
        async with serving(server) as (url, shown):
            async with channel(url, ca_file=server.pem) as hook:
                assert await hook.send(message()) == "200 thanks"
            assert await refusal(url, ca_file=other.pem) == (
                "127.0.0.1: its certificate is not trusted: self-signed certificate"
            )
            assert "its certificate is not trusted" in await refusal(url)
            assert len(shown) == 1

    run(test())


def test_a_certificate_of_somebody_else_is_not_believed(made: Callable[..., Certificate]) -> None:
    async def test() -> None:
        elsewhere = made("elsewhere", names="DNS:elsewhere.example.org")
        async with serving(elsewhere) as (url, shown):
            said = await refusal(url, ca_file=elsewhere.pem)
            assert "its certificate is not trusted: IP address mismatch" in said
            assert shown == []

    run(test())


def test_it_shows_its_own_certificate_where_one_is_asked_for(made: Callable[..., Certificate]) -> None:
    async def test() -> None:
        server, mine, other = made("server"), made("mine"), made("other")
        async with serving(server, asks_for=mine) as (url, shown):
            async with channel(url, ca_file=server.pem, cert_file=mine.pem, key_file=mine.key) as hook:
                assert await hook.send(message()) == "200 thanks"
            assert shown[0]["subject"] == ((("commonName", "a test"),),)
            await refusal(url, ca_file=server.pem)
            await refusal(url, ca_file=server.pem, cert_file=other.pem, key_file=other.key)
            assert len(shown) == 1

    run(test())


def test_a_certificate_and_its_key_may_be_in_one_file(made: Callable[..., Certificate], tmp_path: Path) -> None:
    async def test() -> None:
        server, mine = made("server"), made("mine")
        both = tmp_path / "both.pem"
        both.write_bytes(mine.key.read_bytes() + mine.pem.read_bytes())
        async with (
            serving(server, asks_for=mine) as (url, _),
            channel(url, ca_file=server.pem, cert_file=both) as hook,
        ):
            assert await hook.send(message()) == "200 thanks"

    run(test())


def test_files_that_change_are_read_again_and_a_file_that_is_gone_sends_nothing(
    made: Callable[..., Certificate], tmp_path: Path
) -> None:
    async def test() -> None:
        server, other = made("server"), made("other")
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(other.pem.read_bytes())
        async with serving(server) as (url, shown), channel(url, ca_file=trusted) as hook:
            with pytest.raises(Unreachable, match="not trusted"):
                await hook.send(message())
            trusted.write_bytes(server.pem.read_bytes() + b"\n")
            assert await hook.send(message()) == "200 thanks"
            trusted.unlink()
            with pytest.raises(Unreachable, match=r"trusted\.pem cannot be read: No such file"):
                await hook.send(message())
            assert len(shown) == 1

    run(test())


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("ca_file: garbage", "channels.it.ca_file: found the file of certificates garbage holds none that can be read"),
        ("cert_file: mine/cert.pem", "channels.it.cert_file: found cert.pem holds no certificate with its key"),
        ("{cert_file: mine/cert.pem, key_file: locked.pem}", "found cert.pem with locked.pem holds no certificate"),
        ("{cert_file: mine/cert.pem, key_file: other/key.pem}", "found cert.pem with key.pem holds no certificate"),
        ("key_file: mine/key.pem", "channels.it.key_file: found a key and no certificate, expected `cert_file`"),
        ("{url: 'http://here/', ca_file: mine/cert.pem}", "channels.it.ca_file: found certificates, and no TLS"),
    ],
)
def test_what_cannot_be_used_is_a_fault_before_the_policy_is_in_force(
    made: Callable[..., Certificate], tmp_path: Path, more: str, fault: str
) -> None:
    mine = made("mine")
    made("other")
    (tmp_path / "garbage").write_text("no certificate")
    openssl = shutil.which("openssl")
    assert openssl is not None
    lock = [openssl, "ec", "-aes128", "-passout", "pass:secret", "-in", mine.key, "-out", tmp_path / "locked.pem"]
    subprocess.run(lock, check=True, capture_output=True, timeout=60)
    keys = {"type": "webhook", "url": "'https://here/'"}
    for pair in more.strip("{}").split(", "):
        key, _, value = pair.partition(": ")
        keys[key] = value
    written = ", ".join(f"{key}: {value}" for key, value in keys.items())
    path = tmp_path / "receiver.yml"
    path.write_text(f"channels: {{it: {{{written}}}}}")
    with pytest.raises(InvalidConfig) as raised:
        settings.load(path, environ={})
    assert fault in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_policy_names_the_files_beside_it(made: Callable[..., Certificate], tmp_path: Path) -> None:
    async def test() -> None:
        server, mine = made("server"), made("mine")
        async with serving(server, asks_for=mine) as (url, _):
            keys = "ca_file: server/cert.pem, cert_file: mine/cert.pem, key_file: mine/key.pem"
            path = tmp_path / "receiver.yml"
            path.write_text(f"channels: {{it: {{type: webhook, url: '{url}', {keys}}}}}")
            (file,) = settings.load(path, environ={}).channels.values()
            hook = channel_of(file)
            assert await hook.send(message()) == "200 thanks"
            await hook.close()

    run(test())
