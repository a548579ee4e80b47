"""`tocsin check`: which files it finds, what it says of them, and with which exit status."""

import io
import json
import os
import re
import select
import shutil
from pathlib import Path

import pytest

from tests.guard.kinds import POLICY, STRICT
from tocsin import check, promcheck
from tocsin.kinds import KINDS

GOOD_RULES = "groups: [{name: a, rules: [{alert: Down, expr: up == 0}]}]\n"
# The shapes in which promtool 2.42 and amtool 0.25 tell what they refuse.
BAD_RULES_SAID = """\
Checking {file}

  FAILED:
{file}: 5:11: group "a", rule 1, "X": bad: 1:6: end
{file}: 7:11: group "a", rule 2: bad
"""
BAD_KEY_SAID = """\
Checking {file}

  FAILED:
{file}: yaml: unmarshal errors:
  line 8: field fro not found in type rulefmt.RuleNode
"""
BAD_CONFIGURATION_SAID = """\
Checking {file}

  FAILED: parsing YAML file {file}: not a valid duration: "5x"
"""
BAD_ALERTMANAGER_SAID = """\
Checking '{file}'  FAILED: undefined receiver "x" used in route

amtool: error: failed to validate 1 file(s)

"""
BAD_TEST_SAID = """\
Unit Testing:  {file}

  FAILED:
    alertname: X, time: 1m,
        exp:[],
        got:[
            0:
              Labels:{{}}
            ]
"""


class Repository:
    """A folder of files, and a folder of programs that judge them."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "repository"
        self.programs = root / "programs"
        self.folder.mkdir()
        self.programs.mkdir()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def install(self, name: str, *, status: int = 0, says: str = "", script: str = "") -> None:
        """A program that notes how it was called, says something, and ends with a status."""
        path, said = self.programs / name, self.programs / f"{name}.said"
        said.write_text(says, encoding="utf-8")
        calls = f'echo "$@" >> {self.programs}/{name}.calls'
        lines = ["#!/bin/sh", "PATH=/bin:/usr/bin", calls, script, f"cat {said}", f"exit {status}"]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        path = self.programs / f"{name}.calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def check(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Runs the command; only the programs of the test are there, whatever this machine has."""
        out = io.StringIO()
        status = check.main(
            arguments,
            kinds=(POLICY, STRICT),
            out=out,
            err=out,
            environ={"PATH": str(self.programs), **environ},
            folder=self.folder,
        )
        return status, out.getvalue()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_every_known_file_of_a_repository_is_found_and_nothing_else(repository: Repository) -> None:
    repository.install("promtool")
    repository.install("amtool")
    for name in ("policy.yml", "deep/inside/night.policy.yml"):
        repository.write(name, "mode: open\n")
    repository.write("strict.yml", "name: x\n")
    for name in ("prometheus/prometheus.yml", "prometheus/alertmanager.yml", "rules/a.yml", "rules/b/c.yaml",
                 "rules/tests/t.yml", "rules/b/tests/u.yml"):  # fmt: skip
        repository.write(name, "{}\n")
    for name in (
        *(".git/policy.yml", ".venv/policy.yml", "data/policy.yml", "node_modules/policy.yml", "tests/policy.yml"),
        *(".hidden/rules/x.yml", "rules/catalog/z.yml", "other.yml", "rules/x.py"),
    ):
        repository.write(name, "}")
    status, said = repository.check()
    assert (status, said) == (0, "checked 9 files: 0 faults\n")
    assert repository.calls("promtool") == [
        "check config prometheus/prometheus.yml",
        "check rules rules/a.yml",
        "check rules rules/b/c.yaml",
        "test rules rules/b/tests/u.yml",
        "test rules rules/tests/t.yml",
    ]
    assert repository.calls("amtool") == ["check-config prometheus/alertmanager.yml"]


def test_a_repository_without_configuration_is_said_to_have_none(repository: Repository) -> None:
    assert repository.check() == (
        0,
        f"no configuration file below {repository.folder}\nchecked 0 files: 0 faults\n",
    )


def test_every_fault_of_every_file_is_told_in_one_line(repository: Repository) -> None:
    repository.write("policy.yml", "limit: 0\nmode: opne\n")
    repository.write("deep/strict.yml", "")
    status, said = repository.check()
    assert status == 1
    assert said.splitlines() == [
        "policy.yml:1: limit: found the number 0, expected a number of at least 1",
        "policy.yml:2: mode: found 'opne', expected one of: closed, open (did you mean 'open'?)",
        "deep/strict.yml:1: name: found nothing, expected text (required)",
        "checked 2 files: 3 faults",
    ]


def test_only_the_files_that_are_named_are_checked(repository: Repository) -> None:
    repository.write("policy.yml", "limit: 0\n")
    repository.write("strict.yml", "name: x\n")
    repository.write("more/strict.yml", "name: x\n")
    assert repository.check("strict.yml") == (0, "checked 1 file: 0 faults\n")
    assert repository.check("strict.yml", "./more", str(repository.folder / "strict.yml"), "more/strict.yml") == (
        0,
        "checked 2 files: 0 faults\n",
    )


def test_a_file_that_is_not_there_is_a_fault(repository: Repository) -> None:
    for name in ("policy.yml", "nowhere.yml", "rules/nowhere.yml"):
        status, said = repository.check(name)
        assert status == 1
        assert said.startswith(f"{name}: found no such file or directory, expected a file that exists")


def test_a_pipe_is_refused_because_it_cannot_be_read_twice(repository: Repository) -> None:
    os.mkfifo(repository.folder / "pipe")
    status, said = repository.check("pipe")
    assert status == 1
    assert said.startswith("pipe: found neither a file nor a folder")


def test_tests_of_rules_are_found_from_within_the_rules(repository: Repository) -> None:
    repository.install("promtool")
    repository.write("rules/tests/t.yml", "{}\n")
    assert repository.check("rules") == (0, "checked 1 file: 0 faults\n")
    assert repository.calls("promtool") == ["test rules rules/tests/t.yml"]


def test_a_file_outside_of_the_folder_keeps_its_whole_name(repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "strict.yml"
    path.write_text("", encoding="utf-8")
    assert repository.check(str(path))[1].startswith(f"{path}:1: name: found nothing")


@pytest.mark.parametrize(
    "text",
    [
        "# yaml-language-server: $schema=https://example.org/policy.schema.json\nlimit: 0\n",
        "window: 5m\nlimit: 0\n",
        "window: 5m\nlimit: 0\nmoed: open\n",
    ],
)
def test_a_file_of_any_name_is_known_by_its_hint_or_its_keys(repository: Repository, text: str) -> None:
    repository.write("mine.yml", text)
    status, said = repository.check("mine.yml")
    assert status == 1
    assert "mine.yml:2: limit: found the number 0" in said


def test_prometheus_files_of_any_name_are_known_by_their_keys(repository: Repository) -> None:
    repository.install("promtool")
    repository.install("amtool")
    for name, text in {
        "a.yml": GOOD_RULES,
        "b.yml": "scrape_configs: []\n",
        "c.yml": "route: {}\nreceivers: []\n",
        "d.yml": "rule_files: []\ntests: []\n",
    }.items():
        repository.write(name, text)
    assert repository.check("a.yml", "b.yml", "c.yml", "d.yml")[0] == 0
    assert repository.calls("promtool") == ["check rules a.yml", "check config b.yml", "test rules d.yml"]
    assert repository.calls("amtool") == ["check-config c.yml"]


@pytest.mark.parametrize("text", ["unheard: of\n", "- a\n", "", "global: {}\n"])
def test_a_file_of_no_known_kind_is_a_fault_that_says_what_is_known(repository: Repository, text: str) -> None:
    repository.write("mine.yml", text)
    status, said = repository.check("mine.yml")
    assert status == 1
    assert said.startswith(
        "mine.yml: found a file of no known kind, expected one of:"
        " policy (policy.yml, *.policy.yml), strict (strict.yml), Prometheus configuration (prometheus.yml)"
    )


def test_a_file_whose_name_looks_like_a_flag_is_still_a_file(repository: Repository) -> None:
    repository.install("promtool")
    repository.write("--help.yml", GOOD_RULES)
    assert repository.check("--", "--help.yml")[0] == 0
    assert repository.calls("promtool") == ["check rules ./--help.yml"]


def test_a_file_of_no_known_kind_that_is_no_yaml_is_told_as_such(repository: Repository) -> None:
    repository.write("mine.yml", "a: 1\nb: [\n")
    assert repository.check("mine.yml")[1].startswith("mine.yml:2: found what YAML cannot read")


def test_without_promtool_a_file_is_read_as_yaml_and_a_note_says_so(repository: Repository) -> None:
    repository.write("rules/a.yml", GOOD_RULES)
    assert repository.check() == (
        0,
        "rules/a.yml: checked as YAML only: promtool is not installed\nchecked 1 file: 0 faults\n",
    )


def test_a_key_said_twice_is_found_without_promtool(repository: Repository) -> None:
    repository.write("rules/a.yml", "groups: []\ngroups: []\n")
    status, said = repository.check()
    assert status == 1
    assert said.startswith("rules/a.yml:2: groups: found the key a second time (first on line 1)")


@pytest.mark.parametrize(
    ("name", "said", "faults"),
    [
        ("rules/a.yml", BAD_RULES_SAID, [(5, 'group "a", rule 1, "X": bad: 1:6: end'), (7, 'group "a", rule 2: bad')]),
        ("rules/a.yml", BAD_KEY_SAID, [(8, "field fro not found in type rulefmt.RuleNode")]),
        ("prometheus.yml", BAD_CONFIGURATION_SAID, [(0, 'parsing YAML file {file}: not a valid duration: "5x"')]),
        ("alertmanager.yml", BAD_ALERTMANAGER_SAID, [(0, 'undefined receiver "x" used in route')]),
        ("rules/tests/a.yml", BAD_TEST_SAID, [(0, "alertname: X, time: 1m, exp:[], got:[ 0: Labels:{} ]")]),
        ("rules/a.yml", "", [(0, "exit status 1")]),
    ],
)
def test_what_the_programs_say_becomes_faults_with_the_lines_they_name(
    repository: Repository, name: str, said: str, faults: list[tuple[int, str]]
) -> None:
    repository.write(name, "{}\n")
    for program in ("promtool", "amtool"):
        repository.install(program, status=1, says=said.format(file=name))
    status, output = repository.check()
    assert status == 1
    program = "amtool" if "alert" in name else "promtool"
    assert output.splitlines()[:-1] == [
        f"{name}{f':{line}' if line else ''}: found what {program} refuses: {text.replace('{file}', name)}"
        for line, text in faults
    ]


def test_a_program_that_never_ends_is_stopped_with_all_its_children(repository: Repository, tmp_path: Path) -> None:
    repository.write("rules/a.yml", GOOD_RULES)
    # Whoever lives on of the program and its children holds this pipe open.
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    repository.install("promtool", script=f"exec 9>{pipe}; echo alive >&9; sleep 600 & sleep 600")
    verdict = promcheck.check(
        "rules/a.yml",
        promcheck.RULES,
        folder=repository.folder,
        environ={"PATH": str(repository.programs)},
        timeout_seconds=1,
    )
    assert [str(fault) for fault in verdict.faults] == ["rules/a.yml: found no answer of promtool in 1 seconds"]
    with open(reading, "rb") as alive:
        assert alive.read(6) == b"alive\n"
        ended = select.poll()
        ended.register(alive, select.POLLHUP)
        assert ended.poll(5000) == [(reading, select.POLLHUP)]


def test_json_carries_files_faults_and_notes(repository: Repository) -> None:
    repository.write("policy.yml", "limit: 0\n")
    repository.write("rules/a.yml", GOOD_RULES)
    status, said = repository.check("--format=json")
    assert status == 1
    assert json.loads(said) == {
        "files": 2,
        "faults": [
            {
                "file": "policy.yml",
                "line": 1,
                "path": "limit",
                "found": "the number 0",
                "expected": "a number of at least 1",
            }
        ],
        "warnings": [],
        "notes": ["rules/a.yml: checked as YAML only: promtool is not installed"],
    }


def test_github_annotations_are_escaped(repository: Repository) -> None:
    repository.write("a,b/policy.yml", "mode: 100%\n'l:i,m': 1\n")
    status, said = repository.check("--format=github", "a,b/policy.yml", "missing.yml")
    assert status == 1
    lines = said.splitlines()
    assert lines[0] == (
        "::error file=a%2Cb/policy.yml,line=1,title=mode::found '100%25', expected one of: closed, open"
    )
    assert lines[1].startswith("::error file=a%2Cb/policy.yml,line=2,title=['l%3Ai%2Cm']::found an unknown key")
    assert lines[2].startswith("::error file=missing.yml,title=configuration::found no such file")
    assert lines[3] == "checked 2 files: 3 faults"


def test_references_are_read_from_the_environment_that_is_handed_in(repository: Repository) -> None:
    repository.write("policy.yml", "window: '${WINDOW}'\n")
    assert repository.check(WINDOW="5m")[0] == 0
    assert repository.check()[0] == 1


@pytest.mark.parametrize(("name", "files"), [("services.yml", 1), ("topology.yml", 2)])
def test_what_the_policy_names_as_its_topology_is_read_whatever_its_name_and_told_once(
    tmp_path: Path, name: str, files: int
) -> None:
    (tmp_path / "receiver.yml").write_text(
        f"correlate: [{{name: a, depends_on_label: service, window: 5m}}]\ntopology_file: deep/{name}\n"
    )
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_text("services:\n  a:\n    dependson: []\n")
    out = io.StringIO()
    status = check.main([], kinds=KINDS, out=out, err=out, environ={"PATH": ""}, folder=tmp_path)
    fault, summary = out.getvalue().splitlines()
    assert fault == f"deep/{name}:3: services.a.dependson: found an unknown key, expected 'depends_on'"
    assert (status, summary) == (1, f"checked {files} file{'s' if files > 1 else ''}: 1 fault")


@pytest.mark.parametrize("arguments", [["--format=xml"], ["--formt=json"]])
def test_a_wrong_command_line_ends_with_two(repository: Repository, arguments: list[str]) -> None:
    status, said = repository.check(*arguments)
    assert status == 2
    assert "usage: tocsin check" in said


def test_help_ends_with_zero_and_names_the_formats(repository: Repository) -> None:
    status, said = repository.check("--help")
    assert status == 0
    assert "text, json, github" in said


@pytest.mark.real
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_the_real_promtool_is_understood(repository: Repository) -> None:
    repository.write("rules/a.yml", GOOD_RULES)
    repository.write("rules/b.yml", "groups:\n- name: a\n  rules:\n  - alert: X\n    expr: up ==\n")
    status, said = repository.check(PATH=os.environ["PATH"])
    assert status == 1
    assert re.match(r"rules/b\.yml:5: found what promtool refuses: .*parse error", said)
    assert said.endswith("checked 2 files: 1 fault\n")
