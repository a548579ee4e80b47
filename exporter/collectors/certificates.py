"""`certificates`: until when the certificates in configured files are valid.

A file with several, such as a chain, is as good as the one that ends first. Keys that stand beside them are neither
decoded nor kept.
"""

import glob
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import msgspec

from exporter.collectors.behind import Behind
from exporter.collectors.files import Malformed, Paths, shown
from exporter.collectors.options import Chosen, Kind, Option
from exporter.collectors.textfile import read_file, reason
from exporter.collectors.watched_files import patterns_of
from exporter.collectors.x509 import Validity, validities
from exporter.family import Family, Shape

log = logging.getLogger("tocsin.exporter")

PATTERNS_MAX = 100
# Of all patterns together; further ones are not looked at.
FILES_MAX = 500
# The bundle of all that a system trusts has less than a quarter of it.
FILE_BYTES_MAX = 1 << 20

EXPIRY = Shape(
    "security_certificate_expiry_timestamp_seconds",
    "gauge",
    "Until when the certificate is valid, in seconds since 1970; of several in a file, that which ends first.",
    ("path",),
)
BEGIN = Shape(
    "security_certificate_not_before_timestamp_seconds",
    "gauge",
    "From when on the certificate is valid, in seconds since 1970; of several in a file, that which begins last.",
    ("path",),
)
FILES = Shape(
    "security_certificate_files",
    "gauge",
    "Files with certificates, by what they are now: valid, expired, not valid yet, or not to be read.",
    ("state",),
)
CHECKED = Shape(
    "security_certificates_last_check_timestamp_seconds",
    "gauge",
    "When the files with certificates were last looked at, in seconds since 1970.",
)
STATES = ("valid", "expired", "not_yet_valid", "unreadable")


class Seen(msgspec.Struct, frozen=True):
    """Files by path; those that could not be read have none."""

    files: Mapping[str, Validity | None]


class Certificates:
    name = "certificates"
    help = "Until when certificates in files are valid."
    enabled = True
    options: tuple[Option, ...] = (
        Option(
            "files", Kind.TEXT, "", "files, PEM or DER, with commas between; * stands for any characters", several=True
        ),
        Option("interval", Kind.DURATION, "5m", "how long after a look the next scrape causes another one"),
    )

    def __init__(
        self,
        paths: Paths,
        chosen: Chosen | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Raises ValueError where the files are no paths, or too many."""
        chosen = chosen or Chosen(self.options)
        self._patterns = patterns_of(chosen.text("files"), what="files", most=PATTERNS_MAX)
        self._root = paths.rootfs.rstrip("/")
        self._faults: Mapping[str, str] = {}
        self._now = now
        self._behind = Behind(self.name, self._look, every_seconds=chosen.seconds("interval"), clock=clock)

    def collect(self, deadline: float) -> Iterable[Family]:
        found = self._behind.last(deadline)
        if found is None:
            return
        read = {shown(path): each for path, each in found.value.files.items() if each is not None}
        now = self._now()
        states = [_state(each, now) for each in found.value.files.values()]
        yield EXPIRY.of([((path,), each.not_after) for path, each in read.items()])
        yield BEGIN.of([((path,), each.not_before) for path, each in read.items()])
        yield FILES.of([((state,), states.count(state)) for state in STATES])
        yield CHECKED.single(found.at)

    def _look(self) -> Seen:
        """Behind the scrape, never twice at once."""
        files: dict[str, Validity | None] = {}
        faults: dict[str, str] = {}
        for path in islice(self._paths(), FILES_MAX):
            name = path.removeprefix(self._root)
            try:
                content, _ = read_file(path, most=FILE_BYTES_MAX)
                files[name] = _worst(validities(content, shown(name)))
            except (OSError, ValueError) as error:
                files[name] = None
                faults[name] = reason(error) if not isinstance(error, Malformed) else str(error)
        for name, fault in faults.items():
            if self._faults.get(name) != fault:
                log.warning("certificate cannot be read", extra={"file": shown(name), "error": fault})
        self._faults = faults
        return Seen(files)

    def _paths(self) -> Iterable[str]:
        """A name without `*` is there, or it is said that it is not."""
        seen = set()
        for pattern in self._patterns:
            path = f"{self._root}{pattern}"
            for each in sorted(islice(glob.iglob(path), FILES_MAX)) if glob.has_magic(pattern) else [path]:
                if each not in seen:
                    seen.add(each)
                    yield each


def _worst(found: Sequence[Validity]) -> Validity:
    return Validity(max(each.not_before for each in found), min(each.not_after for each in found))


def _state(validity: Validity | None, now: float) -> str:
    if validity is None:
        return "unreadable"
    if now > validity.not_after:
        return "expired"
    return "valid" if now >= validity.not_before else "not_yet_valid"
