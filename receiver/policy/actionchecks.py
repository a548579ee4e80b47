"""What no single place of an action shows: what does not go together, placeholders and patterns that do not meet."""

from __future__ import annotations

import re
from collections.abc import Iterator

from receiver.policy.arguments import placeholders
from receiver.policy.shapes import Path, Told, items, listed


def action_faults(actions: object) -> Iterator[Told]:
    """Each is given as it was written, whatever its shape is."""
    for name, action in items(actions):
        path, written = ("actions", name), {key: value for key, value in items(action) if value is not None}
        ways = [key for key in ("command", "webhook") if key in written]
        if len(ways) != 1:
            found = " and ".join(f"`{key}`" for key in ways) or "nothing to run"
            yield path, found, "either `command` or `webhook`"
        yield from _command(path, written)


def _command(path: Path, action: dict[str, object]) -> Iterator[Told]:
    command = [each if isinstance(each, str) else "" for each in listed(action.get("command"))]
    patterns = dict(items(action.get("arguments")))
    if command and (not command[0].startswith("/") or placeholders(command[0])):
        yield (*path, "command", 0), f"{command[0]!r}", "the absolute path of a program, without placeholders"
    for index, argument in enumerate(command[1:], start=1):
        for name in placeholders(argument):
            if name not in patterns:
                yield (*path, "command", index), f"{{{name}}} without a pattern", f"`{name}` in `arguments`"
    used = {name for argument in command for name in placeholders(argument)}
    for name, pattern in patterns.items():
        if name not in used:
            yield (*path, "arguments", name), "a pattern for nothing", f"{{{name}}} in `command`"
        if isinstance(pattern, str) and (problem := _problem(pattern)):
            yield (*path, "arguments", name), f"{pattern!r}", f"a regular expression that compiles ({problem})"


def _problem(pattern: str) -> str | None:
    try:
        re.compile(pattern, re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return None
