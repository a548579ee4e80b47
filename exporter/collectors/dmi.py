"""`dmi`: what the machine's firmware says of machine, board, case and itself, as one information metric.

It stays the same until the machine is started again, so it is read once. Serial numbers are there only for root.
"""

import os
from collections.abc import Iterable

from exporter.collectors.files import Paths, read_optional, text
from exporter.collectors.options import Option
from exporter.family import Family, shape
from exporter.outcome import Absent

# The files, which are the labels as well, but for the last one.
FILES = (
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
)
NAMED_OTHERWISE = {"sys_vendor": "system_vendor"}


class Dmi:
    name = "dmi"
    help = "Maker, model and firmware of the machine, from /sys/class/dmi/id."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/class/dmi/id"
        self._families: tuple[Family, ...] = ()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        if not self._families:
            self._families = (info(self._folder),)
        return self._families


def info(folder: str) -> Family:
    """The labels are those that this machine, and this user, can read."""
    if not os.path.isdir(folder):
        raise Absent("this machine's firmware says nothing of itself")
    values = {file: read_optional(f"{folder}/{file}") for file in FILES}
    labels = {
        NAMED_OTHERWISE.get(file, file): text(value).strip() for file, value in values.items() if value is not None
    }
    form = shape(
        "node_dmi_info",
        "gauge",
        "What the machine's firmware says of it, as labels; the value is always 1.",
        tuple(labels),
    )
    return form.of(((tuple(labels.values()), 1),))
