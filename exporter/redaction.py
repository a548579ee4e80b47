"""What is left of each field of an event: by the rules of exporter.yml, else by the name of the field.

The patterns are imported with the first value that is looked at, because an exporter without events needs none.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from exporter.control import Plan, Refused
from exporter.event import Redact
from guard.redaction.names import is_personal
from guard.secretfile import secret_in
from guard.tokens import Unreadable

Policy = Literal["keep", "mask", "drop", "hash", "truncate", "template", "sql", "patterns"]

HASH_KEY_CHARACTERS_MIN = 16
_HASH_KEY_BYTES = 32
# What is a path or a statement by its name; dots, underscores and capitals make no difference.
_PATHS = "route path url uri endpoint href target referer referrer urlpath urlfull httproute httptarget"
_STATEMENTS = "query statement sql dbstatement dbquery dbquerytext querytext"
_SAME = re.compile(r"[^a-z0-9]+")


class RedactionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with the values of some fields."""

    fields: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(description="Names of fields. `*` stands for any characters.", min_length=1),
    ]
    policy: Annotated[Policy, Meta(description="What is done with their values.")]
    events: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(description="Only of these kinds of event, with `*` as above. Without it, of all."),
    ] = ()


class RedactionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is hidden of events before anything else sees them."""

    rules: Annotated[
        tuple[RedactionRule, ...],
        Meta(description="The first rule that has the field wins; without one, the name of the field decides."),
    ] = ()
    hash_key_file: Annotated[
        str | None,
        Meta(description="A file with the key of hashes, of at least 16 characters. Without it, each start draws one."),
    ] = None


class Redaction:
    """What is in force, as a part that follows the plan. `seen` is told the pattern of all that is hidden."""

    def __init__(self, *, seen: Callable[[str], object]) -> None:
        self._seen = seen
        self._settings = RedactionSettings()
        self._drawn = self._key = secrets.token_bytes(_HASH_KEY_BYTES)

    def prepare(self, plan: Plan) -> Callable[[], None]:
        settings = RedactionSettings() if plan.file is None else plan.file.redaction
        key = self._drawn if settings.hash_key_file is None else _key_in(Path(settings.hash_key_file))

        def put_into_force() -> None:
            self._settings, self._key = settings, key

        return put_into_force

    def redact(self, kind: str, field: str) -> Redact:
        """What removes personal data from one field of one kind of event."""
        policy, key = policy_of(self._settings, kind, field), self._key
        way: Redact | None = None

        def redact(text: str) -> str:
            nonlocal way
            if way is None:
                from guard.redaction.ways import way as way_of  # many patterns; see above

                way = way_of(policy, seen=self._seen, key=key)
            return way(text)

        return redact


def policy_of(settings: RedactionSettings, kind: str, field: str) -> Policy:
    """No kind is for names of sources, which no rule can change."""
    if not kind:
        return "patterns"
    for rule in settings.rules:
        if (not rule.events or _any_like(rule.events, kind)) and _any_like(rule.fields, field):
            return rule.policy
    if is_personal(field):
        return "mask"
    name = _SAME.sub("", field.lower())
    if name in _PATHS.split():
        return "template"
    return "sql" if name in _STATEMENTS.split() else "patterns"


def _any_like(patterns: tuple[str, ...], name: str) -> bool:
    return any(re.fullmatch(".*".join(map(re.escape, each.split("*"))), name, re.DOTALL) for each in patterns)


def _key_in(path: Path) -> bytes:
    try:
        key = secret_in(path)
    except Unreadable as error:
        raise Refused((f"redaction.hash_key_file: {error}",)) from None
    if len(key) < HASH_KEY_CHARACTERS_MIN:
        expected = f"expected at least {HASH_KEY_CHARACTERS_MIN}"
        raise Refused((f"redaction.hash_key_file: found a key of {len(key)} characters, {expected}",))
    return key.encode()
