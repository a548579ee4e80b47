"""Bearer tokens: who is let in, and what happens when the file changes or cannot be read."""

import os
import time
from pathlib import Path

import pytest

from guard.tokens import FILE_BYTES_MAX, TokenFile, Unreadable, first_token


def token_file(folder: Path, text: str) -> Path:
    path = folder / "token"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("header", ["Bearer sesame", "bearer sesame", "BEARER  sesame "])
def test_the_right_token_is_accepted(tmp_path: Path, header: str) -> None:
    assert TokenFile(token_file(tmp_path, "sesame\n")).accepts(header) is True


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "sesame",
        "Basic sesame",
        "Bearer sesam",
        "Bearer sesame2",
        "Bearer \udcff",
    ],
)
def test_everything_else_is_refused(tmp_path: Path, header: str | None) -> None:
    assert TokenFile(token_file(tmp_path, "sesame\n")).accepts(header) is False


def test_two_lines_are_two_tokens_and_a_comment_is_none(tmp_path: Path) -> None:
    tokens = TokenFile(token_file(tmp_path, "# rotated in autumn\nold\n\n  new  \r\n"))
    assert tokens.accepts("Bearer old")
    assert tokens.accepts("Bearer new")
    assert not tokens.accepts("Bearer # rotated in autumn")


def test_a_changed_file_counts_at_once_even_with_the_same_size_in_the_same_instant(tmp_path: Path) -> None:
    path = token_file(tmp_path, "aaaa")
    tokens = TokenFile(path)
    for number in range(50):
        path.write_text(f"{number:04}", encoding="utf-8")
        assert tokens.accepts(f"Bearer {number:04}")
        assert not tokens.accepts("Bearer aaaa")


def test_a_file_that_has_settled_is_read_again_when_another_takes_its_place(tmp_path: Path) -> None:
    path = token_file(tmp_path, "aaaa")
    tokens = TokenFile(path, clock=lambda: time.time() + 3600)
    assert tokens.accepts("Bearer aaaa")
    fresh = tmp_path / "fresh"
    fresh.write_text("bbbb", encoding="utf-8")
    fresh.replace(path)
    assert tokens.accepts("Bearer bbbb")
    assert not tokens.accepts("Bearer aaaa")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "no token"), ("\n# only a comment\n", "no token"), ("two words", "white space"),
     ("x" * (FILE_BYTES_MAX + 1), "larger")],
)  # fmt: skip
def test_a_file_that_is_no_list_of_tokens_is_said_to_be_so(tmp_path: Path, text: str, reason: str) -> None:
    path = token_file(tmp_path, text)
    with pytest.raises(Unreadable, match=reason) as unreadable:
        TokenFile(path)
    assert str(path) in str(unreadable.value)
    assert "two words" not in str(unreadable.value)


def test_a_missing_file_a_folder_and_a_pipe_are_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", ".", "pipe"):
        with pytest.raises(Unreadable):
            TokenFile(tmp_path / name)


def test_a_file_that_disappears_raises_rather_than_letting_anybody_in_or_refusing(tmp_path: Path) -> None:
    path = token_file(tmp_path, "sesame")
    tokens = TokenFile(path)
    path.unlink()
    with pytest.raises(Unreadable):
        tokens.accepts("Bearer sesame")


def test_the_token_that_is_shown_to_others_is_the_first_one_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("# theirs\n\n first \nsecond\n")
    assert first_token(path) == "first"
    path.write_text("third\n")
    assert first_token(path) == "third"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "no token in it"), ("a b", "white space inside a token"), ("tökèn", "a character in the token")],
)
def test_a_file_without_a_token_to_show_says_why_and_not_what(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "t"
    path.write_text(text)
    with pytest.raises(Unreadable, match=reason) as caught:
        first_token(path)
    assert not text or text not in str(caught.value)
    path.unlink()
    with pytest.raises(Unreadable, match="No such file"):
        first_token(path)
