"""Mapping files of statsd_exporter: what names become, and what is said about files that are none."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.control import Refused
from exporter.intake.statsd.lines import Reason
from exporter.intake.statsd.mapping import MATCHED_CHARACTERS_MAX, expression
from exporter.intake.statsd.mappingfile import read
from tests.exporter.program import started
from tests.exporter.statsd.test_statsd_sockets import ANY_PORT, address, own, refused, sender, shows
from tests.exporter.statsd.world import NOW, World


def world(folder: Path, text: str) -> World:
    path = folder / "mapping.yml"
    path.write_text(dedent(text))
    return World(choose=read(path).choose)


def mapped(folder: Path, text: str, *lines: bytes) -> list[str]:
    made = world(folder, text)
    made.send(*lines)
    return made.lines()


def test_globs_name_and_label_by_parts(tmp_path: Path) -> None:
    mapping = """
        mappings:
        - match: test.dispatcher.*.*
          name: dispatcher_events_total
          labels: {processor: "$1", outcome: "${2}_x", job: test_dispatcher, number: 7}
        - match: "*.signup.*"
          name: "${1}_signups"
          labels: {provider: $2, missing: "$3"}
        """
    lines = (b"test.dispatcher.Foo.ok:1|c", b"shop.signup.mail:2|c", b"test.web-server.foo:3|c")
    assert mapped(tmp_path, mapping, *lines) == [
        'dispatcher_events_total{job="test_dispatcher",number="7",outcome="ok_x",processor="Foo"} 1.0',
        'shop_signups_total{missing="",provider="mail"} 2.0',
        "test_web_server_foo_total 3.0",
    ]


GLOBS = """
    defaults: {glob_disable_ordering: %s}
    mappings:
    - {match: a.*.c, name: first}
    - {match: a.b.*, name: second}
    - {match: a.b.d, name: third}
    - {match: "*.b.d", name: fourth}
    """


@pytest.mark.parametrize(
    ("unordered", "expected"),
    [("false", ["first 1.0", "second 2.0", "fourth 3.0"]), ("true", ["second 1.0", "third 2.0", "fourth 3.0"])],
)
def test_the_first_glob_wins_or_the_one_that_says_most(tmp_path: Path, unordered: str, expected: list[str]) -> None:
    assert mapped(tmp_path, GLOBS % unordered, b"a.b.c:1|g\na.b.d:2|g\nx.b.d:3|g") == expected


def test_without_order_a_glob_that_leads_nowhere_is_left_again(tmp_path: Path) -> None:
    mapping = """
        defaults: {glob_disable_ordering: true}
        mappings:
        - {match: a.b.x, name: one}
        - {match: a.*.c, name: two}
        """
    assert mapped(tmp_path, mapping, b"a.b.c:1|g") == ["two 1.0"]


def test_expressions_come_after_globs_and_name_by_groups(tmp_path: Path) -> None:
    mapping = r"""
        mappings:
        - match: (.*)\.(.*)--(.*)\.status\.(.*)\.count
          match_type: regex
          name: request_total
          labels: {hostname: "$1", exec: "$2", protocol: "${3}", code: "$4", all: "$4x", price: "$$5"}
        - match: svc\.(?P<name>[[:alpha:]]+)
          match_type: regex
          name: "${name}_level"
        - {match: svc.glob, name: by_glob}
        """
    lines = (b"h.x--http.status.200.count:1|c", b"svc.glob:1|g", b"some.svc.word.more:2|g", b"svc.1:3|g")
    assert mapped(tmp_path, mapping, *lines) == [
        'request_total{all="",code="200",exec="x",hostname="h",price="$5",protocol="http"} 1.0',
        "by_glob 1.0",
        "word_level 2.0",
        "svc_1 3.0",
    ]


def test_types_are_told_apart_and_what_is_dropped_is_counted(tmp_path: Path) -> None:
    made = world(
        tmp_path,
        """
        mappings:
        - {match: a.*, name: counted, match_metric_type: counter}
        - {match: a.*, name: timed, match_metric_type: timer}
        - {match: a.b, name: observed, match_metric_type: observer}
        - {match: a.b, name: "", action: drop}
        - {match: ., match_type: regex, action: drop}
        """,
    )
    made.send(b"a.b:1|c\na.b:1|ms", b"a.b:1|g\na.b:1|g\nx:1:2|g\na.b:2|g|#c:d")
    assert [line for line in made.lines() if "bucket" not in line] == [
        "counted_total 1.0",
        "timed_sum 0.001",
        "timed_count 1",
    ]
    assert (made.told.dropped, made.faults) == (4, {})


def test_labels_of_the_mapping_outweigh_tags_unless_tags_are_honored(tmp_path: Path) -> None:
    mapping = """
        mappings:
        - {match: a.*, name: one, labels: {who: mapping, "1st": x}}
        - {match: b.*, name: two, labels: {who: mapping, also: $1}, honor_labels: true}
        """
    with pytest.raises(Refused, match=r"mapping.yml:3: mappings\[0\].labels.1st: found '1st', expected letters"):
        mapped(tmp_path, mapping)
    lines = (b"a.b:1|g|#who:tag,other:tag", b"b.c:1|g|#who:tag")
    assert mapped(tmp_path, mapping.replace(', "1st": x', ""), *lines) == [
        'one{other="tag",who="mapping"} 1.0',
        'two{also="c",who="tag"} 1.0',
    ]


def test_scale_help_buckets_and_expiry(tmp_path: Path) -> None:
    made = world(
        tmp_path,
        """
        defaults: {observer_type: summary, ttl: 1m20s, quantiles: [{quantile: 0.5, error: 0.05}], buckets: [7]}
        mappings:
        - match: disk.*
          name: disk_bytes
          scale: 1024
          help: How much is written.
          ttl: 0
          labels: {disk: $1}
        - match: size.*
          name: sizes
          scale: 0.5
          observer_type: histogram
          histogram_options: {buckets: [1, 2.5]}
        - {match: old.*, name: old, timer_type: histogram, buckets: [3]}
        - {match: sum.*, name: sum_one, summary_options: {max_age: 30s, age_buckets: 3, buf_cap: 1000}}
        """,
    )
    made.send(b"disk.a:2|g", b"size.a:4|h", b"old.x:1|h", b"sum.x:1|d", b"unmapped:1|h")
    found = {family.name: family for family in made.families()}
    assert found["disk_bytes"].help == "How much is written."
    lines = made.lines()
    assert {line.split()[0] for line in lines if "quantile=" in line} == {
        'sum_one{quantile="0.5"}',
        'unmapped{quantile="0.5"}',
    }
    assert 'disk_bytes{disk="a"} 2048.0' in lines
    assert 'sizes_bucket{le="2.5"} 1' in lines
    assert {line.split()[0] for line in lines if "le=" in line and "+Inf" not in line and "quantile=" not in line} == {
        'sizes_bucket{le="1.0"}',
        'sizes_bucket{le="2.5"}',
        'old_bucket{le="3.0"}',
    }
    assert {family.name for family in made.pipeline.families(now=NOW + 81)} == {"disk_bytes"}


def test_a_scale_below_zero_lets_no_counter_fall(tmp_path: Path) -> None:
    made = world(tmp_path, "mappings: [{match: loss.*, name: losses, scale: -1}]")
    made.send(b"loss.a:-3|c", b"loss.a:2|c")
    assert made.lines() == ["losses_total 3.0"]
    assert made.told.faults[Reason.NEGATIVE] == 1


def test_a_summary_has_its_quantiles_and_counts_what_was_not_sent(tmp_path: Path) -> None:
    made = world(
        tmp_path,
        """
        mappings:
        - match: a
          name: a_seconds
          observer_type: summary
          summary_options: {quantiles: [{quantile: 1}, {quantile: 0}]}
        - {match: b, name: b_seconds, quantiles: [{quantile: 0.5, error: 0.05}]}
        - {match: c, name: c_seconds, timer_type: summary}
        - {match: d, name: d_seconds}
        """,
    )
    made.send(b"a:1000|ms", b"a:3000|ms|@0.5", b"b:2|h", b"c:2|d", b"d:2|h")
    lines = made.lines()
    least, greatest, *whole = [line for line in lines if line.startswith("a_")]
    assert (least, whole) == ('a_seconds{quantile="0.0"} 1.0', ["a_seconds_sum 7.0", "a_seconds_count 3"])
    assert float(greatest.removeprefix('a_seconds{quantile="1.0"} ')) == pytest.approx(3, rel=0.01)
    said = {line.split()[0] for line in lines if "quantile=" in line and not line.startswith("a_")}
    assert said == {'b_seconds{quantile="0.5"}', *(f'c_seconds{{quantile="{each}"}}' for each in (0.5, 0.9, 0.99))}
    assert 'd_seconds_bucket{le="2.5"} 1' in lines


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "mappings: [{match: a.*, name: x, scale: 1.0e+300}]",
            "mappings[0].scale: found the number 1e+300, expected one from",
        ),
        ("mappings: [{match: a.*, name: x, labls: {}}]", "mapping.yml:1: mappings[0].labls: found"),
        ("mappings:\n- {match: a.*}", "mapping.yml:2: mappings[0].name: found nothing, expected a name"),
        ("mappings: [{match: a..b, name: x}]", "mappings[0].match: found 'a..b', expected parts of letters"),
        ("mappings: [{match: 'a(', name: x, match_type: regex}]", "expected a regular expression that compiles"),
        ("mappings: [{match: '(a+)+b', name: x, match_type: regex}]", "no repetition or choice inside of a repetition"),
        ("mappings: [{match: '[[:nope:]]', name: x, match_type: regex}]", "expected classes of characters"),
        ("mappings: [{match: a.*, name: a-b}]", "mappings[0].name: found 'a-b'"),
        ("mappings: [{match: a.*, name: x, ttl: soon}]", "mappings[0].ttl: found 'soon', expected a duration"),
        ("mappings: [{match: a.*, name: x, buckets: [2, 1]}]", "expected each bound above the one before"),
        ("mappings: [{match: a.*, name: x, action: keep}]", "mappings[0].action: found 'keep'"),
        ("defaults: {quantiles: [{quantile: 2}]}", "defaults.quantiles[0].quantile: found the number 2, expected"),
        ("defaults: {timer_type: gauge}", "defaults.timer_type: found 'gauge'"),
        ("mappings: {}", "mappings: found"),
        ("- 1", "mapping.yml:1"),
        ("a: [", "mapping.yml"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(Refused) as caught:
        world(tmp_path, text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(?x)( a + ) +",
        "(a*)*",
        "(?:a|b+)+",
        "((a+)b)*",
        "(x{2,}){4}",
        r"(\w+\.)*",
        "([ab]+)*",
        "(?P<n>a+)+",
        "(a|a)*b",
        "(a?a?)*b",
    ],
)
def test_an_expression_that_could_take_for_ever_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"inside of a repetition|flag x"):
        expression(text)


@pytest.mark.parametrize("text", [r"(.*)\.(.*)", "(ab)+", r"(\(+)", "([+*]b)*", "(?i)(a|b)", r"a{2}(b)+", r"(\w+)\.x"])
def test_an_expression_that_ends_in_time_is_taken(text: str) -> None:
    assert expression(text).pattern == text


def test_expressions_look_at_no_name_that_is_too_long(tmp_path: Path) -> None:
    mapping = "mappings: [{match: 'x(.*)y', match_type: regex, name: found}]"
    long = b"x" * MATCHED_CHARACTERS_MAX + b"y"
    assert mapped(tmp_path, mapping, long[1:] + b":1|g", long + b":1|g") == ["found 1.0", f"{long.decode()} 1.0"]


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_expression_is_compiled_or_refused(before: str, after: str) -> None:
    try:
        expression(before + "(a+)" + after)
    except ValueError as error:
        assert str(error).startswith(("a regular expression", "an expression", "classes", "no repetition"))  # noqa: PT017


def test_a_reload_reads_the_file_again_and_one_with_faults_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yml"
    path.write_text("mappings: [{match: a.*, name: before}]")
    with started(ANY_PORT, f"--statsd.mapping-config={path}") as program:
        with sender(socket.AF_INET, address(program)) as client:
            client.send(b"a.b:1|g")
            shows(program, "before 1.0")
            path.write_text("mappings: [{match: a.*, name: after}]")
            program.process.send_signal(signal.SIGHUP)
            program.said("configuration loaded")
            client.send(b"a.b:2|g\na.b:1|c")
            shows(program, "after 2.0")
            path.write_text("mappings: [{match: a.*}]")
            program.process.send_signal(signal.SIGHUP)
            program.said("configuration refused")
            client.send(b"a.b:3|g")
            shows(program, "after 3.0")
        assert own(program, 'tocsin_exporter_statsd_faults_total{reason="conflict"}') == 1
    assert "mappings[0].name: found nothing" in refused(f"--statsd.mapping-config={path}")
    assert "No such file" in refused("--statsd.mapping-config=/nowhere.yml")
    assert "mappings[0].name: found nothing" in checked(f"--statsd.mapping-config={path}")


def checked(flag: str) -> str:
    command = [sys.executable, "-m", "exporter", "--config.check", flag]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    return ended.stdout
