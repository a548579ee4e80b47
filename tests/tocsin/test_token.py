"""`tocsin token`: what it prints lets in, and only with the token."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

import pytest

from guard.access import Access, Approach
from guard.callers import Caller, Role
from guard.webconfig import WebConfig
from tocsin import token


def made(*arguments: str) -> tuple[str, str]:
    """The token, and the line for the file."""
    out = io.StringIO()
    assert token.main(arguments, out=out) == 0
    found = re.search(r"once:\n\n    (\S+)\n\nbelow `tokens:` in web.yml:\n\n    - (.*)\n$", out.getvalue())
    assert found is not None, out.getvalue()
    return found[1], found[2]


@pytest.mark.parametrize(
    ("arguments", "caller"),
    [
        (["deploy-bot", "--role=responder"], Caller(Role.RESPONDER, "deploy-bot")),
        (["am", "--role=source", "--sources=eu1, us1,eu1"], Caller(Role.SOURCE, "am", ("eu1", "us1"))),
        (["Zoë's#{laptop}", "--role=admin"], Caller(Role.ADMIN, "Zoë's#{laptop}")),
        (["5", "--role=viewer"], Caller(Role.VIEWER, "5")),
    ],
)
def test_the_line_lets_the_token_in(tmp_path: Path, arguments: list[str], caller: Caller) -> None:
    secret, line = made(*arguments)
    assert secret not in line
    (tmp_path / "web.yml").write_text(f"tokens:\n  - {line}\n")
    access = Access(WebConfig(tmp_path / "web.yml", environ={}))
    assert asyncio.run(access.who(Approach("192.0.2.7", f"Bearer {secret}"))) == caller


def test_no_two_tokens_are_the_same_and_each_is_long_enough() -> None:
    first, second = (made("bot", "--role=viewer")[0] for _ in range(2))
    assert first != second
    assert len(first.removeprefix("tocsin_")) == 43  # 256 bits, six in a character


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bot"], "--role"),
        (["bot", "--role=boss"], "choose from 'viewer', 'responder', 'admin', 'source')"),
        (["a b", "--role=viewer"], "expected 1 to 64 characters without white space"),
        (["a:b", "--role=viewer"], "expected 1 to 64 characters without white space"),
        (["bot", "--role=viewer", "--sources=eu1"], "--sources is for the role source"),
        (["bot", "--role=source", "--sources=eu1,"], "expected names of sources with commas between"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        token.main(arguments)
    assert raised.value.code == 2
    assert said in capsys.readouterr().err
