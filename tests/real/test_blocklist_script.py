"""The script that brings a blocklist up to date: whatever goes wrong, the old list stays."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.firewalls import FETCH, Exporter, answering, fetch
from tests.real.servers import TOCSIN, environment, free_port, started

pytestmark = pytest.mark.real


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    with answering() as standing:
        yield standing


def test_the_list_is_put_in_its_place_and_the_reader_is_told_only_when_it_changed(
    exporter: Exporter, tmp_path: Path
) -> None:
    file, told = tmp_path / "list", tmp_path / "told"
    for networks, times in ((["203.0.113.7"], 1), (["203.0.113.7"], 1), ([], 2)):
        exporter.block(*networks)
        said = fetch(exporter, "haproxy", file, f"test -s {file}", f"echo told >> {told}")
        assert (said.returncode, said.stderr) == (0, "")
        assert file.read_text().splitlines()[1:-1] == networks
        assert told.read_text().count("told") == times
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [file, told]


def away(exporter: Exporter) -> None:
    exporter.url = f"http://127.0.0.1:{free_port()}"


def failing(exporter: Exporter) -> None:
    exporter.status, exporter.instead = 503, b'{"error": "starting"}'


def cut_off(exporter: Exporter) -> None:
    exporter.left_out = 30


def somebody_else(exporter: Exporter) -> None:
    exporter.instead = b"<html>please log in</html>"


def too_short(exporter: Exporter) -> None:
    exporter.instead = b"# Addresses that Tocsin blocks: 2\n203.0.113.8\n"


@pytest.mark.parametrize("trouble", [away, failing, cut_off, somebody_else, too_short], ids=lambda each: each.__name__)
def test_the_old_list_stays_when_no_whole_new_one_comes(
    trouble: Callable[[Exporter], None], exporter: Exporter, tmp_path: Path
) -> None:
    file = tmp_path / "list"
    exporter.block("203.0.113.7")
    assert fetch(exporter, "haproxy", file).returncode == 0
    before = file.read_bytes()
    exporter.block("203.0.113.8")
    trouble(exporter)
    said = fetch(exporter, "haproxy", file, "", f"touch {tmp_path}/told")
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].endswith("; the list stays as it was")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("failing", [("false", "true"), ("true", "false")], ids=["check", "reload"])
def test_a_list_that_its_reader_refuses_is_taken_back_and_tried_again(
    failing: tuple[str, str], exporter: Exporter, tmp_path: Path
) -> None:
    file = tmp_path / "list"
    exporter.block("203.0.113.7")
    assert fetch(exporter, "nginx", file, *failing).returncode == 1
    assert list(tmp_path.iterdir()) == []
    assert fetch(exporter, "nginx", file).returncode == 0
    before = file.read_bytes()
    exporter.block("203.0.113.8")
    said = fetch(exporter, "nginx", file, *failing)
    assert (said.returncode, said.stderr) == (1, "tocsin-blocklist: this failed: false; the list stays as it was\n")
    assert file.read_bytes() == before
    assert fetch(exporter, "nginx", file, "true", f"touch {tmp_path}/told").returncode == 0
    assert (tmp_path / "told").exists()


def test_cron_finds_the_programs_and_has_nothing_to_mail(exporter: Exporter, tmp_path: Path) -> None:
    """It has a short PATH, and nginx says something at each reload."""
    file, told = tmp_path / "list", tmp_path / "told"
    exporter.block("203.0.113.7")
    chatty = f"echo $PATH > {told}; echo signal process started >&2"
    said = fetch(exporter, "nginx", file, "", chatty, PATH="/usr/bin:/bin")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert {"/usr/sbin", "/usr/local/sbin"} <= set(told.read_text().strip().split(":"))
    exporter.block("203.0.113.8")
    said = fetch(exporter, "nginx", file, "echo it is broken; false")
    assert said.stderr.splitlines()[0] == "it is broken"


def test_the_token_comes_from_a_file_and_the_mode_is_chosen(exporter: Exporter, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    file = tmp_path / "list"
    said = fetch(exporter, "nginx", file, TOCSIN_TOKEN_FILE=f"{tmp_path}/token", TOCSIN_FILE_MODE="644")
    assert (said.returncode, exporter.asked_by) == (0, ["Bearer s3cret"])
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("arguments", [[], ["nginx"], ["nginx", "a", "b", "c", "d"]])
def test_wrong_use_is_told(arguments: list[str], exporter: Exporter) -> None:
    said = fetch(exporter, *arguments)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("usage: ")


def test_the_script_fetches_what_the_exporter_has_in_each_format(tmp_path: Path) -> None:
    """The exporter as it is installed."""
    (tmp_path / "exporter.yml").write_text("reputation: {allow_private: false}\ndisable_defaults: true\n")
    port = free_port()
    command = [TOCSIN, "exporter", f"--web.listen-address=127.0.0.1:{port}", "--statsd.listen-udp="]
    command += [f"--config.file={tmp_path}/exporter.yml"]
    address = f"http://127.0.0.1:{port}"
    with started(command, url=address, log=tmp_path / "exporter.log", env=environment()):

        def ask(method: str, who: str, body: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request(method, f"/blocklist/{who}", body, {"Content-Type": "application/json"})
                return connection.getresponse().status
            finally:
                connection.close()

        def fetched(name: str) -> list[str]:
            said = subprocess.run(
                [FETCH, name, f"{tmp_path}/{name}"], env=environment(TOCSIN_URL=address), capture_output=True, text=True
            )
            assert (said.returncode, said.stderr) == (0, "")
            return (tmp_path / name).read_text().splitlines()[1:-1]

        assert ask("PUT", "127.0.0.2", '{"reason": "scans us", "duration": "1h"}') == 200
        assert ask("PUT", "198.51.100.0%2F24", '{"reason": "scans us", "duration": "1h"}') == 200
        assert fetched("nginx") == ["127.0.0.2 1;", "198.51.100.0/24 1;"]
        assert fetched("haproxy") == ["127.0.0.2", "198.51.100.0/24"]
        assert "127.0.0.2 timeout 3600s" in " ".join(fetched("nft"))
        assert '{address_prefix: "198.51.100.0", prefix_len: 24}' in " ".join(fetched("envoy"))
        assert ask("DELETE", "127.0.0.2", '{"reason": "ours"}') == 200
        assert fetched("nginx") == ["198.51.100.0/24 1;"]
