"""`textfile`: what other programs leave for us in files `*.prom`, in the text format 0.0.4.

A file is shown as a whole or not at all. One that is wrong, or that contradicts a file before it, is left out; it is
named in the log, once, and `node_textfile_scrape_error` is 1. The others are shown. A file is read at each scrape, as
its time does not tell for sure that it is the same, but parsed only when its content has changed.
"""

import glob
import logging
import os
import stat
from collections.abc import Iterable, Sequence
from operator import is_not

import msgspec

from exporter.collectors.files import Malformed, Paths, shown
from exporter.collectors.options import Chosen, Kind, Option
from exporter.collectors.textformat import Described, Text, read
from exporter.family import RESERVED_SUFFIXES, Family, Shape, Type, shape
from exporter.points import InvalidFamily

log = logging.getLogger("tocsin.exporter")

DIRECTORIES_MAX = 100
FILES_MAX = 1000
FILE_BYTES_MAX = 8 << 20
BYTES_MAX = 32 << 20
SAMPLES_MAX = 100_000

MTIME = Shape("node_textfile_mtime_seconds", "gauge", "When a file that is shown was last written.", ("file",))
SCRAPE_ERROR = Shape(
    "node_textfile_scrape_error", "gauge", "1 while a file or a folder is left out because it cannot be read."
)


class Content(msgspec.Struct, frozen=True):
    """A file and what its text says, or what is wrong with it; nothing is parsed twice, not even what is wrong."""

    path: str
    content: bytes
    text: Text
    fault: str = ""


class Textfile:
    name = "textfile"
    help = "Metrics that other programs write into files *.prom."
    enabled = True
    options: tuple[Option, ...] = (
        Option(
            "directory",
            Kind.TEXT,
            "",
            "folders with files *.prom, with commas between; * stands for any characters",
            several=True,
        ),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:  # noqa: ARG002 - like all others
        directories = (chosen or Chosen(self.options)).text("directory").split(",")
        self._directories = [each.strip() for each in directories if each.strip()]
        self._known: dict[str, Content] = {}
        self._shown: tuple[Content, ...] = ()
        self._families: tuple[Family, ...] = ()
        self._left_out: dict[str, str] = {}
        self._clashing: dict[str, str] = {}

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        faults: dict[str, str] = {}
        times: dict[str, int] = {}
        contents = tuple(self._contents(self._files(faults), times, faults))
        if len(contents) != len(self._shown) or any(map(is_not, contents, self._shown)):
            self._clashing = {}
            self._families = families_of(contents, self._clashing)
            self._shown = contents
        faults |= self._clashing
        self._report(faults)
        written = [((shown(path),), time) for path, time in times.items() if path not in faults]
        return (MTIME.of(written), SCRAPE_ERROR.single(int(bool(faults))), *self._families)

    def _files(self, faults: dict[str, str]) -> Iterable[str]:
        count = 0
        for directory in self._folders(faults):
            try:
                names = sorted(name for name in os.listdir(directory) if name.endswith(".prom"))
            except (OSError, ValueError) as error:
                faults[directory] = reason(error)
                continue
            for name in names:
                count += 1
                if count > FILES_MAX:
                    faults[directory] = f"found more files, expected at most {FILES_MAX} in all folders"
                    return
                yield os.path.join(directory, name)

    def _folders(self, faults: dict[str, str]) -> list[str]:
        """As in node_exporter, a pattern that nothing matches is a folder that does not exist."""
        found: dict[str, None] = {}
        for each in self._directories:
            matching = sorted(glob.glob(each)) if glob.has_magic(each) else []
            found |= dict.fromkeys(matching or [each])
        folders = list(found)
        if len(folders) > DIRECTORIES_MAX:
            faults[folders[DIRECTORIES_MAX]] = f"found {len(folders)} folders, expected at most {DIRECTORIES_MAX}"
        return folders[:DIRECTORIES_MAX]

    def _contents(self, files: Iterable[str], times: dict[str, int], faults: dict[str, str]) -> Iterable[Content]:
        known: dict[str, Content] = {}
        size = 0
        for path in files:
            try:
                content, times[path] = read_file(path, most=min(FILE_BYTES_MAX, BYTES_MAX - size))
            except (OSError, ValueError) as error:
                faults[path] = reason(error)
                continue
            size += len(content)
            before = self._known.get(path)
            known[path] = each = before if before is not None and before.content == content else parsed(path, content)
            if each.fault:
                faults[path] = each.fault
            else:
                yield each
        self._known = known

    def _report(self, faults: dict[str, str]) -> None:
        for path, fault in faults.items():
            if self._left_out.get(path) != fault:
                log.warning("text file left out", extra={"file": shown(path), "error": fault})
        for path in self._left_out.keys() - faults.keys():
            log.info("text file is shown again, or gone", extra={"file": shown(path)})
        self._left_out = faults


def parsed(path: str, content: bytes) -> Content:
    try:
        return Content(path, content, read(content, where=shown(path), samples_max=SAMPLES_MAX))
    except Malformed as malformed:
        return Content(path, content, Text((), 0), str(malformed))


def read_file(path: str, *, most: int) -> tuple[bytes, int]:
    """What is in a regular file, and when it was written. Opening a pipe would wait for whoever writes into it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Malformed(shown(path), found=stat.filemode(status.st_mode), expected="a regular file")
        parts, size = [], 0
        while status.st_size <= most and (part := os.read(descriptor, most + 1 - size)):
            parts.append(part)
            size += len(part)
    finally:
        os.close(descriptor)
    if max(size, status.st_size) > most:
        found = f"{max(size, status.st_size)} bytes"
        raise Malformed(shown(path), found=found, expected=f"at most {most}, with the files before it {BYTES_MAX}")
    return parts[0] if len(parts) == 1 else b"".join(parts), int(status.st_mtime)


def families_of(contents: Sequence[Content], faults: dict[str, str]) -> tuple[Family, ...]:
    """One family for each name, with the samples of all files; `faults` is told whose file is left out."""
    merged: dict[str, Described] = {}
    first: dict[str, str] = {}
    samples = 0
    for each in contents:
        count = each.text.samples
        fault = next(filter(None, (contradiction(family, merged) for family in each.text.families)), "")
        if samples + count > SAMPLES_MAX:
            fault = f"found {samples + count} samples with the files before it, expected at most {SAMPLES_MAX}"
        if fault:
            faults[each.path] = fault
            continue
        samples += count
        for family in each.text.families:
            before = merged.get(family.name)
            if before is None:
                first[family.name] = each.path
                description = f"From {shown(each.path)}." if family.help is None else family.help
                merged[family.name] = Described(family.name, family.type, description, dict(family.values))
            else:
                before.values.update(family.values)
    families = []
    for described in merged.values():
        try:
            families.append(family_of(described))
        except InvalidFamily as invalid:
            faults[first[described.name]] = str(invalid)
    return tuple(families)


def contradiction(family: Described, merged: dict[str, Described]) -> str:
    """What keeps a family from being shown beside those of the files before it; nothing if nothing does."""
    if family.name in (MTIME.name, SCRAPE_ERROR.name):
        return f"found {family.name}, expected no name that is ours"
    before = merged.get(family.name)
    if before is None:
        return ""
    if before.type != family.type:
        return f"found the {family.type} {family.name}, expected a {before.type} as in a file before it"
    twice = before.values.keys() & family.values.keys()
    if twice:
        labels = ", ".join(f"{name}={value!r}" for name, value in min(twice))
        return f"found {family.name} with {labels or 'no labels'}, expected no series of a file before it"
    return ""


def family_of(described: Described) -> Family:
    """A series without a label that another one has is the same as one where it is empty."""
    names = sorted({name for labels in described.values for name, _ in labels})
    samples = []
    for labels, value in described.values.items():
        values = dict(labels)
        samples.append((tuple(values.get(name, "") for name in names), value))
    return shape(described.name, kind_of(described), described.help or "", tuple(names), utf8=True).of(samples)


def kind_of(described: Described) -> Type:
    """What only the text format allows, a counter without `_total` or a gauge with it, has an unknown type."""
    match described.type:
        case "histogram":
            return "histogram"
        case "summary":
            return "summary"
    if described.type == "counter" and described.name.endswith("_total"):
        numbers = [value for value in described.values.values() if isinstance(value, float | int)]
        return "counter" if all(number >= 0 for number in numbers) else "unknown"
    return "gauge" if described.type == "gauge" and not described.name.endswith(RESERVED_SUFFIXES) else "unknown"


def reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
