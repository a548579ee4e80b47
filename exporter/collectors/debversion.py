"""Which of two versions of a Debian package is the later one, as dpkg compares them.

A version is `[epoch:]upstream[-revision]`. Parts that are no digits and parts that are digits are compared in turn: the
former by letters before all else, with `~` before even the end, the latter as numbers.
"""

import re

_PART = re.compile(rb"([^0-9]*)([0-9]*)")
# By what comes first: `~`, the end, letters, everything else.
_TILDE, _END, _LETTER, _OTHER = range(4)
_ORDER = bytes(
    _TILDE if chr(each) == "~" else _LETTER if each < 128 and chr(each).isalpha() else _OTHER for each in range(256)
)

# What sorts as versions do.
Key = tuple[int, tuple[object, ...], tuple[object, ...]]


def key(version: bytes) -> Key:
    """An epoch that is no number is 0, as what follows is all that is left to compare."""
    epoch, colon, rest = version.partition(b":")
    if not colon or not epoch.isdigit():
        epoch, rest = b"0", version
    upstream, _, revision = rest.rpartition(b"-") if b"-" in rest else (rest, b"", b"")
    return int(epoch), _parts(upstream), _parts(revision)


def _parts(text: bytes) -> tuple[object, ...]:
    """Parts that are no digits and numbers in turn. What ends sooner is followed by an end and 0, for ever."""
    found: list[object] = []
    for letters, digits in _PART.findall(text or b"0"):
        if letters or digits:
            found += [_weights(letters), int(digits or b"0")]
    return (*found, _weights(b""))


def _weights(letters: bytes) -> tuple[int, ...]:
    """One number a character, and one for the end, which is later than `~` and sooner than any other character."""
    return (*(_ORDER[each] * 256 + each for each in letters), _END * 256)
