"""What may be done with the values of a field. Each way is a function from the text to what is left of it."""

import hashlib
from collections.abc import Callable
from functools import partial

from guard.redaction import addresses, path, sql
from guard.redaction.text import redacted

Seen = Callable[[str], object]
Way = Callable[[str], str]

MASK = "[MASKED]"
# Of what is left. What is longer is read so much further, or half of an address might stand where it is cut.
CHARACTERS_MAX = 1_000
MARGIN_CHARACTERS = 256
_HASH_BYTES = 6


def way(policy: str, *, seen: Seen, key: bytes) -> Way:
    """`key` is that of hashes. KeyError for a policy that there is not."""
    ways: dict[str, Way] = {
        "keep": lambda text: text[:CHARACTERS_MAX],
        "mask": partial(_masked, seen=seen),
        "drop": partial(_dropped, seen=seen),
        "hash": partial(_hashed, seen=seen, key=key),
        "truncate": partial(_cut, way=partial(redacted, seen=seen, address=addresses.network)),
        "template": partial(_templated, seen=seen),
        "sql": partial(_statement, seen=seen),
        "patterns": partial(_cut, way=partial(redacted, seen=seen)),
    }
    return ways[policy]


def _masked(text: str, *, seen: Seen) -> str:
    if text:
        seen("field")
    return MASK if text else ""


def _dropped(text: str, *, seen: Seen) -> str:
    if text:
        seen("field")
    return ""


def _hashed(text: str, *, seen: Seen, key: bytes) -> str:
    """Keyed, or whoever has a list of addresses could try them all."""
    if not text:
        return ""
    seen("field")
    return f"#{hashlib.blake2b(text.encode(errors='replace'), key=key[:64], digest_size=_HASH_BYTES).hexdigest()}"


def _templated(text: str, *, seen: Seen) -> str:
    """A statement, a path, or neither: what it is shows."""
    if sql.is_statement(text):
        return _cut(text, way=partial(sql.template, seen=seen))
    if "/" in text or "?" in text:
        return _cut(text, way=partial(path.template, seen=seen))
    return _cut(text, way=partial(redacted, seen=seen))


def _statement(text: str, *, seen: Seen) -> str:
    """What is none, and has more than one word, is what somebody looked for."""
    if sql.is_statement(text):
        return _cut(text, way=partial(sql.template, seen=seen))
    if any(map(str.isspace, text.strip())):
        return _masked(text, seen=seen)
    return _cut(text, way=partial(redacted, seen=seen))


def _cut(text: str, *, way: Way) -> str:
    """No pattern may know what stands at the end of a text that was cut; so what is kept ends before that."""
    if len(text) <= CHARACTERS_MAX:
        return way(text)[:CHARACTERS_MAX]
    return way(text[: CHARACTERS_MAX + MARGIN_CHARACTERS])[:-MARGIN_CHARACTERS][:CHARACTERS_MAX]
