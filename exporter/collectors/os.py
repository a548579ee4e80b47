"""`os`: which operating system this is, as /etc/os-release has it."""

import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from exporter.collectors.files import Malformed, Paths, read, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

# The first that exists counts.
FILES = ("etc/os-release", "usr/lib/os-release")
INFO_LABELS = (
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
)
VERSION_LABELS = ("id", "id_like", "name")
INFO = Shape("node_os_info", "gauge", "What os-release says, as labels; the value is always 1.", INFO_LABELS)
VERSION = Shape("node_os_version", "gauge", "The version's first two parts, as a number.", VERSION_LABELS)
SUPPORT_END = Shape(
    "node_os_support_end_timestamp_seconds",
    "gauge",
    "The day on which support ends, in seconds since 1970.",
)
MAJOR_MINOR = re.compile(r"[0-9]+\.?[0-9]*")
# Behind a backslash in double quotes these mean themselves, as in a shell.
ESCAPABLE = "\"'\\$`"


class Os:
    name = "os"
    help = "The operating system's name and version, from os-release."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._paths = [f"{paths.rootfs.rstrip('/')}/{file}" for file in FILES]
        self._seen: tuple[str, int, int] | None = None
        self._families: tuple[Family, ...] = ()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        """The file is read again when another is there, which is once in years."""
        for path in self._paths:
            try:
                status = os.stat(path)
                seen = (path, status.st_mtime_ns, status.st_ino)
                if seen != self._seen:
                    self._families = tuple(families(parse(read(path)), path))
                    self._seen = seen
            except FileNotFoundError:
                continue
            return self._families
        raise Absent("there is no os-release")


def parse(content: bytes) -> dict[str, str]:
    """`KEY=value` by key; the last one counts. What has no `=`, or is a comment, is skipped, as a shell would."""
    values: dict[str, str] = {}
    for line in text(content).split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            values[key] = unquoted(value)
    return values


def unquoted(value: str) -> str:
    """What a shell would take for the value: quotes are taken off, and a backslash where it protects something."""
    characters: list[str] = []
    quote = ""
    rest = iter(value)
    for character in rest:
        if character == "\\" and quote != "'":
            following = next(rest, "")
            protects = not quote or following in ESCAPABLE
            characters.append(following if protects else character + following)
        elif character == quote:
            quote = ""
        elif character in "\"'" and not quote:
            quote = character
        elif character in " \t" and not quote:
            break
        else:
            characters.append(character)
    return "".join(characters)


def families(values: Mapping[str, str], where: str) -> Iterable[Family]:
    yield INFO.of(((tuple(values.get(label.upper(), "") for label in INFO_LABELS), 1),))
    match = MAJOR_MINOR.match(values.get("VERSION_ID", ""))
    if match is not None and (version := float(match.group())) > 0:
        yield VERSION.of(((tuple(values.get(label.upper(), "") for label in VERSION_LABELS), version),))
    if day := values.get("SUPPORT_END"):
        try:
            end = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise Malformed(where, found=f"SUPPORT_END={day}", expected="a day such as 2028-06-30") from None
        yield SUPPORT_END.single(int(end.timestamp()))
