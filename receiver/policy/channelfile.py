"""The channels of receiver.yml as people write them, and nothing that decides."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from receiver.policy.fields import Duration
from receiver.policy.templatefile import (
    AppriseTemplates,
    EmailTemplates,
    PagerDutyTemplates,
    SlackTemplates,
    TerminalTemplates,
    WebhookTemplates,
)

RECIPIENTS_MAX = 100

MailboxText = Annotated[
    str,
    Meta(
        description="an address such as ops@example.org or Tocsin <tocsin@example.org>",
        extra_json_schema={"format": "mailbox"},
    ),
]


class AnyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every channel may have, whatever its type is."""

    fallback: Annotated[
        str | None, Meta(description="the channel that is told what this one refuses, or does not take in time")
    ] = None
    fallback_after: Annotated[
        Duration, Meta(description="how long a page may wait for this channel before the fallback is told")
    ] = "1m"


class TerminalFile(AnyFile, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="terminal"):
    """Prints each message on standard output."""

    templates: TerminalTemplates | None = None


class WebhookFile(AnyFile, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="webhook"):
    """Posts each message as JSON."""

    url: Annotated[str, Meta(description="http or https", extra_json_schema={"format": "url"})]
    headers: Annotated[
        dict[str, str], Meta(description="sent with each request", extra_json_schema={"x-secret": True})
    ] = msgspec.field(default_factory=dict)
    timeout: Annotated[Duration, Meta(description="for one attempt, from connecting to the answer")] = "5s"
    secret_file: Annotated[
        str | None, Meta(description="file with the key that signs the body (X-Tocsin-Signature)")
    ] = None
    ca_file: Annotated[str | None, Meta(description="certificates that are trusted, instead of the system's; PEM")] = (
        None
    )
    cert_file: Annotated[str | None, Meta(description="certificate by which we show who we are; PEM")] = None
    key_file: Annotated[str | None, Meta(description="its key, where it is not in the same file; PEM")] = None
    retry_for: Annotated[Duration, Meta(description="how long a message is tried before it is given up")] = "24h"
    templates: WebhookTemplates | None = None


class EmailFile(AnyFile, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="email"):
    """Sends each message as a mail."""

    smarthost: Annotated[str, Meta(description="the server's host and port", extra_json_schema={"format": "smarthost"})]
    sender: MailboxText = msgspec.field(name="from")
    to: Annotated[list[MailboxText], Meta(min_length=1, max_length=RECIPIENTS_MAX)]
    username: Annotated[str, Meta(min_length=1, pattern=r"^[^\u0000-\u001f]*$")] | None = None
    password_file: Annotated[str | None, Meta(description="file with the password, in one line")] = None
    tls: Annotated[
        Literal["starttls", "tls", "none"] | None,
        Meta(description="default: tls at port 465, none to this machine, otherwise starttls"),
    ] = None
    ca_file: Annotated[str | None, Meta(description="certificates that are trusted, instead of the system's; PEM")] = (
        None
    )
    attach_json: Annotated[bool, Meta(description="attach what a webhook channel would post")] = False
    attach_chart: Annotated[bool, Meta(description="a picture of how many alerts fired, and when")] = False
    timeout: Annotated[Duration | None, Meta(description="for one attempt (default: 30s)")] = None
    retry_for: Annotated[Duration, Meta(description="how long a message is tried before it is given up")] = "24h"
    templates: EmailTemplates | None = None


class SlackFile(AnyFile, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="slack"):
    """One message for each incident, kept up to date (with a bot's token); or each by itself (with a webhook)."""

    token_file: Annotated[str | None, Meta(description="file with the bot's token")] = None
    channel: (
        Annotated[
            str,
            Meta(pattern=r"^[^\s<>&]{1,80}$", description="with token_file: where to post, such as '#ops'"),
        ]
        | None
    ) = None
    webhook_url_file: Annotated[
        str | None, Meta(description="instead: file with the address of an incoming webhook")
    ] = None
    signing_secret_file: Annotated[
        str | None,
        Meta(description="with token_file: file with the app's signing secret; then messages have buttons"),
    ] = None
    api_url: Annotated[
        str, Meta(description="where Slack's Web API is; http or https", extra_json_schema={"format": "url"})
    ] = "https://slack.com/api/"
    timeout: Annotated[Duration, Meta(description="for one attempt, from connecting to the answer")] = "5s"
    retry_for: Annotated[Duration, Meta(description="how long a message is tried before it is given up")] = "24h"
    templates: SlackTemplates | None = None


class PagerDutyFile(AnyFile, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="pagerduty"):
    """One PagerDuty incident for each of ours."""

    routing_key_file: Annotated[str, Meta(description="file with the integration key of the service")]
    url: Annotated[
        str | None,
        Meta(
            description="http or https (default: https://events.pagerduty.com/v2/enqueue)",
            extra_json_schema={"format": "url"},
        ),
    ] = None
    webhook_secret_file: Annotated[
        str | None, Meta(description="file with the secret of the webhook subscription that says what people do there")
    ] = None
    timeout: Annotated[Duration, Meta(description="for one attempt, from connecting to the answer")] = "5s"
    retry_for: Annotated[Duration, Meta(description="how long a message is tried before it is given up")] = "24h"
    templates: PagerDutyTemplates | None = None


class AppriseFile(AnyFile, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="apprise"):
    """Sends each message by itself, through the services that Apprise knows."""

    url_file: Annotated[
        str, Meta(description="file with the address of a service as Apprise writes it; of several, one a line")
    ]
    timeout: Annotated[Duration | None, Meta(description="for one attempt; then it is let go (default: 30s)")] = None
    retry_for: Annotated[Duration, Meta(description="how long a message is tried before it is given up")] = "24h"
    templates: AppriseTemplates | None = None


ChannelFile = TerminalFile | WebhookFile | EmailFile | SlackFile | PagerDutyFile | AppriseFile
