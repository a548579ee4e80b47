"""What is valid in receiver.yml and hardly meant is told, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guard import configfile
from guard.matcher import parse_matcher
from receiver import settings
from receiver.policy.lints import ROUTES_COMPARED_MAX, lints
from receiver.policy.overlap import Together, at_odds
from receiver.policy.shapes import Told
from receiver.settings import EXAMPLE, KIND
from tests.pages import PAGES, fenced
from tests.real.servers import receiver

CHANNELS = "channels: {chat: {type: terminal}, pager: {type: terminal}}\n"
ESCALATIONS = """
escalations:
  page: {stages: [{notify: [chat]}, {delay: 5m, notify: [pager]}]}
  chat: {stages: [{notify: [chat]}]}
"""


def linted(text: str) -> list[Told]:
    return list(lints(configfile.read_text(text, "receiver.yml", KIND, environ={})))


def places(text: str) -> list[str]:
    return [".".join(map(str, path)) for path, _, _ in linted(text)]


def routed(*routes: str) -> str:
    return f"routes: [{', '.join(routes)}]{ESCALATIONS}{CHANNELS}"


def on_call(stages: str, more: str = "") -> str:
    return f"""
escalations: {{page: {{stages: [{stages}]}}}}
schedules:
  office:
    time_zone: Europe/Berlin
    rotations: [{{people: [ana], shift: 1d, starts: '2026-01-05T09:00', only: ['Mon-Fri 09:00-17:00']}}]
people: {{ana: {{notify: [{{channel: pager}}]}}}}
{more}{CHANNELS}"""


# --- nothing to say ------------------------------------------------------------------------------------------------

EXAMPLES = [
    block
    for page in PAGES
    for block in fenced(page.read_text(encoding="utf-8"), "yaml")
    if block.startswith("# receiver.yml")
]


def test_the_bundled_example_and_those_of_the_pages_are_warned_of_nothing(tmp_path: Path) -> None:
    assert len(EXAMPLES) > 10
    for number, text in enumerate([EXAMPLE.read_text(), *EXAMPLES]):
        folder = tmp_path / str(number)
        for file in ("receiver.yml", *re.findall(r"_file: ([\w./-]+)", text)):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("{}" if ".json" in file else "something")
        (folder / "receiver.yml").write_text(text)
        environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "something")
        warned = configfile.read_and_warn(folder / "receiver.yml", KIND, environ=environ)[1]
        assert [each for each in warned if "which is not one here" not in each.found] == [], text  # a program of theirs


@pytest.mark.parametrize(
    "text",
    [
        "",
        CHANNELS,
        "routes: [{}]\n" + CHANNELS,
        routed("{matchers: ['severity=\"critical\"'], escalation: page}", "{escalation: chat}"),
        routed("{matchers: ['team=\"a\"'], escalation: page}", "{matchers: ['team=\"b\"'], escalation: chat}"),
        routed("{matchers: ['team=~\"a.*\"'], escalation: page}", "{matchers: ['team=\"b\"'], escalation: chat}"),
        routed('{matchers: [\'team="a"\', env="x"], escalation: page}', "{matchers: ['team=\"a\"'], escalation: chat}"),
        routed("{matchers: ['team!=\"a\"'], escalation: page}", "{matchers: ['team!=\"b\"'], escalation: chat}"),
        routed("{matchers: ['team!=\"a\"'], escalation: page}", "{matchers: ['env=\"a\"'], escalation: chat}"),
    ],
)
def test_what_may_be_meant_is_warned_of_nothing(text: str) -> None:
    assert linted(text) == []


# --- routes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], ['team="a"']),
        (['team="a"'], ['team="a"']),
        (['team="a"'], ['team="a"', 'env="x"']),
        (['team!="a"'], ['team="b"']),
        (['team!="a"'], ['team!="a"', 'env="x"']),
        (['team=~"a|b"'], ['team="b"']),
        (['team=~"a|b|c"'], ['team=~"b|c"']),
        (['team!~"a.*"'], ['team="b"']),
        (['team=~"a.*"'], ['team=~"a.*"', 'env="x"']),
        (['team=~".*"', 'env="x"'], ['env="x"']),
        (['team=~"a|b"'], ['team=~"a|b|c"', 'team!="c"']),
    ],
)
def test_a_route_whose_incidents_an_earlier_one_takes_is_never_taken(first: list[str], second: list[str]) -> None:
    text = routed(f"{{matchers: {first}, escalation: page}}", f"{{matchers: {second}, escalation: chat}}")
    ((path, found, expected),) = linted(text)
    everything = ", ".join(str(parse_matcher(each)) for each in first) or "everything"
    assert path == ("routes", 1, "matchers")
    assert found == f"a route that is never taken: routes[0], {everything}, takes all of it first"
    assert expected == "a place before that one, or no such route"


@pytest.mark.parametrize(
    "matchers",
    [
        ['severity="a"', 'severity="b"'],
        ['severity="a"', 'severity!="a"'],
        ['severity!="a"', 'severity="a"'],
        ['severity="a"', 'severity=~"b.*"'],
        ['severity=~"a|b"', 'severity!~"a|b"'],
        ['severity=~"a.*"', 'severity!~"a.*"'],
        ['severity=~"a|b"', 'severity=~"c|d"'],
        ['team="x"', 'severity=~"a|b"', 'severity!="a"', 'severity!="b"'],
    ],
)
def test_matchers_that_no_incident_meets_together_are_told(matchers: list[str]) -> None:
    text = routed(f"{{matchers: {matchers}, escalation: page}}", "{escalation: chat}")
    ((path, found, _),) = linted(text)
    assert path == ("routes", 0, "matchers")
    at_fault = [str(parse_matcher(each)) for each in matchers if each.startswith("severity")]
    assert found == f"matchers that no incident meets together: {', '.join(at_fault)}"


def test_a_route_that_is_never_taken_hides_none_after_it() -> None:
    odd = "{matchers: [a=x, a=y], escalation: page}"
    assert places(routed(odd, "{matchers: [a=x, a=y, b=z], escalation: chat}", "{escalation: page}")) == [
        "routes.0.matchers",
        "routes.1.matchers",
    ]
    assert places(routed(odd, "{matchers: [a=x], escalation: page}", "{escalation: chat}")) == ["routes.0.matchers"]


def test_routes_over_the_limit_are_not_compared() -> None:
    def at(number: int) -> list[str]:
        others = [f"{{matchers: [a={each}], escalation: page}}" for each in range(number)]
        return places(routed(*others, "{matchers: [a=0], escalation: chat}"))

    assert at(ROUTES_COMPARED_MAX - 1) == [f"routes.{ROUTES_COMPARED_MAX - 1}.matchers"]
    assert at(ROUTES_COMPARED_MAX) == []


@pytest.mark.parametrize(
    ("together", "asked"),
    [
        (['a=~"x.*"'], 'a="xy"'),
        (['a=~"x.*"'], 'a!="b"'),  # it is so, and only a look into the expression would show it
        (['a!="x"'], 'a!="y"'),
        ([], 'a="x"'),
        (['b="x"'], 'a="x"'),
        (['a=~"x|y"'], 'a="x"'),
    ],
)
def test_what_is_not_sure_does_not_follow(together: list[str], asked: str) -> None:
    given = [parse_matcher(text) for text in together]
    assert not Together(given).imply(parse_matcher(asked))
    assert at_odds(given) == ()


# --- stages --------------------------------------------------------------------------------------------------------


def test_a_stage_whose_condition_no_route_to_it_meets_is_never_taken() -> None:
    text = f"""
routes:
  - {{matchers: ['severity="critical"', 'team=~"a|b"'], escalation: page}}
  - {{escalation: chat}}
escalations:
  page:
    stages:
      - {{notify: [chat], when: {{matchers: ['severity="warning"']}}}}
      - {{notify: [chat], when: {{matchers: ['team="c"']}}}}
      - {{notify: [chat], when: {{matchers: ['team=""']}}}}
      - {{notify: [chat], when: {{matchers: ['team!="a"', 'env="x"', 'severity!="warning"']}}}}
      - {{notify: [chat], when: {{matchers: ['env="x"', 'env="y"']}}}}
      - {{notify: [chat], when: {{firing_min: 101}}}}
      - {{notify: [chat], when: {{firing_min: 100}}}}
  chat: {{stages: [{{notify: [pager], when: {{matchers: ['severity="critical"']}}}}]}}
incident_alerts_max: 100
{CHANNELS}"""
    assert [(".".join(map(str, path)), found) for path, found, _ in linted(text)] == [
        (
            "escalations.page.stages.0.when.matchers",
            'a stage that is never taken: no route to it brings what matches severity="warning"',
        ),
        (
            "escalations.page.stages.1.when.matchers",
            'a stage that is never taken: no route to it brings what matches team="c"',
        ),
        (
            "escalations.page.stages.4.when.matchers",
            'matchers that no incident meets together: env="x", env="y"',
        ),
        ("escalations.page.stages.5.when.firing_min", "a stage that is never taken: 101 alerts"),
    ]


def test_a_stage_that_one_of_its_routes_meets_is_taken() -> None:
    stages = "[{notify: [chat, pager], when: {matchers: ['severity=\"warning\"']}}]"
    text = f"""
routes: [{{matchers: ['severity="critical"'], escalation: page}}, {{escalation: page}}]
escalations: {{page: {{stages: {stages}}}}}
{CHANNELS}"""
    assert linted(text) == []


def test_a_stage_of_people_without_a_channel_tells_nobody() -> None:
    text = f"""
escalations:
  page:
    stages:
      - {{notify: [{{schedule: office}}]}}
      - {{notify: [{{person: cleo}}]}}
      - {{notify: [chat, {{person: cleo}}]}}
schedules:
  office:
    rotations: [{{people: [ana], shift: 1d, starts: '2026-01-05T09:00'}}]
    overrides: [{{person: ben, from: '2026-12-24T00:00', to: '2026-12-27T00:00'}}]
people:
  ana: {{notify: [{{email: ana@example.org}}]}}
  ben: {{notify: [{{email: ben@example.org}}]}}
  cleo: {{notify: [{{slack: U024BE7LH}}]}}
{CHANNELS.replace(", pager: {type: terminal}", "")}"""
    assert [(".".join(map(str, path)), found) for path, found, _ in linted(text)] == [
        ("escalations.page.stages.0.notify", "a stage that tells nobody: there is no channel to ana, ben"),
        ("escalations.page.stages.1.notify", "a stage that tells nobody: there is no channel to cleo"),
        ("people.cleo.notify", "no way to cleo, whom escalations.page calls"),
    ]


def test_a_last_stage_that_tells_nobody_at_some_time_of_the_week_is_told() -> None:
    ((path, found, _),) = linted(on_call("{notify: [chat]}, {notify: [{schedule: office}]}"))
    assert path == ("escalations", "page", "stages", 1, "notify")
    assert found == (
        "the last stage, which tells office and nobody else: "
        "nobody on call from Mon 17:00 to Tue 09:00, and 4 more times a week"
    )


@pytest.mark.parametrize(
    "stages",
    [
        "{notify: [{schedule: office}]}, {notify: [chat]}",
        "{notify: [chat]}, {notify: [{schedule: office}, chat]}",
        "{notify: [chat]}, {notify: [{schedule: office}, {person: ana}]}",
        "{notify: [{schedule: office}], when: {weekly: 'Mon-Fri 10:00-12:00', time_zone: Europe/Berlin}}",
        "{notify: [{schedule: office}], when: {weekly: 'Mon-Fri 10:00-12:00', time_zone: UTC}}",
    ],
)
def test_a_last_stage_that_tells_somebody_whenever_it_is_asked_is_in_order(stages: str) -> None:
    assert [each for each in places(on_call(stages)) if each.startswith("escalations")] == []


def test_of_a_last_stage_with_times_only_those_are_looked_at() -> None:
    when = "when: {weekly: 'Mon,Tue 16:00-18:00', time_zone: Europe/Berlin}"
    ((_, found, _),) = linted(on_call(f"{{notify: [chat]}}, {{notify: [{{schedule: office}}], {when}}}"))
    assert found.endswith("nobody on call from Mon 17:00 to Mon 18:00, and 1 more time a week")


# --- names ---------------------------------------------------------------------------------------------------------


def test_what_nothing_uses_is_told() -> None:
    text = """
routes: [{escalation: page}]
escalations:
  page: {stages: [{notify: [chat]}]}
  forgotten: {stages: [{notify: [{person: ben}]}]}
schedules: {primary: {rotations: [{people: [ana], shift: 1d, starts: '2026-01-05T09:00'}]}}
people:
  ana: {notify: [{channel: phone}, {email: ana@example.org}]}
  ben: {notify: [{channel: phone}]}
  cleo: {notify: [{channel: phone}]}
channels:
  chat: {type: terminal}
  phone: {type: terminal}
  pager: {type: terminal}
  mail: {type: email, smarthost: '127.0.0.1:25', from: tocsin@example.org, to: [all@example.org]}
  other-mail: {type: email, smarthost: '127.0.0.1:25', from: tocsin@example.org, to: [all@example.org]}
"""
    assert [(".".join(map(str, path)), found) for path, found, _ in linted(text)] == [
        ("escalations.forgotten", "an escalation that no route leads to"),
        ("people.cleo", "somebody whom no schedule and no stage calls"),
        ("channels.pager", "a channel that no stage and nobody's `notify` uses"),
        ("channels.other-mail", "a channel that no stage and nobody's `notify` uses"),
    ]


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("{type: slack, token_file: s, channel: '#ops'}", ["ana", "ben"]),
        ("{type: slack, token_file: s, channel: '#ops', signing_secret_file: s}", ["ben"]),
        ("{type: pagerduty, routing_key_file: s}", ["ana", "ben"]),
        ("{type: pagerduty, routing_key_file: s, webhook_secret_file: s}", []),
    ],
)
def test_whose_name_comes_back_from_a_channel_needs_no_other_use(tmp_path: Path, channel: str, told: list[str]) -> None:
    (tmp_path / "s").write_text("something")
    text = f"""
people:
  ana: {{notify: [{{slack: U024BE7LH}}]}}
  ben: {{notify: [{{channel: chat}}]}}
channels:
  chat: {{type: terminal}}
  other: {channel.replace("file: s", f"file: {tmp_path}/s")}
"""
    people = [path[1] for path, found, _ in linted(text) if path[0] == "people" and "calls" in found]
    assert people == told


def test_a_fallback_is_used() -> None:
    text = """
escalations: {page: {stages: [{notify: [chat]}]}}
channels:
  chat: {type: terminal, fallback: pager}
  pager: {type: terminal, fallback: phone}
  phone: {type: terminal}
  radio: {type: terminal}
"""
    assert places(text) == ["channels.radio"]


# --- where they are told -------------------------------------------------------------------------------------------

HARDLY_MEANT = routed("{escalation: chat}", "{matchers: ['team=\"a\"'], escalation: page}")


def test_what_loads_a_policy_is_handed_its_warnings(tmp_path: Path) -> None:
    path = tmp_path / "receiver.yml"
    path.write_text(HARDLY_MEANT)
    (warning,) = settings.load(path, environ={}).warnings
    assert (warning.file, warning.line, warning.path) == (str(path), 1, "routes[1].matchers")


def test_the_receiver_logs_them_at_the_start_and_at_each_reload(tmp_path: Path) -> None:
    with receiver(tmp_path, policy=HARDLY_MEANT) as server:
        assert server.ask("/-/reload", b"")[0] == 200
        (tmp_path / "receiver.yml").write_text(CHANNELS)
        assert server.ask("/-/reload", b"")[0] == 200
    logged = [line for line in server.said.splitlines() if "hardly meant" in line]
    assert len(logged) == 2
    assert all("routes[1].matchers: found a route that is never taken" in line for line in logged)


def test_more_warnings_than_anybody_reads_are_counted_in_the_log(tmp_path: Path) -> None:
    people = "".join(f"  p{number}: {{notify: [{{channel: chat}}]}}\n" for number in range(25))
    with receiver(tmp_path, policy=f"people:\n{people}{CHANNELS}") as server:
        pass
    assert server.said.count("a part of the policy is valid, and hardly meant") == 20
    assert "more of the policy is hardly meant" in server.said
