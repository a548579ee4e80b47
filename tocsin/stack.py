"""What `tocsin up --stack` adds: Prometheus and Alertmanager as they are installed, with the bundled configuration."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tocsin import bundled
from tocsin.processes import CannotStart, Part


class Addresses(Protocol):
    """Where each part listens, as HOST:PORT."""

    @property
    def receiver(self) -> str: ...
    @property
    def exporter(self) -> str: ...
    @property
    def prometheus(self) -> str: ...
    @property
    def alertmanager(self) -> str: ...


def stack_parts(*, addresses: Addresses, defaults: Mapping[str, str], data: Path) -> list[Part]:
    prometheus = _installed("prometheus", "prometheus")
    alertmanager = _installed("alertmanager", "prometheus-alertmanager", "alertmanager")
    folder = data / "stack"
    changes = {f"'{defaults[name]}'": f"'{getattr(addresses, name)}'" for name in defaults}
    changes[f"http://{defaults['receiver']}/"] = f"http://{addresses.receiver}/"
    try:
        _write_configuration(folder, changes)
    except OSError as error:
        raise CannotStart(f"cannot write in {folder}: {error.strerror}") from None
    return [
        Part(
            name="alertmanager",
            command=(
                alertmanager,
                f"--config.file={folder}/prometheus/alertmanager.yml",
                f"--storage.path={data}/alertmanager",
                f"--web.listen-address={addresses.alertmanager}",
                "--cluster.listen-address=",
            ),
            ready=f"http://{addresses.alertmanager}/-/ready",
            log=folder / "alertmanager.log",
        ),
        Part(
            name="prometheus",
            command=(
                prometheus,
                f"--config.file={folder}/prometheus/prometheus.yml",
                f"--storage.tsdb.path={data}/prometheus",
                f"--web.listen-address={addresses.prometheus}",
                # What fires in its first seconds goes nowhere, because it does not know of Alertmanager yet; by
                # default it would be said again only after a minute.
                "--rules.alert.resend-delay=10s",
            ),
            ready=f"http://{addresses.prometheus}/-/ready",
            log=folder / "prometheus.log",
        ),
    ]


def _installed(name: str, *programs: str) -> str:
    for program in programs:
        path = shutil.which(program)
        if path is not None:
            return path
    raise CannotStart(f"{name} is not installed: on Debian `apt install prometheus prometheus-alertmanager`")


def _write_configuration(folder: Path, changes: Mapping[str, str]) -> None:
    """Copies of the bundled files with the addresses that were asked for, side by side as they are bundled."""
    source = bundled.folder()
    files = [*sorted((source / "prometheus").glob("*.yml")), *sorted((source / "rules" / "bundled").glob("*.yml"))]
    for file in files:
        target = folder / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text()
        for before, after in changes.items():
            text = text.replace(before, after)
        target.write_text(text)
