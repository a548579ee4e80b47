"""Which door is meant."""

from __future__ import annotations

import pytest

from guard.judge import Refusal
from guard.web.messages import Answer, Request, text_answer
from guard.web.routes import Route, Routes


async def answer(_: Request) -> Answer:
    return text_answer("")


ROUTES = Routes(
    (
        Route("GET", "/", answer),
        Route("GET", "/a", answer),
        Route("POST", "/a", answer),
        Route("GET", "/a/{name}", answer),
        Route("GET", "/a/known", answer, door="GET /elsewhere"),
        Route("POST", "/a/{name}/b/{other}", answer),
    )
)


@pytest.mark.parametrize(
    ("method", "path", "name", "parts"),
    [
        ("GET", "/", "GET /", {}),
        ("HEAD", "/a", "GET /a", {}),
        ("POST", "/a", "POST /a", {}),
        ("GET", "/a/x", "GET /a/{name}", {"name": "x"}),
        ("GET", "/a/x%20%2Fy", "GET /a/{name}", {"name": "x /y"}),
        ("GET", "/a/known", "GET /elsewhere", {}),
        ("GET", "/%61", "GET /a", {}),
        ("POST", "/a/x/b/%C3%A9", "POST /a/{name}/b/{other}", {"name": "x", "other": "é"}),
    ],
)
def test_a_path_leads_to_its_door(method: str, path: str, name: str, parts: dict[str, str]) -> None:
    found = ROUTES.find(method, path)
    assert (found.route.name, dict(found.parts)) == (name, parts)


@pytest.mark.parametrize(
    "path", ["/b", "/a/", "/a//b/x", "//", "/a/x/b", "/a/x/b/y/z", "/a%2Fknown", "/%2F", "/../a", ""]
)
def test_what_is_not_there_is_a_404(path: str) -> None:
    with pytest.raises(Refusal) as raised:
        ROUTES.find("GET", path)
    assert raised.value.status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/a", "GET,HEAD,POST"),
        ("GET", "/a/x/b/y", "POST"),
        ("POST", "/", "GET,HEAD"),
        ("HEAD", "/a/x/b/y", "POST"),
    ],
)
def test_the_wrong_method_is_a_405_that_names_the_right_ones(method: str, path: str, allowed: str) -> None:
    with pytest.raises(Refusal) as raised:
        ROUTES.find(method, path)
    assert (raised.value.status, raised.value.headers) == (405, {"Allow": allowed})
