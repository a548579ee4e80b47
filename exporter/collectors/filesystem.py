"""`filesystem`: size, free space and inodes of every mounted filesystem that holds data.

A mount that has not answered is reported with `device_error="mountpoint timeout"`, and the others as usual; how they
are asked is in `asking`. The list of mounts hardly ever changes, so what follows from it is kept until it does.
"""

import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.collectors.asking import NO_ANSWER, Asker, Place, Statvfs
from exporter.collectors.files import Kept, Malformed, Paths, text
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Shape

# node_exporter's defaults: what is mounted there or so is not a disk that could fill up.
MOUNT_POINTS_EXCLUDED = r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
TYPES_EXCLUDED = (
    r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs"
    r"|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
)
OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")
# Types that are asked last: when too many of them are dead, there is nobody left to ask.
REMOTE_TYPES = ("nfs", "cifs", "smb", "fuse", "ceph", "9p", "afs", "lustre", "gpfs", "glusterfs", "beegfs")

LABELS = ("device", "device_error", "fstype", "mountpoint")
DEVICE_ERROR = Shape(
    "node_filesystem_device_error", "gauge", "1 where the filesystem could not be asked for its numbers.", LABELS
)
READONLY = Shape("node_filesystem_readonly", "gauge", "1 where the filesystem is mounted read-only.", LABELS)
SIZE = Shape("node_filesystem_size_bytes", "gauge", "Size of the filesystem.", LABELS)
FREE = Shape("node_filesystem_free_bytes", "gauge", "Free space, including what only root may use.", LABELS)
AVAILABLE = Shape("node_filesystem_avail_bytes", "gauge", "Free space for those who are not root.", LABELS)
FILES = Shape("node_filesystem_files", "gauge", "Inodes that the filesystem has.", LABELS)
FILES_FREE = Shape("node_filesystem_files_free", "gauge", "Inodes that are free.", LABELS)
MOUNT_INFO = Shape(
    "node_filesystem_mount_info",
    "gauge",
    "The numbers of the device that is mounted there; the value is always 1.",
    ("device", "major", "minor", "mountpoint"),
)


class Mount(NamedTuple):
    """One line of mountinfo, as far as it matters here. `place` is where to ask, `mountpoint` what to show."""

    device: str
    mountpoint: str
    fstype: str
    read_only: bool
    major: str
    minor: str
    place: Place


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
        Option("mount-timeout", Kind.DURATION, "5s", "how long a mount may take to answer"),
    )

    def __init__(
        self,
        paths: Paths,
        chosen: Chosen | None = None,
        *,
        statvfs: Statvfs = os.statvfs,
    ) -> None:
        self._procfs, self._rootfs = paths.procfs, paths.rootfs
        chosen = chosen or Chosen(self.options)
        self._points = Filter(
            include=chosen.pattern("mount-points-include"), exclude=chosen.pattern("mount-points-exclude")
        )
        self._types = Filter(include=chosen.pattern("fs-types-include"), exclude=chosen.pattern("fs-types-exclude"))
        self._kept = Kept()
        self._asker = Asker(statvfs, timeout_seconds=chosen.seconds("mount-timeout"))
        self._where, self._content, self._told = "", b"", False
        self._mounts: Sequence[Mount] = ()
        self._places: Sequence[Place] = ()
        self._marks: Sequence[str | int] = ()
        self._known = Known(self._mounts, self._marks)

    def collect(self, deadline: float) -> Iterable[Family]:
        changed = self._look_again()
        answers = self._asker.ask(self._places, deadline)
        found = [answers.get(mount.place, NO_ANSWER) for mount in self._mounts]
        marks = [answer if isinstance(answer, str) else answer.f_flag & os.ST_RDONLY for answer in found]
        if changed or marks != self._marks:
            self._known, self._marks = Known(self._mounts, marks), marks
        return self._known.families([answer for answer in found if not isinstance(answer, str)])

    def _look_again(self) -> bool:
        """Whether other mounts are there than the last time."""
        if self._told and self._kept.is_untouched(self._where):
            return False
        # Who fails from here on does not rely on the kernel to tell the same change a second time.
        self._told = False
        where, content = self._mountinfo()
        changed = (where, content) != (self._where, self._content)
        if changed:
            self._mounts = self._wanted(parse(content, rootfs=self._rootfs, where=where))
            self._places = in_order(self._mounts)
            self._where, self._content = where, content
        # The kernel does not tell when Btrfs goes by the name of another of its devices.
        self._told = all(mount.fstype != "btrfs" for mount in self._mounts)
        return changed

    def _mountinfo(self) -> tuple[str, bytes]:
        """The first process sees all mounts of the machine; a container may not look, and sees its own."""
        try:
            path = f"{self._procfs}/1/mountinfo"
            return path, self._kept.read(path)
        except OSError:
            path = f"{self._procfs}/self/mountinfo"
            return path, self._kept.read(path)

    def _wanted(self, mounts: Iterable[Mount]) -> Sequence[Mount]:
        """Mounts that would look the same (one directory mounted over another) are shown once, as the first."""
        by_labels: dict[tuple[str, ...], Mount] = {}
        for mount in mounts:
            if self._points.keeps(mount.mountpoint) and self._types.keeps(mount.fstype):
                by_labels.setdefault((mount.device, mount.fstype, mount.mountpoint), mount)
        # Where several are mounted in one place, whoever asks there asks the last.
        last = {mount.place.path: mount.place for mount in by_labels.values()}
        return [mount._replace(place=last[mount.place.path]) for mount in by_labels.values()]


class Known:
    """What is known without asking anew: the labels of all, and the families that stay the same with them."""

    def __init__(self, mounts: Sequence[Mount], marks: Sequence[str | int]) -> None:
        """A mark is the error of a mount that has one, else whether the file system itself is read-only now."""
        labels = [
            (mount.device, mark if isinstance(mark, str) else "", mount.fstype, mount.mountpoint)
            for mount, mark in zip(mounts, marks, strict=True)
        ]
        self._labels = [each for each in labels if not each[1]]
        info = {(mount.device, mount.major, mount.minor, mount.mountpoint): 1 for mount in mounts}
        read_only = [int(mount.read_only or mark == os.ST_RDONLY) for mount, mark in zip(mounts, marks, strict=True)]
        self._same = (
            DEVICE_ERROR.of([(each, int(bool(each[1]))) for each in labels]),
            READONLY.of(list(zip(labels, read_only, strict=True))),
            MOUNT_INFO.of(tuple(info.items())),
        )

    def families(self, statuses: Sequence[os.statvfs_result]) -> Iterable[Family]:
        """`statuses` are those of the mounts without an error, in their order."""
        asked = list(zip(self._labels, statuses, strict=True))
        # f_frsize is the unit of the block counts; f_bsize is only the preferred size of a transfer.
        return (
            *self._same,
            SIZE.of([(labels, status.f_blocks * status.f_frsize) for labels, status in asked]),
            FREE.of([(labels, status.f_bfree * status.f_frsize) for labels, status in asked]),
            AVAILABLE.of([(labels, status.f_bavail * status.f_frsize) for labels, status in asked]),
            FILES.of([(labels, status.f_files) for labels, status in asked]),
            FILES_FREE.of([(labels, status.f_ffree) for labels, status in asked]),
        )


def parse(content: bytes, *, rootfs: str = "/", where: str = "mountinfo") -> list[Mount]:
    """`27 1 254:0 / /mnt/a\\040b rw,relatime shared:1 - ext4 /dev/vda rw` by its words.

    Only blanks and line breaks part words and lines: all other strange bytes may stand in a name as they are.
    """
    mounts = []
    for line in content.split(b"\n"):
        if not line:
            continue
        left, dash, right = line.partition(b" - ")
        words, rest = left.split(b" "), right.split(b" ")
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
                place=Place(rootfs.rstrip("/").encode() + mountpoint, words[0]),
            )
        )
    return mounts


def in_order(mounts: Iterable[Mount]) -> list[Place]:
    """Each place once; those behind a network, or behind a process, last."""
    places = {mount.place: mount.fstype.startswith(REMOTE_TYPES) for mount in mounts}
    return sorted(places, key=lambda place: places[place])


def unescape(word: bytes) -> bytes:
    """The kernel writes blanks, tabs, line breaks and backslashes as `\\040` and the like."""
    return OCTAL_ESCAPE.sub(lambda match: bytes((int(match[1], 8) & 0xFF,)), word)


def without_rootfs(mountpoint: bytes, rootfs: str) -> bytes:
    """A container sees the host's `/home` as `/host/home`; with `--path.rootfs=/host` it is `/home` again."""
    prefix = rootfs.rstrip("/").encode()
    inside = mountpoint == prefix or mountpoint.startswith(prefix + b"/")
    return (mountpoint.removeprefix(prefix) if inside else mountpoint) or b"/"
