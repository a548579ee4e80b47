"""exporter.yml as a frozen value, and everything that can be wrong with it.

The file is optional: the exporter runs without one. Its keys are made from what the collectors say can be set, so
that a file and a flag know the same. A flag or an environment variable that says the same thing outweighs the file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exporter.choices import DISABLE_DEFAULTS, Said, flag_of, key_of
from exporter.collectors import COLLECTORS, COUNT_MAX, BuiltIn, Option, parse, prove
from exporter.collectors import Kind as OptionKind
from exporter.control import Refused
from exporter.dependencies import settings as dependencies
from exporter.dependencies.settings import HealthSettings
from exporter.detectors import checks as detector_checks
from exporter.detectors import settings as detectors
from exporter.detectors.settings import DetectorsSettings
from exporter.duration import parse_timeout
from exporter.findings import settings as findings
from exporter.findings.settings import FindingsSettings
from exporter.intake.events import EventsSettings
from exporter.intake.logs import settings as logs
from exporter.intake.logs.settings import LOGS_MAX, Log
from exporter.intake.statsd import choices as statsd
from exporter.intake.statsd.choices import StatsdSettings
from exporter.lint import warnings
from exporter.mapping import checks as mapping_checks
from exporter.mapping.bundled import RULES
from exporter.mapping.file import RULES_MAX, RuleFile
from exporter.mapping.made import rules_of, seconds
from exporter.mapping.rule import Rule
from exporter.postgres import settings as postgres
from exporter.postgres.settings import SERVERS_MAX, Postgres
from exporter.probes import settings as probe_settings
from exporter.probes.settings import ProbesSettings
from exporter.redaction import RedactionSettings
from exporter.reputation import settings as reputation
from exporter.reputation.settings import ReputationSettings
from exporter.series.settings import SeriesSettings, zero_first_seconds
from guard import configfile
from guard.configfile import Format
from guard.faults import Kind, Problem


def _field(option: Option) -> tuple[str, Any, Any]:
    """The key of an option as a struct has it: its name, its type, its default."""
    match option.kind:
        case OptionKind.PATTERN:
            meta = Meta(description=option.help, extra_json_schema={"format": "regex"})
            return key_of(option), Annotated[str, meta], option.default
        case OptionKind.TEXT:
            return key_of(option), Annotated[str, Meta(description=option.help)], option.default
        case OptionKind.COUNT:
            meta = Meta(description=option.help, ge=0, le=COUNT_MAX)
            return key_of(option), Annotated[int, meta], int(option.default)
        case OptionKind.DURATION:
            meta = Meta(description=option.help, extra_json_schema={"format": "duration"})
            return key_of(option), Annotated[str, meta], option.default
        case OptionKind.SWITCH:
            return key_of(option), Annotated[bool, Meta(description=option.help)], option.default == "true"


def _settings_of(collector: type[BuiltIn]) -> type[msgspec.Struct]:
    """Unset is not the default here: with the defaults disabled, only a collector that is named runs."""
    meta = Meta(
        description=f"Whether the collector is asked at each scrape. {collector.help}",
        extra_json_schema={"default": collector.enabled},
    )
    enabled = ("enabled", Annotated[bool | UnsetType, meta], UNSET)
    return msgspec.defstruct(
        f"{collector.__name__}Settings",
        [enabled, *map(_field, collector.options)],
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
        namespace={"__doc__": collector.help},
    )


_COLLECTORS = msgspec.defstruct(
    "Collectors",
    [
        (collector.name, struct, msgspec.field(default_factory=struct))
        for collector in COLLECTORS
        for struct in [_settings_of(collector)]
    ],
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    namespace={"__doc__": "The collectors by name."},
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    timeout: Annotated[
        str,
        Meta(
            description="How long collectors may take when the scraper does not say how long it waits."
            " A scraper that waits longer does not get more.",
            examples=["8s", "1m30s", "500ms"],
            extra_json_schema={"format": "timeout"},
        ),
    ] = "8s"
    disable_defaults: Annotated[
        bool, Meta(description="Only collectors that are enabled by name run; the others are disabled.")
    ] = False
    collectors: Annotated[_COLLECTORS, Meta(description="What is set about each collector.")] = msgspec.field(  # type: ignore[valid-type]
        default_factory=_COLLECTORS
    )
    events: Annotated[EventsSettings, Meta(description="What is set about POST /events.")] = EventsSettings()
    mapping: Annotated[
        tuple[RuleFile, ...],
        Meta(max_length=RULES_MAX, description="What becomes of events, besides the bundled rules."),
    ] = ()
    mapping_bundled: Annotated[bool, Meta(description="Whether the rules that come with Tocsin are in force.")] = True
    statsd: Annotated[StatsdSettings, Meta(description="StatsD and DogStatsD over UDP and Unix sockets.")] = (
        msgspec.field(default_factory=StatsdSettings)
    )
    series: Annotated[SeriesSettings, Meta(description="What is set about series.")] = SeriesSettings()
    redaction: Annotated[RedactionSettings, Meta(description="What is hidden of events.")] = RedactionSettings()
    detectors: Annotated[DetectorsSettings, Meta(description="Who looks for attacks, by name.")] = DetectorsSettings()
    reputation: Annotated[ReputationSettings, Meta(description="Who is blocked, and who never is.")] = msgspec.field(
        default_factory=ReputationSettings
    )
    findings: Annotated[FindingsSettings, Meta(description="What becomes of what detectors find.")] = FindingsSettings()
    postgres: Annotated[
        tuple[Postgres, ...], Meta(description="PostgreSQL servers that are asked how they do.", max_length=SERVERS_MAX)
    ] = ()
    logs: Annotated[tuple[Log, ...], Meta(description="Log files whose lines are events.", max_length=LOGS_MAX)] = ()
    probes: Annotated[ProbesSettings, Meta(description="What may be probed, and how.")] = ProbesSettings()
    health: Annotated[HealthSettings, Meta(description="What is set about /health.")] = HealthSettings()

    @property
    def zero_first_seconds(self) -> float:
        return zero_first_seconds(self.series.zero_first)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What becomes of events."""
        return rules_of(self.mapping, bundled=RULES if self.mapping_bundled else ())


def said(settings: Settings) -> Said:
    """What the file says, as the flags that say the same."""
    found: dict[str, str | bool] = {
        "--collector.timeout": settings.timeout,
        DISABLE_DEFAULTS: settings.disable_defaults,
        "--findings.alertmanager-url": ",".join(settings.findings.urls),
        "--events.body-bytes-max": str(settings.events.body_bytes_max),
        **statsd.said(settings.statsd),
    }
    for collector in COLLECTORS:
        chosen = getattr(settings.collectors, collector.name)
        if chosen.enabled is not UNSET:
            found[flag_of(collector.name)] = chosen.enabled
        for option in collector.options:
            value = getattr(chosen, key_of(option))
            found[flag_of(collector.name, option)] = value if isinstance(value, bool) else str(value)
    return found


def _expected(read: Callable[[str], object]) -> Format:
    """A format of the schema, made of what reads the text of a flag."""

    def check(text: str) -> None:
        try:
            read(text)
        except ValueError as error:
            raise ValueError(str(error).rpartition(", expected ")[2]) from None

    return check


_READERS: Sequence[Mapping[str, Callable[[str], object]]] = (
    {
        "regex": lambda text: parse(OptionKind.PATTERN, text),
        "duration": lambda text: parse(OptionKind.DURATION, text),
        "timeout": parse_timeout,
        "ttl": seconds,
        "zero_first": zero_first_seconds,
    },
    statsd.FORMATS,
    detectors.FORMATS,
    {"resolve_after": findings.resolve_after_seconds},
    reputation.FORMATS,
    probe_settings.FORMATS,
    dependencies.FORMATS,
)
FORMATS: Mapping[str, Format] = {name: _expected(read) for each in _READERS for name, read in each.items()}


def _of_collectors(settings: Settings) -> Iterator[Problem]:
    """What a text means only its collector knows. One that was left as it is cannot be wrong."""
    for collector in COLLECTORS:
        chosen = getattr(settings.collectors, collector.name)
        texts = [option for option in collector.options if option.kind is OptionKind.TEXT]
        said = {option.name: getattr(chosen, key_of(option)) for option in texts}
        if all(said[option.name] == option.default for option in texts):
            continue
        try:
            prove(collector, said)
        except ValueError as error:
            option, _, why = str(error).partition(": found ")
            found, _, expected = why.partition(", expected ")
            yield Problem(("collectors", collector.name, option), found, expected)


# Where something is wrong below its key, what was found there, and what was expected.
_Wrong = Iterable[tuple[tuple[str | int, ...], str, str]]
# What the shape of a key cannot say.
_CHECKS: Mapping[tuple[str, ...], Callable[[Settings], _Wrong]] = {
    ("logs",): lambda settings: logs.wrong(settings.logs),
    ("detectors",): lambda settings: detector_checks.wrong(settings.detectors),
    ("findings",): lambda settings: findings.wrong(settings.findings),
    ("reputation",): lambda settings: reputation.wrong(settings.reputation),
    ("probes",): lambda settings: probe_settings.wrong(settings.probes),
    ("health", "dependencies"): lambda settings: dependencies.wrong(
        settings.health.dependencies, modules=settings.probes.all_modules
    ),
    ("postgres",): lambda settings: postgres.wrong(settings.postgres),
}


def _prove(settings: Settings) -> Iterator[Problem]:
    yield from _of_collectors(settings)
    for key, wrong in _CHECKS.items():
        for where, found, expected in wrong(settings):
            yield Problem((*key, *where), found, expected)
    if settings.health.dependencies:
        yield from _unasked(settings)


def _unasked(settings: Settings) -> Iterator[Problem]:
    """Dependencies that would be sick for ever, as nobody may ask them."""
    from exporter.probes.allow import Allowed
    from exporter.probes.foreseen import expected_of  # with all that asks

    allowed, modules = Allowed.of(settings.probes.allow), settings.probes.all_modules
    for name, each in settings.health.dependencies.items():
        module = modules.get(each.probe.module)
        expected = None if module is None else expected_of(module, each.probe.target, allowed)
        if expected is not None:
            # It may hold what is secret.
            yield Problem(("health", "dependencies", name, "probe", "target"), "something else", expected)


KIND = Kind(
    name="exporter",
    struct=Settings,
    prove=_prove,
    title="Configuration of the Tocsin exporter",
    file_names=("exporter.yml", "exporter.yaml"),
    formats=FORMATS,
    check=mapping_checks.problems,
    warn=warnings,
)


def read(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """What a file says, or `Refused` with all that is wrong with it."""
    try:
        return configfile.read(path, KIND, environ=environ)
    except configfile.InvalidConfig as invalid:
        raise Refused(tuple(map(str, invalid.faults))) from None
