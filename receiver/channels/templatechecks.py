"""What is wrong with the templates of a policy before it is in force: each is compiled, and tried with every sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from receiver.channels.samples import samples
from receiver.channels.templates import USES, Broken, Use
from receiver.policy.channelfile import ChannelFile
from receiver.policy.shapes import Told, items
from receiver.policy.templatefile import TEMPLATE_CHARACTERS_MAX, files_of

_LINKS = {
    "acknowledge": "https://tocsin.example.org/ack/token",
    "incident": "https://tocsin.example.org/incidents/T-7",
    "graph": "",
    "runbook": "",
}
_EXPECTED = "a template that can be used for every message (docs/templates.md)"


class Unreadable(Exception):
    """A file that holds no template."""


def written_faults(channels: object) -> Iterator[Told]:
    """Of the templates that stand in the policy. Each is given as it was written, whatever its shape is."""
    for name, channel in items(channels):
        written = dict(items(channel))
        kind = written.get("type")
        uses = USES.get(kind, {}) if isinstance(kind, str) else {}
        for key, source in items(written.get("templates")):
            if key in uses and isinstance(source, str) and 0 < len(source) <= TEMPLATE_CHARACTERS_MAX:
                fault = fault_of(source, uses[key])
                if fault is not None:
                    yield ("channels", name, "templates", key), fault, _EXPECTED


def file_faults(channels: Mapping[str, ChannelFile]) -> Iterator[Told]:
    """Of those that have files of their own."""
    for name, channel in channels.items():
        for key, path in files_of(channel.templates):
            where = ("channels", name, "templates", f"{key}_file")
            try:
                fault = fault_of(source_in(Path(path)), USES[_kind(channel)][key])
            except Unreadable as error:
                yield where, str(error), "a file with a template"
            else:
                if fault is not None:
                    yield where, f"in {Path(path).name}, {fault}", _EXPECTED


def fault_of(source: str, use: Use) -> str | None:
    from receiver.channels.templating import compiled, made, values_of  # a policy without templates does without it

    try:
        compiled(source, use.form)
    except Broken as broken:
        return _words(broken)
    for special, document in samples():
        try:
            made(source, use, values_of(document, _LINKS))
        except Broken as broken:
            return f"{_words(broken)} (for a message of the kind {document.kind}, with {special} in it)"
    return None


def source_in(path: Path) -> str:
    """Raises Unreadable."""
    try:
        with path.open(encoding="utf-8") as file:
            source = file.read(TEMPLATE_CHARACTERS_MAX + 1)
    except OSError as error:
        raise Unreadable(f"a file that cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable("a file that is not UTF-8") from None
    if not source.strip():
        raise Unreadable("an empty file")
    if len(source) > TEMPLATE_CHARACTERS_MAX:
        raise Unreadable(f"a file of more than {TEMPLATE_CHARACTERS_MAX} characters")
    return source


def with_files_read(channel: ChannelFile) -> ChannelFile:
    """The same channel with all its templates in it: so a template that changes is a channel that changes. Raises
    Unreadable."""
    read = {key: source_in(Path(path)) for key, path in files_of(channel.templates)}
    if channel.templates is None or not read:
        return channel
    gone = {f"{key}_file": None for key in read}
    # Both are structs with a field `templates`; which of them have which is for the policy file to say.
    templates = msgspec.structs.replace(channel.templates, **read, **gone)
    return msgspec.structs.replace(channel, templates=templates)


def _kind(channel: ChannelFile) -> str:
    return str(channel.__struct_config__.tag)


def _words(broken: Broken) -> str:
    return f"line {broken.line} of the template: {broken.text}" if broken.line else broken.text
