"""Flags: what wins over what, and how wrong use is reported."""

import argparse
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.flags import command, flag, one_of, switch, variables
from guard.listen import Address, parse_address


def parser_of(environ: Mapping[str, str], *, scope: str = "exporter") -> argparse.ArgumentParser:
    parser = command("tocsin exporter", "Publishes 100% of what it knows.")
    flag(
        parser,
        "--web.listen-address",
        help="Where to listen, 5% slower on Sundays.",
        default="127.0.0.1:29100",
        parse=parse_address,
        scope=scope,
        environ=environ,
    )
    flag(parser, "--limit", help="How many.", default=7, parse=int, scope=scope, environ=environ)
    flag(parser, "--allow", help="Whom.", default=("a",), scope=scope, environ=environ, repeated=True)
    flag(parser, "--config.file", help="Which file.", scope=scope, environ=environ)
    switch(parser, "--collector.cpu", help="Whether to.", default=True, scope=scope, environ=environ)
    return parser


def parsed(arguments: Sequence[str], **environ: str) -> argparse.Namespace:
    return parser_of(environ).parse_args(arguments)


def refused(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], **environ: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        parser_of(environ).parse_args(arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_defaults_are_parsed_and_named_after_the_flag() -> None:
    found = parsed([])
    assert found.web_listen_address == Address("127.0.0.1", 29100)
    assert found.limit == 7
    assert found.allow == ("a",)
    assert found.config_file is None
    assert found.collector_cpu is True


def test_the_command_line_wins_over_the_scoped_variable_which_wins_over_the_plain_one() -> None:
    both = {"TOCSIN_EXPORTER_LIMIT": "2", "TOCSIN_LIMIT": "3"}
    assert parsed(["--limit=1"], **both).limit == 1
    assert parsed([], **both).limit == 2
    assert parsed([], TOCSIN_LIMIT="3").limit == 3


def test_without_a_scope_only_the_plain_variable_counts() -> None:
    environ = {"TOCSIN_EXPORTER_LIMIT": "2", "TOCSIN_LIMIT": "3"}
    assert parser_of(environ, scope="").parse_args([]).limit == 3


def test_an_empty_variable_is_an_absent_one() -> None:
    assert parsed([], TOCSIN_EXPORTER_LIMIT="", TOCSIN_LIMIT="3").limit == 3
    assert parsed([], TOCSIN_LIMIT="").limit == 7


def test_a_bad_variable_is_reported_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, [], TOCSIN_EXPORTER_WEB_LISTEN_ADDRESS="nowhere")
    assert "TOCSIN_EXPORTER_WEB_LISTEN_ADDRESS" in said
    assert "expected HOST:PORT" in said
    assert "'nowhere'" in said


def test_a_bad_variable_does_no_harm_where_the_command_line_gives_the_value() -> None:
    assert parsed(["--limit=1"], TOCSIN_LIMIT="many").limit == 1


def test_a_bad_value_on_the_command_line_is_reported_by_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, ["--limit=many"])
    assert "argument --limit: found 'many', expected a whole number" in said
    assert "environment variable" not in said


def test_a_repeated_flag_replaces_its_default_and_collects_in_order() -> None:
    assert parsed(["--allow=b", "--allow=c"]).allow == ("b", "c")
    assert parsed(["--allow=b"], TOCSIN_ALLOW="x,y").allow == ("b",)


def test_a_repeated_flag_reads_its_variable_separated_by_commas() -> None:
    assert parsed([], TOCSIN_ALLOW="x, y,").allow == ("x", "y")


def test_a_comma_typed_on_the_command_line_stays_in_the_value() -> None:
    assert parsed(["--allow=b,c"]).allow == ("b,c",)


def test_a_switch_has_two_forms_and_a_variable() -> None:
    assert parsed(["--no-collector.cpu"]).collector_cpu is False
    assert parsed([], TOCSIN_COLLECTOR_CPU="off").collector_cpu is False
    assert parsed(["--collector.cpu"], TOCSIN_COLLECTOR_CPU="off").collector_cpu is True


def test_a_switch_does_not_guess_at_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    assert "TOCSIN_COLLECTOR_CPU: found 'perhaps'" in refused(capsys, [], TOCSIN_COLLECTOR_CPU="perhaps")


def test_abbreviations_are_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--lim=1" in refused(capsys, ["--lim=1"])


def test_help_shows_default_and_variable_even_with_a_bad_environment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parser_of({"TOCSIN_LIMIT": "many"}).parse_args(["--help"])
    assert exit_.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Publishes 100% of what it knows." in said
    assert "5% slower on Sundays. (default: 127.0.0.1:29100; environment:" in said
    assert "TOCSIN_EXPORTER_LIMIT or TOCSIN_LIMIT" in said
    assert "--collector.cpu | --no-collector.cpu" in said


def test_one_word_out_of_few(capsys: pytest.CaptureFixture[str]) -> None:
    parser = command("tocsin", "")
    flag(parser, "--log.format", help="How.", default="auto", parse=one_of("auto", "json"), environ={})
    assert parser.parse_args(["--log.format=json"]).log_format == "json"
    with pytest.raises(SystemExit):
        parser.parse_args(["--log.format=xml"])
    assert "found 'xml', expected one of: auto, json" in capsys.readouterr().err


@given(st.text(min_size=1).filter(lambda text: text.strip(", ")))
def test_whatever_text_a_variable_holds_arrives_unchanged(text: str) -> None:
    assert parsed([], TOCSIN_CONFIG_FILE=text).config_file == text


def test_dots_and_dashes_become_underscores_in_the_variable() -> None:
    assert variables("--web.listen-address", "receiver") == (
        "TOCSIN_RECEIVER_WEB_LISTEN_ADDRESS",
        "TOCSIN_WEB_LISTEN_ADDRESS",
    )
