"""`reputation:` in exporter.yml. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter import duration
from exporter.reputation.place import place_of
from exporter.reputation.policy import POINTS, TOP_NETWORKS_MAX

SECONDS_MIN = 1.0
SECONDS_MAX = 2_592_000.0
THRESHOLD_MAX = 1_000_000
# Of a list that is written out; a longer one is a file.
ALLOW_MAX = 1_000
DETECTORS_MAX = 1_000

_LOGIN = "(?:[^@/?#\\s]{1,1000}@)?"
_REDIS_URL = re.compile(
    rf"rediss?://{_LOGIN}(?:[A-Za-z0-9._-]{{1,253}}|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?(?:/[0-9]{{0,5}})?"
    rf"|unix://{_LOGIN}/[^@?#\s]{{1,100}}"
)

_Points = Annotated[float, Meta(ge=0, le=THRESHOLD_MAX)]
_Duration = Annotated[str, Meta(extra_json_schema={"format": "reputation_duration"})]


def seconds(text: str) -> float:
    """ValueError says what was found and what was expected."""
    found = duration.parse(text)
    if not SECONDS_MIN <= found <= SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected between 1s and 720h")
    return found


def redis_url(text: str) -> str:
    """With a login or without. ValueError does not say what was found: there may be a password in it."""
    if not _REDIS_URL.fullmatch(text):
        raise ValueError("found no address of Redis, expected one such as redis://127.0.0.1:6379/0")
    return text


FORMATS: Mapping[str, Callable[[str], object]] = {"reputation_duration": seconds}


class PointsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a finding counts for, by its severity."""

    info: _Points = POINTS["info"]
    low: _Points = POINTS["low"]
    medium: _Points = POINTS["medium"]
    high: _Points = POINTS["high"]
    critical: _Points = POINTS["critical"]


class RedisSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where exporters tell each other whom they block."""

    url: Annotated[
        str,
        Meta(
            description="Where Redis is: redis://, rediss:// with TLS, or unix://. A login belongs into url_file.",
            examples=["redis://127.0.0.1:6379/0", "rediss://redis.example.org:6380", "unix:///run/redis/redis.sock"],
        ),
    ] = ""
    url_file: Annotated[
        str | None,
        Meta(description="In its place: a file with such an address, which may have a login in it."),
    ] = None
    key: Annotated[
        str,
        Meta(
            description="The stream in which they meet: those with the same one share.",
            pattern="^[!-~]{1,200}$",
        ),
    ] = "tocsin:blocklist"
    name: Annotated[
        str,
        Meta(description="What others call this exporter; empty: as this machine is called.", pattern="^[ -~]{0,100}$"),
    ] = ""
    ca_file: Annotated[
        str | None, Meta(description="The authorities that Redis' certificate is checked against, with rediss://.")
    ] = None


class ReputationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is blocked, for how long, and who never is."""

    threshold: Annotated[float, Meta(description="Whose score is above it is blocked.", ge=1, le=THRESHOLD_MAX)] = 100.0
    half_life: Annotated[_Duration, Meta(description="After so long, half of a score is left.")] = "30m"
    block_for: Annotated[
        _Duration, Meta(description="How long the first block lasts; each one after it lasts twice as long.")
    ] = "15m"
    block_for_max: Annotated[_Duration, Meta(description="No automatic block lasts longer.")] = "24h"
    forget_after: Annotated[
        _Duration, Meta(description="Who was not blocked for so long is blocked as if for the first time.")
    ] = "24h"
    grace: Annotated[
        _Duration, Meta(description="Whom a person has released is not blocked by findings for so long.")
    ] = "15m"
    dry_run: Annotated[
        bool, Meta(description="Findings block nobody: who would be blocked is counted, and shown apart.")
    ] = False
    points: Annotated[PointsSettings, Meta(description="What a finding counts for.")] = PointsSettings()
    detectors: Annotated[
        dict[Annotated[str, Meta(min_length=1)], _Points],
        Meta(
            description="Points of the findings of single detectors, whatever their severity; 0 is none."
            " brute_force_address and malicious_address have 120, unless they stand here.",
            max_length=DETECTORS_MAX,
        ),
    ] = msgspec.field(default_factory=dict)
    allow: Annotated[
        tuple[str, ...], Meta(description="Addresses and networks that are never blocked.", max_length=ALLOW_MAX)
    ] = ()
    allow_file: Annotated[
        str | None, Meta(description="A file with more of them, one a line; what is behind # is a comment.")
    ] = None
    allow_private: Annotated[
        bool, Meta(description="Private, link-local and loopback addresses are never blocked.")
    ] = True
    top_networks: Annotated[
        int,
        Meta(
            description="How many networks (/24, /48) security_top_source_score shows; 0 is off.",
            ge=0,
            le=TOP_NETWORKS_MAX,
        ),
    ] = TOP_NETWORKS_MAX
    redis: Annotated[
        RedisSettings | None, Meta(description="Where exporters tell each other whom they block; absent: nowhere.")
    ] = None


def wrong(settings: ReputationSettings) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Where something is wrong, what was found there, and what was expected. It does not tell addresses."""
    for at, text in enumerate(settings.allow):
        try:
            place_of(text)
        except ValueError as error:
            found, _, expected = str(error).removeprefix("found ").partition(", expected ")
            yield ("allow", at), found, expected
    if settings.redis is not None and bool(settings.redis.url) is (settings.redis.url_file is not None):
        both = "both url and url_file" if settings.redis.url else "neither url nor url_file"
        yield ("redis",), both, "one of the two"
    if settings.redis is not None and settings.redis.url:
        yield from _wrong_url(settings.redis.url)
    if seconds(settings.block_for_max) < seconds(settings.block_for):
        yield ("block_for_max",), settings.block_for_max, f"no less than block_for, which is {settings.block_for}"


def _wrong_url(url: str) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Nothing of it is repeated: there may be a password in it."""
    if "@" in url:
        yield ("redis", "url"), "a login in the address", "it in url_file"
        return
    try:
        redis_url(url)
    except ValueError as error:
        found, _, expected = str(error).removeprefix("found ").partition(", expected ")
        yield ("redis", "url"), found, expected
