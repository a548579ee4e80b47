"""Which door is meant: an explicit table of methods and paths, `{name}` standing for one part of a path."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

from guard.judge import Refusal
from guard.web.messages import Answer, Request
from guard.web.room import Room

Handler = Callable[[Request], Awaitable[Answer]]
_NO_PARTS: Mapping[str, str] = MappingProxyType({})


class Route(NamedTuple):
    """`door` is the name by which the table of needs knows it, where its path can be set. Where a door expects large
    bodies, `room` says how large, and how much all of them together."""

    method: str
    path: str
    handler: Handler
    body_bytes_max: int = 0
    door: str = ""
    room: Room | None = None

    @property
    def largest_body(self) -> int:
        return self.body_bytes_max if self.room is None else self.room.body_bytes_max

    @property
    def name(self) -> str:
        return self.door or f"{self.method} {self.path}"


class Found(NamedTuple):
    route: Route
    parts: Mapping[str, str]


class Routes:
    """A path without braces goes before one with them; HEAD is GET whose body is not sent."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._plain: dict[str, dict[str, Route]] = {}
        self._patterns: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in routes:
            if "{" in route.path:
                self._patterns.setdefault(tuple(route.path.split("/")), {})[route.method] = route
            else:
                self._plain.setdefault(route.path, {})[route.method] = route

    def find(self, method: str, path: str) -> Found:
        """Raises Refusal."""
        by_method, parts = self._at(path)
        route = by_method.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ",".join(sorted([*by_method, *(["HEAD"] if "GET" in by_method else [])]))
            raise Refusal(405, "method not allowed", {"Allow": allowed})
        return Found(route, parts)

    def _at(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]]:
        plain = self._plain.get(path)
        if plain is not None:
            return plain, _NO_PARTS
        words = tuple(map(unquote, path.split("/")))
        if "%" in path and "/".join(words) in self._plain and not any("/" in word for word in words):
            return self._plain["/".join(words)], _NO_PARTS
        for pattern, by_method in self._patterns.items():
            parts = _matched(pattern, words)
            if parts is not None:
                return by_method, parts
        raise Refusal(404, "not found")


def _matched(pattern: tuple[str, ...], words: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(words):
        return None
    parts = {}
    for expected, word in zip(pattern, words, strict=True):
        if expected[:1] == "{":
            if not word:
                return None
            parts[expected[1:-1]] = word
        elif expected != word:
            return None
    return parts
