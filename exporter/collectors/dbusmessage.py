"""What goes over a D-Bus socket: calls into bytes, and bytes into answers, as the specification lays them out.

Values have a signature that says what they are, and begin at multiples of their size. Everything has a limit; bytes
that do not fit their signature end in `Garbled`, `struct.error`, `IndexError` or `KeyError`, and nothing else. Nothing
here knows sockets.
"""

import struct
from functools import lru_cache
from typing import NamedTuple

DEPTH_MAX = 16
VALUES_MAX = 500_000
CALLS_KEPT_MAX = 4096

CALL, RETURN, ERROR = 1, 2, 3
# An answer is wanted, and nobody shall be started to give it.
NO_AUTO_START = 2
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SIGNATURE = 1, 2, 3, 4, 5, 6, 8
ORDERS = {ord("l"): "<", ord("B"): ">"}
# What has one size: its letter in Python, and the size, which is the alignment too.
FIXED = {
    "y": ("B", 1),
    "b": ("I", 4),
    "n": ("h", 2),
    "q": ("H", 2),
    "i": ("i", 4),
    "u": ("I", 4),
    "x": ("q", 8),
    "t": ("Q", 8),
    "d": ("d", 8),
    "h": ("I", 4),
}
UNPACK = {
    order: {code: (struct.Struct(order + letter).unpack_from, size) for code, (letter, size) in FIXED.items()}
    for order in ORDERS.values()
}
ALIGNMENT = {code: size for code, (_, size) in FIXED.items()} | {"s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8, "{": 8}


class Garbled(ValueError):
    """The other side does not speak D-Bus, or says more than anybody wants to know."""


class Call(NamedTuple):
    """A method of an object, with texts as arguments."""

    path: str
    interface: str
    member: str
    arguments: tuple[str, ...] = ()


class Answer(NamedTuple):
    """What the method gave back, or the name of the error and its text."""

    values: tuple[object, ...]
    error: str = ""


def message(serial: int, call: Call, destination: str) -> bytes:
    """A call as it is sent, with its number."""
    written = without_serial(call, destination)
    return written[:8] + struct.pack("<I", serial) + written[12:]


# The same is asked at each scrape.
@lru_cache(maxsize=CALLS_KEPT_MAX)
def without_serial(call: Call, destination: str) -> bytes:
    """A head of fields, each of which begins at a multiple of eight, and the arguments."""
    body = b""
    for argument in call.arguments:
        body = padded(body, 4) + text(argument)
    fields = field(PATH, "o", text(call.path))
    fields = padded(fields, 8) + field(INTERFACE, "s", text(call.interface))
    fields = padded(fields, 8) + field(MEMBER, "s", text(call.member))
    if destination:
        fields = padded(fields, 8) + field(DESTINATION, "s", text(destination))
    if call.arguments:
        signature = "s" * len(call.arguments)
        fields = padded(fields, 8) + field(SIGNATURE, "g", bytes((len(signature),)) + signature.encode() + b"\0")
    head = struct.pack("<cBBBIII", b"l", CALL, NO_AUTO_START, 1, len(body), 0, len(fields))
    return padded(head + fields, 8) + body


def field(code: int, kind: str, value: bytes) -> bytes:
    return bytes((code, 1)) + kind.encode() + b"\0" + value


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<I", len(encoded)) + encoded + b"\0"


def padded(content: bytes, alignment: int) -> bytes:
    return content + bytes(-len(content) % alignment)


def aligned(position: int, alignment: int) -> int:
    return position + -position % alignment


def answer_of(content: bytes, order: str, start: int) -> tuple[int, Answer | None]:
    """Of the fields only those are kept that say what the message answers and how to read it."""
    kind = content[1]
    if kind not in (RETURN, ERROR):
        return 0, None
    known = fields_of(content, order)
    serial, signature = known.get(REPLY_SERIAL), known.get(SIGNATURE, "")
    if not isinstance(serial, int) or not isinstance(signature, str):
        raise Garbled("found an answer to nothing, expected one to a question")
    values = Reader(content[start:], order).values(signature)
    error = ""
    if kind == ERROR:
        name = known.get(ERROR_NAME)
        shown = name.decode("utf-8", errors="backslashreplace") if isinstance(name, bytes) else "an error"
        error = ": ".join((shown, *map(str, values[:1])))
    return serial, Answer(values, error)


def fields_of(content: bytes, order: str) -> dict[int, object]:
    """The head's fields by number. Those that D-Bus knows have one of four types; reading others takes longer."""
    unpack = UNPACK[order]["u"][0]
    end = 16 + unpack(content, 12)[0]
    known: dict[int, object] = {}
    at = 16
    while at < end:
        at += -at % 8
        code, kind = content[at], content[at + 1 : at + 4]
        at += 4
        if kind == b"\1u\0":
            known[code] = unpack(content, at)[0]
            at += 4
        elif kind in (b"\1s\0", b"\1o\0"):
            stop = at + 4 + unpack(content, at)[0]
            known[code] = content[at + 4 : stop]
            at = stop + 1
        elif kind == b"\1g\0":
            stop = at + 1 + content[at]
            known[code] = content[at + 1 : stop].decode("ascii", errors="replace")
            at = stop + 1
        else:
            reader = Reader(content, order, at=at - 3)
            reader.value("v")
            at = reader.at
    return known


class Reader:
    """Takes values out of bytes by their signature; what it points to beyond the end is a `struct.error`."""

    def __init__(self, content: bytes, order: str, *, at: int = 0) -> None:
        self._content = content
        self.at = at
        self._fixed = UNPACK[order]
        self._uint = self._fixed["u"][0]
        self._count = 0

    def values(self, signature: str) -> tuple[object, ...]:
        found, index = [], 0
        while index < len(signature):
            value, index = self._one(signature, index, 0)
            found.append(value)
        return tuple(found)

    def value(self, signature: str) -> object:
        return self._one(signature, 0, 0)[0]

    def _one(self, signature: str, index: int, depth: int) -> tuple[object, int]:
        """The value that the signature has at this place, and the place after its part of the signature."""
        code = signature[index]
        self._counted(1)
        if code in "so":
            return self._text(), index + 1
        if code in self._fixed:
            unpack, size = self._fixed[code]
            at = self.at + -self.at % size
            self.at = at + size
            return unpack(self._content, at)[0], index + 1
        if depth >= DEPTH_MAX:
            raise Garbled(f"found values within values, expected at most {DEPTH_MAX} deep")
        if code == "g":
            return self._short_text(), index + 1
        if code == "v":
            inner = self._short_text()
            return self._one(inner, 0, depth + 1)[0], index + 1
        if code == "a":
            return self._array(signature, index + 1, depth + 1)
        if code in "({":
            self.at = aligned(self.at, 8)
            return self._struct(signature, index + 1, ")" if code == "(" else "}", depth + 1)
        raise Garbled(f"found the type {code!r}, expected one of D-Bus")

    def _array(self, signature: str, index: int, depth: int) -> tuple[object, int]:
        (size,) = self._uint(self._content, aligned(self.at, 4))
        start = aligned(aligned(self.at, 4) + 4, ALIGNMENT[signature[index]])
        end = start + size
        after = end_of(signature, index, depth)
        if end > len(self._content):
            raise Garbled(f"found an array of {size} bytes, expected no more than the message has")
        self.at = start
        if signature[index] == "(" and not signature[index + 1 : after - 1].strip("sou"):
            return self._rows(signature[index + 1 : after - 1], end), after
        found = []
        while self.at < end:
            value, _ = self._one(signature, index, depth)
            found.append(value)
        if self.at != end:
            raise Garbled("found an array that ends within a value, expected whole values")
        return found, after

    def _counted(self, values: int) -> None:
        """Nothing is not a value: an array of it would have no end."""
        self._count += values
        if not values or self._count > VALUES_MAX:
            raise Garbled(f"found no values, or more of them, expected at most {VALUES_MAX} in a message")

    def _rows(self, codes: str, end: int) -> list[tuple[str | int, ...]]:
        """Many structures of texts and numbers of four bytes, in one go, as there are thousands of them."""
        content, unpack, at = self._content, self._uint, self.at
        rows = []
        while at < end:
            at += -at % 8
            row: list[str | int] = []
            for code in codes:
                at += -at % 4
                size = unpack(content, at)[0]
                at += 4
                if code == "u":
                    row.append(size)
                    continue
                stop = at + size
                if content[stop] != 0:
                    raise Garbled("found a text that goes on, expected a zero after it")
                row.append(content[at:stop].decode("utf-8", errors="backslashreplace"))
                at = stop + 1
            self._counted(len(row))
            rows.append(tuple(row))
        self.at = at
        if at != end:
            raise Garbled("found an array that ends within a value, expected whole values")
        return rows

    def _struct(self, signature: str, index: int, closing: str, depth: int) -> tuple[object, int]:
        found = []
        while signature[index] != closing:
            value, index = self._one(signature, index, depth)
            found.append(value)
        if not found:
            raise Garbled("found a value of nothing, expected something")
        return tuple(found), index + 1

    def _text(self) -> str:
        at = self.at + -self.at % 4
        (size,) = self._uint(self._content, at)
        return self._characters(at + 4, size)

    def _short_text(self) -> str:
        return self._characters(self.at + 1, self._content[self.at])

    def _characters(self, start: int, size: int) -> str:
        end = start + size
        # The zero after it is there, so nothing points beyond the end.
        if self._content[end] != 0:
            raise Garbled("found a text that goes on, expected a zero after it")
        self.at = end + 1
        return self._content[start:end].decode("utf-8", errors="backslashreplace")


def end_of(signature: str, index: int, depth: int = 0) -> int:
    """The place after the one complete type that begins here."""
    if depth >= DEPTH_MAX:
        raise Garbled(f"found types within types, expected at most {DEPTH_MAX} deep")
    code = signature[index]
    if code == "a":
        return end_of(signature, index + 1, depth + 1)
    if code not in "({":
        return index + 1
    closing = ")" if code == "(" else "}"
    index += 1
    while signature[index] != closing:
        index = end_of(signature, index, depth + 1)
    return index + 1
