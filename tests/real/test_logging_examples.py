"""The examples in docs/logging/, with the programs that they are for where Debian has these."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.exporter.program import started
from tests.real.servers import REPOSITORY, SURELY, free_port, receiver, until
from tests.real.servers import started as server

pytestmark = pytest.mark.real

EXAMPLES = REPOSITORY / "docs" / "logging"
ANSWERED = "a request was answered"


def example(name: str, folder: Path, **instead: str) -> Path:
    """It, with its paths below `folder`."""
    text = (EXAMPLES / name).read_text().replace("/var/log/tocsin", f"{folder}/log")
    for said, meant in instead.items():
        assert said in text
        text = text.replace(said, meant)
    path = folder / name
    path.write_text(text)
    path.chmod(0o644)
    return path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_log_that_logrotate_takes_away_goes_on_in_a_new_file(needs: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "log").mkdir(mode=0o755)
    path, old = tmp_path / "log" / "exporter.log", tmp_path / "log" / "exporter.log.1"
    configuration = example("logrotate.conf", tmp_path)
    rotate = [needs("logrotate"), f"--state={tmp_path}/state", "--force", str(configuration)]
    tried = subprocess.run([rotate[0], "-d", str(configuration)], capture_output=True, text=True, timeout=SURELY)
    assert (tried.returncode, "error:" in tried.stderr) == (0, False), tried.stderr
    with started(f"--log.output={path}", "--log.level=debug", "--log.format=json") as program:

        def asked() -> bool:
            program.get("/-/healthy")
            return bool(lines(path))

        until(asked, what="the first line")
        subprocess.run(rotate, check=True, timeout=SURELY)
        until(asked, what="a line in the new file")
        assert "tocsin_exporter_log_lines_dropped_total 0\n" in program.get("/metrics/self")
    both = [each for each in (*lines(old), *lines(path)) if each["message"] == ANSWERED]
    assert len({each["correlation_id"] for each in both}) == len(both) >= 2


def test_rsyslog_takes_lines_whole_and_knows_their_keys(needs: Callable[[str], str], tmp_path: Path) -> None:
    port = free_port()
    configuration = example("rsyslog.conf", tmp_path, **{"5514": str(port), '$!level == "error"': '$!level == "debug"'})
    rsyslogd = needs("rsyslogd")
    checked = subprocess.run(
        [rsyslogd, "-N1", "-f", str(configuration)], capture_output=True, text=True, timeout=SURELY
    )
    assert checked.returncode == 0, checked.stderr
    command = [rsyslogd, "-n", "-f", str(configuration), "-i", f"{tmp_path}/pid"]
    with server(command, url="", log=tmp_path / "rsyslog.out", ready=None):
        flags = (f"--log.output=syslog:127.0.0.1:{port}", "--log.level=debug", "--log.format=json")
        with started(*flags) as program:

            def asked() -> bool:
                program.get("/-/healthy")
                return bool(lines(tmp_path / "log" / "tocsin-exporter.log") and lines(tmp_path / "log" / "errors"))

            until(asked, what="lines in both files")
    found = lines(tmp_path / "log" / "tocsin-exporter.log")
    assert {each["message"] for each in found} >= {ANSWERED}
    assert all(each["level"] == "debug" for each in lines(tmp_path / "log" / "errors"))


def test_jq_reads_what_both_programs_log(needs: Callable[[str], str], tmp_path: Path) -> None:
    jq = needs("jq")
    flags = ("--log.level=debug", "--log.format=json")
    with started(*flags, f"--log.output={tmp_path}/exporter.log") as program:
        program.get("/metrics")
        until(lambda: lines(tmp_path / "exporter.log"), what="a line of the exporter")
    with receiver(tmp_path, policy="", flags=[*flags, f"--log.output={tmp_path}/tocsin.log"]) as ours:
        ours.get("/api/v1/status")
        until(lambda: len(lines(tmp_path / "tocsin.log")) > 1, what="lines of the receiver")
    for name in ("exporter.log", "tocsin.log"):
        command = [jq, "-er", "[.time, .level, .logger, .message] | @tsv", f"{tmp_path}/{name}"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SURELY).stdout
        assert said.count("\n") == len(lines(tmp_path / name)) > 0


def test_the_example_of_vector_is_yaml_whose_parts_know_each_other() -> None:
    document = yaml.safe_load((EXAMPLES / "vector.yaml").read_text())
    parts = {*document["sources"], *document["transforms"]}
    wanted = [
        name for part in (*document["transforms"].values(), *document["sinks"].values()) for name in part["inputs"]
    ]
    assert wanted
    assert set(wanted) <= parts
