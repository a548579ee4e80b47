"""Which file is of which kind: by its name, by its first lines, or by its top-level keys.

Nothing here judges a file.
"""

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from guard import document
from guard.configfile import Kind, schema
from guard.shape import resolved
from tocsin.promcheck import ALERTMANAGER, CONFIGURATION, PROMETHEUS_FILES, RULE_TESTS, RULES, PrometheusFile
from tocsin.schemas import file_name

AnyKind: TypeAlias = Kind[Any] | PrometheusFile

SKIPPED_FOLDERS = frozenset(["data", "node_modules", "__pycache__", "venv", "build", "dist"])
YAML_SUFFIXES = (".yml", ".yaml")
HINT_LINES_MAX = 10
_HINT = re.compile(r"#\s*yaml-language-server:\s*\$schema=(\S+)")


def find(folder: Path, kinds: Sequence[Kind[Any]]) -> Iterator[tuple[Path, AnyKind]]:
    """Every file below a folder that is known by its name, in a stated order."""
    for here, folders, names in os.walk(folder):
        inside = PurePath(folder.name, Path(here).relative_to(folder))
        folders[:] = sorted(name for name in folders if _entered(name, inside))
        for name in sorted(names):
            kind = by_name(inside / name, kinds)
            if kind is not None:
                yield Path(here, name), kind


def by_name(path: PurePath, kinds: Sequence[Kind[Any]]) -> AnyKind | None:
    """The kind of a file as far as its name and the folders around it tell."""
    for kind in kinds:
        if any(_matches(path, pattern) for pattern in kind.file_names):
            return kind
    if path.suffix not in YAML_SUFFIXES:
        return None
    if path.stem in ("prometheus", "alertmanager"):
        return CONFIGURATION if path.stem == "prometheus" else ALERTMANAGER
    around = path.parent.parts
    if "rules" not in around:
        return None
    below = around[around.index("rules") + 1 :]
    # The catalogue is what rules are generated from; Prometheus never reads it.
    if "catalog" in below:
        return None
    return RULE_TESTS if "tests" in below else RULES


def by_content(text: str, kinds: Sequence[Kind[Any]]) -> AnyKind | None:
    """The kind that the schema hint names, or the one whose top-level keys fit best. Raises `Unparsable`."""
    for line in text.splitlines()[:HINT_LINES_MAX]:
        hint = _HINT.match(line.strip())
        named = hint[1].rsplit("/", 1)[-1] if hint else None
        for kind in kinds:
            if file_name(kind) == named:
                return kind
    value = document.parse(text).value
    return _fitting(frozenset(value), kinds) if isinstance(value, dict) else None


def known(kinds: Sequence[Kind[Any]]) -> str:
    """What there is to choose from, for somebody whose file is of none of these."""
    ours = [f"{kind.name} ({', '.join(kind.file_names)})" for kind in kinds]
    return ", ".join([*ours, *(f"{kind.title} ({kind.example})" for kind in PROMETHEUS_FILES)])


def _entered(name: str, inside: PurePath) -> bool:
    if name.startswith(".") or name in SKIPPED_FOLDERS:
        return False
    # Tests of programs are full of files that are wrong on purpose; tests of rules are what is looked for.
    return name != "tests" or "rules" in inside.parts


def _matches(path: PurePath, pattern: str) -> bool:
    if "/" not in pattern:
        return fnmatch.fnmatchcase(path.name, pattern)
    return fnmatch.fnmatchcase(f"/{path.as_posix()}", f"*/{pattern}")


def _fitting(keys: frozenset[str], kinds: Sequence[Kind[Any]]) -> AnyKind | None:
    scores = [(len(keys & own) - len(keys - own), kind) for own, kind in _keys(kinds)]
    best = max((score for score, _ in scores), default=0)
    first = [kind for score, kind in scores if score == best]
    return first[0] if best > 0 and len(first) == 1 else None


def _keys(kinds: Iterable[Kind[Any]]) -> Iterator[tuple[frozenset[str], AnyKind]]:
    for kind in kinds:
        form = schema(kind)
        properties: Mapping[str, object] = resolved(form, form["$defs"]).get("properties", {})
        yield frozenset(properties), kind
    for other in PROMETHEUS_FILES:
        yield other.keys, other
