"""A text without personal data: all patterns, in an order in which none takes half of what another would find.

What is short and has nothing of which the patterns are made comes back at once.
"""

import re
from collections.abc import Callable

from guard.redaction import addresses, digits, mail, secrets
from guard.redaction.plain import DECODED_MAX, decoded, has_escapes, normal

Seen = Callable[[str], object]

# Words, and numbers of a few digits: nothing of that is personal by its looks.
_PLAIN = re.compile(r"[A-Za-z]{1,19}(?:[ _./-][A-Za-z]{1,19}){0,9}|[0-9]{0,8}")
_DIGITS = re.compile(r"[0-9][^0-9]{0,3}[0-9][^0-9]{0,3}[0-9]")


def _nobody(pattern: str) -> None:
    """Nobody counts."""


def redacted(text: str, *, seen: Seen = _nobody, address: addresses.Shown = addresses.masked) -> str:
    """`seen` is told the pattern of all that is found. `address` makes what stands for an address."""
    if _PLAIN.fullmatch(text):
        return text
    counted: list[str] = []
    found = _scanned(normal(text), counted.append, address)
    further = found
    for _ in range(DECODED_MAX):
        if not has_escapes(further):
            break
        before, further = further, normal(decoded(further))
        if further == before:
            break
        times = len(counted)
        further = _scanned(further, counted.append, address)
        if len(counted) > times:
            found = further
    if not counted:
        return text
    for pattern in counted:
        seen(pattern)
    return found


def _scanned(text: str, seen: Seen, address: addresses.Shown) -> str:
    text = secrets.told(text, seen)
    text = mail.hidden(text, seen)
    text = digits.accounts(text, seen) if len(text) >= 15 else text
    text = secrets.looking_so(text, seen)
    text = addresses.hidden(text, seen, address)
    return digits.hidden(text, seen) if _DIGITS.search(text) else text
