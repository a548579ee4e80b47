"""Prometheus-style flags: `--web.listen-address`, each of them an environment variable as well.

The command line wins over `TOCSIN_<SCOPE>_<NAME>`, which wins over `TOCSIN_<NAME>`, which wins over the
default. An empty variable counts as absent, because compose files leave such variables behind. Nothing
here keeps state or reads a file; wrong use ends the process with status 2, naming the flag or the variable.
"""

import argparse
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")


def command(program: str, description: str) -> argparse.ArgumentParser:
    """A parser without abbreviations: a flag added later must not change what a script of today means."""
    layout = functools.partial(argparse.HelpFormatter, max_help_position=36)
    return argparse.ArgumentParser(prog=program, description=description, allow_abbrev=False, formatter_class=layout)


def flag(
    parser: argparse.ArgumentParser,
    name: str,
    *,
    help: str,  # noqa: A002 - argparse's own word
    default: object = None,
    metavar: str | None = None,
    parse: Callable[[str], object] = str,
    scope: str = "",
    environ: Mapping[str, str] = os.environ,
    repeated: bool = False,
) -> None:
    """Declares `--some.flag-name`, found in the namespace as `some_flag_name`.

    A default that is text is parsed like any other text. With `repeated` the value is a tuple, and the
    environment variable and a default of text hold several values separated by commas.
    """
    _declare(
        parser,
        name,
        action=_Collect if repeated else "store",
        type=functools.partial(_many if repeated else _one, parse),
        metavar=metavar or _last_word(name),
        default=_preset(default, name=name, scope=scope, environ=environ),
        help=_described(help, shown=_shown(default), name=name, scope=scope),
    )


def switch(
    parser: argparse.ArgumentParser,
    name: str,
    *,
    help: str,  # noqa: A002 - argparse's own word
    default: bool | None,
    shown: str = "",
    scope: str = "",
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Declares `--collector.cpu` together with `--no-collector.cpu`.

    With None as default, who reads it sees that nobody said anything; `shown` is then what that means.
    """
    _declare(
        parser,
        name,
        action=_Switch,
        type=functools.partial(_one, _yes_or_no),
        default=_preset(default, name=name, scope=scope, environ=environ),
        help=_described(help, shown=shown or ("on" if default else "off"), name=name, scope=scope),
    )


def one_of(*choices: str) -> Callable[[str], str]:
    """A `parse` for flags that take one word out of few."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"found {text!r}, expected one of: {', '.join(choices)}")
        return text

    return parse


def variables(name: str, scope: str = "") -> tuple[str, ...]:
    """The environment variables of a flag, the stronger first."""
    plain = name.removeprefix("--").upper().replace(".", "_").replace("-", "_")
    if not scope:
        return (f"TOCSIN_{plain}",)
    return (f"TOCSIN_{scope.upper().replace('-', '_')}_{plain}", f"TOCSIN_{plain}")


class _Preset(str):
    """A value nobody typed: a default, or (with `variable`) what an environment variable holds.

    argparse hands a default that is text to `type` only where the command line is silent. That is what
    makes a bad variable harmless as long as a flag overrides it, or somebody only asks for `--help`.
    """

    __slots__ = ("variable",)
    variable: str | None

    def __new__(cls, text: str, variable: str | None) -> "_Preset":
        preset = super().__new__(cls, text)
        preset.variable = variable
        return preset


class _Collect(argparse.Action):
    """Collects into a tuple; the first value typed replaces the default instead of joining it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the interface of argparse
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, (values,) if before is self.default else (*before, values))


class _Switch(argparse.Action):
    """`--x` and `--no-x` in one action, so that a default of text reaches `type` (argparse's own cannot)."""

    def __init__(self, option_strings: Sequence[str], dest: str, **rest: Any) -> None:
        positive = option_strings[0]
        super().__init__([positive, f"--no-{positive.removeprefix('--')}"], dest, nargs=0, **rest)

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the interface of argparse
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,  # noqa: ARG002
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, not (option_string or "").startswith("--no-"))

    def format_usage(self) -> str:
        return " | ".join(self.option_strings)


def destination(name: str) -> str:
    """Where the namespace has the value of a flag."""
    return name.removeprefix("--").replace(".", "_").replace("-", "_")


def _declare(parser: argparse.ArgumentParser, name: str, **how: Any) -> None:
    parser.add_argument(name, dest=destination(name), **how)


def _preset(default: object, *, name: str, scope: str, environ: Mapping[str, str]) -> object:
    for variable in variables(name, scope):
        if environ.get(variable):
            return _Preset(environ[variable], variable)
    return _Preset(default, None) if isinstance(default, str) else default


def _one(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(str(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(_complaint(parse, text, error)) from None


def _many(parse: Callable[[str], object], text: str) -> object:
    if not isinstance(text, _Preset):
        return _one(parse, text)
    pieces = [piece.strip() for piece in text.split(",")]
    return tuple(_one(parse, _Preset(piece, text.variable)) for piece in pieces if piece)


def _complaint(parse: Callable[[str], object], text: str, error: ValueError) -> str:
    numbers: dict[object, str] = {int: "a whole number", float: "a number"}
    said = f"found {str(text)!r}, expected {numbers[parse]}" if parse in numbers else str(error)
    variable = text.variable if isinstance(text, _Preset) else None
    return f"in the environment variable {variable}: {said}" if variable else said


def _yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word not in YES + NO:
        raise ValueError(f"found {text!r}, expected one of: {', '.join(YES + NO)}")
    return word in YES


def _described(text: str, *, shown: str, name: str, scope: str) -> str:
    default = f"default: {shown}; " if shown else ""
    return _literally(f"{text} ({default}environment: {' or '.join(variables(name, scope))})")


def _shown(default: object) -> str:
    if default is None or isinstance(default, str):
        return default or ""
    return ", ".join(map(str, default)) if isinstance(default, Iterable) else str(default)


def _last_word(name: str) -> str:
    return name.replace(".", "-").rsplit("-", 1)[-1].upper()


def _literally(text: str) -> str:
    """argparse reads `%` as a placeholder; nobody who writes a help text means one."""
    return text.replace("%", "%%")
