"""The exporter as a process: how it starts, hears signals, and ends whatever its collectors do."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.exporter.builders import FIXTURES, SURELY, sample
from tests.exporter.program import started, stream

TIMEOUT = {"X-Prometheus-Scrape-Timeout-Seconds": "0.7"}
# The promise is one second; the other is for starting and ending Python on a machine that is busy.
END_SECONDS_MAX = 2.0


@pytest.fixture
def procfs_that_hangs(tmp_path: Path) -> Path:
    """Reading loadavg there blocks for ever, as nobody will ever write into it."""
    procfs = tmp_path / "proc"
    shutil.copytree(FIXTURES / "proc", procfs)
    (procfs / "loadavg").unlink()
    os.mkfifo(procfs / "loadavg")
    return procfs


def success(page: str) -> dict[str, float]:
    collectors = ("cpu", "filesystem", "loadavg", "meminfo", "stat", "time", "uname")
    return {name: sample(page, f'node_scrape_collector_success{{collector="{name}"}}') for name in collectors}


def test_a_collector_that_hangs_in_the_kernel_spoils_neither_the_page_nor_the_next_one(
    procfs_that_hangs: Path,
) -> None:
    with started(f"--path.procfs={procfs_that_hangs}") as exporter:
        for _ in range(3):
            page = exporter.get("/metrics", **TIMEOUT)
            assert success(page) == dict.fromkeys(success(page), 1.0) | {"loadavg": 0}
            assert sample(page, "node_forks_total") == 26442
        assert sample(page, 'tocsin_exporter_collector_failures_total{collector="loadavg",reason="deadline"}') == 1
        assert sample(page, 'tocsin_exporter_collector_failures_total{collector="loadavg",reason="stuck"}') == 2
        assert sample(page, 'tocsin_exporter_collector_stuck{collector="loadavg"}') == 1


def test_a_hung_collector_that_is_let_go_succeeds_again(procfs_that_hangs: Path) -> None:
    with started(f"--path.procfs={procfs_that_hangs}") as exporter:
        assert success(exporter.get("/metrics", **TIMEOUT))["loadavg"] == 0
        hung = (procfs_that_hangs / "loadavg").rename(procfs_that_hangs / "hung")
        shutil.copy(FIXTURES / "proc" / "loadavg", procfs_that_hangs / "loadavg")
        assert success(exporter.get("/metrics"))["loadavg"] == 0
        # A writer that comes and goes ends the read that hangs.
        os.close(os.open(hung, os.O_WRONLY))
        deadline = time.monotonic() + SURELY
        while not success(page := exporter.get("/metrics"))["loadavg"]:
            assert time.monotonic() < deadline
        assert sample(page, "node_load1") == 0.21


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_hung_collector_does_not_keep_the_process_from_ending(
    procfs_that_hangs: Path, number: signal.Signals
) -> None:
    with started(f"--path.procfs={procfs_that_hangs}") as exporter:
        exporter.get("/metrics", **TIMEOUT)
        began = time.monotonic()
        assert exporter.stop(number) == 0
        assert time.monotonic() - began < END_SECONDS_MAX


def test_a_scrape_that_still_waits_does_not_keep_the_process_from_ending(procfs_that_hangs: Path) -> None:
    with (
        started(f"--path.procfs={procfs_that_hangs}") as exporter,
        socket.create_connection(("127.0.0.1", int(exporter.url.rpartition(":")[2])), timeout=30) as scraper,
    ):
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        # Opening it for writing waits for a reader, so from here on the scrape hangs in its read.
        writer = os.open(procfs_that_hangs / "loadavg", os.O_WRONLY)
        try:
            began = time.monotonic()
            assert exporter.stop(signal.SIGTERM) == 0
            assert time.monotonic() - began < END_SECONDS_MAX
        finally:
            os.close(writer)


def test_a_system_without_the_kernels_files_still_has_a_whole_page() -> None:
    with started("--path.procfs=/nonexistent", "--path.sysfs=/nonexistent") as exporter:
        page = exporter.get("/metrics")
        assert success(page) == {
            "cpu": 0,
            "filesystem": 0,
            "loadavg": 0,
            "meminfo": 0,
            "stat": 0,
            "time": 1,
            "uname": 1,
        }
        assert sample(page, "node_time_seconds") > 0
        assert "process_open_fds" in page


def test_where_few_files_may_be_open_every_collector_succeeds_all_the_same() -> None:
    """As below `ulimit -n 64`, with more kernel files than that."""
    with started(
        f"--path.procfs={FIXTURES / 'proc'}", f"--path.sysfs={FIXTURES / 'sys'}", below=("prlimit", "--nofile=64:64")
    ) as exporter:
        for _ in range(2):
            exporter.get("/metrics")
        failing = json.loads(exporter.get("/health"))["failing"]
        assert not failing
        assert sample(exporter.get("/metrics/self"), "process_open_fds") < 48


def test_sighup_reads_the_configuration_again(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text("collectors: {time: {enabled: false}}\n")
    with started(f"--config.file={file}") as exporter:
        assert "node_time_seconds" not in exporter.get("/metrics")
        file.write_text("collectors: {uname: {enabled: false}}\n")
        exporter.process.send_signal(signal.SIGHUP)
        exporter.said("configuration loaded")
        page = exporter.get("/metrics")
        assert "node_time_seconds" in page
        assert "node_uname_info" not in page
        file.write_text("collectors: {uname: {enable: false}}\n")
        exporter.process.send_signal(signal.SIGHUP)
        assert f"{file}:1" in exporter.said("configuration refused")
        page = exporter.get("/metrics")
        assert "node_uname_info" not in page
        assert sample(page, "tocsin_exporter_config_last_reload_successful") == 0


def test_the_bundled_example_is_what_runs_without_a_file() -> None:
    def shown(*flags: str) -> set[str]:
        paths = (f"--path.procfs={FIXTURES}/proc", f"--path.sysfs={FIXTURES}/sys")
        with started(*flags, *paths) as exporter:
            return set(re.findall(r"^# TYPE (\S+)", exporter.get("/metrics"), re.MULTILINE))

    example = FIXTURES.parents[2] / "exporter" / "example" / "exporter.yml"
    assert shown(f"--config.file={example}") == shown()


def test_a_reload_sets_a_collector_anew_and_a_bad_option_leaves_it(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text("collectors: {vmstat: {fields: '^pgfault$'}}\n")
    with started(f"--config.file={file}", "--collector.disable-defaults", "--collector.vmstat") as exporter:
        assert vmstat_names(exporter.get("/metrics")) == {"node_vmstat_pgfault"}
        for fields in ("^pgmajfault$", "("):
            file.write_text(f"collectors: {{vmstat: {{fields: '{fields}'}}}}\n")
            exporter.process.send_signal(signal.SIGHUP)
            exporter.said("configuration")
            assert vmstat_names(exporter.get("/metrics")) == {"node_vmstat_pgmajfault"}


def vmstat_names(page: str) -> set[str]:
    return {line.split()[0] for line in page.splitlines() if line.startswith("node_vmstat_")}


def ended(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("output", [">/dev/full", ">&-"])
def test_output_that_goes_nowhere_keeps_nobody_from_being_served(output: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = f"exec {sys.executable} -m exporter --web.listen-address=127.0.0.1:{port} --log.format=text {output}"
    with subprocess.Popen(["sh", "-c", command], stderr=subprocess.PIPE, text=True) as process:
        try:
            serves = wait_until_served(port, process)
            process.send_signal(signal.SIGTERM)
            assert (serves, process.wait(SURELY)) == (True, 0)
            assert "Error" not in stream(process.stderr).read()
        finally:
            process.kill()


def wait_until_served(port: int, process: subprocess.Popen[str]) -> bool:
    deadline = time.monotonic() + SURELY
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=SURELY).close()
        except OSError:
            continue
        return True
    return False


def test_a_port_that_is_taken_is_said_and_nothing_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        end = ended(f"--web.listen-address={address}")
    assert end.returncode == 1
    assert end.stderr == f"cannot listen on {address}: the port is taken (by another tocsin, or by what it replaces?)\n"


def test_a_faulty_file_is_said_and_nothing_more(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text("timeout: soon\ncollectors: {cpuu: {}}\n")
    end = ended(f"--config.file={file}")
    assert end.returncode == 1
    assert [line.partition(": ")[0] for line in end.stderr.splitlines()] == [f"{file}:1", f"{file}:2"]


def test_a_folder_that_is_not_there_is_a_fault_and_a_warning_at_the_start(tmp_path: Path) -> None:
    """A container whose /host was forgotten."""
    missing = f"--path.procfs: found no folder {tmp_path}/proc, expected the one where procfs is mounted"
    flags = [f"--path.procfs={tmp_path}/proc", f"--path.rootfs={tmp_path}"]
    command = [sys.executable, "-m", "exporter", "--config.check", *flags]
    end = subprocess.run(command, capture_output=True, text=True, timeout=SURELY, check=False)
    assert (end.returncode, end.stdout, end.stderr) == (1, f"{missing}\n", "")
    with started(*flags) as exporter:
        assert missing in exporter.said("found no folder")


def test_version_and_help_are_answered_without_starting() -> None:
    assert ended("--version").stdout.startswith("tocsin exporter ")
    shown = ended("--help").stdout
    assert "--collector.cpu" in shown
    assert "TOCSIN_EXPORTER_WEB_LISTEN_ADDRESS" in shown
