"""`tocsin.event` brings events to an exporter, and what it could not bring is counted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.tocsin.exporters import QUICK, SURELY, Door, breaks_off, client, door, free_port, says
from tocsin.identifiers import CURRENT, accepted
from tocsin.sending import BATCH_EVENTS_MAX, WAITING_EVENTS_MAX, Pace
from tocsin.telling import Client

ROOT = Path(__file__).parents[2]


@pytest.fixture
def there() -> Iterator[Door]:
    with door() as standing:
        yield standing


# --- what arrives -----------------------------------------------------------------------------------------------


def test_an_event_arrives_with_its_fields_its_time_and_its_source(there: Door) -> None:
    ours = client(there, TOCSIN_EVENTS_SOURCE="shop")
    before = time.time()
    ours.event("auth", method="password", outcome="failed", attempts=3, seconds=0.5, known=True, nobody=None)
    assert ours.flush(SURELY)
    (event,) = there.events
    assert before - 1 <= event.pop("at") <= time.time()
    assert event == {
        "event": "auth",
        "source": "shop",
        "method": "password",
        "outcome": "failed",
        "attempts": 3,
        "seconds": 0.5,
        "known": True,
        "nobody": None,
    }
    assert ours.dropped() == {}


def test_fields_may_say_the_source_and_the_time(there: Door) -> None:
    ours = client(there, TOCSIN_EVENTS_SOURCE="shop")
    ours.event("a", source="billing", at=1.5)
    ours.event("b", at=datetime(2026, 11, 22, 8, tzinfo=UTC), event="another")
    ours.event("c")
    assert ours.flush(SURELY)
    a, b, c = there.events
    assert a == {"event": "a", "source": "billing", "at": 1.5}
    assert b == {"event": "b", "source": "shop", "at": "2026-11-22T08:00:00+00:00"}
    assert c.keys() == {"event", "source", "at"}


def test_an_event_within_a_request_has_its_identifiers(there: Door) -> None:
    ours = client(there)
    ids = accepted("order-4711-a", None)
    token = CURRENT.set(ids)
    ours.event("a", x=1)
    ours.event("b", source="s")
    CURRENT.reset(token)
    ours.event("c")
    assert ours.flush(SURELY)
    a, b, c = there.events
    assert (
        (a["trace_id"], a["correlation_id"]) == (b["trace_id"], b["correlation_id"]) == (ids.trace_id, "order-4711-a")
    )
    assert "trace_id" not in c


def test_many_events_come_in_few_requests_over_one_connection(there: Door) -> None:
    ours = client(there)
    for number in range(2_500):
        ours.event("a", number=number)
    assert ours.flush(SURELY)
    assert [event["number"] for event in there.events] == list(range(2_500))
    assert len(there.bodies) < 20
    assert there.connections == 1
    assert {each.get("content-encoding") for each in there.headers} >= {"gzip"}


def test_a_full_batch_waits_for_no_clock(there: Door) -> None:
    ours = client(there, Pace(batch_seconds=3_600))
    for _ in range(BATCH_EVENTS_MAX):
        ours.event("a")
    there.wait_for(lambda: len(there.events) == BATCH_EVENTS_MAX, "a full batch is sent")


def test_the_token_is_sent_and_one_from_a_file_is_read_again(there: Door, tmp_path: Path) -> None:
    ours = client(there, TOCSIN_EVENTS_TOKEN="abc")
    ours.event("a")
    assert ours.flush(SURELY)
    (tmp_path / "token").write_text("first\n")
    ours.configure(token_file=str(tmp_path / "token"))
    ours.event("a")
    assert ours.flush(SURELY)
    (tmp_path / "token").write_text("second\n")
    there.answers = [says(202, Connection="close")]
    for _ in range(2):
        ours.event("a")
        assert ours.flush(SURELY)
    assert [each["authorization"] for each in there.headers] == [
        *("Bearer abc", "Bearer first", "Bearer first", "Bearer second"),
    ]


def test_threads_do_not_lose_each_others_events(there: Door) -> None:
    ours = client(there)
    threads = [
        threading.Thread(target=lambda name=name: [ours.event("a", place=(name * 1_000) + n) for n in range(500)])
        for name in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ours.flush(SURELY)
    assert sorted(event["place"] for event in there.events) == [(n * 1_000) + m for n in range(8) for m in range(500)]


# --- an exporter that does not take them --------------------------------------------------------------------------


def test_what_was_said_while_the_exporter_was_away_arrives_when_it_is_back() -> None:
    port = free_port()
    ours = Client({"TOCSIN_EVENTS_URL": f"http://127.0.0.1:{port}"}, pace=QUICK)
    ours.event("a", number=1)
    assert not ours.flush(0.05)
    ours.event("a", number=2)
    with door(port) as there:
        assert ours.flush(SURELY)
        assert [event["number"] for event in there.events] == [1, 2]
    assert ours.dropped() == {}


def test_what_is_too_old_when_the_exporter_comes_back_is_lost_and_counted() -> None:
    port = free_port()
    ours = Client({"TOCSIN_EVENTS_URL": f"http://127.0.0.1:{port}"}, pace=QUICK._replace(kept_seconds=0.0))
    ours.event("a")
    assert ours.flush(SURELY)
    assert ours.dropped() == {"away": 1}


@pytest.mark.parametrize("status", [408, 429, 502, 503])
def test_an_exporter_that_is_busy_is_asked_again(there: Door, status: int) -> None:
    there.answers = [says(status, Retry_After="0"), says(status, Retry_After="soon")]
    ours = client(there)
    ours.event("a")
    assert ours.flush(SURELY)
    assert len(there.bodies) == 3
    assert ours.dropped() == {}


@pytest.mark.parametrize("status", [401, 403, 404, 413, 500])
def test_what_is_refused_is_lost_and_counted_and_the_next_is_sent(there: Door, status: int) -> None:
    there.answers = [says(status, b'{"error": "no"}')]
    ours = client(there)
    ours.event("a")
    assert ours.flush(SURELY)
    ours.event("b")
    assert ours.flush(SURELY)
    assert [event["event"] for event in there.events] == ["a", "b"]
    assert ours.dropped() == {"refused": 1}
    there.wait_for(lambda: there.losses, "the exporter hears of it")
    assert there.losses == [("refused", 1)]


def test_what_is_always_rejected_is_not_told_about_for_ever(there: Door) -> None:
    there.answers = [says(202, b'{"accepted": 0, "rejected": 1}') for _ in range(3)]
    ours = client(there)
    for _ in range(3):
        ours.event("a")
        assert ours.flush(SURELY)
    assert len(there.bodies) == 3
    ours.event("a")
    there.wait_for(lambda: there.losses, "the exporter hears of it")
    assert there.losses == [("rejected", 3)]


def test_events_that_the_exporter_rejects_are_counted(there: Door) -> None:
    there.answers = [says(202, b'{"accepted": 1, "rejected": 2, "errors": [{"event": 0, "error": "why"}]}')]
    ours = client(there)
    ours.event("a")
    assert ours.flush(SURELY)
    assert ours.dropped() == {"rejected": 2}


@pytest.mark.parametrize("answer", [b"", b"[" * 5_000, b"[]", b'{"errors": 7, "rejected": "x"}', b"\xff"])
def test_an_answer_that_is_no_answer_changes_nothing(there: Door, answer: bytes) -> None:
    there.answers = [says(202, answer)]
    ours = client(there)
    for _ in range(2):
        ours.event("a")
        assert ours.flush(SURELY)
    assert ours.dropped() == {}
    assert len(there.events) == 2


def test_what_was_never_answered_is_not_sent_twice_and_the_next_is_sent_after_a_probe(there: Door) -> None:
    there.answers = [breaks_off, breaks_off]
    ours = client(there)
    ours.event("a")
    assert ours.flush(SURELY)
    ours.event("b")
    assert ours.flush(SURELY)
    assert there.bodies[1:3] == [b"[]", b"[]"]
    assert [event["event"] for event in there.events] == ["a", "b"]
    assert ours.dropped() == {"unanswered": 1}


def test_a_connection_that_was_closed_meanwhile_costs_no_event(there: Door) -> None:
    def answers_and_closes(handler: object) -> None:
        says(202)(handler)  # type: ignore[arg-type]
        breaks_off(handler)  # type: ignore[arg-type]

    there.answers = [answers_and_closes]
    ours = client(there)
    ours.event("a")
    assert ours.flush(SURELY)
    there.wait_for(lambda: not there.answers, "it was closed")
    ours.event("b")
    assert ours.flush(SURELY)
    assert ours.dropped() == {}
    assert len(there.events) == there.connections == 2


def test_a_full_queue_takes_no_more_and_counts(there: Door) -> None:
    ours = client(there, Pace(batch_seconds=3_600))
    held = threading.Event()
    there.answers = [lambda handler: (held.wait(SURELY), says(202)(handler))[1]]
    for number in range(WAITING_EVENTS_MAX + 3_000):
        ours.event("a", number=number)
    lost = ours.dropped()["full"]
    assert 0 < lost <= 3_000
    held.set()
    assert ours.flush(SURELY)
    assert len(there.events) == WAITING_EVENTS_MAX + 3_000 - lost


def test_nobody_waits_for_an_exporter_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ours = Client({"TOCSIN_EVENTS_URL": f"http://127.0.0.1:{mute.getsockname()[1]}"}, pace=QUICK)
        began = time.monotonic()
        for number in range(3_000):
            ours.event("a", number=number)
        assert not ours.flush(0.05)
        # Each has its own second, if not less; together they would be hours.
        assert time.monotonic() - began < SURELY


def test_a_wrong_address_is_an_error_of_configure_and_none_of_event() -> None:
    ours = Client({"TOCSIN_EVENTS_URL": "ftp://x/"}, pace=QUICK)
    ours.event("a")
    assert ours.flush(0) is True
    with pytest.raises(ValueError, match="url: found 'ftp://x/', expected an address such as"):
        ours.configure(url="ftp://x/")
    with pytest.raises(ValueError, match="url: found a login in the address") as error:
        ours.configure(url="http://ana:s3cret@127.0.0.1/")
    assert "s3cret" not in str(error.value)
    with pytest.raises(ValueError, match="source: found 'a b', expected"):
        ours.configure(source="a b")
    with pytest.raises(ValueError, match="token: expected"):
        ours.configure(token="a\r\nHost: x")


@pytest.mark.parametrize("off", ["off", "0", "No", "false"])
def test_events_can_be_switched_off(there: Door, off: str) -> None:
    ours = client(there, TOCSIN_EVENTS=off)
    ours.event("a")
    assert ours.flush(SURELY)
    assert there.bodies == []
    assert ours.dropped() == {}
