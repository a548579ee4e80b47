"""Regular expressions over what a target has sent. None of them can hold up the exporter.

Python's expressions go back and try again, and nobody can interrupt them. So one that can do so for long is tried in a
process of its own, which is ended with the probe; the others, plain words mostly, are quick enough to be tried here.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress

from exporter.mapping.pattern import CHOICES_MAX, LOOKED_AT_CHARACTERS_MAX, varying
from exporter.probes.attempt import Failed

# So many at once; others wait.
PROCESSES_MAX = 2
# In an expression over a short text that is tried here: the worst takes some milliseconds.
SHORT_REPETITIONS_MAX = 2

_PROGRAM = """\
import json, re, sys
asked = json.load(sys.stdin)
texts = asked["texts"]
json.dump([re.search(expression, texts[place]) is not None for expression, place in asked["pairs"]], sys.stdout)
"""


class Matching:
    def __init__(self) -> None:
        self._processes = asyncio.Semaphore(PROCESSES_MAX)

    async def search(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether each expression is found in its text. Raises Failed."""
        costly = [pair for pair in pairs if not is_quick(*pair)]
        elsewhere = dict(zip(costly, await self._elsewhere(costly), strict=True)) if costly else {}
        return [elsewhere[pair] if pair in elsewhere else re.search(pair[0], pair[1]) is not None for pair in pairs]

    async def _elsewhere(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        texts = list(dict.fromkeys(text for _, text in pairs))
        asked = {"texts": texts, "pairs": [(expression, texts.index(text)) for expression, text in pairs]}
        async with self._processes:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _PROGRAM), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
            try:
                said, _ = await process.communicate(json.dumps(asked).encode())
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        process.kill()
                    await asyncio.shield(process.wait())
        if process.returncode != 0:
            raise Failed("content", "the regular expressions could not be tried")
        return list(json.loads(said))


def is_quick(expression: str, text: str) -> bool:
    """Whether it takes no longer than the text is long, about; or the text is so short that it does not matter."""
    try:
        found = varying(expression)
    except ValueError:
        return False
    if len(text) <= LOOKED_AT_CHARACTERS_MAX and found.repetitions <= SHORT_REPETITIONS_MAX:
        return found.choices <= CHOICES_MAX
    return found.repetitions == 0 and found.choices <= CHOICES_MAX
