"""A text as a reader would take it.

An address that is percent-encoded, written with the escapes of JSON or HTML, in full-width characters, or with a joiner
of no width in it is the same address.
"""

import re
from urllib.parse import unquote_to_bytes

# An escape may be escaped again.
DECODED_MAX = 3
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(
    r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})|&#x([0-9A-Fa-f]{1,6});|&#([0-9]{1,7});|&(commat|period);"
)
_NAMED = {"commat": "@", "period": "."}
# In a form, a space is a plus.
_PLUS = re.compile(r"(?<=[0-9)])\+(?=[0-9(])")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# What has no width stands in a text without being seen: soft hyphens, joiners, marks of direction, selectors.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff]"
)


def normal(text: str) -> str:
    """One form for characters that mean the same; nothing where all is ASCII."""
    if text.isascii():
        return text
    import unicodedata  # large, and most texts are ASCII

    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text))
    return _BEYOND_ASCII.sub(lambda found: _digit(unicodedata.decimal(found[0], None), found[0]), text)


def decoded(text: str) -> str:
    """With one level of escapes undone."""
    if "%" in text:
        undone = _PERCENT.sub(lambda found: unquote_to_bytes(found[0]).decode(errors="replace"), text)
        text = _PLUS.sub(" ", undone) if undone != text else text
    if "\\" in text or "&" in text:
        text = _ESCAPE.sub(_meant, text)
    return text


def has_escapes(text: str) -> bool:
    return "%" in text or "\\" in text or "&" in text


def _digit(value: int | None, character: str) -> str:
    """Digits of other scripts are digits; dots and signs that only look like ours are ours."""
    return _LOOKS_LIKE.get(character, character) if value is None else str(value)


# A dash of whatever length, a full stop of another script.
_LOOKS_LIKE = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    **dict.fromkeys("\u3002\u06d4", "."),
}


def _meant(found: re.Match[str]) -> str:
    if found[5]:
        return _NAMED[found[5]]
    number = int(found[4]) if found[4] else int(found[1] or found[2] or found[3], 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        return found[0]
    return chr(number)
