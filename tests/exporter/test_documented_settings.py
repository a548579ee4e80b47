"""What the documentation shows of exporter.yml can be copied: each piece of it is read without a fault."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from exporter.settings import KIND, Settings
from guard import configfile
from tests.pages import PAGES, ROOT, fenced

HEAD = "# exporter.yml\n"
KEYS = {field.encode_name for field in msgspec.structs.fields(Settings)}


def is_ours(block: str) -> bool:
    """By what it says, or as it has keys of no other file."""
    if block.startswith("#"):
        return block.startswith(HEAD)
    said = yaml.safe_load(block)
    return isinstance(said, dict) and said.keys() <= KEYS


SHOWN = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(fenced(page.read_text(encoding="utf-8"), "yaml"))
    if is_ours(block)
]


@pytest.mark.parametrize("block", SHOWN)
def test_what_is_shown_is_read(block: str, tmp_path: Path) -> None:
    for name in ("redis.url", "ca.pem"):  # what examples name that has to be there
        (tmp_path / name).write_text("redis://127.0.0.1\n")
    text = block.replace("secrets/", f"{tmp_path}/")
    assert configfile.read_text(text, "exporter.yml", KIND, environ={})


def test_each_page_with_settings_of_its_own_shows_them() -> None:
    shown = {str(each.id).rpartition("-")[0] for each in SHOWN}
    pages = (
        "detectors",
        "reputation",
        "findings",
        "probes",
        "health",
        "postgres",
        "system-security",
        "logs",
        "mapping",
    )
    assert {f"docs/{page}.md" for page in pages} <= shown
