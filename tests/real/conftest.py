"""Real servers. A machine without one leaves its tests out and says so; CI never leaves anything out."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.left_out import left_out

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "rsyslogd": "rsyslog",
    "nginx": "nginx-light",
    "nft": "nftables",
    "sshd": "openssh-server",
}


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """The path of a program, or this test is left out with the reason (in CI: it fails)."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            package = PACKAGES.get(program, program)
            left_out(f"{program} is not installed (Debian's package {package}; `make test` as root installs it)")
        return path

    return find
