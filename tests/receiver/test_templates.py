"""Templates: what they may do, how much of it, what they become, and that the page goes out in any case."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.channels.filters import filter_names
from receiver.channels.making import channel_of, templates_of
from receiver.channels.samples import samples
from receiver.channels.templatechecks import fault_of
from receiver.channels.templates import USES, Broken, Form, Templates, Use
from receiver.channels.templating import compiled, made, values_of
from receiver.links import Links
from receiver.message import Kind, read
from receiver.settings import Settings
from tests.pages import ROOT, fenced, text_of
from tests.receiver.builders import digest, message

NASTY = "<b>\"a\" & 'b'\r\nBcc: eve@example.org\x1b[31m \u202e"
EXPECTED = ", expected a template that can be used for every message"
LONG = Use(Form.TEXT, 1_000_000)
_LINKS = {"acknowledge": "", "incident": "https://tocsin.example.org/incidents/T-1", "graph": "", "runbook": ""}


def shown(source: str, form: Form = Form.TEXT, *, firing: int = 2, characters_max: int = 10_000, **labels: str) -> str:
    about = message(
        labels={"alertname": "Down", "severity": "critical", **labels}, annotations={"summary": "down"}, firing=firing
    )
    return made(source, Use(form, characters_max), values_of(read(about), _LINKS))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ kind }} {{ incident.id }}: {{ incident.title }}", "opened T-1: Down"),
        ("{{ incident.opened_at }}", "2026-03-01 08:00:00Z"),
        ("{{ incident.opened_at|datetime('Europe/Berlin') }}", "2026-03-01 09:00:00 CET"),
        ("{{ incident.opened_at|datetime('Asia/Tokyo', '%H:%M') }}", "17:00"),
        ("[{{ incident.acknowledged_by }}]", "[]"),
        ("{{ incident.acknowledged_by|default('nobody') }} has it", "nobody has it"),
        ("{{ incident.labels.nothing }}{{ incident.labels.nothing|default('no such label') }}", "no such label"),
        ("{{ 'yes' if incident.labels.user is defined else 'no' }}", "no"),
        ("{% for name, value in incident.labels.items() %}{{ name }}={{ value }} {% endfor %}", None),
        ("{{ incident.labels.get('alertname') }} {{ incident.labels.get('user', 'x') }}", "Down x"),
        ("{{ alerts|map(attribute='labels.alertname')|unique|join(', ') }}", "Down"),
        ("{{ alerts|selectattr('status', 'equalto', 'firing')|list|length }} of {{ alerts|count }}", "2 of 2"),
        ("{% for alert in alerts %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/2 2/2"),
        ("{{ alerts[0].annotations.summary|upper }} {{ alerts[0]['annotations']['summary'][:2] }}", "DOWN do"),
        ("{{ 5400|duration }}, {{ 90|duration }}", "1h30m, 1m30s"),
        ("{{ 'abcdef'|truncate(4) }}", "abc…"),
        ("{{ 7 // 2 + 1 }} {{ (7 / 2)|round(1) }} {{ 'a' + 'b' ~ 1 }}", "4 3.5 ab1"),
        ("{{ [incident.labels.nothing, 1, none, 'é'|escape]|tojson }}", '["",1,null,"é"]'),
        ("{{ incident.labels|tojson }}", '{"alertname":"Down","severity":"critical"}'),
        ("{{ links.incident }}", _LINKS["incident"]),
        ("{# nothing #}{% if kind == 'digest' %}a digest{% endif %}", ""),
        ("a\n  b\x1b[31m\n", "a\n  b\\x1b[31m"),
    ],
)
def test_a_template_says(source: str, text: str | None) -> None:
    assert shown(source) == (text if text is not None else "alertname=Down severity=critical")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ incident.titel }}", "line 1: incident.titel, which there is not"),
        ("\n{% for alert in alerts %}\n{{ alert.lables }}{% endfor %}", "line 3: `lables`, which there is not"),
        ("{{ incidnt.title }}", "line 1: the unknown name 'incidnt' (known are kind"),
        ("{% if kind == 'never' %}{{ titel }}{% endif %}", "line 1: the unknown name 'titel'"),
        ("{{ incident", "line 1: unexpected end of template"),
        ("{{ 1|shout }}", "line 1: No filter named 'shout'"),
        ("{{ ''.__class__ }}", "line 1: `__class__`, which there is not"),
        ("{{ incident['__class__'] }}", "line 1: `__class__`, which there is not"),
        ("{{ incident.labels|map(attribute='__class__')|list }}", "line 1: a list"),
        ("{{ incident.title.upper() }}", "line 1: a call, which cannot be used here"),
        ("{{ range(10) }}", "line 1: a call, which cannot be used here"),
        ("{{ incident.labels.get() }}", "line 1: a call"),
        ("{{ incident|attr('x') }}", "line 1: No filter named 'attr'"),
        ("{{ self }}", "line 1: the unknown name 'self'"),
        ("{{ 2 ** 9 }}", "line 1: `**`, which cannot be used here"),
        ("{{ 'a' * 9 }}", "line 1: `*` is for numbers"),
        ("{{ [1] * 9 }}", "line 1: `*` is for numbers"),
        ("{{ '%9d' % 1 }}", "line 1: `%` is for numbers"),
        ("{{ 1 / 0 }}", "line 1: a division by zero"),
        ("{{ incident.title + 1 }}", "line 1: `+` is for numbers and texts"),
        ("{{ alerts }}", "line 1: a list or a mapping, which is no text"),
        ("{{ incident.labels|upper }}", "line 1: a list or a mapping, which is no text"),
        ("{% include 'x' %}", "line 1: `include`, which cannot be used here"),
        ("{% import 'x' as y %}", "line 1: `import`"),
        ("{% extends 'x' %}", "line 1: `extends`"),
        ("{% macro x() %}{% endmacro %}", "line 1: `macro`"),
        ("{% set x %}a{% endset %}", "line 1: a `set` block"),
        ("{% filter upper %}a{% endfilter %}", "line 1: a `filter` block"),
        ("{% for alert in alerts recursive %}{% endfor %}", "line 1: a recursive loop"),
        ("{% autoescape false %}{% endautoescape %}", "line 1: `scope`"),
        ("{{ incident.opened_at|datetime('Mars') }}", "line 1: `datetime` was given a time zone that there is not"),
        ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", "what cannot be compiled: it is nested too deeply"),
        ("{% for a in alerts %}" * 30 + "{% endfor %}" * 30, "what cannot be compiled: it is nested too deeply"),
        ("{% if kind %}" * 150 + "{% endif %}" * 150, "what cannot be compiled: it is nested too deeply"),
    ],
)
def test_what_a_template_may_not_do_is_told_with_its_line(source: str, why: str) -> None:
    with pytest.raises(Broken) as broken:
        shown(source)
    assert str(broken.value).startswith(why)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in alerts %}{% for b in alerts %}{% for c in alerts %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in alerts %}{% for b in alerts %}{{ b.labels.alertname|upper|lower|upper }}{% endfor %}{% endfor %}",
        "{% for a in alerts %}{{ alerts|map(attribute='labels.alertname')|join(',') }}{% endfor %}",
        "{% for a in alerts %}{% for b in alerts if b.status == 'x' %}{{ b }}{% endfor %}{% endfor %}",
        "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40 + "{{ a|length }}",
        "{% set a = 'x' %}" + "{% set a = a + a %}" * 40 + "{{ a|length }}",
        "{% set a = 'x' %}" + "{% set a = [a, a]|join %}" * 40 + "{{ a|length }}",
        "{% set a = 'x' %}" + "{% set a = a|replace('x', 'xx') %}" * 40 + "{{ a|length }}",
        "{% set a = 'xx' %}" + "{% set a = a|replace('', 'xxxxxxxx') %}" * 40 + "{{ a|length }}",
        "{% set a = [1, 2] %}" + "{% set a = [a, a, a] %}" * 40 + "{{ a|tojson }}",
        "{% set a = [1, 2] %}" + "{% set a = {'a': a, 'b': a} %}" * 40 + "{{ a|length }}",
        "{% set a = [1, 2] %}" + "{% set a = (a, a) %}" * 40 + "{{ a|length }}",
    ],
)
def test_what_would_take_long_or_become_large_ends(source: str) -> None:
    with pytest.raises(Broken, match=r"it takes too much work|it makes a text of more than") as broken:
        shown(source, firing=500, characters_max=10**9)
    assert "alertname" not in str(broken.value)


def test_what_500_alerts_need_is_not_too_much() -> None:
    source = "{% for a in alerts %}{{ a.labels.alertname }}: {{ a.annotations.summary|truncate(80) }}\n{% endfor %}"
    assert len(shown(source, firing=500, characters_max=10**6).splitlines()) == 500


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    assert shown("{% for a in alerts %}abcdefg {% endfor %}", firing=50, characters_max=20) == "abcdefg abcdefg abcd…"
    assert shown("{{ 'x' * 1 if false else incident.title }}", Form.LINE, characters_max=3) == "Do…"
    with pytest.raises(Broken, match="it makes more than 20 characters"):
        shown("<p>{{ 'x'|indent }} and more than that</p>", Form.HTML, characters_max=20)


def test_a_line_is_one_line_of_what_prints() -> None:
    line = shown("{{ incident.labels.user }}\n{{ incident.title }}", Form.LINE, user=NASTY)
    assert line == "<b>\"a\" & 'b' Bcc: eve@example.org\\x1b[31m \\u202e Down"


def test_in_html_what_came_with_an_alert_is_text() -> None:
    source = (
        "<p>{{ incident.labels.user }}{{ incident.labels.user ~ '<i>' }}{{ [incident.labels.user]|join('<u>') }}</p>"
    )
    html = shown(source, Form.HTML, user="<b>\"'&")
    assert (
        html
        == "<p>" + "&lt;b&gt;&#34;&#39;&amp;" + "&lt;b&gt;&#34;&#39;&amp;&lt;i&gt;" + "&lt;b&gt;&#34;&#39;&amp;</p>"
    )
    for dangerous in ("safe", "xmlattr", "urlize", "striptags", "format", "pprint"):
        with pytest.raises(Broken, match=f"No filter named '{dangerous}'"):
            shown(f"{{{{ incident.labels.user|{dangerous} }}}}", Form.HTML)


def test_in_slack_only_the_policy_can_link_mention_and_break() -> None:
    text = shown("*{{ incident.labels.user }}* <https://x|y>", Form.MRKDWN, user='<!channel> & "it\'s"')
    assert text == '*&lt;!channel&gt; &amp; "it\'s"* <https://x|y>'
    long = shown(
        "{% for a in alerts %}{{ a.labels.user }}{% endfor %}", Form.MRKDWN, firing=9, user="&", characters_max=22
    )
    assert long == "&amp;" * 4 + "…"
    assert shown("ab<https://x.example.org|y>", Form.MRKDWN, characters_max=10) == "ab…"


def test_json_that_is_none_is_said() -> None:
    assert shown('{"user": {{ incident.labels.user|tojson }}}', Form.JSON, user=NASTY)
    with pytest.raises(Broken, match="what it makes is no JSON"):
        shown('{"user": "{{ incident.labels.user }}"}', Form.JSON, user=NASTY)
    with pytest.raises(Broken, match="what it makes is no JSON"):
        shown("{{ incident.labels.user }}", Form.JSON, user="[" * 5000)


def test_what_fails_is_counted_and_said_and_what_gives_nothing_is_not() -> None:
    failed: list[tuple[str, str]] = []
    sources = {
        "subject": "{{ incident.title }}",
        "text": "{{ 1 // 0 if incident.labels.alertname }}",
        "html": "{% if kind == 'digest' %}x{% endif %}",
    }
    templates = Templates("email", sources, on_failed=lambda key, error: failed.append((key, error)))
    words = asyncio.run(templates.words(message()))
    assert words.texts == {"subject": "Down"}
    assert failed == [("text", "line 1: a division by zero")]
    assert words.said("250 thanks") == (
        "250 thanks; the template 'text' failed, its default went out: line 1: a division by zero"
    )


def test_no_error_repeats_what_came_with_an_alert() -> None:
    sources = (
        "{{ incident[incident.labels.user] }}",
        "{{ alerts[0].labels.user // 2 }}",
        "{{ incident.labels.user|duration }}",
        "{{ alerts|sort(attribute=incident.labels.user)|first }}",
        "{% for a, b in incident.labels.user %}{% endfor %}",
        "{{ incident.title|truncate(incident.labels.user) }}",
        "{{ incident.opened_at|datetime(incident.labels.user) }}",
    )
    for source in sources:
        with pytest.raises(Broken) as broken:
            shown(source, user="ana-lopez")
        assert "ana" not in str(broken.value)


def test_templates_run_beside_the_loop() -> None:
    threads: list[int] = []
    templates = Templates(
        "terminal", {"text": "{{ 1 // 0 }}"}, on_failed=lambda *_: threads.append(threading.get_ident())
    )
    asyncio.run(templates.words(message()))
    assert threads
    assert threads != [threading.get_ident()]


# --- in the policy -----------------------------------------------------------------------------------------------


def load(folder: Path, text: str, **files: str) -> Settings:
    for name, content in files.items():
        (folder / f"{name}.j2").write_text(content)
    (folder / "receiver.yml").write_text(text)
    return settings.load(folder / "receiver.yml", environ={})


def faults(folder: Path, text: str, **files: str) -> list[str]:
    with pytest.raises(InvalidConfig) as invalid:
        load(folder, text, **files)
    return [str(fault).partition("receiver.yml:")[2] for fault in invalid.value.faults]


def test_every_template_that_is_wrong_is_told_at_once_with_its_lines(tmp_path: Path) -> None:
    text = """\
channels:
  a:
    type: terminal
    templates:
      text: |
        {{ incident.title }}
        {{ incident.titel }}
  b: {type: webhook, url: 'http://127.0.0.1/', templates: {body: '{"a": "{{ incident.title }}"}'}}
  c: {type: webhook, url: 'http://127.0.0.1/', templates: {body: 'x', body_file: x.j2}}
"""
    told = sorted(faults(tmp_path, text, x="{}"))
    assert [line.partition(" (")[0] for line in told] == [
        f"5: channels.a.templates.text: found line 2 of the template: incident.titel, which there is not{EXPECTED}",
        "8: channels.b.templates.body: found what it makes is no JSON: texts go through `tojson`",
        "9: channels.c.templates.body: found what it makes is no JSON: texts go through `tojson`",
        "9: channels.c.templates.body_file: found a second template, expected either `body` or `body_file`",
    ]
    assert "with quotes, line breaks and HTML in it" in told[1]


@pytest.mark.parametrize(
    ("channel", "fault"),
    [
        ("{type: terminal, templates: {subject: x}}", "channels.it.templates.subject: found an unknown key"),
        ("{type: terminal, templates: {text: ''}}", "channels.it.templates.text: found"),
        ("{type: terminal, templates: {text: 7}}", "channels.it.templates.text: found the number 7"),
        ("{type: terminal, templates: {text_file: gone.j2}}", "channels.it.templates.text_file: found 'gone.j2'"),
        (
            "{type: terminal, templates: {text_file: bad.j2}}",
            "channels.it.templates.text_file: found in bad.j2, line 2",
        ),
        ("{type: terminal, templates: {text_file: empty.j2}}", "channels.it.templates.text_file: found an empty file"),
        ("{type: terminal, templates: {text_file: huge.j2}}", "channels.it.templates.text_file: found a file of more"),
    ],
)
def test_a_fault_names_its_place(tmp_path: Path, channel: str, fault: str) -> None:
    files = {"bad": "a\n{{ incident.titel }}", "empty": " \n", "huge": "x" * 65_537}
    assert fault in faults(tmp_path, f"channels: {{it: {channel}}}", **files)[0]


def test_a_file_that_changes_is_another_policy_and_another_channel(tmp_path: Path) -> None:
    text = "channels: {it: {type: terminal, templates: {text_file: it.j2}}}"
    first, second = (load(tmp_path, text, it=content) for content in ("a {{ incident.title }}", "b"))
    assert first.policy.digest != second.policy.digest
    assert first.channels["it"] != second.channels["it"]
    words = templates_of(first.channels["it"]).words_now(message())
    assert words.texts == {"text": "a Down"}


def test_a_way_to_a_person_has_the_templates_of_its_channel(tmp_path: Path) -> None:
    text = """
channels:
  mail:
    {type: email, smarthost: '127.0.0.1:25', from: a@example.org, to: [b@example.org],
     templates: {subject: 'It is {{ incident.title }}'}}
people: {ana: {notify: [{email: ana@example.org}]}}
"""
    channel = channel_of(load(tmp_path, text).channels["ana@mail"])
    assert "Subject: It is Down\n" in channel.preview(message())


def test_the_examples_of_the_page_work_for_every_kind_of_message(tmp_path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    for block in fenced(text_of("templates.md"), "yaml"):
        if not block.startswith("# receiver.yml"):
            continue
        for name in ("mail.html", "hook.json"):
            (example,) = [each for each in fenced(text_of("templates.md"), "jinja") if each.startswith(f"{{# {name}")]
            (tmp_path / f"{name}.j2").write_text(example)
        for secret in ("slack.token", "pagerduty.key"):
            (tmp_path / secret).write_text("s3cret")
        (tmp_path / "teams.url").write_text("json://127.0.0.1:1/")
        (tmp_path / "receiver.yml").write_text(block)
        for channel in settings.load(tmp_path / "receiver.yml", environ={}).channels.values():
            kind = str(channel.__struct_config__.tag)
            templates = templates_of(channel, links=Links(external_url="https://tocsin.example.org"))
            for each in [message(kind=kind_) for kind_ in Kind if kind_ is not Kind.DIGEST] + [digest(3)]:
                words = templates.words_now(each)
                assert words.failed == ()
                seen |= {(kind, key) for key in words.texts}
    assert seen == {(kind, key) for kind, uses in USES.items() for key in uses}


def test_the_samples_are_of_every_kind() -> None:
    assert {document.kind for _, document in samples()} == {*Kind}
    assert fault_of("{{ incident.title }}", LONG) is None


def test_a_template_is_compiled_once() -> None:
    assert compiled("{{ kind }}", Form.TEXT) is compiled("{{ kind }}", Form.TEXT)


# --- whatever somebody writes ------------------------------------------------------------------------------------

_NAMES = ["incident", "alerts", "incidents", "kind", "links", "a", "b", "loop", "x", "1", "0", "'t'", "none", "10**9"]
_PARTS = [".labels", ".title", ".alerts", ".opened_at", "[0]", "[:2]", ".annotations", ".x", "['labels']", ".items()"]
_FILTERS = [f"|{name}" for name in filter_names()] + [
    "|join(',')",
    "|map(attribute='labels')",
    "|map('upper')",
    "|truncate(3)",
    "|replace('', 'xy')",
    "|datetime('UTC')",
    "|selectattr('status', 'eq', 'firing')",
    "|sort(attribute='status')",
    "|round(99)",
    "|indent(10**9)",
    "|default(alerts)",
]
_operand = st.builds(
    lambda name, parts: name + "".join(parts),
    st.sampled_from(_NAMES),
    st.lists(st.sampled_from([*_PARTS, *_FILTERS]), max_size=4),
)
_expression = st.recursive(
    _operand,
    lambda inner: st.one_of(
        st.builds(
            lambda a, sign, b: f"({a} {sign} {b})", inner, st.sampled_from(["+", "*", "~", "%", "<", "in"]), inner
        ),
        st.builds(lambda a, b: f"[{a}, {b}]", inner, inner),
        st.builds(lambda a, b: f"{{'k': {a}, 'l': {b}}}", inner, inner),
        st.builds(lambda a, b, c: f"({a} if {b} else {c})", inner, inner, inner),
    ),
    max_leaves=4,
)
_source = st.recursive(
    st.one_of(
        st.builds(lambda each: f"{{{{ {each} }}}}", _expression),
        st.builds(lambda name, each: f"{{% set {name} = {each} %}}", st.sampled_from(["a", "b", "x"]), _expression),
        st.sampled_from(["text ", "{{", "%}", "{% endfor %}", "{% raw %}", "<b>", '"']),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join),
        st.builds(lambda name, each, body: f"{{% for {name} in {each} %}}{body}{{% endfor %}}",
                  st.sampled_from(["a", "b", "x, a"]), _expression, inner),
        st.builds(lambda each, body: f"{{% if {each} %}}{body}{{% endif %}}", _expression, inner),
    ),
    max_leaves=8,
)  # fmt: skip


@settings_of_hypothesis(max_examples=300)
@given(_source, st.sampled_from(list(Form)))
def test_whatever_somebody_writes_is_told_or_is_bounded(source: str, form: Form) -> None:
    said = _said(source, form)
    assert "\x1b" not in said
    assert form is not Form.LINE or said.isprintable()
    assert len(said) <= 5 * 10_000  # what does not print becomes longer when it is shown


def _said(source: str, form: Form) -> str:
    try:
        return shown(source, form, firing=20, user=NASTY)
    except Broken as broken:
        return str(broken).replace("eve@", "\x1b")  # no error repeats what came with an alert


def test_a_policy_without_templates_does_not_wait_for_the_library() -> None:
    code = """if True:
        import sys
        import receiver.__main__
        from receiver import settings
        settings.load(settings.EXAMPLE, environ={})
        print("jinja2" in sys.modules)
    """
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (told.stdout, told.stderr) == ("False\n", "")
