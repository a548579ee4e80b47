"""The actions of receiver.yml as people write them: commands and webhooks that stages may run. Nothing else may."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from receiver.policy.fields import Duration

ACTIONS_MAX = 50
ARGUMENTS_MAX = 50
ARGUMENT_CHARACTERS_MAX = 1_000
PATTERN_CHARACTERS_MAX = 200

LabelName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Argument = Annotated[str, Meta(max_length=ARGUMENT_CHARACTERS_MAX, pattern=r"^[^\u0000]*$")]
Pattern = Annotated[
    str,
    Meta(min_length=1, max_length=PATTERN_CHARACTERS_MAX, description="what the whole value of the label must match"),
]


class ActionWebhookFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Posts what a webhook channel would post."""

    url: Annotated[str, Meta(description="http or https", extra_json_schema={"format": "url"})]
    headers: Annotated[
        dict[str, str], Meta(description="sent with the request", extra_json_schema={"x-secret": True})
    ] = msgspec.field(default_factory=dict)
    secret_file: Annotated[
        str | None, Meta(description="file with the key that signs the body (X-Tocsin-Signature)")
    ] = None


class ActionFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a stage may run: a command, or a webhook."""

    command: (
        Annotated[
            list[Argument],
            Meta(
                min_length=1,
                max_length=ARGUMENTS_MAX,
                description="the program by its absolute path, and its arguments; {label} stands for a label's value",
                extra_json_schema={"x-open": True},
            ),
        ]
        | None
    ) = None
    arguments: Annotated[
        dict[LabelName, Pattern], Meta(description="for each {label}: a regular expression for its whole value")
    ] = msgspec.field(default_factory=dict)
    webhook: ActionWebhookFile | None = None
    timeout: Annotated[Duration, Meta(description="then it is ended; from 1s to 10m")] = "30s"
    retry_for: Annotated[
        Duration | None, Meta(description="how long what failed is run again; without it once; from 1s to 1d")
    ] = None
    dry_run: Annotated[bool, Meta(description="only say in the story what would run")] = False
