"""Templates of the channels of receiver.yml as people write them: in the file, or each in a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

TEMPLATE_CHARACTERS_MAX = 65_536

TemplateText = Annotated[
    str, Meta(min_length=1, max_length=TEMPLATE_CHARACTERS_MAX, description="Jinja, as docs/templates.md has it")
]
TemplatePath = Annotated[str, Meta(description="the same in a file of its own")]


class TerminalTemplates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a terminal channel prints."""

    text: TemplateText | None = None
    text_file: TemplatePath | None = None


class WebhookTemplates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a webhook channel posts: JSON."""

    body: TemplateText | None = None
    body_file: TemplatePath | None = None


class EmailTemplates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a mail."""

    subject: TemplateText | None = None
    subject_file: TemplatePath | None = None
    text: TemplateText | None = None
    text_file: TemplatePath | None = None
    html: TemplateText | None = None
    html_file: TemplatePath | None = None


class SlackTemplates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The head of a message in Slack, and what stands below it."""

    title: TemplateText | None = None
    title_file: TemplatePath | None = None
    text: TemplateText | None = None
    text_file: TemplatePath | None = None


class PagerDutyTemplates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What PagerDuty reads out."""

    summary: TemplateText | None = None
    summary_file: TemplatePath | None = None


class AppriseTemplates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a service of Apprise's shows, above the links."""

    title: TemplateText | None = None
    title_file: TemplatePath | None = None
    body: TemplateText | None = None
    body_file: TemplatePath | None = None


TemplatesFile = (
    TerminalTemplates | WebhookTemplates | EmailTemplates | SlackTemplates | PagerDutyTemplates | AppriseTemplates
)


def keys_of(templates: TemplatesFile) -> list[str]:
    return [name for name in templates.__struct_fields__ if not name.endswith("_file")]


def written_in(templates: TemplatesFile | None) -> dict[str, str]:
    """The templates that stand in the policy itself."""
    found = {key: getattr(templates, key) for key in keys_of(templates)} if templates is not None else {}
    return {key: text for key, text in found.items() if text is not None}


def files_of(templates: TemplatesFile | None) -> Iterator[tuple[str, str]]:
    """The key of each template that has a file of its own, and the file."""
    for key in keys_of(templates) if templates is not None else ():
        path = getattr(templates, f"{key}_file")
        if path is not None:
            yield key, path
