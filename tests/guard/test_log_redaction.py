"""No log line has personal data in it, whoever wrote it and wherever it stands."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard import log
from guard.log import Ours
from guard.logline import LINE_BYTES_MAX

PERSONAL = (
    "ana.sommer@example.org",
    "203.0.113.77",
    "2001:db8:85a3::8a2e:370:7334",
    "4111 1111 1111 1111",
    "+49 151 23456789",
    "DE89 3704 0044 0532 0130 00",
    "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
)


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def logged(style: str, message: str = "it happened", **extra: object) -> str:
    stream = io.StringIO()
    log.set_up(format=style, level="info", stream=stream)
    logging.getLogger("tocsin").warning(message, extra=extra)
    return stream.getvalue()


def failed(style: str, error: Exception) -> str:
    stream = io.StringIO()
    log.set_up(format=style, level="info", stream=stream)
    try:
        raise error
    except Exception:
        logging.getLogger("tocsin").exception("it failed")
    return stream.getvalue()


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("secret", PERSONAL)
def test_wherever_it_stands_it_is_hidden(style: str, secret: str) -> None:
    for line in (
        logged(style, f"said {secret} today"),
        logged(style, error=f"cannot reach {secret}"),
        logged(style, told=[{"deep": {"deeper": secret}}]),
        logged(style, told={secret: 1}),
        logged(style, told=OSError(f"no route to {secret}")),
        logged(style, **{secret: "as a key"}),
        failed(style, LookupError(secret)),
    ):
        assert secret not in line
        assert secret.rpartition(" ")[2] not in line
        assert "[" in line


@given(before=st.integers(0, 2 * LINE_BYTES_MAX), secret=st.sampled_from(PERSONAL[:1]))
def test_a_text_that_is_cut_shows_no_half_of_it(before: int, secret: str) -> None:
    line = logged("json", "x " * (before // 2) + secret + " y" * LINE_BYTES_MAX)
    assert "sommer" not in line
    assert "@exa" not in line


@pytest.mark.parametrize("key", ["user", "client_ip", "session_id", "password", "email"])
def test_a_field_that_is_somebodys_is_hidden_whatever_it_holds(key: str) -> None:
    assert json.loads(logged("json", **{key: "ana"}))[key] == "[MASKED]"
    assert json.loads(logged("json", told={key: 7}))["told"] == {key: "[MASKED]"}


def test_what_operators_need_stays() -> None:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    event = json.loads(
        logged(
            "json",
            "the store cannot be written",
            urls=("http://127.0.0.1:29093", "http://[::1]:29093"),
            message_id="3b05f936-T-2-3-hook",
            error="database or disk is full",
            file="/etc/tocsin/receiver.yml",
            entries=123_456_789,
            digest=Ours(digest),
        )
    )
    assert event["message"] == "the store cannot be written"
    assert event["urls"] == ["http://127.0.0.1:29093", "http://[::1]:29093"]
    assert (event["message_id"], event["error"]) == ("3b05f936-T-2-3-hook", "database or disk is full")
    assert (event["file"], event["entries"], event["digest"]) == ("/etc/tocsin/receiver.yml", 123_456_789, digest)
