"""`filesystem`: size, free space and inodes of every mounted filesystem that holds data.

Asking a dead network mount for its size never returns. So each mount is asked in a thread that can be left
behind; a mount that has not answered is reported with `device_error="mountpoint timeout"`, the others are
reported as usual, and nobody asks it again until the first question has come back.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from exporter.collectors.files import Malformed, Paths, read, text
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family
from exporter.pool import Pool

# node_exporter's defaults: what is mounted there or so is not a disk that could fill up.
MOUNT_POINTS_EXCLUDED = r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
TYPES_EXCLUDED = (
    r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs"
    r"|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
)
OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")
PATIENCE_SECONDS_MAX = 5.0
NO_ANSWER = "mountpoint timeout"
LABELS = ("device", "device_error", "fstype", "mountpoint")


class Mount(NamedTuple):
    """One line of mountinfo, as far as it matters here. `path` is where to ask, `mountpoint` what to show."""

    device: str
    mountpoint: str
    fstype: str
    read_only: bool
    major: str
    minor: str
    path: bytes


class Answer(NamedTuple):
    """What a mount said: its numbers, or why there are none."""

    status: os.statvfs_result | None
    error: str


class Question:
    """A mount that is being asked in another thread."""

    def __init__(self, path: bytes, statvfs: Callable[[bytes], os.statvfs_result]) -> None:
        self._path = path
        self._statvfs = statvfs
        self.answered = threading.Event()
        self.answer = Answer(None, NO_ANSWER)

    def ask(self) -> None:
        try:
            self.answer = Answer(self._statvfs(self._path), "")
        except OSError as error:
            self.answer = Answer(None, os.strerror(error.errno or 0).lower())
        except ValueError:
            self.answer = Answer(None, "not a path")
        self.answered.set()


class Filesystem:
    name = "filesystem"
    help = "Size, free space and inodes of mounted filesystems."
    enabled = True
    options: tuple[Option, ...] = (
        Option(
            "mount-points-exclude",
            Kind.PATTERN,
            MOUNT_POINTS_EXCLUDED,
            "mount points that are left out",
        ),
        Option("mount-points-include", Kind.PATTERN, "", "only these mount points"),
        Option("fs-types-exclude", Kind.PATTERN, TYPES_EXCLUDED, "types of file systems that are left out"),
        Option("fs-types-include", Kind.PATTERN, "", "only these types of file systems"),
    )

    def __init__(
        self,
        paths: Paths,
        chosen: Chosen | None = None,
        *,
        statvfs: Callable[[bytes], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._paths = paths
        chosen = chosen or Chosen(self.options)
        self._wanted = (
            Filter(include=chosen.pattern("mount-points-include"), exclude=chosen.pattern("mount-points-exclude")),
            Filter(include=chosen.pattern("fs-types-include"), exclude=chosen.pattern("fs-types-exclude")),
        )
        self._statvfs = statvfs
        self._pool = Pool("tocsin-filesystem")
        self._unanswered: dict[bytes, Question] = {}

    def collect(self, deadline: float) -> Iterable[Family]:
        return families([(mount, self._ask(mount.path, deadline)) for mount in self._mounts()])

    def _mounts(self) -> tuple[Mount, ...]:
        """The first process sees all mounts of the machine; a container may not look, and sees its own."""
        for process in ("1", "self"):
            path = f"{self._paths.procfs}/{process}/mountinfo"
            try:
                mounts = parse(read(path), rootfs=self._paths.rootfs, where=path)
                return tuple(mount for mount in mounts if self._is_wanted(mount))
            except OSError:
                if process == "self":
                    raise
        raise AssertionError("unreachable")

    def _is_wanted(self, mount: Mount) -> bool:
        points, types = self._wanted
        return points.keeps(mount.mountpoint) and types.keeps(mount.fstype)

    def _ask(self, path: bytes, deadline: float) -> Answer:
        question = self._unanswered.get(path)
        if question is None:
            question = Question(path, self._statvfs)
            self._unanswered[path] = question
            self._pool.submit(question.ask)
            # A quarter of what is left, so that one dead mount leaves time for the others.
            patience = min(PATIENCE_SECONDS_MAX, max(0.0, (deadline - time.monotonic()) / 4))
            if not question.answered.wait(patience):
                self._pool.grow()
        if question.answered.is_set():
            del self._unanswered[path]
        return question.answer


# A host with many containers has thousands of lines, and hardly ever a new one.
@lru_cache(maxsize=1)
def parse(content: bytes, *, rootfs: str = "/", where: str = "mountinfo") -> tuple[Mount, ...]:
    """`27 1 254:0 / /mnt/a\\040b rw,relatime shared:1 - ext4 /dev/vda rw` by its words."""
    mounts = []
    for line in content.splitlines():
        left, dash, right = line.partition(b" - ")
        words, rest = left.split(), right.split(b" ")
        if not dash or len(words) < 6 or len(rest) < 3 or words[2].count(b":") != 1:
            raise Malformed(where, found=line, expected="a line of mountinfo")
        mountpoint = without_rootfs(unescape(words[4]), rootfs)
        major, minor = text(words[2]).split(":")
        mounts.append(
            Mount(
                device=text(rest[1]),
                mountpoint=text(mountpoint),
                fstype=text(rest[0]),
                read_only=b"ro" in words[5].split(b",") or b"ro" in rest[2].split(b","),
                major=major,
                minor=minor,
                path=rootfs.rstrip("/").encode() + mountpoint,
            )
        )
    return tuple(mounts)


def unescape(word: bytes) -> bytes:
    """The kernel writes blanks, tabs, line breaks and backslashes as `\\040` and the like."""
    return OCTAL_ESCAPE.sub(lambda match: bytes((int(match[1], 8) & 0xFF,)), word)


def without_rootfs(mountpoint: bytes, rootfs: str) -> bytes:
    """A container sees the host's `/home` as `/host/home`; with `--path.rootfs=/host` it is `/home` again."""
    prefix = rootfs.rstrip("/").encode()
    inside = mountpoint == prefix or mountpoint.startswith(prefix + b"/")
    return (mountpoint.removeprefix(prefix) if inside else mountpoint) or b"/"


def families(answers: Iterable[tuple[Mount, Answer]]) -> Iterable[Family]:
    """Mounts that would look the same (one directory mounted over another) are shown once, as the first."""
    by_labels: dict[tuple[str, ...], tuple[Mount, Answer]] = {}
    for mount, answer in answers:
        labels = (mount.device, answer.error, mount.fstype, mount.mountpoint)
        by_labels.setdefault(labels, (mount, answer))
    shown = tuple(by_labels.items())
    yield _gauge(
        "node_filesystem_device_error",
        "1 where the filesystem could not be asked for its numbers.",
        [(labels, float(answer.status is None)) for labels, (_, answer) in shown],
    )
    yield _gauge(
        "node_filesystem_readonly",
        "1 where the filesystem is mounted read-only.",
        [(labels, float(mount.read_only)) for labels, (mount, _) in shown],
    )
    statuses = [(labels, answer.status) for labels, (_, answer) in shown if answer.status is not None]
    for name, description, measure in MEASURES:
        yield _gauge(name, description, [(labels, measure(status)) for labels, status in statuses])
    yield Family.of(
        name="node_filesystem_mount_info",
        type="gauge",
        help="The numbers of the device that is mounted there; the value is always 1.",
        labels=("device", "major", "minor", "mountpoint"),
        samples=tuple(
            ((mount.device, mount.major, mount.minor, mount.mountpoint), 1.0)
            for mount in {(m.device, m.major, m.minor, m.mountpoint): m for _, (m, _) in shown}.values()
        ),
    )


# f_frsize is the unit of the block counts; f_bsize is only the preferred size of a transfer.
MEASURES: tuple[tuple[str, str, Callable[[os.statvfs_result], float]], ...] = (
    ("node_filesystem_size_bytes", "Size of the filesystem.", lambda s: s.f_blocks * s.f_frsize),
    (
        "node_filesystem_free_bytes",
        "Free space, including what only root may use.",
        lambda s: s.f_bfree * s.f_frsize,
    ),
    (
        "node_filesystem_avail_bytes",
        "Free space for those who are not root.",
        lambda s: s.f_bavail * s.f_frsize,
    ),
    ("node_filesystem_files", "Inodes that the filesystem has.", lambda s: s.f_files),
    ("node_filesystem_files_free", "Inodes that are free.", lambda s: s.f_ffree),
)


def _gauge(name: str, description: str, samples: list[tuple[tuple[str, ...], float]]) -> Family:
    return Family.of(name=name, type="gauge", help=description, labels=LABELS, samples=samples)
