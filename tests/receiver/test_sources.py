"""Who may post: tokens, and without one this machine only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from guard.access import Approach
from guard.peers import is_loopback
from receiver.policy.file import SourceFile
from receiver.sources import Sources, Unwelcome


def turned_away(sources: Sources, name: str, *, remote: str = "127.0.0.1", authorization: str | None = None) -> str:
    with pytest.raises(Unwelcome) as raised:
        sources.admit(name, Approach(remote, authorization))
    return f"{raised.value.status} {raised.value.reason}"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "eu1.token"
    path.write_text("one\n")
    return path


@pytest.fixture
def sources(token: Path) -> Sources:
    files: Mapping[str, SourceFile] = {"eu1": SourceFile(token_file=str(token)), "here": SourceFile()}
    return Sources(files)


@pytest.mark.parametrize(
    ("remote", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("::ffff:192.168.1.1", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost", False),
        ("", False),
        (None, True),
    ],
)
def test_only_this_machine_is_loopback(remote: str | None, loopback: bool) -> None:
    assert is_loopback(remote) is loopback


def test_without_sources_any_name_may_post_from_this_machine() -> None:
    sources = Sources(None)
    sources.admit("anything.at-all_1", Approach("127.0.0.1", None))
    sources.admit("x", Approach("::ffff:127.0.0.1", None))
    assert turned_away(sources, "x", remote="10.0.0.1") == "403 not_loopback"
    assert turned_away(sources, "x", remote="::ffff:10.0.0.1") == "403 not_loopback"


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "ä", "x" * 64, "a\n"])
def test_a_name_that_no_policy_can_hold_has_no_door(name: str) -> None:
    assert turned_away(Sources(None), name) == "404 source"


def test_an_empty_list_of_sources_lets_nobody_in() -> None:
    assert turned_away(Sources({}), "x") == "404 source"


def test_a_token_lets_in_from_anywhere_and_nothing_else_does(sources: Sources) -> None:
    sources.admit("eu1", Approach("10.0.0.1", "Bearer one"))
    assert turned_away(sources, "eu1") == "401 unauthorized"
    assert turned_away(sources, "eu1", authorization="Bearer two") == "401 unauthorized"
    assert turned_away(sources, "eu1", authorization="Basic one") == "401 unauthorized"
    assert turned_away(sources, "eu2", authorization="Bearer one") == "404 source"


def test_a_source_without_a_token_is_for_this_machine_whatever_it_brings(sources: Sources) -> None:
    sources.admit("here", Approach("127.0.0.1", None))
    assert turned_away(sources, "here", remote="10.0.0.1", authorization="Bearer one") == "403 not_loopback"


def test_a_token_is_changed_without_a_restart(sources: Sources, token: Path) -> None:
    token.write_text("new-token\n")
    sources.admit("eu1", Approach("10.0.0.1", "Bearer new-token"))
    assert turned_away(sources, "eu1", authorization="Bearer one") == "401 unauthorized"


def test_a_token_file_that_is_gone_is_our_trouble_and_not_the_senders(sources: Sources, token: Path) -> None:
    token.unlink()
    assert turned_away(sources, "eu1", authorization="Bearer one") == "503 token_file"
