"""The blocklist in the programs that keep addresses out: nginx, HAProxy and nftables as they are installed.

What deploy/blocklist/ has is used as it is, but for paths and ports. Envoy is in no package of Debian: its files are
read as YAML, and what they hold is compared with how the list is written.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from exporter.reputation.formats import pieces
from tests.left_out import left_out
from tests.real.firewalls import FOLDER, Exporter, answering, fetch, serving
from tests.real.servers import end, environment, free_port, started, until

pytestmark = pytest.mark.real


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    with answering() as standing:
        yield standing


# Clients, by where they come from.
CLIENTS = ("127.0.0.2", "127.9.1.1", "127.0.0.3")


class Told(NamedTuple):
    """Who is on a list, and what each client gets for it once the list is in force."""

    networks: tuple[str, ...]
    statuses: list[int]


AS_TOLD = (
    Told(("127.0.0.2", "127.9.0.0/16", "2001:db8:1:2::/64"), [403, 403, 200]),
    Told(("127.0.0.3",), [200, 200, 403]),
    Told((), [200, 200, 200]),
)


def statuses_at(port: int) -> list[int]:
    return [status_from(each, port) for each in CLIENTS]


def status_from(source: str, port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(source, 0))
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_nginx_answers_403_to_those_on_the_list(
    needs: Callable[[str], str], exporter: Exporter, tmp_path: Path
) -> None:
    nginx, port, file = needs("nginx"), free_port(), tmp_path / "tocsin-blocklist.geo"
    snippet = (FOLDER / "nginx.conf").read_text().replace("/etc/nginx", str(tmp_path))
    (within,) = (line.removeprefix("#   ") for line in snippet.splitlines() if "return 403" in line)
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"pid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\ndaemon off;\nworker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}{snippet}\n"
        f"server {{ listen 127.0.0.1:{port}; {within}\n location / {{ return 200; }} }}\n}}\n"
    )
    command = f"{nginx} -e {tmp_path}/error.log -c {configuration}"

    def bring(*networks: str) -> None:
        exporter.block(*networks)
        said = fetch(exporter, "nginx", file, f"{command} -tq", f"{command} -s reload")
        assert (said.returncode, said.stderr) == (0, "")

    exporter.block()
    assert fetch(exporter, "nginx", file, f"{command} -tq").returncode == 0
    with started(
        command.split(), url=f"http://127.0.0.1:{port}", log=tmp_path / "nginx.log", ready="/", env=environment()
    ):
        for networks, statuses in AS_TOLD:
            bring(*networks)
            until(lambda statuses=statuses: statuses_at(port) == statuses, what=f"nginx keeps out {networks}")
        # What nginx does not take is taken back.
        exporter.instead = b"# Addresses that Tocsin blocks: 1\nnobody knows;\n# the list is whole\n"
        assert fetch(exporter, "nginx", file, f"{command} -tq", f"{command} -s reload").returncode == 1
        assert file.read_text().splitlines()[1:-1] == []
        assert statuses_at(port) == AS_TOLD[-1].statuses


def test_haproxy_answers_403_to_those_on_the_list(
    needs: Callable[[str], str], exporter: Exporter, tmp_path: Path
) -> None:
    haproxy, port, file = needs("haproxy"), free_port(), tmp_path / "tocsin-blocklist.acl"

    class Application(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    configuration = tmp_path / "haproxy.cfg"
    check = f"{haproxy} -c -q -f {configuration}"
    exporter.block()
    with serving(Application) as behind:
        configuration.write_text(
            "defaults\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
            + (FOLDER / "haproxy.cfg")
            .read_text()
            .replace("/etc/haproxy", str(tmp_path))
            .replace(":80\n", f"127.0.0.1:{port}\n")
            .replace("127.0.0.1:8080", behind.removeprefix("http://"))
        )
        assert fetch(exporter, "haproxy", file, check).returncode == 0
        with started(
            # A master that reloads on SIGUSR2, as the unit of Debian's package does.
            [haproxy, "-W", "-f", str(configuration)],
            url=f"http://127.0.0.1:{port}",
            log=tmp_path / "haproxy.log",
            ready="/",
        ) as server:
            reload = f"kill -USR2 {server.process.pid}"
            for networks, statuses in AS_TOLD:
                exporter.block(*networks)
                said = fetch(exporter, "haproxy", file, check, reload)
                assert (said.returncode, said.stderr) == (0, "")
                until(lambda statuses=statuses: statuses_at(port) == statuses, what=f"HAProxy keeps out {networks}")


@pytest.fixture
def network() -> Iterator[list[str]]:
    """A network of its own: what precedes a command that is to run in it."""
    unshare, nsenter, ip = (shutil.which(each) for each in ("unshare", "nsenter", "ip"))
    if unshare is None or nsenter is None or ip is None:
        left_out("no network of its own without unshare, nsenter and ip (Debian's packages util-linux and iproute2)")
    inside = [unshare, "--user", "--map-root-user", "--net"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        inside = [unshare, "--net"]
        if subprocess.run([*inside, "true"], capture_output=True).returncode:
            left_out("this machine lets nobody make a network of its own")
    with subprocess.Popen(
        [*inside, "sh", "-c", "ip link set lo up && echo up && exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as held:
        try:
            assert held.stdout is not None
            assert held.stdout.readline() == b"up\n"
            yield [
                nsenter,
                f"--target={held.pid}",
                "--net",
                *(["--user", "--preserve-credentials"] if "--user" in inside else []),
            ]
        finally:
            end(held)


# Who comes from which address reaches a port, in the network where this runs.
REACHES = """
import json, socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    reached = []
    for source in sys.argv[1:]:
        try:
            socket.create_connection(server.getsockname(), timeout=0.4, source_address=(source, 0)).close()
            reached.append(source)
        except TimeoutError:
            pass
print(json.dumps(reached))
"""


def test_the_kernel_drops_what_those_on_the_list_send(
    needs: Callable[[str], str], network: list[str], exporter: Exporter, tmp_path: Path
) -> None:
    nft, file = needs("nft"), tmp_path / "blocklist.nft"
    apply = " ".join([*network, nft, "-f", str(file)])

    def run(*command: str) -> str:
        return subprocess.run([*network, *command], capture_output=True, text=True, check=True, timeout=60).stdout

    def reached() -> list[str]:
        found: list[str] = json.loads(run("python3", "-c", REACHES, "127.0.0.2", "127.9.1.1", "127.0.0.3"))
        return found

    run(nft, "-f", str(FOLDER / "nftables.nft"))
    exporter.block("127.0.0.2", "127.9.0.0/16", "127.9.1.1", "2001:db8:1:2::/64", "2001:db8::/32")
    assert fetch(exporter, "nft", file, f"{' '.join(network)} {nft} -c -f {file}", apply).returncode == 0
    assert reached() == ["127.0.0.3"]
    held = json.loads(run(nft, "-j", "list", "set", "inet", "tocsin", "blocked6"))["nftables"][1]["set"]["elem"]
    assert [each["elem"]["val"]["prefix"] for each in held] == [{"addr": "2001:db8::", "len": 32}]
    # What the kernel does not take changes nothing.
    exporter.instead = (
        b"# Addresses that Tocsin blocks: 1\nflush set inet tocsin blocked4\n"
        b"add element inet tocsin blocked4 { nobody }\n# the list is whole\n"
    )
    assert fetch(exporter, "nft", file, "", apply).returncode == 1
    assert reached() == ["127.0.0.3"]
    exporter.instead = b""
    # An address leaves by itself when its time is over.
    exporter.block("127.0.0.3", seconds=1)
    assert fetch(exporter, "nft", file, "", apply).returncode == 0
    until(lambda: reached() == ["127.0.0.2", "127.9.1.1", "127.0.0.3"], what="the kernel forgets 127.0.0.3")
    exporter.block()
    assert fetch(exporter, "nft", file, "", apply).returncode == 0
    run(nft, "-f", str(FOLDER / "nftables.nft"))  # once more changes nothing
    assert run(nft, "list", "table", "inet", "tocsin").count("saddr") == 2


def test_envoy_finds_the_filter_under_the_name_that_the_list_has() -> None:
    configuration = yaml.safe_load((FOLDER / "envoy.yaml").read_text())
    (listener,) = configuration["static_resources"]["listeners"]
    (manager,) = listener["filter_chains"][0]["filters"]
    asks, router = manager["typed_config"]["http_filters"]
    (listed,) = yaml.safe_load("".join(pieces("envoy", [], now=0)))["resources"]
    assert asks["name"] == listed["name"]
    assert asks["config_discovery"]["type_urls"] == [listed["typed_config"]["@type"]]
    assert router["name"] == "envoy.filters.http.router"
