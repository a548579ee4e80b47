"""Alertmanager's door, over HTTP: what is accepted, what is not, and that nothing is lost in between."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path

import pytest

from receiver.channels import Unreachable
from receiver.doors.webhook import BODY_BYTES_MAX
from receiver.message import Message
from tests.receiver.builders import alert, named, webhook
from tests.receiver.world import Quiet, receiver, run

TOKENS = "sources: {eu1: {token_file: eu1.token}, here: {}}\nchannels: {chat: {type: terminal}}\n"


def test_a_webhook_is_accepted_with_its_place_in_the_journal(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            assert await world.post(webhook()) == (200, {"accepted": 1, "position": 2})
            assert (await world.post(webhook([])))[0] == 200
            await world.decided()
            (only,) = (await world.get("/api/v1/alerts"))[1]["alerts"]
            assert only["labels"] == {"alertname": "Down", "severity": "critical"}
            assert await world.refused() == {}

    run(test())


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b'{"version": "4", "x": ' + b"[" * 100_000, "not_json", "body: expected JSON"),
        (b"hello", "not_json", "body: expected JSON"),
        (b"", "not_json", "body: expected JSON"),
        (webhook(version="3"), "not_version_4", "expected version \"4\", found '3'"),
        (b'{"text": "custom payload"}', "not_version_4", "this is not Alertmanager's webhook, version 4"),
        (webhook([alert(), alert(labels={"a": 1})]), "wrong_type", "alerts[1].labels.a: expected `str`, got `int`"),
        (b'{"version":"4","alerts":[{"labels":{"a":1}}],"alerts":[]}', "wrong_type", "alerts[0]"),
    ],
)
def test_garbage_is_answered_400_set_aside_and_counted(tmp_path: Path, body: bytes, reason: str, says: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, answer = await world.post(body)
            assert (status, list(answer)) == (400, ["error"])
            aside = (await world.get("/api/v1/status"))[1]["set_aside"]
            assert aside["count"] == 1
            (kept,) = aside["last"]
            assert (kept["source"], kept["reason"], kept["problem"]) == ("am", reason, answer["error"])
            assert kept["begins"] == body[:200].decode()
            assert says in answer["error"]
            assert await world.refused() == {reason: 1}
            assert (await world.post(webhook()))[0] == 200

    run(test())


def test_twenty_thousand_alerts_are_one_webhook(tmp_path: Path) -> None:
    async def test() -> None:
        alerts = [alert(labels={"alertname": "Down", "instance": f"host-{number}"}) for number in range(20_000)]
        async with receiver(tmp_path) as world:
            assert await world.post(webhook(alerts)) == (200, {"accepted": 20_000, "position": 2})
            await world.decided()
            (incident,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            assert incident["alerts"] == {"firing": 20_000, "resolved": 0}
            chat = world.channels["chat"]
            assert isinstance(chat, Quiet)
            assert len(chat.messages) == 1

    run(test())


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_read(tmp_path: Path, encoding: str) -> None:
    async def test() -> None:
        body = gzip.compress(webhook()) if encoding == "gzip" else zlib.compress(webhook())
        async with receiver(tmp_path) as world:
            assert (await world.post(body, **{"Content-Encoding": encoding}))[0] == 200

    run(test())


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_encoded_as_it_says_is_refused(tmp_path: Path, encoding: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, answer = await world.post(b"no such thing", **{"Content-Encoding": encoding})
            assert (status, list(answer)) == (400, ["error"])
            assert await world.refused() == {"unreadable": 1}
            assert (await world.get("/-/ready"))[0] == 200

    run(test())


def test_a_body_over_the_limit_is_refused_and_counted(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, answer = await world.post(b" " * (BODY_BYTES_MAX + 1))
            assert status == 413
            assert str(BODY_BYTES_MAX) in answer["error"]
            assert await world.refused() == {"too_large": 1}
            assert (await world.post(webhook() + b" " * (BODY_BYTES_MAX - len(webhook()))))[0] == 200

    run(test())


def test_a_bomb_is_refused_when_it_reaches_the_limit(tmp_path: Path) -> None:
    async def test() -> None:
        # A hundred kilobytes that would be twice the limit.
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join([*(packer.compress(b" " * BODY_BYTES_MAX) for _ in range(2)), packer.flush()])
        assert len(bomb) < BODY_BYTES_MAX / 100
        async with receiver(tmp_path) as world:
            status, _ = await world.post(bomb, **{"Content-Encoding": "gzip"})
            assert status == 413
            assert await world.refused() == {"too_large": 1}
            assert (await world.post(webhook()))[0] == 200

    run(test())


async def _half_a_request(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The head of a webhook and the first bytes of a body that never comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"POST /webhook/am HTTP/1.1\r\nHost: tocsin\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    return reader, writer


def test_a_body_that_never_comes_is_not_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, door={"body_seconds_max": 0.05}) as world:
            reader, writer = await _half_a_request(world.url)
            assert (await reader.readline()).split()[1] == b"503"
            writer.close()
            assert await world.refused() == {"slow": 1}
            assert (await world.post(webhook()))[0] == 200

    run(test())


def test_bodies_that_arrive_together_have_a_limit_together(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, door={"arriving_bytes_max": 1100}) as world:
            _, writer = await _half_a_request(world.url)
            async with asyncio.timeout(20):
                while (await world.post(webhook()))[0] != 503:
                    pass
            assert (await world.refused())["arriving"] == 1
            writer.close()
            async with asyncio.timeout(20):
                while (await world.post(webhook()))[0] != 200:
                    pass

    run(test())


def test_more_than_can_be_decided_is_refused_at_once_and_what_was_taken_is_decided(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, decider={"undecided_bytes_max": 10_000}) as world:
            world.disk.committing.clear()
            bodies = [webhook([named(f"N{each}")], groupKey=f"g{each}") for each in range(200)]
            statuses = [status for status, _ in await asyncio.gather(*map(world.post, bodies))]
            async with world.client.post(f"{world.url}/webhook/am", data=webhook()) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                assert "wait to be decided" in (await answer.json())["error"]
            taken = [number for number, status in enumerate(statuses) if status == 200]
            waiting = sum(len(bodies[number]) for number in taken)
            assert 10_000 < waiting <= 10_000 + len(bodies[-1])
            assert set(statuses) == {200, 503}
            assert await world.refused() == {"undecided": len(bodies) - len(taken) + 1}
            assert (await world.get("/-/ready"))[0] == 503
            world.disk.committing.set()
            await world.decided()
            assert (await world.post(bodies[-1]))[0] == 200
            await world.decided()
            shown = (await world.get("/api/v1/alerts"))[1]["alerts"]
            assert {each["labels"]["alertname"] for each in shown} == {f"N{number}" for number in {*taken, 199}}

    run(test())


class Gone(Quiet):
    """A channel that nobody is behind, until somebody is."""

    def __init__(self) -> None:
        super().__init__()
        self.there = False
        self.attempts = 0

    async def send(self, message: Message) -> str:
        self.attempts += 1
        if not self.there:
            raise Unreachable("nobody listens")
        return await super().send(message)


def test_while_a_channel_is_down_webhooks_are_taken_until_too_much_is_owed(tmp_path: Path) -> None:
    async def test() -> None:
        chat = Gone()
        limit = {"messages_owed_max": 100}
        async with receiver(tmp_path, channels={"chat": chat}, decider=limit) as world:

            async def post(number: int) -> int:
                return (await world.post(webhook([named(f"N{number}")], groupKey=f"g{number}")))[0]

            for number in range(101):
                assert await post(number) == 200
            await world.until(lambda: world.runner.lag == 0)
            assert world.outbox.owed == 101
            assert chat.attempts < 20, "the others rest"
            assert await post(101) == 503
            assert await world.refused() == {"messages_owed": 1}
            assert (await world.get("/health"))[1] == {"status": "degraded"}
            chat.there = True
            await world.decided()
            assert await post(101) == 200
            await world.decided()
            assert len({message.id for message in chat.messages}) == len(chat.messages) == 102

    run(test())


@pytest.mark.parametrize("more", [b"", b"TE: trailers\r\n"], ids=["the quick way", "the framework's way"])
def test_bodies_that_began_together_are_not_all_taken_when_there_is_room_for_one(tmp_path: Path, more: bytes) -> None:
    body = webhook()
    head = b"POST /webhook/am HTTP/1.1\r\nHost: tocsin\r\n" + more + b"Content-Length: %d\r\n\r\n" % len(body)

    async def test() -> None:
        async with receiver(tmp_path, decider={"undecided_bytes_max": len(body) // 2}) as world:
            world.disk.committing.clear()
            began = [await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2])) for _ in range(5)]
            for _, writer in began:
                writer.write(head + body[:10])
            await world.until(lambda: world.door.arriving_bytes == len(began) * len(body))
            statuses = []
            for reader, writer in began:
                writer.write(body[10:])
                statuses.append(int((await reader.readline()).split()[1]))
            assert statuses == [200, 503, 503, 503, 503]
            assert await world.refused() == {"undecided": 4}
            assert world.door.arriving_bytes == 0
            for _, writer in began:
                writer.close()

    run(test())


def test_tokens_sources_and_names_are_checked_at_the_door(tmp_path: Path) -> None:
    (tmp_path / "eu1.token").write_text("one\n")

    async def test() -> None:
        async with receiver(tmp_path, policy=TOKENS) as world:
            bearer = {"Authorization": "Bearer one"}
            assert (await world.post(webhook(), source="eu1", **bearer))[0] == 200
            assert (await world.post(webhook(), source="here"))[0] == 200
            async with world.client.post(f"{world.url}/webhook/eu1", data=webhook()) as answer:
                assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert (await world.post(webhook(), source="eu1", Authorization="Bearer two"))[0] == 401
            status, answer = await world.post(webhook(), source="eu2", **bearer)
            assert (status, answer) == (404, {"error": "no source 'eu2' in the receiver's policy (key `sources`)"})
            assert (await world.post(webhook(), source="a%20b"))[0] == 404
            (tmp_path / "eu1.token").unlink()
            assert (await world.post(webhook(), source="eu1", **bearer))[0] == 503
            assert await world.refused() == {"unauthorized": 2, "source": 2, "token_file": 1}
            assert (await world.get("/api/v1/status"))[1]["set_aside"]["count"] == 0

    run(test())


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "x"])
def test_a_page_from_elsewhere_cannot_fire_alerts(tmp_path: Path, origin: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, answer = await world.post(webhook(), Origin=origin)
            assert (status, answer) == (403, {"error": "a page from elsewhere may not do this"})
            assert await world.refused() == {"origin": 1}
            assert (await world.post(webhook(), Origin=world.url))[0] == 200

    run(test())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example:29093", 403),  # a name that was made to lead to this machine after its page was loaded
        ("evil.localhost.example", 403),
        ("localhost:29093", 200),
        ("127.0.0.1:29093", 200),
        ("[::1]:29093", 200),
        ("192.0.2.7", 200),
        ("tocsin.example.org", 200),  # the external address
    ],
)
def test_a_page_may_only_post_to_a_name_that_is_ours(tmp_path: Path, host: str, status: int) -> None:
    async def test() -> None:
        async with receiver(tmp_path, external_url="https://tocsin.example.org/") as world:
            assert (await world.post(webhook(), Host=host, Origin=f"http://{host}"))[0] == status
            assert (await world.post(webhook(), Host=host))[0] == 200  # no browser

    run(test())


def test_another_method_is_told_which_one_to_use(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            for method in ("GET", "PUT", "DELETE"):
                async with world.client.request(method, f"{world.url}/webhook/am") as answer:
                    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
                    assert list(await answer.json()) == ["error"]

    run(test())


def test_on_a_full_disk_alertmanager_is_told_to_come_back_and_may(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            assert (await world.post(webhook([named("Before")], groupKey="before")))[0] == 200
            await world.decided()
            world.disk.full = True
            async with world.client.post(f"{world.url}/webhook/am", data=webhook()) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                assert "database or disk is full" in (await answer.json())["error"]
            assert (await world.post(b"garbage"))[0] == 400
            assert await world.refused() == {"store": 1, "not_json": 1}
            assert (await world.get("/-/ready"))[0] == 503
            assert (await world.get("/-/healthy"))[0] == 200
            assert (await world.get("/health"))[1] == {"status": "unhealthy"}
            assert "The store cannot be written: database or disk is full" in (await world.get("/"))[1]
            world.disk.full = False
            assert (await world.post(webhook()))[0] == 200
            await world.decided()
            assert (await world.get("/-/ready"))[0] == 200
            names = [each["labels"]["alertname"] for each in (await world.get("/api/v1/alerts"))[1]["alerts"]]
            assert sorted(names) == ["Before", "Down"]

    run(test())


def test_what_was_accepted_before_the_disk_filled_up_is_decided_afterwards(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            world.disk.appends_left = 20
            posts = [world.post(webhook([named(f"N{each}")], groupKey=f"g{each}")) for each in range(50)]
            statuses = [status for status, _ in await asyncio.gather(*posts)]
            assert sorted(statuses) == [200] * 20 + [503] * 30
            assert (await world.get("/api/v1/incidents"))[1] == {"incidents": []}
            world.disk.appends_left, world.disk.full = None, False
            await world.decided()
            shown = (await world.get("/api/v1/alerts"))[1]["alerts"]
            expected = [f"N{number}" for number, status in enumerate(statuses) if status == 200]
            assert sorted(each["labels"]["alertname"] for each in shown) == sorted(expected)

    run(test())


def test_webhooks_at_once_each_get_a_place_of_their_own(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            posts = [world.post(webhook([named(f"N{each}")], groupKey=f"g{each}")) for each in range(200)]
            answers = await asyncio.gather(*posts)
            positions = [answer["position"] for _, answer in answers]
            assert len(set(positions)) == 200
            await world.decided()
            incidents = (await world.get("/api/v1/incidents?limit=1000"))[1]["incidents"]
            assert len(incidents) == 200
            assert await world.disk.verify() is None

    run(test())


def test_a_restart_continues_where_the_last_run_ended(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await world.post(webhook())
            await world.decided()
            before = (await world.get("/api/v1/incidents"))[1]
        async with receiver(tmp_path) as world:
            assert (await world.get("/api/v1/incidents"))[1] == before
            gone = alert(status="resolved", endsAt="2026-03-01T09:00:00Z")
            await world.post(webhook([gone], status="resolved"))
            await world.decided()
            assert (await world.get("/api/v1/incidents"))[1] == {"incidents": []}
            chat = world.channels["chat"]
            assert isinstance(chat, Quiet)
            assert [message.kind for message in chat.messages] == ["resolved"]

    run(test())
