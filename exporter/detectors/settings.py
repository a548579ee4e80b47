"""`detectors:` in exporter.yml. The defaults are in force without a file, so this is light to import."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exporter import duration
from exporter.finding import Severity
from exporter.reader import KIND_CHARACTERS_MAX

THRESHOLD_MAX = 1_000_000
# Between two places, and within an hour.
KILOMETERS_MAX = 20_000
# Of known malicious addresses.
LISTS_MAX = 10
# Of how many different people; more than twice as many are not counted of one address.
PEOPLE_THRESHOLD_MAX = 500
WINDOW_SECONDS_MAX = 86_400.0
PAUSE_SECONDS_MAX = 86_400.0
WINDOW_SECONDS_MIN = 6.0
RATIO_MAX = 1_000.0
INTERVAL_SECONDS_MIN = 1.0
INTERVAL_SECONDS_MAX = 3_600.0
# Of what is usual.
INTERVALS_MIN = 10
INTERVALS_MAX = 1_440
# Detectors of a user's own, and of each of them.
OWN_MAX = 50
OWN_KINDS_MAX = 20
OWN_CONDITIONS_MAX = 20
OWN_FIELD_CHARACTERS_MAX = 200
OWN_ROW_MAX = 100
OWN_NUMBER_MAX = 1e15
OWN_NAME = r"^[a-z][a-z0-9_]{0,59}$"
OWN_BASELINE = "1h"
# Different values within a sliding window.
OWN_DISTINCT_MAX = 50_000
BASELINE_SECONDS_MAX = INTERVALS_MAX * INTERVAL_SECONDS_MAX

Threshold = Annotated[int, Meta(description="More than so many within the window are found.", ge=1, le=THRESHOLD_MAX)]
Window = Annotated[
    str,
    Meta(
        description="How far back is looked; from 6s to 24h.",
        examples=["1m", "1h"],
        extra_json_schema={"format": "window"},
    ),
]
Ratio = Annotated[float, Meta(description="More than so many times what is usual is found.", gt=1, le=RATIO_MAX)]
Least = Annotated[int, Meta(description="So many within a window are never too many.", ge=0, le=THRESHOLD_MAX)]
Interval = Annotated[
    str,
    Meta(
        description="How long the pieces of time are that are compared; from 1s to 1h.",
        examples=["10s", "1m"],
        extra_json_schema={"format": "interval"},
    ),
]
Baseline = Annotated[
    str,
    Meta(
        description="How far back goes what is usual: from 10 to 1440 windows.",
        examples=["1h"],
        extra_json_schema={"format": "baseline"},
    ),
]
Measure = Literal["count", "distinct", "sum", "mean", "max", "p50", "p95", "p99"]
Method = Literal["ratio", "zscore", "iqr", "spike", "ewma"]
Direction = Literal["up", "down", "both"]
EventKind = Annotated[str, Meta(min_length=1, max_length=KIND_CHARACTERS_MAX)]
FieldSaid = Annotated[str, Meta(max_length=OWN_FIELD_CHARACTERS_MAX)]
SeveritySaid = Annotated[Severity, Meta(description="How bad it is.")]
_PAUSE = {"format": "pause"}
WarmUp = Annotated[
    str,
    Meta(
        description="For how long after its start it only looks, and what it finds does not count; at most 24h.",
        extra_json_schema=_PAUSE,
    ),
]
Cooldown = Annotated[
    str,
    Meta(
        description="For how long the same is not found again, of the same address or person; at most 24h.",
        extra_json_schema=_PAUSE,
    ),
]


class Common(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What can be set about every detector."""

    enabled: Annotated[bool, Meta(description="Whether it looks at anything. One that does not costs nothing.")] = True
    severity: SeveritySaid = "high"
    cooldown: Cooldown = "10m"
    warm_up: WarmUp = "0s"
    dry_run: Annotated[
        bool, Meta(description="What it finds is counted, logged and shown, and has no other consequence.")
    ] = False


class Counted(Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A detector that counts. Each one has a threshold and a window of its own."""

    threshold: Threshold
    window: Window

    @property
    def window_seconds(self) -> float:
        return duration.parse(self.window)


class BruteForceAddress(Counted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Logins from one address that failed."""

    threshold: Threshold = 50
    window: Window = "1h"


class BruteForcePerson(Counted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Logins of one person that failed."""

    threshold: Threshold = 50
    window: Window = "1h"


class CredentialStuffing(Counted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Different people whose logins from one address failed."""

    threshold: Annotated[
        int, Meta(description="More different people than that are found.", ge=1, le=PEOPLE_THRESHOLD_MAX)
    ] = 20
    window: Window = "1h"
    severity: SeveritySaid = "critical"


class GraphQLBomb(Counted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """GraphQL queries of one address that were rejected."""

    threshold: Threshold = 10
    window: Window = "5m"
    severity: SeveritySaid = "critical"


class WebSocketFlood(Counted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """WebSocket connections of one address that were rejected."""

    threshold: Threshold = 20
    window: Window = "1m"
    severity: SeveritySaid = "critical"


class Rate(Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A detector that compares how often something happens with how often it does so usually."""

    warm_up: WarmUp = "10m"
    ratio: Ratio
    least: Least
    window: Interval
    baseline: Baseline = "1h"

    @property
    def window_seconds(self) -> float:
        return duration.parse(self.window)

    @property
    def baseline_seconds(self) -> float:
        return duration.parse(self.baseline)


class UnusualLoginRate(Rate, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Logins, whether they succeed or fail."""

    severity: SeveritySaid = "medium"
    ratio: Ratio = 5.0
    least: Least = 20
    window: Interval = "1m"


class MessageFlood(Rate, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Messages that are sent."""

    ratio: Ratio = 10.0
    least: Least = 100
    window: Interval = "10s"


class ConnectionFlood(Rate, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Connections that are opened."""

    ratio: Ratio = 10.0
    least: Least = 100
    window: Interval = "10s"


class MaliciousAddress(Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Addresses that are on lists."""

    files: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=1_000)], ...],
        Meta(
            description="Lists of addresses, one a line: as text, netset, DROP, hosts or CSV. Read again when they"
            " change. Without one, the detector is off.",
            max_length=LISTS_MAX,
        ),
    ] = ()
    cooldown: Cooldown = "1h"


class ImpossibleTravel(Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Logins of one person from places that are too far apart. Off, as few applications say where a login is from."""

    enabled: Annotated[bool, Meta(description="Whether it looks at anything. It needs latitude and longitude.")] = False
    kilometers: Annotated[int, Meta(description="Places that are closer are the same.", ge=1, le=KILOMETERS_MAX)] = 500
    kilometers_per_hour: Annotated[
        int, Meta(description="Who would have travelled faster is found.", ge=1, le=KILOMETERS_MAX)
    ] = 1_000
    severity: SeveritySaid = "medium"
    cooldown: Cooldown = "1h"


class Own(Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A detector of your own: with a threshold, or with a method that knows what is usual."""

    name: Annotated[
        str, Meta(description="A word of its findings and metrics.", pattern=OWN_NAME, examples=["failed_payments"])
    ]
    event: Annotated[
        EventKind | Annotated[tuple[EventKind, ...], Meta(min_length=1, max_length=OWN_KINDS_MAX)],
        Meta(description="The kind of event, or several."),
    ]
    where: Annotated[
        tuple[str, ...],
        Meta(
            max_length=OWN_CONDITIONS_MAX,
            description='Conditions on fields, all of which must hold, as Alertmanager\'s matchers: status=~"5..".',
        ),
    ] = ()
    measure: Annotated[
        Measure,
        Meta(description="What is compared: how many events, how many different values of a field, or its numbers."),
    ] = "count"
    field: Annotated[FieldSaid, Meta(description="The field that is measured, unless events are counted.")] = ""
    by: Annotated[FieldSaid, Meta(description="A field, each of whose values is looked at by itself.")] = ""
    by_address: Annotated[FieldSaid, Meta(description="The field with the address that is looked at by itself.")] = ""
    by_person: Annotated[FieldSaid, Meta(description="The field with the name of who is looked at alone.")] = ""
    blame: Annotated[
        FieldSaid,
        Meta(description="The field with the address that is named where it alone passes what may be of all."),
    ] = ""
    window: Annotated[
        str,
        Meta(
            description="How far back is looked; with a method, what is compared with those before it.",
            examples=["10s", "1h"],
            extra_json_schema={"format": "span"},
        ),
    ] = "10s"
    threshold: Annotated[
        Annotated[float, Meta(ge=-OWN_NUMBER_MAX, le=OWN_NUMBER_MAX)] | UnsetType,
        Meta(description="More than that within the window are found; less, where the direction is down."),
    ] = UNSET
    method: Annotated[Method | UnsetType, Meta(description="How it is told what is unusual.")] = UNSET
    limit: Annotated[
        Annotated[float, Meta(gt=0, le=RATIO_MAX)] | UnsetType,
        Meta(description="Of the method: how many times what is usual, or how many deviations or quartile distances."),
    ] = UNSET
    baseline: Annotated[
        Baseline | UnsetType, Meta(description="How far back goes what is usual: from 10 to 1440 windows.")
    ] = UNSET
    least: Annotated[
        Annotated[float, Meta(ge=-OWN_NUMBER_MAX, le=OWN_NUMBER_MAX)] | UnsetType,
        Meta(description="What is no more is never unusual; of counts 20."),
    ] = UNSET
    direction: Annotated[Direction, Meta(description="Whether high numbers are found, low ones, or both.")] = "up"
    in_a_row: Annotated[
        Annotated[int, Meta(ge=1, le=OWN_ROW_MAX)] | UnsetType,
        Meta(description="So many windows in a row; 3 with zscore, iqr and ewma, else 1."),
    ] = UNSET
    samples: Annotated[
        Annotated[int, Meta(ge=1, le=THRESHOLD_MAX)] | UnsetType,
        Meta(description="A window with fewer numbers says nothing; 10, where numbers are measured."),
    ] = UNSET

    @property
    def window_seconds(self) -> float:
        return duration.parse(self.window)

    @property
    def baseline_seconds(self) -> float:
        return duration.parse(OWN_BASELINE if isinstance(self.baseline, UnsetType) else self.baseline)

    @property
    def warm_up_seconds(self) -> float:
        return duration.parse(self.warm_up)


class DetectorsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The detectors by name."""

    brute_force_address: BruteForceAddress = BruteForceAddress()
    brute_force_person: BruteForcePerson = BruteForcePerson()
    credential_stuffing: CredentialStuffing = CredentialStuffing()
    graphql_bomb: GraphQLBomb = GraphQLBomb()
    websocket_flood: WebSocketFlood = WebSocketFlood()
    unusual_login_rate: UnusualLoginRate = UnusualLoginRate()
    message_flood: MessageFlood = MessageFlood()
    connection_flood: ConnectionFlood = ConnectionFlood()
    malicious_address: MaliciousAddress = MaliciousAddress()
    impossible_travel: ImpossibleTravel = ImpossibleTravel()
    own: Annotated[tuple[Own, ...], Meta(max_length=OWN_MAX, description="Detectors of your own.")] = ()


def window_seconds(text: str) -> float:
    """ValueError says what was found and what was expected."""
    found = duration.parse(text)
    if not WINDOW_SECONDS_MIN <= found <= WINDOW_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected between 6s and 24h")
    return found


def pause_seconds(text: str) -> float:
    """Likewise."""
    found = duration.parse(text)
    if found > PAUSE_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected at most 24h")
    return found


def interval_seconds(text: str) -> float:
    """Likewise."""
    found = duration.parse(text)
    if not INTERVAL_SECONDS_MIN <= found <= INTERVAL_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected between 1s and 1h")
    return found


def span_seconds(text: str) -> float:
    """Likewise; what it may be exactly depends on what is looked for."""
    found = duration.parse(text)
    if not INTERVAL_SECONDS_MIN <= found <= WINDOW_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected between 1s and 24h")
    return found


def baseline_seconds(text: str) -> float:
    """Likewise; how many windows it may have is judged where the window is known."""
    found = duration.parse(text)
    if not INTERVALS_MIN * INTERVAL_SECONDS_MIN <= found <= BASELINE_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected between 10s and 1440h")
    return found


def alike(one: Common, other: Common) -> bool:
    """Whether they differ at most in what becomes of what is found: then a detector goes on with what it remembers."""
    return type(one) is type(other) and _looking(one) == _looking(other)


def _looking(settings: Common) -> Common:
    none = Common()
    return msgspec.structs.replace(settings, **{name: getattr(none, name) for name in Common.__struct_fields__})


FORMATS = {
    "window": window_seconds,
    "pause": pause_seconds,
    "interval": interval_seconds,
    "baseline": baseline_seconds,
    "span": span_seconds,
}
