"""Real servers. A machine without one leaves its tests out and says so; CI never leaves anything out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
}


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """The path of a program, or this test is left out with the reason (in CI: it fails)."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is not None:
            return path
        package = PACKAGES.get(program, program)
        reason = f"{program} is not installed (Debian's package {package}; `make test` as root installs it)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    return find
