"""The worked examples of docs/mapping.md say what `tocsin mapping try` says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import fenced, text_of
from tests.test_docs import run

# Each has a heading of the third level, a file, a sample, and the answer.
_PART = text_of("mapping.md").split("\n## A new log, in five minutes\n")[1].split("\n## ")[0]
EXAMPLES = re.findall(r"^### (.+)$", _PART, re.MULTILINE)


def test_there_is_an_example_for_each_way_in_which_logs_are_written() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_answers_what_the_page_says(heading: str, tmp_path: Path) -> None:
    text = _PART.split(f"### {heading}\n")[1].split("\n### ")[0]
    (config,), (console,) = fenced(text, "yaml"), fenced(text, "console")
    shown = re.fullmatch(r"\$ cat (\S+)\n(.*?)^\$ tocsin (.*?)\n(.*)", console, re.MULTILINE | re.DOTALL)
    assert shown is not None
    name, sample, command, answer = shown.groups()
    (tmp_path / "exporter.yml").write_text(config)
    (tmp_path / name).write_text(sample)
    assert run(*command.split(), folder=tmp_path).stdout == answer
