"""What every test may use: golden files with one flag to write them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

GOLDEN = Path(__file__).parent / "golden"

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("tocsin", deadline=None)
settings.load_profile("tocsin")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write tests/golden/ again from what is produced now"
    )
    parser.addoption("--seeds", type=int, default=200, help="how many seeds the simulation runs (default: 200)")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with tests/golden/NAME; with --rewrite-golden it writes the file instead."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--rewrite-golden"):
            path.write_text(text)
            return
        assert path.exists(), f"tests/golden/{name} does not exist: run pytest --rewrite-golden once and review it"
        assert text == path.read_text(), f"tests/golden/{name} differs: review, then run pytest --rewrite-golden"

    return check
