"""The bundled files as the programs that they are written for judge them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.servers import REPOSITORY, tocsin

pytestmark = pytest.mark.real


def judged(*command: str, folder: Path = REPOSITORY) -> str:
    """What it says, if it is content."""
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_promtool_accepts_the_bundled_prometheus_yml_and_finds_its_rules(needs: Callable[[str], str]) -> None:
    said = judged(needs("promtool"), "check", "config", "prometheus/prometheus.yml")
    assert "1 rule files found" in said
    there = (REPOSITORY / "rules" / "bundled" / "tocsin.yml").read_text().count("- alert: ")
    assert f"{there} rules found" in said


def test_amtool_accepts_the_bundled_alertmanager_yml(needs: Callable[[str], str]) -> None:
    said = judged(needs("amtool"), "check-config", "prometheus/alertmanager.yml")
    assert "1 receivers" in said


@pytest.mark.parametrize(
    ("labels", "receiver"), [(["alertname=Watchdog"], "tocsin"), (["alertname=X", "severity=critical"], "tocsin")]
)
def test_every_alert_is_routed_to_tocsin(needs: Callable[[str], str], labels: list[str], receiver: str) -> None:
    said = judged(needs("amtool"), "config", "routes", "test", "--config.file=prometheus/alertmanager.yml", *labels)
    assert said.splitlines()[0] == receiver


def test_promtool_accepts_the_bundled_rules(needs: Callable[[str], str]) -> None:
    files = sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "rules" / "bundled").glob("*.yml"))
    assert files
    assert "SUCCESS" in judged(needs("promtool"), "check", "rules", *files)


def test_the_tests_of_the_bundled_rules_pass_where_they_are(needs: Callable[[str], str]) -> None:
    files = sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "rules" / "tests").glob("*.yml"))
    assert files
    assert "SUCCESS" in judged(needs("promtool"), "test", "rules", *files)


def test_a_bundled_rule_that_is_changed_fails_its_test(needs: Callable[[str], str], tmp_path: Path) -> None:
    """Otherwise the test above would say nothing."""
    for folder in ("bundled", "tests"):
        (tmp_path / folder).mkdir()
        for file in (REPOSITORY / "rules" / folder).glob("*.yml"):
            text = file.read_text()
            (tmp_path / folder / file.name).write_text(
                text.replace("up == 0", "up == 2") if folder == "bundled" else text
            )
    ended = subprocess.run(
        [needs("promtool"), "test", "rules", "tests/tocsin.yml"], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert ended.returncode == 1


def test_tocsin_check_judges_the_whole_repository(needs: Callable[[str], str]) -> None:
    needs("promtool")
    needs("amtool")
    checked = tocsin("check", folder=REPOSITORY)
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.splitlines()[-1].endswith(" files: 0 faults")
    assert "checked as YAML only" not in checked.stdout
