"""The files of network devices under /sys/class/net, which stay open from scrape to scrape.

A device may go at any moment, and another may come by its name. What is kept open belongs to one device and answers
ENODEV when that is gone; then the name is looked up again. Which files there are, and what they mean, is the business
of the collector that asks.
"""

import errno
import os
from collections.abc import Iterable, Sequence

from exporter.collectors.files import may_stay_open

# Files of devices that one collector keeps open; those of further devices are opened at each scrape.
DEVICE_FILES_MAX = 256
# The kernel gives no file of sysfs more than a page.
VALUE_BYTES = 4096

Contents = list[bytes | None]


class NetDevices:
    """Reads `files`, each a path inside a device's folder. Not for two threads at once."""

    def __init__(self, sysfs: str, files: Sequence[str], *, most: int = DEVICE_FILES_MAX) -> None:
        self._folder = f"{sysfs}/class/net"
        self._files = tuple(files)
        self._devices_max = most // len(self._files)
        self._open: dict[bytes, list[int | None]] = {}

    def names(self) -> list[bytes]:
        """In a stated order. Not all are devices: `bonding_masters` is a file, of which `read` says None."""
        return sorted(os.listdir(os.fsencode(self._folder)))

    def read(self, name: bytes) -> Contents | None:
        """What each file says, None for one that the device does not offer now; None if there is no such device."""
        if name in self._open and (contents := self._contents(name)) is not None:
            return contents
        try:
            self._open[name] = self._opened(name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        stay = all(descriptor is None or may_stay_open(descriptor) for descriptor in self._open[name])
        contents = self._contents(name)
        if len(self._open) > self._devices_max or not stay:
            self._close(name)
        return contents

    def keep_only(self, names: Iterable[bytes]) -> None:
        """Lets go of devices that are not among the names, so that those that come find room."""
        for name in self._open.keys() - set(names):
            self._close(name)

    def __del__(self) -> None:
        """A collector that another takes the place of, at a reload, takes its files along."""
        self.close()

    def close(self) -> None:
        self.keep_only(())

    def _contents(self, name: bytes) -> Contents | None:
        """None, and nothing is kept, when the device is gone, or is going and says nothing at all."""
        try:
            contents = [_value(descriptor) for descriptor in self._open[name]]
        except OSError:
            contents = []
        if any(contents):
            return contents
        self._close(name)
        return None

    def _opened(self, name: bytes) -> list[int | None]:
        # Relative to its folder, a file is found in half the time, and belongs to the same device as the others.
        folder = os.open(os.path.join(os.fsencode(self._folder), name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        descriptors: list[int | None] = []
        try:
            for file in self._files:
                descriptors.append(_descriptor(file, folder))  # noqa: PERF401 - an error must not lose what is open
        except OSError:
            _close_all(descriptors)
            raise
        finally:
            os.close(folder)
        return descriptors

    def _close(self, name: bytes) -> None:
        _close_all(self._open.pop(name, ()))


def _descriptor(file: str, folder: int) -> int | None:
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except (FileNotFoundError, PermissionError):
        return None


def _value(descriptor: int | None) -> bytes | None:
    """Some files answer with an error while the device is down, which is not worth another look at the folder."""
    if descriptor is None:
        return None
    try:
        return os.pread(descriptor, VALUE_BYTES, 0)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise
        return None


def _close_all(descriptors: Sequence[int | None]) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)
