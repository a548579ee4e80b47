"""Yes and no, as applications spell them: the same as in the bundled rules."""

from __future__ import annotations

import re

from exporter.mapping.bundled.words import FALSE

_NO = re.compile(FALSE)


def is_accepted(text: str | None) -> bool:
    """Unless it was refused: who does not say so was let in."""
    return _NO.fullmatch(text or "") is None
