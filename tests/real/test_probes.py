"""Probes of real servers, by the program as it is installed; and by a real Prometheus."""

from __future__ import annotations

import hashlib
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest

from tests.guard.certificates import authority, signed
from tests.left_out import left_out
from tests.real.postgresql import programs
from tests.real.servers import TOCSIN, Server, end, environment, free_port, prometheus, started, until

Needs = Callable[[str], str]


@contextmanager
def probing(folder: Path, config: str) -> Iterator[Server]:
    (folder / "exporter.yml").write_text(config)
    port = free_port()
    command = [TOCSIN, "exporter", f"--web.listen-address=127.0.0.1:{port}", "--statsd.listen-udp="]
    command.append(f"--config.file={folder}/exporter.yml")
    with started(command, url=f"http://127.0.0.1:{port}", log=folder / "exporter.log", env=environment()) as server:
        yield server


def probed(exporter: Server, module: str, target: str, **more: str) -> dict[str, float]:
    fields = "".join(f"&{name}={quote(value)}" for name, value in more.items())
    status, body = exporter.ask(f"/probe?module={module}&target={quote(target, safe='')}{fields}")
    assert status == 200, body
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@contextmanager
def running(command: Sequence[str], folder: Path, *, port: int, **how: object) -> Iterator[subprocess.Popen[bytes]]:
    """Until somebody listens there."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **how)  # type: ignore[call-overload]
    with process:

        def listens() -> bool:
            assert process.poll() is None, (folder / "server.log").read_text()
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True

        try:
            until(listens, what=f"{command[0]} listens")
            yield process
        finally:
            end(process)


def test_nginx_over_tls_with_a_redirect_and_a_login(tmp_path: Path, needs: Needs) -> None:
    nginx = needs("nginx")
    ours = authority(tmp_path)
    pair = signed(tmp_path, ours, "localhost")
    plain, secure = free_port(), free_port()
    (tmp_path / "logins").write_text("ana:{PLAIN}s3cret\n")
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "private").write_text("hello ana")
    (tmp_path / "nginx.conf").write_text(f"""
        daemon off; user root; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}
        http {{
          access_log off; client_body_temp_path {tmp_path}/t1; proxy_temp_path {tmp_path}/t2;
          fastcgi_temp_path {tmp_path}/t3; uwsgi_temp_path {tmp_path}/t4; scgi_temp_path {tmp_path}/t5;
          server {{ listen 127.0.0.1:{plain}; location / {{ return 301 https://localhost:{secure}$request_uri; }} }}
          server {{
            listen 127.0.0.1:{secure} ssl; ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};
            location / {{ return 200 "in stock"; }}
            location /private {{ auth_basic x; auth_basic_user_file {tmp_path}/logins; root {tmp_path}; }}
          }}
        }}""")
    config = f"""
        probes:
          allow: [localhost]
          modules:
            shop: {{prober: http, http: {{
              fail_if_body_not_matches_regexp: ['in st.ck'], tls_config: {{ca_file: {ours.certificate}}}}}}}
            private: {{prober: http, http: {{
              basic_auth: {{username: ana, password_file: {tmp_path}/password}},
              tls_config: {{ca_file: {ours.certificate}}}}}}}
        """
    command = [nginx, "-c", f"{tmp_path}/nginx.conf", "-p", str(tmp_path)]
    with running(command, tmp_path, port=secure), probing(tmp_path, config) as exporter:
        found = probed(exporter, "shop", f"http://localhost:{plain}/cart")
        assert found["probe_success"] == 1
        assert found["probe_http_redirects"] == 1
        assert found["probe_http_ssl"] == 1
        assert found["probe_http_status_code"] == 200
        assert found["probe_ssl_earliest_cert_expiry"] > 1.7e9
        assert found['probe_http_duration_seconds{phase="tls"}'] > 0
        private = f"https://localhost:{secure}/private"
        assert probed(exporter, "private", private)["probe_success"] == 1
        assert probed(exporter, "shop", private)["probe_http_status_code"] == 401
        assert probed(exporter, "http_2xx", f"https://localhost:{secure}/")['probe_failure_info{reason="tls"}'] == 1
        assert exporter.ask(f"/probe?target=127.0.0.1:{plain}")[0] == 403


def test_a_certificate_that_has_expired_is_a_failure_and_whoever_believes_it_sees_since_when(
    tmp_path: Path, needs: Needs
) -> None:
    openssl = needs("openssl")
    key, asked, expired = tmp_path / "key.pem", tmp_path / "asked.pem", tmp_path / "expired.pem"
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost")
    made = f"{openssl} req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    signing = f"{openssl} x509 -req -in {asked} -signkey {key} -days -1 -extfile {tmp_path}/names -out {expired}"
    for command in (f"{made} -keyout {key} -out {asked}", signing):
        subprocess.run(command.split(), check=True, capture_output=True, timeout=60)
    first = "preferred_ip_protocol: ip4"
    config = f"""
        probes:
          allow: [localhost]
          modules:
            strict: {{prober: tcp, tcp: {{tls: true, {first}, tls_config: {{ca_file: {expired}}}}}}}
            trusting: {{prober: tcp, tcp: {{tls: true, {first}, tls_config: {{insecure_skip_verify: true}}}}}}
        """
    port = free_port()
    command = [openssl, "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(expired), "-key", str(key), "-quiet"]
    with running(command, tmp_path, port=port), probing(tmp_path, config) as exporter:
        found = probed(exporter, "strict", f"localhost:{port}")
        assert found['probe_failure_info{reason="tls"}'] == 1
        assert "probe_ssl_earliest_cert_expiry" not in found
        notes = exporter.ask(f"/probe?module=strict&target=localhost:{port}&debug=true")[1]
        assert b"certificate has expired" in notes
        found = probed(exporter, "trusting", f"localhost:{port}")
        assert found["probe_success"] == 1
        assert found["probe_ssl_earliest_cert_expiry"] == pytest.approx(time.time() - 86_400, abs=600)


def test_dnsmasq_answers_over_udp_and_tcp(tmp_path: Path, needs: Needs) -> None:
    dnsmasq, port = needs("dnsmasq"), free_port()
    command = [dnsmasq, "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file="]
    command += [f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root"]
    command += ["--host-record=shop.example,192.0.2.7,2001:db8::7", "--txt-record=shop.example,hello world"]
    command += ["--mx-host=shop.example,mail.example,5", "--srv-host=_x._tcp.shop.example,shop.example,99,1,2"]
    rules = {
        "A": r"^shop\.example\.\t0\tIN\tA\t192\.0\.2\.7$",
        "AAAA": r"2001:db8::7$",
        "TXT": '"hello world"$',
        "MX": r"5 mail\.example\.$",
    }
    modules = [
        f"{kind}_{transport}: {{prober: dns, dns: {{query_name: shop.example, query_type: {kind},"
        f" transport_protocol: {transport}, validate_answer_rrs: {{fail_if_not_matches_regexp: ['{rule}']}}}}}}"
        for kind, rule in rules.items()
        for transport in ("udp", "tcp")
    ]
    modules.append("gone: {prober: dns, dns: {query_name: other.example, valid_rcodes: [NXDOMAIN, REFUSED]}}")
    config = "probes:\n  allow: ['127.0.0.1']\n  modules:\n" + "".join(f"    {each}\n" for each in modules)
    with running(command, tmp_path, port=port), probing(tmp_path, config) as exporter:
        for module in modules:
            found = probed(exporter, module.partition(":")[0], f"127.0.0.1:{port}")
            assert found["probe_success"] == 1, (module, found)
            assert found["probe_dns_query_succeeded"] == 1


def test_redis_with_a_password_a_replica_and_tls(tmp_path: Path, needs: Needs) -> None:
    redis, port, other = needs("redis-server"), free_port(), free_port()
    ours = authority(tmp_path)
    pair = signed(tmp_path, ours, "localhost")
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "replica").mkdir()
    common = [redis, "--save", "", "--bind", "127.0.0.1", "--requirepass", "s3cret"]
    tls = [
        "--tls-port",
        str(other),
        "--port",
        "0",
        "--tls-cert-file",
        str(pair.certificate),
        "--tls-auth-clients",
        "no",
    ]
    tls += ["--tls-key-file", str(pair.key), "--tls-ca-cert-file", str(ours.certificate), "--masterauth", "s3cret"]
    config = f"""
        probes:
          allow: ['127.0.0.1', 'unix:{tmp_path}/*']
          modules:
            master: {{prober: redis, redis: {{password_file: {tmp_path}/password, role: master}}}}
            secured: {{prober: redis, redis: {{password_file: {tmp_path}/password, tls: true,
              tls_config: {{ca_file: {ours.certificate}}}}}}}
        """
    first = [*common, "--port", str(port), "--dir", str(tmp_path), "--unixsocket", f"{tmp_path}/redis.sock"]
    second = [*common, *tls, "--dir", f"{tmp_path}/replica", "--replicaof", "127.0.0.1", str(port)]
    with (
        running(first, tmp_path, port=port),
        running(second, tmp_path, port=other),
        probing(tmp_path, config) as exporter,
    ):
        for target in (f"127.0.0.1:{port}", f"unix:{tmp_path}/redis.sock"):
            found = probed(exporter, "master", target)
            assert found["probe_success"] == 1, target
            assert found['probe_redis_role_info{role="master"}'] == 1
        without = probed(exporter, "redis", f"127.0.0.1:{port}")
        assert without['probe_failure_info{reason="authentication"}'] == 1
        found = probed(exporter, "secured", f"127.0.0.1:{other}")
        assert found["probe_success"] == 1
        assert found['probe_redis_role_info{role="replica"}'] == 1
        assert found["probe_ssl_earliest_cert_expiry"] > 1.7e9


@contextmanager
def a_postgres(port: int, method: str) -> Iterator[Path]:
    """Whose users log in by this method. Gives the folder of its socket, which is its own user's."""
    installed = programs()
    if os.getuid() != 0:
        left_out("PostgreSQL does not run as root, and only root can run it as somebody else")
    user = pwd.getpwnam("postgres")
    # The folders of pytest are closed to others, again with each run that begins beside this one.
    with TemporaryDirectory(prefix="tocsin-postgres-") as name:
        place, data = Path(name), Path(name) / "data"
        # A server that keeps passwords in this form asks for this kind of login.
        hashed = "md5" + hashlib.md5(b"s3cretprober").hexdigest()
        (place / "password").write_text(hashed if method == "md5" else "s3cret")
        for each in (place, place / "password"):
            os.chown(each, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": (), "cwd": "/"}
        initdb = [f"{installed}/initdb", "-D", str(data), "-U", "prober", f"--pwfile={place}/password", "-N"]
        made = subprocess.run([*initdb, f"--auth={method}"], capture_output=True, text=True, timeout=120, **who)  # type: ignore[call-overload]
        assert made.returncode == 0, made.stderr
        command = [f"{installed}/postgres", "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", name]
        with running([*command, "-c", "fsync=off"], place, port=port, **who):
            yield place


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password", "trust"])
def test_postgres_by_every_kind_of_login(tmp_path: Path, method: str) -> None:
    port = free_port()
    (tmp_path / "wrong").write_text("other")
    (tmp_path / "password").write_text("s3cret")
    settings = "user: prober, database: postgres"
    elsewhere = "user: prober, database: gone"
    known = f"password_file: {tmp_path}/password"
    config = f"""
        probes:
          allow: ['127.0.0.1', 'unix:/*']
          modules:
            asking: {{prober: postgres, postgres: {{{settings}}}}}
            in: {{prober: postgres, postgres: {{{settings}, {known}, role: primary}}}}
            standby: {{prober: postgres, postgres: {{{settings}, {known}, role: standby}}}}
            wrong: {{prober: postgres, postgres: {{{settings}, password_file: {tmp_path}/wrong}}}}
            nowhere: {{prober: postgres, postgres: {{{elsewhere}, {known}}}}}
            secured: {{prober: postgres, postgres: {{tls: true}}}}
        """
    with a_postgres(port, method) as place, probing(tmp_path, config) as exporter:

        def once_there() -> bool:
            return probed(exporter, "asking", f"127.0.0.1:{port}")["probe_success"] == 1

        until(once_there, what="PostgreSQL serves")
        for target in (f"127.0.0.1:{port}", f"unix:{place}/.s.PGSQL.{port}"):
            found = probed(exporter, "in", target)
            assert found["probe_success"] == 1, target
            assert found["probe_postgres_in_recovery"] == 0
        assert probed(exporter, "standby", f"127.0.0.1:{port}")['probe_failure_info{reason="status"}'] == 1
        assert probed(exporter, "nowhere", f"127.0.0.1:{port}")['probe_failure_info{reason="status"}'] == 1
        assert probed(exporter, "secured", f"127.0.0.1:{port}")['probe_failure_info{reason="tls"}'] == 1
        wrong = probed(exporter, "wrong", f"127.0.0.1:{port}")
        assert wrong["probe_success"] == float(method == "trust")
        assert method == "trust" or wrong['probe_failure_info{reason="authentication"}'] == 1


def test_prometheus_scrapes_probes_as_it_scrapes_those_of_blackbox_exporter(tmp_path: Path, needs: Needs) -> None:
    program, port = needs("prometheus"), free_port()
    with probing(tmp_path, "probes: {allow: ['127.0.0.1']}") as exporter:
        own = exporter.url.removeprefix("http://")
        (tmp_path / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: probes
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ['http://{own}/-/healthy', 'http://127.0.0.1:{free_port()}/']}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: '{own}'}}
""")
        with prometheus(program, tmp_path, configuration=tmp_path / "prometheus.yml", port=port) as server:

            def found() -> dict[str, str]:
                result = server.get("/api/v1/query?query=probe_success")["data"]["result"]
                seen = {each["metric"]["instance"]: each["value"][1] for each in result}
                return seen if len(seen) == 2 else {}

            seen = until(found, what="both were probed")
            assert sorted(seen.values()) == ["0", "1"]
            assert seen[f"http://{own}/-/healthy"] == "1"
            ups = server.get("/api/v1/query?query=up")["data"]["result"]
            assert [each["value"][1] for each in ups] == ["1", "1"]
