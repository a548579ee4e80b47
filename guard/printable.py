"""Text from anywhere, made fit for somebody's terminal: an escape sequence in a label must not drive it."""


def printable(text: str, characters_max: int | None = None) -> str:
    """One line that a terminal only shows. What does not print becomes an escape; what is too long ends with …."""
    cut = text if characters_max is None or len(text) <= characters_max else text[: characters_max - 1] + "…"
    return cut if cut.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in cut)
