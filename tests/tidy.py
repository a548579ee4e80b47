"""The rules of the house as functions: a module's source in, complaints out. test_tidy.py holds the repository to them.

Nothing is imported that is judged; everything is read from the syntax. Each complaint is one line that names the
module, the line in it, and what is not allowed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PACKAGES = ("exporter", "receiver", "guard", "rules", "grafana", "tocsin")
LINES_MAX = 400

# Who may not import whom. The two programs meet on the wire; guard is a leaf.
STRANGERS: Mapping[str, tuple[str, ...]] = {
    "exporter": ("receiver", "tocsin", "rules", "grafana", "bench", "tests"),
    "receiver": ("exporter", "tocsin", "rules", "grafana", "bench", "tests"),
    "guard": ("exporter", "receiver", "tocsin", "rules", "grafana", "bench", "tests"),
    "rules": ("exporter", "receiver", "tocsin", "bench", "tests"),
    "grafana": ("exporter", "receiver", "tocsin", "bench", "tests"),
    "tocsin": ("bench", "tests"),
}

# The concrete members of a family, and who besides the family itself may know them: where things are wired.
# Everybody else knows the family's protocol, which is in its `__init__`.
WIRED: Mapping[str, tuple[str, ...]] = {
    "receiver.doors": ("receiver.__main__",),
    "receiver.store": ("receiver.__main__", "receiver.commandline"),
    "receiver.channels": ("receiver.__main__", "receiver.settings"),
    "exporter.doors": ("exporter.wiring.program", "exporter.commandline"),
    "exporter.collectors": ("exporter.__main__", "exporter.wiring.program", "exporter.commandline"),
}
WIRES_EVERYTHING = ("tocsin",)

CORE = (
    *(
        "alert",
        "entry",
        "episode",
        "engine",
        "joining",
        "correlation",
        "adoption",
        "merging",
        "watch",
        "own",
        "acting",
        "lifecycle",
        "escalation",
        "fallback",
        "withdrawal",
        "actions",
    ),
    *(
        "audit",
        "telling",
        "quiet",
        "storm",
        "ledger",
        "state",
        "known",
        "incident",
        "view",
        "message",
        "redaction",
        "spell",
        "statistics",
        "texts",
        "pressed",
        "policy",
    ),
)
# A leaf of the leaf: a parser that both programs' cores use.
GUARD_CORE = ("matcher",)
EXPORTER_CORE = (
    *_words("reader columns event identity mapping series pipeline points family layout escaping duration"),
    *(
        f"intake.logs.{each}"
        for each in _words("settings cut moments columns jsonlines logfmt patterns authlog parsing")
    ),
    *(f"stats.{each}" for each in _words("words minutes graphql websocket")),
    *_words("finding detectors detection"),
    *(f"findings.{each}" for each in _words("counts kept alerts")),
    *(
        f"reputation.{each}"
        for each in _words(
            "place allowed policy settings score moments block blocklist deed reputation shared counts families formats"
        )
    ),
    *(f"score.{each}" for each in _words("posture recent reading")),
    *(f"dependencies.{each}" for each in _words("settings graph breaker status report")),
    *(f"postgres.{each}" for each in _words("query questions")),
)
# A value that is a key of dictionaries has a hash; nothing is ordered by it.
HASHES = ("exporter.family", "exporter.layout")
CORE_LIBRARIES = _words(
    "__future__ array bisect collections dataclasses datetime enum functools hashlib heapq itertools json math msgspec"
    " operator re string typing zoneinfo"
)
# These speak of faults in the words of the reader of configuration files, and of nothing else of it.
_FAULTS_IN_WORDS = ("guard.faults.Path", "guard.faults.Problem", "guard.wording.one_of", "guard.wording.quote")
CORE_EXCEPTIONS = {
    # The standard library's reading and writing of addresses; no socket.
    "exporter.identity": tuple(f"socket.{each}" for each in _words("AF_INET AF_INET6 inet_ntop inet_pton")),
    "exporter.reputation.formats": tuple(f"socket.{each}" for each in _words("AF_INET AF_INET6 inet_pton")),
    "exporter.mapping.checks": _FAULTS_IN_WORDS,
    "exporter.mapping.lint": _FAULTS_IN_WORDS,
    "receiver.policy.checks": ("guard.configfile", "guard.configfile.Problem"),
}

FORBIDDEN_CALLS = _words("open print input hash id exec eval compile __import__ breakpoint globals")
READS_A_CLOCK = _words("now utcnow today")
# What takes the members of a set without caring in which order they come.
ORDERLESS = _words("sorted min max any all sum len set frozenset")
KEEPS_ORDER = _words("list tuple iter enumerate zip map filter reversed dict deque chain islice next")
KEEPS_ORDER_METHODS = _words("join fromkeys extend chain islice from_iterable")

UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
CATCH_ALL_NAMES = ("utils", "util", "common", "helpers", "misc")

# `name.py  what it is`, `name/  …`, `name  …`, and `first … last  …` for all that lie between in the alphabet.
_LISTED = re.compile(r"^\s*([a-z_]+)(?:\.py|/)?(?: … ([a-z_]+))? {2,}\S", re.MULTILINE)


class Module(NamedTuple):
    """A module as it is written."""

    name: str  # `receiver.doors.api`; a package has the name of its folder
    source: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def modules(root: Path) -> list[Module]:
    """Every module of the packages, in a stated order."""
    found = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            found.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return found


@cache
def imports(module: Module) -> tuple[tuple[int, str], ...]:
    """The line and the full name of all that is imported; `from a import b` is a.b, whatever b is."""
    return tuple(_imports(module))


def _imports(module: Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=base, names=names, level=level):
                around = module.name.split(".")
                outside = level - 1 if module.is_package else level
                prefix = around[: len(around) - outside] if level else []
                full = ".".join([*prefix, *([base] if base else [])])
                yield from ((node.lineno, f"{full}.{alias.name}") for alias in names)


def is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


# --- layers ----------------------------------------------------------------------------------------------------


def strangers(module: Module) -> Iterator[str]:
    """The packages meet on the wire, never in Python."""
    for line, name in imports(module):
        for stranger in STRANGERS.get(module.top, ()):
            if is_inside(name, stranger):
                yield f"{module.name}:{line}: {module.top} may not import {stranger}"


def wiring(module: Module, known: Sequence[str]) -> Iterator[str]:
    """Concrete doors, stores, channels and collectors are known where things are wired, and nowhere else."""
    if module.top in WIRES_EVERYTHING:
        return
    for line, name in imports(module):
        for family, wirers in WIRED.items():
            if not is_inside(name, family) or is_inside(module.name, family) or module.name in wirers:
                continue
            concrete = [each for each in known if is_inside(each, family) and _is_concrete(each, family, known)]
            member = next((each for each in concrete if is_inside(name, each)), None)
            if member is not None:
                yield f"{module.name}:{line}: only {', '.join(wirers)} may know {member}"


def _is_concrete(name: str, family: str, known: Sequence[str]) -> bool:
    """A family that is one file is concrete itself; of a folder, the files in it are."""
    return name != family or not any(each.startswith(f"{family}.") for each in known)


# --- the core --------------------------------------------------------------------------------------------------


def is_core(name: str) -> bool:
    cores = {"receiver": CORE, "exporter": EXPORTER_CORE, "guard": GUARD_CORE}
    return any(is_inside(name, f"{package}.{each}") for package, core in cores.items() for each in core)


def impure_imports(module: Module) -> Iterator[str]:
    """The core imports the core, msgspec, and what of the standard library has no clock, chance or input."""
    if not is_core(module.name):
        return
    for line, name in imports(module):
        library = name.partition(".")[0] in CORE_LIBRARIES
        if not (library or is_core(name) or name in CORE_EXCEPTIONS.get(module.name, ())):
            yield f"{module.name}:{line}: the core may not import {name}"


def impure_calls(module: Module) -> Iterator[str]:
    """The core asks nobody: no clock, no file, no terminal, no identity of objects, no local time zone."""
    if not is_core(module.name):
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id="hash") if module.name in HASHES:
                continue
            case ast.Name(id=name) if name in FORBIDDEN_CALLS:
                yield f"{module.name}:{node.lineno}: the core may not call {name}()"
            case ast.Attribute(attr=name) if name in READS_A_CLOCK:
                yield f"{module.name}:{node.lineno}: the core may not read a clock: {ast.unparse(node.func)}()"
            case ast.Attribute(attr="astimezone" | "fromtimestamp" as name) if len(node.args) + len(node.keywords) < (
                1 if name == "astimezone" else 2
            ):
                yield f"{module.name}:{node.lineno}: the core may not know the local time zone: {name}()"


def unordered(module: Module) -> Iterator[str]:
    """The core never goes through a set: in another process it would have another order."""
    if not is_core(module.name):
        return
    for scope in _scopes(module.tree):
        names = _names_of_sets(scope)
        yield from (
            f"{module.name}:{line}: the core may not go through a set; sort it first" for line in _walks(scope, names)
        )


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    yield from (each for each in ast.walk(tree) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)))


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of the functions in it, which are scopes of their own."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
            yield from _own_nodes(child)


def _names_of_sets(scope: ast.AST) -> frozenset[str]:
    names: set[str] = set()
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        given = [*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs]
        names |= {each.arg for each in given if each.annotation is not None and _says_set(each.annotation)}
    for node in _own_nodes(scope):
        match node:
            case ast.Assign(targets=targets, value=value) if _is_set(value, frozenset(names)):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if _says_set(annotation):
                names.add(name)
    return frozenset(names)


def _says_set(annotation: ast.expr) -> bool:
    return re.match(r"(?:frozen)?set\b|(?:Abstract|Mutable)?Set\b", ast.unparse(annotation)) is not None


def _is_set(node: ast.expr, names: frozenset[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Name(id=name):
            return name in names
        case ast.BinOp(left=left, right=right):
            return _is_set(left, names) or _is_set(right, names)
        case ast.Call(func=ast.Attribute(value=value, attr=name)):
            return name in {"union", "intersection", "difference", "symmetric_difference"} and _is_set(value, names)
    return False


def _walks(scope: ast.AST, names: frozenset[str]) -> Iterator[int]:
    """The lines on which a set gives its members one after the other to something that keeps their order."""
    harmless: set[ast.AST] = set()
    for node in _own_nodes(scope):
        match node:
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in ORDERLESS:
                harmless |= {each for each in arguments if isinstance(each, ast.GeneratorExp)}
            case ast.Set(elts=members):
                harmless |= set(members)
            case ast.SetComp():
                harmless.add(node)
    for node in _own_nodes(scope):
        if node in harmless:
            continue
        for taken in _taken(node):
            if _is_set(taken, names):
                yield taken.lineno


def _taken(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.For(iter=source) | ast.AsyncFor(iter=source):
            yield source
        case ast.ListComp(generators=all_of) | ast.GeneratorExp(generators=all_of) | ast.DictComp(generators=all_of):
            yield from (each.iter for each in all_of)
        case ast.Starred(value=source) | ast.YieldFrom(value=source):
            yield source
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in KEEPS_ORDER:
            yield from arguments
        case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in KEEPS_ORDER_METHODS:
            yield from arguments
        case ast.Call(func=ast.Attribute(attr="pop", value=source), args=[]):
            yield source


# --- order in the house ------------------------------------------------------------------------------------------


def star_imports(module: Module) -> Iterator[str]:
    for line, name in imports(module):
        if name.endswith(".*"):
            yield f"{module.name}:{line}: names are imported one by one, not {name}"


def catch_alls(module: Module) -> Iterator[str]:
    """A file is named for its one subject."""
    last = module.name.rpartition(".")[2]
    if last in CATCH_ALL_NAMES:
        yield f"{module.name}:1: {last} names no subject"


def too_long(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > LINES_MAX:
        yield f"{module.name}:{LINES_MAX}: a file has at most {LINES_MAX} lines, this one {lines}"


def unfinished(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        found = UNFINISHED.search(line)
        if found is not None:
            yield f"{name}:{number}: {found[0]}: finish it or take it out"


def unlisted(package: Module, members: Sequence[str]) -> Iterator[str]:
    """A package's docstring lists each of its modules once, and nothing that does not exist."""
    docstring = ast.get_docstring(package.tree) or ""
    listed: set[str] = set()
    for first, last in _LISTED.findall(docstring):
        if first in listed:
            yield f"{package.name}: the docstring lists {first} twice"
        listed |= {each for each in members if first <= each <= last} if last else {first}
    for name in sorted({*members} - listed):
        yield f"{package.name}: the docstring does not list {name}"
    for name in sorted(listed - {*members}):
        yield f"{package.name}: the docstring lists {name}, which does not exist"


def members_of(package: str, known: Sequence[str]) -> list[str]:
    """The modules and packages directly inside."""
    inside = {name.removeprefix(f"{package}.") for name in known if name.startswith(f"{package}.")}
    return sorted(name for name in inside if "." not in name)
