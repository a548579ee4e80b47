"""What promtool and a real Prometheus say to pages of any families, hostile as they may be."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.escaping import Escaping
from exporter.exposition import Format, render
from exporter.family import Family
from exporter.outcome import Names
from tests.exporter.families import families

pytestmark = pytest.mark.real

# promtool's statuses: 0 nothing to say, 1 not readable, 3 readable but against good custom.
READABLE = (0, 3)


@pytest.mark.parametrize("escaping", [Escaping.UNDERSCORES, Escaping.DOTS, Escaping.VALUES])
@given(offered=st.lists(families(), min_size=5, max_size=20))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_promtool_reads_every_page(
    needs: Callable[[str], str], escaping: Escaping, offered: list[Family | None]
) -> None:
    shown, _ = Names().without_clashes({"any": [family for family in offered if family is not None]})
    page = render(shown, Format.TEXT_1_0_0, escaping)
    said = subprocess.run([needs("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)
    assert said.returncode in READABLE, said.stderr.decode()
