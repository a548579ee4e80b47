"""What is made of digits: cards, accounts, telephones, places on the map, and other long numbers."""

import re
from collections.abc import Callable

from guard.redaction import checks

Seen = Callable[[str], object]


_WORDS_TAKEN = 4
_CARD_DIGITS = range(13, 20)
_CARD_GROUPS = 8
_IBAN = re.compile(
    r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?:[ -]?[0-9A-Za-z]{4}){2,7}(?:[ -]?[0-9A-Za-z]{1,3})?(?![0-9A-Za-z])"
)
_IBAN_CHARACTERS = range(15, 35)
_RUN = re.compile(r"[0-9](?:[ .\-/]{0,2}[0-9]){12,}")
_GROUP = re.compile(r"[0-9]+")
# As cards are written, their first group has three digits at least.
_FIRST_DIGITS = 3
_LONG_GROUP = re.compile(r"[0-9]{3}")
_SSN = re.compile(r"(?<![0-9])(?<![0-9]-)[0-9]{3}([ -])[0-9]{2}\1[0-9]{4}(?!-?[0-9])")
_PLACE = re.compile(r"-?(?<![0-9])[0-9]{1,3}\.[0-9]{4,}\s{0,2}[,; /]\s{0,2}-?[0-9]{1,3}\.[0-9]{4,}")
_WITH_PREFIX = re.compile(r"(?:(?<![0-9])\+|(?<![0-9A-Za-z,:_-])(?<![0-9]\.)00)(?:[ ().\-/]{0,3}[0-9]){7,15}")
_NATIONAL = re.compile(
    r"(?<![0-9])(?<![0-9][-/.])"
    r"(?:\(?[0-9]{3}\)?[ .\-]{1,2}[0-9]{3}[ .\-][0-9]{4}"  # North America
    r"|[0-9]{3} [0-9]{3} [0-9]{3}|[0-9]{5} [0-9]{5})(?![0-9])"
)
# Where a zero stands before the number of the place.
_FROM_ZERO = re.compile(r"(?<![0-9A-Za-z,:-])(?<![0-9]\.)\(?0[1-9][0-9]{0,4}\)?(?:[ /.\-]{1,3}[0-9]{2,}){1,5}")
_FROM_ZERO_DIGITS = range(9, 14)
_DATE = re.compile(r"[0-9]{2}([./-])[0-9]{2}\1(?:19|20)[0-9]{2}(?![0-9])")
# Parts of a second in a time are none.
_LONG = re.compile(r"(?<!:[0-9]{2}[.,])(?<![0-9])[0-9]{9,}")


def accounts(text: str, seen: Seen) -> str:
    """Of banks. This comes before what looks drawn by chance, as they do."""
    return _IBAN.sub(lambda found: _account(found[0], seen), text)


def hidden(text: str, seen: Seen) -> str:
    """For texts with digits in them."""

    def say(pattern: str) -> Callable[[re.Match[str]], str]:
        def said(found: re.Match[str]) -> str:  # noqa: ARG001 - what stood there is not told
            seen(pattern)
            return f"[{pattern.upper()}]"

        return said

    text = _RUN.sub(lambda found: _cards(found[0], seen), text)
    text = _PLACE.sub(say("location"), text)
    text = _SSN.sub(say("ssn"), text)
    text = _WITH_PREFIX.sub(say("phone"), text)
    text = _NATIONAL.sub(say("phone"), text)
    text = _FROM_ZERO.sub(lambda found: _from_zero(found[0], seen), text)
    return _LONG.sub(say("number"), text)


def _account(text: str, seen: Seen) -> str:
    """Words that follow may have been taken for a part of it."""
    end = len(text)
    for _ in range(_WORDS_TAKEN):
        bare = text[:end].replace(" ", "").replace("-", "").upper()
        if len(bare) not in _IBAN_CHARACTERS:
            break
        if checks.iban(bare):
            seen("iban")
            return f"[IBAN]{text[end:]}"
        end = text.rfind(" ", 0, end)
        if end < 0:
            break
    return text


def _cards(run: str, seen: Seen) -> str:
    """A date may stand before a card, and another number behind it: so each group of digits may be the first one."""
    if not _LONG_GROUP.search(run):
        return run
    groups = list(_GROUP.finditer(run))
    done: list[str] = []
    at = first = 0
    while first < len(groups):
        end = _card_end(groups, first) if len(groups[first][0]) >= _FIRST_DIGITS else None
        if end is None:
            first += 1
            continue
        seen("card")
        done += [run[at : groups[first].start()], "[CARD]"]
        at = groups[end].end()
        first = end + 1
    return "".join([*done, run[at:]])


def _card_end(groups: list[re.Match[str]], first: int) -> int | None:
    """The last of the groups that make a card with the first one."""
    digits = ""
    found = None
    for place in range(first, min(first + _CARD_GROUPS, len(groups))):
        digits += groups[place][0]
        if len(digits) >= _CARD_DIGITS.stop:
            break
        if len(digits) in _CARD_DIGITS and checks.luhn(digits):
            found = place
    return found


def _from_zero(text: str, seen: Seen) -> str:
    count = sum(map(len, _GROUP.findall(text)))
    if count not in _FROM_ZERO_DIGITS or _DATE.match(text.lstrip("(")):
        return text
    seen("phone")
    return "[PHONE]"
