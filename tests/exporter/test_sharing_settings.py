"""What exporter.yml says of sharing through Redis: every fault names its place, and no password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from exporter.control import Plan, Refused
from exporter.reputation.sharing import chosen_of
from exporter.settings import Settings, read
from tests.real.servers import REPOSITORY, SURELY, environment


def plan(**redis: object) -> Plan:
    file = msgspec.convert({"reputation": {"redis": redis}}, Settings)
    return Plan(collectors=(), timeout_seconds=1.0, file=file)


WITHOUT_REDIS = """
import sys
sys.modules["redis"] = None  # as where it is not installed
from exporter.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_extra_a_fault_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text("reputation: {redis: {url: 'redis://127.0.0.1'}}\n")
    for flags in (["--config.check"], ["--web.listen-address=127.0.0.1:0", "--statsd.listen-udp="]):
        said = subprocess.run(
            [sys.executable, "-c", WITHOUT_REDIS, f"--config.file={path}", *flags],
            capture_output=True,
            text=True,
            timeout=SURELY,
            env=environment(PYTHONPATH=str(REPOSITORY)),
        )
        assert said.returncode == 1
        fault = "reputation.redis: the package redis is not here, expected it: pip install 'tocsin[redis]'\n"
        assert said.stdout + said.stderr == fault


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("http://127.0.0.1/", "found no address of Redis, expected one such as redis://127.0.0.1:6379/0"),
        ("redis://:s3cret@127.0.0.1:notaport/0", "found no address of Redis"),
        ("redis://127.0.0.1/0?protocol=3", "found no address of Redis"),
        ("", "is empty"),
    ],
)
def test_a_file_with_no_address_is_a_fault_that_does_not_say_what_is_in_it(
    written: str, fault: str, tmp_path: Path
) -> None:
    file = tmp_path / "redis.url"
    file.write_text(written)
    with pytest.raises(Refused, match=f"^reputation.redis.url_file: .*{fault}") as refused:
        chosen_of(plan(url_file=str(file)))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("redis", "fault"),
    [
        ("{}", "reputation.redis: found neither url nor url_file, expected one of the two"),
        ("{url: 'redis://x', url_file: file}", "reputation.redis: found both url and url_file"),
        ("{url: 'redis://u:s3cret@x'}", "reputation.redis.url: found a login in the address, expected it in url_file"),
        ("{url: 'ftp://x'}", "expected one such as redis://127.0.0.1:6379/0"),
        ("{url: 'redis://x', key: ''}", "reputation.redis.key"),
    ],
)
def test_settings_that_cannot_be_are_faults(redis: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("redis://x")
    path = tmp_path / "exporter.yml"
    path.write_text(f"reputation:\n  redis: {redis}\n")
    with pytest.raises(Refused) as refused:
        read(path, environ={})
    assert fault in str(refused.value)
    assert "s3cret" not in str(refused.value)
