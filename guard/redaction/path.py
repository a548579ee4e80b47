"""URLs and paths as templates: /users/12345/orders?page=2 is /users/[ID]/orders.

What a framework has made a template already ({id}, :id, <int:id>) stays. A query and a fragment go as a whole.
"""

import re
from collections.abc import Callable

from guard.redaction.checks import drawn
from guard.redaction.plain import DECODED_MAX, decoded, has_escapes, normal
from guard.redaction.text import redacted

Seen = Callable[[str], object]

ID = "[ID]"
# Of a path; what is deeper ends with an ellipsis.
SEGMENTS_MAX = 20
SEGMENT_CHARACTERS_MAX = 60
# Nothing but words and templates. Each segment begins with a slash, so this cannot go back and forth.
_WORDS = re.compile(r"(?:/[A-Za-z_{}<>:*-]{0,20}){1,20}")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}:)?//([^/?#\s]{0,300})")
_TEMPLATE = re.compile(
    r"\{\w{0,40}(?::[^{}/@]{0,60})?\}|\[[A-Za-z_.]+\]|:[A-Za-z_]\w*(?:\([^()/]*\))?\??|<(?:\w+:)?\w+>|\(\?P<\w+>[^/]*\)|\*{1,2}"
)
_NUMBER = re.compile(r"[0-9]+")
# Numbers that belong to a word: v2, oauth2, sha256, utf-8. Longer ones, or behind a sign, are somebody's.
_MANY_DIGITS = re.compile(r"(?<![0-9])(?<=[-_.~+,=:!@()])[0-9]{3,}|[0-9]{4,}")
_SHORT_HEXADECIMAL = re.compile(r"(?=[a-f]{0,40}[0-9])(?=[0-9]{0,40}[a-f])[0-9a-f]{8,}", re.IGNORECASE)
_SOMEBODY = re.compile(r"[@~][\w.-]+")
_SPACES = re.compile(r"(\s+)")


def template(text: str, seen: Seen) -> str:
    """A path, a URL, or words of which some are: GET /users/7 HTTP/1.1."""
    if _WORDS.fullmatch(text):
        return text
    if any(map(str.isspace, text)):  # what has spaces in it must be found before the pieces are apart
        text = redacted(text, seen=seen)
    return "".join(
        piece
        if piece.isspace()
        else _template(piece, seen)
        if "/" in piece or "?" in piece
        else redacted(piece, seen=seen)
        for piece in _SPACES.split(text)
        if piece
    )


def _template(text: str, seen: Seen) -> str:
    place = re.search(r"[?#]", text)
    if place is not None and not _is_template(text, place.start()):
        if len(text) > place.end():
            seen("query")
        text = text[: place.start()]
    host = _ADDRESS.match(text)
    if host is None:
        return _path(text, seen)
    name = host[2].rpartition("@")
    if name[1]:
        seen("user")
    return f"{host[1] or ''}//{redacted(name[2], seen=seen)}{_path(text[host.end() :], seen)}"


def _is_template(text: str, place: int) -> bool:
    """Patterns of frameworks have question marks in them."""
    return text.startswith("^") or text[max(place - 1, 0) : place] == "(" or text[place - 1 : place + 1] == "*?"


def _path(text: str, seen: Seen) -> str:
    segments = text.split("/")
    kept = segments[: SEGMENTS_MAX + 1]
    done = [_segment(segment, seen) if segment else "" for segment in kept]
    return "/".join(done if len(kept) == len(segments) else [*done, "…"])


def _segment(segment: str, seen: Seen) -> str:
    if _TEMPLATE.fullmatch(segment) and redacted(segment) == segment:
        return segment
    for _ in range(DECODED_MAX):
        if not has_escapes(segment):
            break
        segment = decoded(segment)
    name, parameters, _ = normal(segment).partition(";")
    if parameters:
        seen("query")
    if _SOMEBODY.fullmatch(name):
        seen("user")
        return f"{name[0]}[USER]"
    if _NUMBER.fullmatch(name) or _SHORT_HEXADECIMAL.fullmatch(name) or len(name) > SEGMENT_CHARACTERS_MAX:
        seen("id")
        return ID
    found = redacted(name, seen=seen)
    if found != name:
        return found.replace("/", " ")
    if len(name) >= 12 and drawn(name):
        seen("id")
        return ID
    return _MANY_DIGITS.sub(lambda _: _counted(seen), name).replace("/", " ")


def _counted(seen: Seen) -> str:
    seen("id")
    return ID
