"""Which collectors run, and how each of them is set: the flags of all collectors, and the plan that is read from them.

A collector says what can be set about it; each of its options becomes a flag here, and with the flag an environment
variable. What a file says comes in as the values of flags, so that there is one order in which one outweighs the
other. Nothing here reads a file or makes a collector.
"""

import argparse
from collections.abc import Mapping
from functools import partial

from exporter.collectors import COLLECTORS, Kind, Option, parse
from exporter.control import Plan
from exporter.intake.statsd import choices as statsd
from guard import flags

# What a file says, by flag.
Said = Mapping[str, str | bool]

DISABLE_DEFAULTS = "--collector.disable-defaults"


def declare(parser: argparse.ArgumentParser, *, said: Said, scope: str, environ: Mapping[str, str]) -> None:
    """The flags of the collectors. What nobody says about a collector or a switch stays None."""
    switch = partial(flags.switch, parser, scope=scope, environ=environ)
    switch(
        DISABLE_DEFAULTS,
        default=bool(said.get(DISABLE_DEFAULTS)),
        help="only the collectors that are named run",
    )
    for collector in COLLECTORS:
        name = flag_of(collector.name)
        switch(name, default=_switched(said, name), shown="on" if collector.enabled else "off", help=collector.help)
    for collector in COLLECTORS:
        for option in collector.options:
            name = flag_of(collector.name, option)
            if option.kind is Kind.SWITCH:
                switch(name, default=_switched(said, name), shown=_on_or_off(option), help=option.help)
                continue
            flags.flag(
                parser,
                name,
                default=said.get(name, option.default),
                parse=partial(_checked, option),
                metavar=option.kind.upper(),
                repeated=option.several,
                scope=scope,
                environ=environ,
                help=option.help,
            )


def plan_of(arguments: argparse.Namespace) -> Plan:
    chosen = vars(arguments)
    defaults = not chosen[flags.destination(DISABLE_DEFAULTS)]
    enabled = []
    options = {}
    for collector in COLLECTORS:
        named = chosen[flags.destination(flag_of(collector.name))]
        if collector.enabled and defaults if named is None else named:
            enabled.append(collector.name)
        options[collector.name] = {
            option.name: _text(option, chosen[flags.destination(flag_of(collector.name, option))])
            for option in collector.options
        }
    return Plan(tuple(enabled), arguments.collector_timeout, options, statsd=statsd.chosen(arguments))


def flag_of(collector: str, option: Option | None = None) -> str:
    return f"--collector.{collector}" if option is None else f"--collector.{collector}.{option.name}"


def key_of(option: Option) -> str:
    """The name of an option in exporter.yml."""
    return option.name.replace("-", "_").replace(".", "_")


def _switched(said: Said, name: str) -> bool | None:
    return bool(said[name]) if name in said else None


def _on_or_off(option: Option) -> str:
    return "on" if option.default == "true" else "off"


def _checked(option: Option, text: str) -> str:
    """The text itself; ValueError says why it is none."""
    parse(option.kind, text)
    return text


def _text(option: Option, value: str | tuple[str, ...] | bool | None) -> str:
    match value:
        case None:
            return option.default
        case tuple():
            return ",".join(value)
        case bool():
            return str(value).lower()
    return value
