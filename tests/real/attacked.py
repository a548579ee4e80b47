"""An exporter that may be killed, those who send events to it, who follows its list, and nginx that asks for it."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.real import city
from tests.real.firewalls import FETCH, FOLDER
from tests.real.servers import SURELY, TOCSIN, Server, environment, free_port, started, until

SENDERS = 6
EVENTS_IN_A_BODY = 400
# As without a file, but for what is named here. Who comes again is found again, and not ten minutes later.
CONFIGURATION = """
findings: {{alertmanager_url: '{alertmanager}', labels: {{instance: crow}}}}
reputation: {{allow: [{allow}], block_for: {block_for}}}
detectors:
  graphql_bomb: {{cooldown: 0s}}
  malicious_address: {{files: ['{folder}/listed.netset'], severity: critical}}
  own:
    - {{name: message_burst, event: message_sent, by_address: ip, threshold: 200, window: 1m, severity: critical}}
logs:
  - {{name: nginx, paths: ['{folder}/logins.log'], read_from: beginning}}
  - {{name: ssh, paths: ['{folder}/ssh.log'], format: auth_log, read_from: beginning}}
"""
# A site behind a load balancer: who asks is in a header. Whoever logs in here is wrong.
NGINX = """
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
daemon off;
worker_processes 1;
events {{}}
http {{
  access_log off;
  {temporary}
  {snippet}
  log_format tocsin escape=json '{{"event":"auth","method":"form","outcome":"failed","ip":"$remote_addr"}}';
  set_real_ip_from 127.0.0.0/8;
  real_ip_header X-Forwarded-For;
  server {{
    listen 127.0.0.1:{port};
    {within}
    location / {{ return 200; }}
    location /login {{ access_log {folder}/logins.log tocsin; return 401; }}
  }}
}}
"""


class Site:
    """An exporter that may be killed and started again, who sends events to it, and what it says."""

    def __init__(self, folder: Path, alertmanager: str) -> None:
        self.folder, self._alertmanager, self.port = folder, alertmanager, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.posted = 0
        self._lock = threading.Lock()

    def configure(self, *allow: str, block_for: str = "15m") -> None:
        (self.folder / "exporter.yml").write_text(
            CONFIGURATION.format(
                alertmanager=self._alertmanager,
                allow=", ".join((city.PROBE, *allow)),
                block_for=block_for,
                folder=self.folder,
            )
        )

    @contextmanager
    def exporter(self) -> Iterator[Server]:
        flags = [
            f"--config.file={self.folder}/exporter.yml",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--security.state-file={self.folder}/state",
            f"--security.audit-file={self.folder}/audit.jsonl",
            f"--logs.positions-file={self.folder}/positions",
            "--statsd.listen-udp=",
        ]
        log = self.folder / "exporter.log"
        with started([TOCSIN, "exporter", *flags], url=self.url, log=log, env=environment()) as server:
            yield server

    def ask(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        """What is wrong raises OSError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Accept": "*/*"})
        with urllib.request.urlopen(request, timeout=SURELY) as answer:
            said = answer.read().decode()
        return json.loads(said) if said.startswith("{") else said

    def send(self, events: Sequence[city.Event]) -> None:
        """By several at once, who try again until they are answered."""
        bodies = [events[first : first + EVENTS_IN_A_BODY] for first in range(0, len(events), EVENTS_IN_A_BODY)]
        with ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(self._post, bodies))

    def _post(self, events: Sequence[city.Event]) -> None:
        body = "\n".join(map(json.dumps, events)).encode()

        def answered() -> bool:
            try:
                with urllib.request.urlopen(f"{self.url}/events", data=body, timeout=SURELY) as answer:
                    said = json.loads(answer.read())
            except http.client.HTTPException:  # killed within its answer
                return False
            assert said["accepted"] == len(events)
            return True

        until(answered, what="events are taken")
        with self._lock:
            self.posted += 1

    @property
    def blocked(self) -> set[str]:
        return set(self.ask("/blocklist").split())

    def deeds(self) -> list[dict[str, Any]]:
        """Everything, also from before a restart."""
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]


class Follower:
    """Keeps a list of its own by what has changed, over restarts, and knows everybody who was ever on it."""

    def __init__(self, site: Site) -> None:
        self._site, self._cursor = site, "none-0"
        self.listed: set[str] = set()
        self.ever: set[str] = set()
        self.began_anew = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(0.1):
            with suppress(OSError, http.client.HTTPException):
                self._look()

    def _look(self) -> None:
        with urllib.request.urlopen(f"{self._site.url}/blocklist?since={self._cursor}", timeout=SURELY) as answer:
            lines = answer.read().decode().split()
            self._cursor = answer.headers["X-Tocsin-Cursor"]
        if "*" in lines:
            self.began_anew += 1
            self.listed = set()
        self.listed -= {line[1:] for line in lines if line.startswith("-")}
        self.listed |= {line[1:] for line in lines if line.startswith("+")}
        self.ever |= self.listed


@contextmanager
def nginx(program: str, site: Site) -> Iterator[Callable[[str, str], int]]:
    """Yields what a client gets for a path, once it has brought its list up to date."""
    port, list_file = free_port(), site.folder / "tocsin-blocklist.geo"
    snippet = (FOLDER / "nginx.conf").read_text().replace("/etc/nginx", str(site.folder))
    (within,) = (line.removeprefix("#   ") for line in snippet.splitlines() if "return 403" in line)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {site.folder}/{kind};" for kind in kinds)
    configuration = site.folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(folder=site.folder, port=port, temporary=temporary, snippet=snippet, within=within)
    )
    command = f"{program} -e {site.folder}/nginx.log -c {configuration}"

    def fetch(*reload: str) -> None:
        arguments = [FETCH, "nginx", str(list_file), f"{command} -tq", *reload]
        subprocess.run(arguments, env=environment(TOCSIN_URL=site.url), check=True, timeout=SURELY)

    def status(client: str, path: str) -> int:
        fetch(f"{command} -s reload")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SURELY)
        connection.request("GET", path, headers={"X-Forwarded-For": client, "Connection": "close"})
        return connection.getresponse().status

    fetch()
    with started(command.split(), url=f"http://127.0.0.1:{port}", log=site.folder / "nginx.out", ready="/"):
        yield status
