"""Programs that an action runs, for real: arguments as they are, and an end with everything that was started."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import socket
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import listen
from receiver.channels import Refused
from receiver.channels.command import OUTPUT_BYTES_MAX, OUTPUT_READ_BYTES_MAX, Command, Ended, run
from receiver.channels.output import readable
from receiver.policy.arguments import VALUE_CHARACTERS_MAX, Unfit, filled
from tests.receiver.builders import SURELY, message

ENVIRONMENT = {"PATH": "/usr/bin"}


def script(folder: Path, text: str, name: str = "program") -> str:
    """A program without a shell. Returns its path."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -I\n{textwrap.dedent(text)}")
    path.chmod(0o755)
    return str(path)


def command(program: str, *arguments: str, seconds: float = SURELY, **patterns: str) -> Command:
    return Command(command=(program, *arguments), patterns=patterns, timeout_seconds=seconds, home="/root")


def done(made: Command, **labels: str) -> str:
    return asyncio.run(asyncio.wait_for(made.run(message("T-7", step=3, labels=labels)), SURELY))


def refused(made: Command, **labels: str) -> str:
    with pytest.raises(Refused) as raised:
        done(made, **labels)
    return str(raised.value)


def test_a_program_gets_its_arguments_a_clean_environment_and_no_input(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        """
        import json, os, sys
        print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), sys.stdin.read(), os.getsid(0) == os.getpid()]))
        """,
    )
    os.environ["S3CRET"] = "s3cret"
    try:
        said = done(command(program, "--cluster={cluster}", "{cluster}", cluster="[a-z]+"), cluster="eu")
    finally:
        del os.environ["S3CRET"]
    arguments, environment, folder, came, leads = json.loads(said.partition(": ")[2])
    assert arguments == ["--cluster=eu", "eu"]
    assert {name: value for name, value in environment.items() if name != "LC_CTYPE"} == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TOCSIN_INCIDENT": "T-7",
        "TOCSIN_MESSAGE_ID": "j-T-7-3-chat",
    }
    assert (folder, came, leads) == ("/", "", True)


def test_both_outputs_are_kept_in_their_order_without_secrets(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        """
        import sys
        print("moving to eu2", flush=True)
        print("password=hunter2 for https://ana:hunter2@db/x", file=sys.stderr, flush=True)
        print("\\x1b[2Jdone.")
        """,
    )
    said = done(command(program)).partition(": ")[2]
    assert said.splitlines() == [
        "moving to eu2",
        "password=[hidden] for https://[hidden]@db/x",
        "\\x1b[2Jdone.",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdef123456", "Authorization: [hidden] [hidden]"),
        ("DB_PASSWORD='a b c' rest", "DB_PASSWORD=[hidden] rest"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": [hidden], "n": 1}'),
        ("run --token abc --force", "run --token [hidden] --force"),
        ("xoxb-1234-abcdef", "[hidden]"),
        ("ghp_" + "a" * 36, "[hidden]"),
        ("AKIAIOSFODNN7EXAMPLE", "[hidden]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def", "[hidden]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc", "[hidden]"),
        ("tokens: nothing of the kind, a passwordless login", "tokens: nothing of the kind, a passwordless login"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(tmp_path: Path, text: str, shown: str) -> None:
    program = script(tmp_path, f"print({text!r})")
    assert done(command(program)).partition(": ")[2] == shown


@pytest.mark.parametrize("text", ["a-", "--a-a-", "--token ", "password", "bearer ", "://", "-----BEGIN "])
def test_looking_for_secrets_takes_no_time_whatever_was_written(text: str) -> None:
    written = (text.encode() * OUTPUT_BYTES_MAX)[:OUTPUT_BYTES_MAX]
    began = time.process_time()
    readable(written)
    assert time.process_time() - began < 0.1


def test_a_failure_says_how_it_ended(tmp_path: Path) -> None:
    said = refused(command(script(tmp_path, "print('no quorum'); raise SystemExit(3)")))
    assert said.startswith("failed with status 3 after 0.")
    assert said.endswith(" s: no quorum")
    killed = refused(command(script(tmp_path, "import os; os.kill(os.getpid(), 9)")))
    assert killed.startswith("failed with signal 9 after ")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("/nowhere/program", "No such file or directory"),
        ("/etc/passwd", "Permission denied"),
        ("/etc", "Permission denied"),
    ],
)
def test_a_program_that_is_none_is_refused_with_the_reason(program: str, reason: str) -> None:
    assert refused(command(program)) == f"{program} cannot be started ({reason})"


@contextmanager
def phone() -> Iterator[socket.socket]:
    """Whoever calls it is alive until the line is dead: nobody has to guess when a process is gone."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(SURELY)
        yield server


CALLS = """
import os, signal, socket, sys, time
def call(word):
    line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    line.sendall(word)
    return line
"""


def call_taken(server: socket.socket) -> tuple[bytes, socket.socket]:
    line, _ = server.accept()
    line.settimeout(SURELY)
    return line.recv(10), line


def test_a_program_that_hangs_is_ended_politely_and_then_with_its_children(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        CALLS
        + """
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = call(b"child")
    while True: time.sleep(60)
signal.signal(signal.SIGTERM, lambda *_: print("asked to end", flush=True))
line = call(b"parent")
while True: time.sleep(60)
""",
    )
    with phone() as server:
        began = time.monotonic()
        said = refused(command(program, str(server.getsockname()[1]), seconds=0.5))
        assert time.monotonic() - began < SURELY / 2
        assert said.startswith("ended after 2.5 s, as its time was over")
        assert said.endswith(": asked to end")
        lines = [call_taken(server) for _ in range(2)]
        assert sorted(word for word, _ in lines) == [b"child", b"parent"]
        assert [line.recv(1) for _, line in lines] == [b"", b""]  # the dead hang up
        for _, line in lines:
            line.close()


def test_what_a_program_left_behind_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        CALLS
        + """
line = call(b"alive")
if os.fork() == 0:
    while True: time.sleep(60)
print("started")
""",
    )
    with phone() as server:
        said = done(command(program, str(server.getsockname()[1])))
        assert said.endswith(": started")
        _, line = call_taken(server)
        assert line.recv(1) == b""
        line.close()


def test_who_escapes_into_another_session_is_not_waited_for(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        CALLS
        + """
line = call(b"alive")
if os.fork() == 0:
    os.setsid()
    line.recv(1)
    raise SystemExit
line.close()
print("started")
""",
    )
    with phone() as server:
        assert done(command(program, str(server.getsockname()[1]))).endswith(": started")
        _, line = call_taken(server)
        line.close()  # lets it end


def test_of_much_output_the_beginning_is_kept(tmp_path: Path) -> None:
    said = done(command(script(tmp_path, "print('x' * 500_000)"))).partition(": ")[2]
    assert said == "x" * OUTPUT_BYTES_MAX


def test_who_writes_without_end_is_ended(tmp_path: Path) -> None:
    said = refused(command(script(tmp_path, "while True: print('x' * 10_000)")))
    assert f"as it wrote more than {OUTPUT_READ_BYTES_MAX} bytes: xxx" in said


def test_who_stops_waiting_ends_the_program(tmp_path: Path) -> None:
    program = script(tmp_path, CALLS + "line = call(b'alive')\nwhile True: time.sleep(60)\n")

    async def test(server: socket.socket) -> bytes:
        task = asyncio.create_task(
            run([program, str(server.getsockname()[1])], environment=ENVIRONMENT, seconds_max=SURELY)
        )
        _, line = await asyncio.to_thread(call_taken, server)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        with closing(line):
            return await asyncio.to_thread(line.recv, 1)

    with phone() as server:
        assert asyncio.run(test(server)) == b""


def test_who_cannot_be_killed_is_not_waited_for(tmp_path: Path) -> None:
    """As after sudo: another user's process. Neither its time nor a stop ends it."""
    program = script(tmp_path, CALLS + "line = call(b'alive')\nline.recv(1)\n")

    async def test(server: socket.socket) -> Ended:
        arguments = [program, str(server.getsockname()[1])]
        late = await run(arguments, environment=ENVIRONMENT, seconds_max=0.1, kill=lambda *_: None)
        stopped = asyncio.create_task(run(arguments, environment=ENVIRONMENT, seconds_max=SURELY, kill=lambda *_: None))
        lines = [(await asyncio.to_thread(call_taken, server))[1] for _ in range(2)]
        stopped.cancel()
        await asyncio.wait_for(asyncio.gather(stopped, return_exceptions=True), SURELY)
        for line in lines:
            line.close()  # lets it end
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        return late

    with phone() as server:
        ended = listen.run(test(server))
    assert (ended.status, ended.late) == (None, True)


# --- values of labels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "pattern", "labels", "reason"),
    [
        ("{x}", "[a-z]+", {}, "the alerts of the incident do not share a label x"),
        ("{x}", "[a-z]+", {"x": "eu1"}, "the label x is 'eu1', which does not match [a-z]+"),
        ("{x}", "[a-z]+", {"x": "eu\n"}, "the label x is 'eu\\n', which does not match [a-z]+"),
        ("{x}", "a|b", {"x": "ab"}, "the label x is 'ab', which does not match a|b"),
        ("{x}", ".*", {"x": "-rf"}, "the value for {x} begins with -, and could be an option"),
        ("{x}{y}", ".*", {"x": "", "y": "-rf"}, "the value for {x}{y} begins with -, and could be an option"),
        ("a{x}", ".*", {"x": "a\0b"}, "the label x has a character that no argument can have"),
        ("a{x}", ".*", {"x": "\ud800"}, "the label x has a character that no argument can have"),
        ("a{x}", ".*", {"x": "x" * 257}, "the label x has 257 characters, and 256 are the most"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(argument: str, pattern: str, labels: dict[str, str], reason: str) -> None:
    with pytest.raises(Unfit) as raised:
        filled(["/bin/x", argument], {"x": pattern, "y": pattern}, labels)
    assert str(raised.value) == reason


def test_nothing_runs_when_a_value_does_not_fit(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    program = script(tmp_path, f"open({str(mark)!r}, 'w')")
    said = refused(command(program, "{cluster}", cluster="[a-z]{1,9}"), cluster="$(reboot)")
    assert said == "not run: the label cluster is '$(reboot)', which does not match [a-z]{1,9}"
    assert not mark.exists()


def test_a_dash_after_an_equals_sign_is_no_option() -> None:
    assert filled(["/bin/x", "--by={x}", "n{x}"], {"x": ".*"}, {"x": "-5"}) == ["/bin/x", "--by=-5", "n-5"]


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=VALUE_CHARACTERS_MAX)
hostile = st.sampled_from(
    ["$(id)", "`id`", "; reboot", "a b", '"', "'", "*", "{x}", "%s", "\\", "\n", "--", "../..", "&&"]
)


@given(st.lists(values | hostile, min_size=1, max_size=4))
@settings(max_examples=25)
def test_every_byte_arrives_as_it_was_and_nothing_is_interpreted(
    tmp_path_factory: pytest.TempPathFactory, given_values: list[str]
) -> None:
    program = script(
        tmp_path_factory.mktemp("hostile"), "import sys, os; print([os.fsencode(a).hex() for a in sys.argv[1:]])"
    )
    labels = {f"l{number}": value for number, value in enumerate(given_values)}
    arguments = [f"--{name}={{{name}}}" for name in labels]
    made = command(program, *arguments, **dict.fromkeys(labels, ".*"))
    said = done(made, **labels).partition(": ")[2]
    wanted = [f"--{name}={value}".encode() for name, value in labels.items()]
    arrived = [bytes.fromhex(each) for each in json.loads(said.replace("'", '"'))]
    assert arrived == wanted
    shown = made.shown(message(labels=labels))
    assert shlex.split(shown)[1:] == [each.decode() for each in wanted]
