"""The examples of docs/client.md, run against a real exporter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporter.program import Program, started
from tests.left_out import left_out
from tests.pages import fenced, text_of
from tests.real.servers import SURELY, until

ROOT = Path(__file__).parents[2]
DEFAULT = "http://127.0.0.1:29100"


@pytest.fixture
def exporter() -> Iterator[Program]:
    with started() as program:
        yield program


def run(exporter: Program, *command: str, folder: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    environ = {**plain, "PYTHONPATH": str(ROOT), "TOCSIN_EVENTS_URL": f"{exporter.url}/events"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=SURELY)
    assert done.returncode == 0, done.stderr


def has(exporter: Program, *series: str) -> None:
    """Each with the value 1."""
    wanted = {f"{each} 1" for each in series}
    until(lambda: wanted <= {*exporter.get("/metrics/app").replace("1.0\n", "1\n").splitlines()}, what=str(wanted))


def test_the_examples_in_python_do_what_the_page_says(exporter: Program, tmp_path: Path) -> None:
    blocks = fenced(text_of("client.md"), "python")
    used = ["def back_up(): pass", *blocks, "logging.getLogger('shop').error('x')", "import asyncio"]
    (tmp_path / "program.py").write_text("\n".join([*used, "asyncio.run(clean_up())"]))
    run(exporter, sys.executable, "program.py", folder=tmp_path)
    has(
        exporter,
        'auth_failures_total{method="password",reason="password"}',
        'background_jobs_total{job_name="backup"}',
        'background_jobs_total{job_name="clean_up"}',
        'log_records_total{level="error",logger="shop"}',
    )


def test_the_examples_for_a_shell_do_what_the_page_says(exporter: Program, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        left_out("curl is not installed (Debian's package curl)")
    (block,) = fenced(text_of("client.md"), "sh")
    lines = ['{"event": "feature_used", "feature": "one"}', '{"event": "feature_used", "feature": "two"}']
    (tmp_path / "events.ndjson").write_text("\n".join(lines))
    run(exporter, "sh", "-c", block.replace(DEFAULT, exporter.url), folder=tmp_path)
    has(exporter, *(f'business_feature_uses_total{{feature="{name}"}}' for name in ("export", "one", "two")))
    # Without an exporter nothing fails.
    run(exporter, "sh", "-e", "-c", block.replace(DEFAULT, "http://127.0.0.1:1"), folder=tmp_path)


def test_the_example_for_node_does_what_the_page_says(exporter: Program, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        left_out("node is not installed (Debian's package nodejs)")
    (block,) = fenced(text_of("client.md"), "js")
    (tmp_path / "program.js").write_text(block.replace(DEFAULT, exporter.url))
    run(exporter, node, "program.js", folder=tmp_path)
    has(exporter, 'business_feature_uses_total{feature="export"}')
    (tmp_path / "program.js").write_text(block.replace(DEFAULT, "http://127.0.0.1:1"))
    run(exporter, node, "program.js", folder=tmp_path)
