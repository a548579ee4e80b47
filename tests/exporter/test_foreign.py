"""A command line for node_exporter is understood, or told what to write instead."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.__main__ import main
from exporter.collectors import COLLECTORS
from exporter.commandline import command_line
from exporter.foreign import ALIASES, COLLECTORS_THERE, INSTEAD, explained, parsed
from guard import flags
from tests.pages import fenced, rows, text_of

KNOWN = re.findall(r"--[a-z][\w.-]*", command_line({}, {}).format_help())


def ended(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "exporter", *flags], capture_output=True, text=True, timeout=60)


def test_no_flag_that_exists_is_said_not_to() -> None:
    assert [name for name in INSTEAD if name in KNOWN] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--collector.netdev.netlink"], "leave it out: the numbers come from"),
        (["--collector.drbd"], "there is no such collector here"),
        (["--no-collector.cpu.cores"], "the collector cpu has no option cores"),
        (["--collector.ntp.server", "127.0.0.1"], "there is no such collector here"),
        (["--collector.cpu.cores=2"], "the collector cpu has no option cores"),
        (["--collector.cpuu"], "there is no such flag (did you mean --collector.cpu?)"),
        (["--no-thing.at-all"], "there is no such flag; --help tells them all"),
        (["-x"], "there is no such flag; --help tells them all"),
        (["127.0.0.1", "--runtime.gomaxprocs=2"], "leave it out: it is about Go"),
    ],
)
def test_what_is_none_here_is_told_what_to_write_instead(words: list[str], said: str) -> None:
    (flag,) = [word.partition("=")[0] for word in words if word.startswith("-")]
    assert explained(words, KNOWN).startswith(f"found {flag}: {said}")


def test_what_only_node_exporter_has_may_be_switched_off_and_nothing_else() -> None:
    """As manifests do that were written for it."""
    parser = command_line({}, {})
    arguments = parsed(parser, ["--no-collector.wifi", "--no-collector.cpu", "--no-collector.drbd"])
    assert (arguments.collector_cpu, arguments.collector_stat) == (False, None)
    with pytest.raises(SystemExit):
        parsed(parser, ["--no-collector.wify"])


def test_words_that_are_no_flags_are_refused() -> None:
    assert explained(["surplus"], KNOWN) == "found 'surplus', expected flags alone"


def test_what_to_write_instead_is_documented() -> None:
    documented = {flag: row.strip(" |") for flag, row in rows("node-exporter.md", "Flags").items()}
    assert documented == INSTEAD


def test_a_collector_that_is_documented_as_missing_is_missing_and_known() -> None:
    missing = set(rows("node-exporter.md", "What is off there, and missing here"))
    assert missing <= set(COLLECTORS_THERE.split())
    assert missing & {collector.name for collector in COLLECTORS} == set()


def test_the_example_of_the_page_is_what_is_said() -> None:
    (block,) = [block for block in fenced(text_of("exporter.md"), "console") if "ignored-fs-types" in block]
    command, _, answer = block.removeprefix("$ tocsin exporter ").partition("\n")
    end = ended(*shlex.split(command))
    assert (end.returncode, end.stdout, end.stderr) == (2, "", answer)


def test_names_of_levels_and_formats_are_node_exporters_too() -> None:
    arguments = command_line({}, {}).parse_args(["--log.level=warn", "--log.format=logfmt"])
    assert (arguments.log_level, arguments.log_format) == ("warning", "text")


def test_a_flag_that_is_called_otherwise_there_is_the_same_flag() -> None:
    for theirs in ALIASES:
        arguments = vars(parsed(command_line({}, {}), [f"{theirs}=^x="]))
        assert arguments[flags.destination(ALIASES[theirs])] == "^x="


def test_the_unit_uses_flags_that_exist() -> None:
    (unit,) = fenced(text_of("node-exporter.md"), "ini")
    (line,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    program, command, *words, more = line.replace("$$", "$").split()
    assert (Path(program).name, command, more) == ("tocsin", "exporter", "$ARGS")
    assert len(vars(parsed(command_line({}, {}), words))["web_listen_address"]) == 1


def test_a_check_reads_everything_and_tells_every_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, web = tmp_path / "exporter.yml", tmp_path / "web.yml"
    file.write_text("timeout: 5s\n")
    web.write_text("")
    flags = ["--config.check", f"--config.file={file}", f"--web.config.file={web}"]
    assert main(flags) == 0
    assert capsys.readouterr() == (f"no faults in {file} and {web}\n", "")
    file.write_text("timeout: soon\n")
    web.write_text("users: 3\n")
    assert main(flags) == 1
    assert [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()] == [f"{file}:1", f"{web}:1"]
    end = ended("--config.check")
    assert (end.returncode, end.stdout, end.stderr) == (0, "no faults in the flags\n", "")
