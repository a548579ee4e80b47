"""Nothing may be probed that is not named, however it is written."""

from ipaddress import ip_address

import pytest

from exporter.probes.allow import Allowed, parse
from exporter.probes.targets import HostPort, WrongTarget, host_port


def allows(texts: list[str], target: str, *, addresses: tuple[str, ...] = ()) -> bool:
    """As a probe asks: for what is written, and for each address of a name."""
    allowed, at = Allowed.of(texts), host_port(target, port=80)
    if not addresses:
        return allowed.address(ip_address(at.host), at.port)
    return allowed.named(at.host, at.port) and all(
        allowed.address(ip_address(each), at.port, host=at.host) for each in addresses
    )


@pytest.mark.parametrize(
    ("texts", "target", "expected"),
    [
        ([], "10.0.0.1:80", False),
        (["10.0.0.0/8"], "10.0.0.1:80", True),
        (["10.0.0.0/8"], "11.0.0.1:80", False),
        (["10.0.0.0/8:5432"], "10.0.0.1:5432", True),
        (["10.0.0.0/8:5432"], "10.0.0.1:5433", False),
        (["10.0.0.1:8000-8999"], "10.0.0.1:8999", True),
        (["10.0.0.1:8000-8999"], "10.0.0.1:9000", False),
        (["::1"], "[::1]:1", True),
        (["[2001:db8::/32]:443"], "[2001:db8:1::9]:443", True),
        (["[2001:db8::/32]:443"], "[2001:db8:1::9]:80", False),
        (["127.0.0.1"], "[::ffff:127.0.0.1]:80", True),
        (["::/0"], "127.0.0.1:80", False),
        (["*"], "127.0.0.1:80", False),
        (["169.254.169.254"], "169.254.169.254:80", True),
    ],
)
def test_an_address_is_allowed_by_a_network_alone(texts: list[str], target: str, expected: bool) -> None:
    assert allows(texts, target) is expected


@pytest.mark.parametrize(
    ("texts", "target", "addresses", "expected"),
    [
        (["db.example.org"], "db.example.org:5432", ("10.0.0.1",), True),
        (["db.example.org"], "DB.Example.org.:5432", ("10.0.0.1",), True),
        (["db.example.org:80"], "db.example.org:5432", ("10.0.0.1",), False),
        (["*.example.org"], "a.b.example.org", ("10.0.0.1",), True),
        (["*.example.org"], "example.org", ("10.0.0.1",), False),
        (["*.example.org"], "evilexample.org", ("10.0.0.1",), False),
        # A name that leads elsewhere than it should, by an attacker's name server.
        (["*.example.org"], "x.example.org", ("169.254.169.254",), False),
        (["*.example.org"], "x.example.org", ("127.0.0.1",), False),
        (["*.example.org"], "x.example.org", ("10.0.0.1", "127.0.0.1"), False),
        (["*.example.org"], "x.example.org", ("fd00:ec2::254",), False),
        (["*.example.org"], "x.example.org", ("::ffff:169.254.169.254",), False),
        (["*.example.org"], "x.example.org", ("64:ff9b::a9fe:a9fe",), False),
        (["*.example.org"], "x.example.org", ("0.0.0.0",), False),
        (["*.example.org", "127.0.0.0/8"], "x.example.org", ("127.0.0.1",), True),
        (["*.example.org", "127.0.0.0/8:81"], "x.example.org:80", ("127.0.0.1",), False),
        (["localhost"], "localhost:80", ("127.0.0.1", "::1"), True),
        (["localhost:81", "*"], "localhost:80", ("127.0.0.1",), False),
        (["*:80"], "localhost:80", ("127.0.0.1",), False),
        (["local*"], "localhost:80", ("10.0.0.1", "127.0.0.1"), False),
        (["local*", "127.0.0.1"], "localhost:80", ("10.0.0.1", "127.0.0.1"), True),
        (["*"], "anything.at.all", ("10.0.0.1",), True),
        # Networks allow no names: whoever asks could have any name looked up.
        (["0.0.0.0/0"], "x.example.org", ("10.0.0.1",), False),
    ],
)
def test_a_name_is_allowed_where_it_and_each_of_its_addresses_is(
    texts: list[str], target: str, addresses: tuple[str, ...], expected: bool
) -> None:
    assert allows(texts, target, addresses=addresses) is expected


@pytest.mark.parametrize(
    "text",
    ["", "a b", "10.0.0.0/33", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1:9-8", "http://a", "unix:relative",
     "file:/a/../b", "1.2.3", "a:b", "-a", "a..b", "[::1"],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match="a host, a network or an address"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", ":80", "a:", "a:0", "a:65536", "a:b", "a@b:80", "a/b:80", "a b:80", "127.1:80", "0x7f000001:80",
     "2130706433:80", "[::1:80", "[fe80::1%eth0]:80", "a\n:80", "\x00:80", "a..b:80", "x" * 300 + ":80"],
)  # fmt: skip
def test_a_target_that_could_be_read_in_two_ways_is_none(text: str) -> None:
    with pytest.raises(WrongTarget) as wrong:
        host_port(text)
    assert len(text) < 5 or text not in str(wrong.value)


def test_a_target_has_one_way_of_being_written() -> None:
    assert host_port("LOCALHOST.:80") == HostPort("localhost", 80)
    assert host_port("[0:0::1]:80") == HostPort("::1", 80)
    assert host_port("bücher.example:80") == HostPort("xn--bcher-kva.example", 80)


def test_paths_and_processes_are_allowed_by_patterns() -> None:
    allowed = Allowed.of(["unix:/run/*.sock", "file:/var/backups/*", "process:nginx"])
    assert allowed.path("unix", "/run/redis.sock")
    assert not allowed.path("file", "/run/redis.sock")
    assert allowed.path("process", "nginx")
    assert not allowed.path("process", "sshd")
