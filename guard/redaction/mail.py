"""E-mail addresses, also in scripts of all the world.

Each @ is looked at once, and the characters around it: so it costs no more in a text of nothing but @.
"""

import re
from collections.abc import Callable

_LOCAL_CHARACTERS = 64
_DOMAIN_CHARACTERS = 255
# From the @ to the left, so written backwards. What separates parts of a URL is none, though a mailbox may have it.
_LOCAL = re.compile(r"[\w.!#$%'*+=^~-]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.){1,64}"')
_DOMAIN = re.compile(r"\[[0-9A-Za-z:.]{2,50}\]|\w(?:[\w.-]*\w)?")
_VERSION = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){0,2}")


def hidden(text: str, seen: Callable[[str], object]) -> str:
    pieces = text.split("@")
    if len(pieces) == 1:
        return text
    done = [pieces[0]]
    for after in pieces[1:]:
        before = done[-1]
        domain = _DOMAIN.match(after[:_DOMAIN_CHARACTERS])
        taken = _local(before)
        if domain is None or not taken or _VERSION.fullmatch(domain[0]):
            done += ["@", after]
            continue
        seen("email")
        done[-1] = before[: len(before) - taken]
        done += ["[EMAIL]", after[domain.end() :]]
    return "".join(done)


def _local(before: str) -> int:
    """How many characters to the left of the @ belong to the address."""
    near = before[: -_LOCAL_CHARACTERS - 3 : -1]
    found = _QUOTED.match(near) or _LOCAL.match(near[:_LOCAL_CHARACTERS])
    return 0 if found is None else found.end()
