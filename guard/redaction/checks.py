"""Check digits, and how to tell chance from words."""

import re

# Every other digit counts twice, as the sum of its digits.
_DOUBLED = str.maketrans("0123456789", "0246813579")
# Letters and digits as their kind: `l` for a small one, `u` for a large one, `d` for a digit. The rest goes.
_KINDS = {
    **dict.fromkeys(range(128)),
    **{ord(character): "l" for character in "abcdefghijklmnopqrstuvwxyz"},
    **{ord(character): "u" for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    **{ord(character): "d" for character in "0123456789"},
}
_RUNS = re.compile(r"l+|u+|d+")
# How often the kind changes, and how many are digits and capitals, each as a part of all. Drawn from letters and digits
# it is 1.2 in the middle; names of classes, which are small letters for the most part, stay below 0.9.
_CHANCE = 0.9
_PIECES = re.compile(r"[-_+/=.]+")
_PIECE_CHARACTERS = 16
_CHARACTERS = 20


def luhn(digits: str) -> bool:
    """Of the digits of a payment card."""
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def iban(account: str) -> bool:
    """`account` has digits and capital letters only."""
    moved = account[4:] + account[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def drawn(text: str) -> bool:
    """Whether letters and digits stand together as nobody writes them."""
    kinds = text.translate(_KINDS)
    digits, capitals = kinds.count("d"), kinds.count("u")
    if not digits:
        return False
    if len(kinds) >= _CHARACTERS and capitals and digits + capitals < len(kinds):
        changes = len(_RUNS.findall(kinds)) - 1
        if changes + digits + capitals >= _CHANCE * len(kinds):
            return True
    return any(_piece_drawn(piece) for piece in _PIECES.split(text) if len(piece) >= _PIECE_CHARACTERS)


def _piece_drawn(piece: str) -> bool:
    """Letters of one size with digits among them, as in hexadecimal numbers and many identifiers."""
    kinds = piece.translate(_KINDS)
    changes = len(_RUNS.findall(kinds)) - 1
    return changes >= 4 and kinds.count("d") >= 3 and changes * 5 >= len(kinds)
