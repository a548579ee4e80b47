"""The probers dns, redis, postgres, process and file, and conversations: what hostile and odd servers do to them."""

import asyncio
import os
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.probes import dnsmessage
from exporter.probes.dnsmessage import Malformed
from tests.exporter.builders import SURELY, promptly
from tests.exporter.probing import Serve, ask, file_with, server, values

ALLOW = "'127.0.0.1'"


def probes(module: str, allow: str = ALLOW) -> str:
    return f"probes: {{allow: [{allow}], modules: {{m: {module}}}}}"


async def asked(serve: Serve, module: str) -> "tuple[str, dict[str, float], str]":
    async with server(serve) as port:
        found = await ask(probes(module), "m", f"127.0.0.1:{port}", seconds=SURELY)
    return found.reason, dict(values(found)), found.notes[-1]


def talks(*turns: "tuple[bytes, bytes]") -> Serve:
    """For each turn: reads this much as was expected, and answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for awaited, said in turns:
            if awaited:
                await reader.readuntil(awaited)
            writer.write(said)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return serve


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"+PONG\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", ""),
        (b"+PONG\r\n-NOPERM no\r\n", ""),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "not_ready"),
        (b"-NOAUTH Authentication required.\r\n", "authentication"),
        (b"-DENIED Redis is running in protected mode\r\n", "authentication"),
        (b"-ERR something s3cret\r\n", "status"),
        (b"+PING\r\n", "protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"),
        (b"", "closed"),
        (b"+PONG\r\n*99999999\r\n", "too_large"),
        (b"+PONG\r\n" + b"*1\r\n" * 20, "too_large"),
        (b"+PONG\r\n$99999999\r\n", "too_large"),
        (b"+PONG\r\n:12a\r\n", "protocol"),
        (b"+" + b"P" * 10_000, "too_large"),
    ],
)
def test_redis_is_understood_whatever_it_says(answer: bytes, reason: str) -> None:
    found, _, note = promptly(asked(talks((b"PING\r\n", answer)), "{prober: redis}"))
    assert found == reason, note
    assert "s3cret" not in note


@pytest.mark.parametrize(
    ("reply", "role", "reason"),
    [
        (b"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:5\r\n", "replica", ""),
        (b"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$7\r\nconnect\r\n:5\r\n", "replica", "not_ready"),
        (b"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$7\r\nconnect\r\n:5\r\n", "''", ""),
        (b"*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:5\r\n", "master", "status"),
    ],
)
def test_a_role_of_redis_can_be_demanded(reply: bytes, role: str, reason: str) -> None:
    answer = b"+PONG\r\n" + reply
    found, seen, _ = promptly(asked(talks((b"PING\r\n", answer)), f"{{prober: redis, redis: {{role: {role}}}}}"))
    assert found == reason
    assert seen["probe_redis_role_info{replica}"] == 1
    assert seen["probe_redis_master_link_up"] == (b"connected" in reply)


def postgres(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!I", len(content) + 4) + content


def refusal(code: bytes) -> bytes:
    return postgres(b"E", b"SFATAL\0C" + code + b"\0Mrole s3cret is not there\0\0")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (postgres(b"R", b"\0\0\0\x0a" + b"SCRAM-SHA-256\0\0"), ""),
        (postgres(b"R", b"\0\0\0\x05salt"), ""),
        (refusal(b"57P03"), "not_ready"),
        (refusal(b"53300"), "not_ready"),
        (refusal(b"28000"), "authentication"),
        (refusal(b"3D000"), "status"),
        (refusal(b"\xff\n"), "status"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "too_large"),
        (b"\0" * 20, "protocol"),
        (b"R\0\0\0\0", "protocol"),
        (b"R\xff\xff\xff\xff", "too_large"),
        (postgres(b"N", b"") * 300, "too_large"),
        (b"", "closed"),
    ],
)
def test_postgres_is_understood_whatever_it_says(answer: bytes, reason: str) -> None:
    found, _, note = promptly(asked(talks((b"tocsin\0\0", answer)), "{prober: postgres}"))
    assert found == reason, note
    assert "s3cret" not in note


@pytest.mark.parametrize(
    "challenge",
    [b"r=other,s=c2FsdA==,i=4096", b"r=,s=,i=", b"", b"\xff", b"r={},s=c2FsdA==,i=4000000000", b"r={},s=!,i=1"],
)
def test_a_server_that_does_not_prove_itself_gets_no_password(tmp_path: Path, challenge: bytes) -> None:
    password = file_with(tmp_path, "password", "s3cret")
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"tocsin\0\0")
        writer.write(postgres(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0"))
        first = await reader.readuntil(b"r=") + await reader.readexactly(24)
        writer.write(postgres(b"R", b"\0\0\0\x0b" + challenge.replace(b"{}", first[-24:] + b"more")))
        heard.append(first)
        heard.append(await reader.read())

    module = f"{{prober: postgres, postgres: {{password_file: '{password}'}}}}"
    reason, _, note = promptly(asked(serve, module))
    assert reason == "authentication", note
    assert heard
    assert b"s3cret" not in b"".join(heard)


def test_conversations_are_held_line_by_line() -> None:
    smtp = talks((b"", b"220-hello\r\n220 mail ESMTP ready\r\n"), (b"EHLO x\n", b"250 fine\r\n"))
    steps = "[{expect: '^220 .*ESMTP.*$'}, {send: EHLO x}, {expect: '^250'}]"
    reason, seen, note = promptly(asked(smtp, f"{{prober: tcp, tcp: {{query_response: {steps}}}}}"))
    assert reason == "", note
    assert seen["probe_failed_due_to_regex"] == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [(b"421 no\r\n", "content"), (b"", "content"), (b"x" * 100_000, "too_large"), (b"\n" * 1_000, "too_large")],
)
def test_a_conversation_that_goes_otherwise_fails(said: bytes, reason: str) -> None:
    module = "{prober: tcp, tcp: {query_response: [{expect: '^220'}]}}"
    found, seen, _ = promptly(asked(talks((b"", said)), module))
    assert found == reason
    assert seen["probe_failed_due_to_regex"] == 1


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_malformed(data: bytes) -> None:
    with suppress(Malformed):
        dnsmessage.parse(data)


@given(st.binary(max_size=60), st.sampled_from(sorted(dnsmessage.TYPES.values())))
def test_no_record_is_more_than_malformed(content: bytes, kind: int) -> None:
    head = struct.pack("!6H", 1, 0x8000, 0, 1, 0, 0)
    record = b"\1a\0" + struct.pack("!HHIH", kind, 1, 60, len(content)) + content
    try:
        found = dnsmessage.parse(head + record)
    except Malformed:
        return
    assert all("\n" not in each.text for each in found.answer)


def answered(asked: bytes, *, rcode: int = 0, records: bytes = b"", count: int = 0, flags: int = 0x8180) -> bytes:
    """To this question, without its EDNS."""
    identifier, question = asked[:2], asked[12:-11]
    return identifier + struct.pack("!5H", flags | rcode, 1, count, 0, 0) + question + records


RECORD = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + bytes([192, 0, 2, 1])
ONE = {"records": RECORD, "count": 1}
NAMESERVER = "prober: dns, dns: {{query_name: shop.example, transport_protocol: {}, {}}}"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("change", "rules", "reason"),
    [
        (ONE, "", ""),
        ({"rcode": 3}, "", "status"),
        ({"rcode": 3}, "valid_rcodes: [NXDOMAIN]", ""),
        (ONE, "validate_answer_rrs: {fail_if_not_matches_regexp: ['192\\.0\\.2\\.1$']}", ""),
        (ONE, "validate_answer_rrs: {fail_if_matches_regexp: ['192\\.']}", "content"),
        (ONE, "validate_answer_rrs: {fail_if_all_match_regexp: [A]}", "content"),
        ({}, "validate_answer_rrs: {fail_if_none_matches_regexp: [A]}", "content"),
        ({}, "validate_answer_rrs: {fail_if_all_match_regexp: [A]}", ""),
        ({"flags": 0x8380}, "", "too_large"),
    ],
)  # fmt: skip
def test_a_name_server_is_judged_by_its_answer(
    transport: str, change: "dict[str, int | bytes]", rules: str, reason: str
) -> None:
    async def scenario() -> "tuple[str, dict[str, float], str]":
        module = "{" + NAMESERVER.format(transport, rules) + "}"
        if transport == "tcp":

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                size = int.from_bytes(await reader.readexactly(2), "big")
                question = await reader.readexactly(size)
                said = answered(question, **change)  # type: ignore[arg-type]
                writer.write(len(said).to_bytes(2, "big") + said)
                await writer.drain()

            return await asked(serve, module)

        class Datagrams(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast(asyncio.DatagramTransport, transport)

            def datagram_received(self, data: bytes, addr: "tuple[str, int]") -> None:
                said = answered(data, **change)  # type: ignore[arg-type]
                # What somebody else may have sent comes before it.
                for each in (b"garbage", b"\0\0" + said[2:], said):
                    self.transport.sendto(each, addr)

        listening, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
        try:
            port = listening.get_extra_info("sockname")[1]
            found = await ask(probes(module), "m", f"127.0.0.1:{port}")
            return found.reason, dict(values(found)), found.notes[-1]
        finally:
            listening.close()

    found, seen, note = promptly(scenario())
    assert found == reason, note
    assert seen["probe_dns_answer_rrs"] == change.get("count", 0)


def test_processes_are_counted_by_name_and_command_line() -> None:
    word = f"probe-me-{os.getpid()}"
    program = "import sys; print(1, flush=True); sys.stdin.read()"
    running = [
        subprocess.Popen([sys.executable, "-c", program, word], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        for each in running:
            assert each.stdout is not None
            each.stdout.read(1)
        name = os.path.basename(sys.executable)

        def count(rules: str, target: str = name, allow: str = "'process:*'") -> "tuple[str, dict[str, float]]":
            found = promptly(ask(probes(f"{{prober: process, process: {{{rules}}}}}", allow), "m", target))
            return found.reason, dict(values(found))

        reason, seen = count(f"cmdline: [{word}]")
        assert (reason, seen["probe_processes"]) == ("", 2)
        assert abs(seen["probe_process_start_time_seconds"] - time.time()) < 300
        assert count(f"cmdline: [{word}], min: 3")[0] == "count"
        assert count(f"cmdline: [{word}], max: 1")[0] == "count"
        assert count(f"cmdline: [{word}x]")[0] == "missing"
        assert count("", "nobody-is-called-so")[0] == "missing"
        assert count("", allow="'process:nginx'")[0] == "not_allowed"
        assert count("", "a/b")[0] == "target"
    finally:
        for each in running:
            each.communicate()


def test_a_process_is_known_by_its_file_with_a_number(tmp_path: Path) -> None:
    pid = file_with(tmp_path, "pid", f"{os.getpid()}\n")

    def reason() -> str:
        text = probes(f"{{prober: process, process: {{pid_path: '{pid}'}}}}", "'process:*'")
        return promptly(ask(text, "m", "ours")).reason

    assert reason() == ""
    pid.write_text("2147483646")
    assert reason() == "missing"
    pid.write_text("me")
    assert reason() == "content"
    pid.unlink()
    assert reason() == "missing"


def test_a_file_is_judged_by_its_age_its_size_and_what_stands_in_it(tmp_path: Path) -> None:
    old, new = file_with(tmp_path, "a.dump", "old"), file_with(tmp_path, "b.dump", "PGDMP new")
    os.utime(old, (1.0, 1.0))
    (tmp_path / "link.dump").symlink_to("/etc/passwd")

    def judged(rules: str, path: object) -> "tuple[str, dict[str, float]]":
        allow = f"'file:{tmp_path}/*'"
        found = promptly(ask(probes(f"{{prober: file, file: {{{rules}}}}}", allow), "m", str(path)))
        return found.reason, dict(values(found))

    reason, seen = judged("age_max: 1h, bytes_min: 5, regexp: '^PGDMP'", f"{tmp_path}/[ab].dump")
    assert reason == ""
    assert seen["probe_files"] == 2
    assert seen["probe_file_size_bytes"] == 9
    assert seen["probe_file_age_seconds"] < 300
    assert judged("age_max: 1h", old)[0] == "age"
    assert judged("bytes_min: 10", new)[0] == "size"
    assert judged("bytes_max: 8", new)[0] == "size"
    assert judged("regexp: '^PGDMP'", old)[0] == "content"
    assert judged("", tmp_path / "c.dump")[0] == "missing"
    assert judged("", tmp_path)[0] == "not_allowed"
    assert judged("", "/etc/passwd")[0] == "not_allowed"
    assert judged("", f"{tmp_path}/../x")[0] == "target"
    # A link out of what is allowed leads nowhere, nor does one that a pattern finds.
    assert judged("", tmp_path / "link.dump")[0] == "not_allowed"
    assert judged("", f"{tmp_path}/*.dump")[0] == "not_allowed"
    assert judged("", "relative")[0] == "target"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{prober: dns}", "query_name"),
        ("{prober: dns, dns: {query_name: 'a b'}}", "query_name"),
        ("{prober: dns, dns: {query_name: a, dns_over_tls: true}}", "transport_protocol"),
        ("{prober: process, process: {min: 2, max: 1}}", "process.max"),
        ("{prober: file, file: {age_max: soon}}", "age_max"),
        ("{prober: redis, redis: {tls_config: {key_file: README.md}}}", "tls_config"),
    ],
)
def test_what_is_wrong_with_a_module_is_told_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(Exception, match=r"exporter\.yml") as wrong:
        promptly(ask(probes(text), "m", "x"))
    assert fault in str(wrong.value)
