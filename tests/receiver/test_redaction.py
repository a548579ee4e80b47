"""What the policy hides leaves by no channel: not as a label, not in a title, not in an address."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from receiver.incident import TITLE_CHARACTERS_MAX, AlertRecord, Incident
from receiver.message import ALERTS_MAX, Kind, Message, compose, compose_digest, read
from receiver.policy.redaction import Redact, Way, redact_faults, rules_for
from receiver.redaction import MASK, VALUES_MAX, Hiding, Search
from tests.contract.values import incident as any_incident
from tests.receiver.builders import AT

KEY = b"k" * 32
MASKED = (Redact(names=("user",), way=Way.MASKED),)


def alert(
    labels: Mapping[str, str], annotations: Mapping[str, str] | None = None, *, url: str = "", number: int = 1
) -> AlertRecord:
    return AlertRecord(
        source="am",
        fingerprint=f"{number:016x}",
        incident="T-7",
        episode=1,
        status="firing",
        labels=dict(labels),
        annotations=dict(annotations or {}),
        generator_url=url,
        starts_at=AT,
        ended_at=None,
        changed_at=AT,
        changed=1,
    )


def incident(alerts: Sequence[AlertRecord], **changes: Any) -> Incident:
    whole = {"labels": dict(alerts[0].labels), "group_labels": {}, "title": "Down", "why": "a test", **changes}
    return replace(any_incident(7), firing=len(alerts), **whole)


def told(
    rules: tuple[Redact, ...], alerts: Sequence[AlertRecord], *, key: bytes = KEY, about: Incident | None = None
) -> Message:
    whole = about or incident(alerts)
    hiding = Hiding(rules, key=key, incident=whole, alerts=alerts)
    return compose(
        journal="j", incident=whole, step=1, channel="chat", kind=Kind.OPENED, alerts=alerts, at=AT, hiding=hiding
    )


def text_of(message: Message) -> str:
    return json.dumps(json.loads(message.body), ensure_ascii=False)


def test_a_masked_value_stands_nowhere_and_the_rest_does() -> None:
    one = alert(
        {"alertname": "Login", "user": "ana", "home": "/home/ana/x"},
        {"summary": "ana failed to log in", "who": "ana"},
        url="http://prometheus/graph?g0.expr=up%7Buser%3D%22ana%22%7D",
    )
    about = incident([one], title="Login: ana failed (user=ana)", why='group {}:{user="ana"}', group_labels={})
    document = read(told(MASKED, [one], about=about))
    assert document.incident.title == f"Login: {MASK} failed (user={MASK})"
    assert document.incident.why == f'group {{}}:{{user="{MASK}"}}'
    assert document.incident.labels == {"alertname": "Login", "user": MASK, "home": f"/home/{MASK}/x"}
    assert document.alerts[0].annotations == {"summary": f"{MASK} failed to log in", "who": MASK}
    assert document.alerts[0].generator_url == f"http://prometheus/graph?{MASK}"


def test_what_is_dropped_has_no_name_either_and_what_is_hashed_is_the_same_everywhere() -> None:
    rules = (Redact(names=("user",), way=Way.HASHED), Redact(names=("ip*",), way=Way.DROPPED))
    alerts = [
        alert({"user": "ana", "ip": "10.1.2.3"}, {"summary": "ana from 10.1.2.3"}, number=1),
        alert({"user": "ana", "ip_v6": "2001:db8::1"}, {"summary": "ana from 2001:db8::1"}, number=2),
    ]
    document = read(told(rules, alerts))
    hashed = document.alerts[0].labels["user"]
    assert re.fullmatch("#[0-9a-f]{12}", hashed)
    assert [each.labels for each in document.alerts] == [{"user": hashed}, {"user": hashed}]
    assert [each.annotations["summary"] for each in document.alerts] == [f"{hashed} from {MASK}"] * 2


def test_a_hash_needs_the_key_of_the_store() -> None:
    rules = (Redact(names=("user",), way=Way.HASHED),)
    one = alert({"user": "10.0.0.1"})
    assert text_of(told(rules, [one])) == text_of(told(rules, [one]))
    assert text_of(told(rules, [one])) != text_of(told(rules, [one], key=b"another"))


def test_alertmanagers_fingerprint_leaves_only_where_every_label_does() -> None:
    one = alert({"user": "ana"}, number=77)
    shown = read(told((Redact(names=("other",), way=Way.MASKED),), [one])).alerts[0].fingerprint
    hidden = read(told(MASKED, [one])).alerts[0].fingerprint
    assert shown == one.fingerprint
    assert re.fullmatch("[0-9a-f]{16}", hidden)
    assert hidden != one.fingerprint


def test_the_first_rule_with_the_name_wins_and_severity_is_always_shown() -> None:
    rules = (Redact(names=("alertname", "env"), way=Way.SHOWN), Redact(names=("*",), way=Way.MASKED))
    one = alert({"alertname": "Login", "env": "live", "user": "ana", "severity": "critical"})
    assert read(told(rules, [one])).alerts[0].labels == {
        "alertname": "Login",
        "env": "live",
        "user": MASK,
        "severity": "critical",
    }


def test_a_rule_can_be_for_some_channels_and_a_way_to_a_person_follows_its_channel() -> None:
    rules = (Redact(names=("user",), way=Way.SHOWN, channels=("mail",)), Redact(names=("user",), way=Way.MASKED))
    assert rules_for(rules, "chat") == rules[1:]
    assert rules_for(rules, "mail") == rules_for(rules, "ana@mail") == rules


def test_the_longest_value_goes_first_and_a_short_one_only_as_a_word() -> None:
    search = Search({"ana": "A", "ana.lopez": "B", "7": "C"})
    assert search.replaced(["ana.lopez met ana and banana", "7 of 17, at 7:30"]) == [
        "B met A and bAna",
        "C of 17, at C:30",
    ]


def test_what_stands_for_one_value_is_not_taken_for_another() -> None:
    assert Search({"secret": "#abc123", "abc": "•", "12": "•"}).replaced(["secret"]) == ["#abc123"]
    assert Search({"x\U000f0000y": "•"}).replaced(["x\U000f0000y", "\U000f0000"]) == ["•", "\ufffd"]


@pytest.mark.parametrize(
    "text",
    [
        f"http://x/{quote('a b@c')}",
        f"http://x/?q={quote_plus('a b@c')}&y=1",
        f"see http://x/?next={quote('http://y/?q=' + quote('a b@c', safe=''), safe='')} for more",
        "http://x/a+b%40c",
    ],
)
def test_a_value_is_found_in_an_address(text: str) -> None:
    (replaced,) = Search({"a b@c": MASK}).replaced([text])
    assert MASK in replaced
    assert "b%40c" not in replaced
    assert "b%2540c" not in replaced


def test_an_address_without_the_value_stays_as_it_is() -> None:
    address = "http://prometheus/graph?g0.expr=up%7Bjob%3D%22node%22%7D+%3E+0&g0.tab=1"
    assert Search({"ana": MASK}).replaced([address]) == [address]


@pytest.mark.parametrize("value", ['say "yes"', "C:\\users\\ana", "tab\there", "it's \x1b[31m", "zwölf \u202e"])
@pytest.mark.parametrize(
    "written",
    [
        lambda value: f"group {{}}:{{user={json.dumps(value)}}}",
        lambda value: f"group {{}}:{{user={json.dumps(value, ensure_ascii=False)}}}",
        lambda value: f"for {value!r}",
        lambda value: value,
    ],
)
def test_a_value_is_found_where_it_is_quoted(value: str, written: Any) -> None:
    (replaced,) = Search({value: MASK}).replaced([written(value)])
    assert replaced in (f'group {{}}:{{user="{MASK}"}}', f"for '{MASK}'", f'for "{MASK}"', MASK)


def test_the_beginning_of_a_value_is_found_where_a_text_was_cut() -> None:
    search = Search({"ana.lopez@example.org": MASK})
    assert search.replaced(["Login of ana.lopez@exa…"]) == [f"Login of {MASK}…"]
    assert search.replaced(["of ana.lop… and more"]) == [f"of {MASK}… and more"]
    cut = "x" * (TITLE_CHARACTERS_MAX - 9) + "ana.lopez"
    assert search.replaced([cut]) == ["x" * (TITLE_CHARACTERS_MAX - 9) + MASK]
    assert search.replaced(["about ana"]) == ["about ana"]
    assert Search({"a" * 500 + "b": MASK}).replaced(["x" + "a" * 200 + "c…"]) == [f"{MASK}…"]


def test_alerts_that_have_gone_elsewhere_are_searched_for_as_well() -> None:
    gone, left = alert({"user": "ana"}, number=1), alert({"user": "ben"}, number=2)
    about = incident([left], title="Login: ana failed")
    hiding = Hiding(MASKED, key=KEY, incident=about, alerts=[gone, left])
    assert hiding.incident().title == f"Login: {MASK} failed"


def test_a_digest_hides_the_same() -> None:
    one = alert({"user": "ana"})
    about = incident([one], title="Login: ana failed")
    hiding = Hiding(MASKED, key=KEY, incident=about, alerts=[one])
    digest = compose_digest(
        journal="j", channel="chat", incidents=[about], left_out=0, position=9, at=AT, hiding=[hiding]
    )
    assert "ana" not in text_of(digest)
    assert read(digest).incidents[0].labels == {"user": MASK}


def test_what_cannot_be_searched_is_left_out_and_counted() -> None:
    alerts = [
        alert({"user": f"person-{number:05}"}, {"description": "y" * 8000, "who": f"person-{number:05}"}, number=number)
        for number in range(ALERTS_MAX)
    ]
    document = read(told(MASKED, alerts))
    assert 5 < len(document.alerts) < ALERTS_MAX
    assert document.alerts_left_out == ALERTS_MAX - len(document.alerts)


def test_of_what_is_written_elsewhere_only_as_much_as_can_be_searched_is_shown() -> None:
    alerts = [alert({"user": f"somebody {number}"}, number=number) for number in range(1000)]
    hiding = Hiding(MASKED, key=KEY, incident=incident(alerts), alerts=alerts)
    texts = ["it was somebody 77", "x" * 40_000, "x" * 40_000, "nothing is said here"]
    assert hiding.texts(texts) == [f"it was {MASK}", "x" * 40_000, MASK, MASK]
    assert hiding.texts([]) == []


def test_more_values_than_can_be_searched_for_hide_all_texts() -> None:
    values = {f"value {number}": MASK for number in range(VALUES_MAX + 1)}
    assert Search(values).replaced(["anything", ""]) == [MASK, ""]
    assert Search(values).room == 0


@pytest.mark.parametrize(
    ("pattern", "takes", "leaves"),
    [
        ("user", ["user"], ["user_id", "users", "User"]),
        ("user*", ["user", "user_id", "user.email"], ["auser"]),
        ("*_ip", ["client_ip", "_ip"], ["ip", "client_ip_v6"]),
        ("a*b*c", ["abc", "a--b--c", "abbc"], ["ac", "acb", "ab"]),
        ("*", ["anything", ""], []),
        ("aa*aa", ["aaaa", "aaxaa"], ["aaa", "aa"]),
    ],
)
def test_a_star_stands_for_any_characters(pattern: str, takes: list[str], leaves: list[str]) -> None:
    rule = Redact(names=(pattern,), way=Way.MASKED)
    assert [name for name in takes if not rule.takes(name)] == []
    assert [name for name in leaves if rule.takes(name)] == []


@pytest.mark.parametrize(
    ("rule", "path", "found"),
    [
        ({"labels": ["user.*"], "as": "masked"}, ("redact", 0, "labels", 0), "'user.*', a regular expression"),
        ({"labels": ["ip", "severity"], "as": "hashed"}, ("redact", 0, "labels", 1), "'severity', which is always"),
        ({"labels": ["ip"], "as": "masked", "channels": ["mial"]}, ("redact", 0, "channels", 0), "'mial'"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_a_fault(rule: object, path: tuple[object, ...], found: str) -> None:
    ((where, what, expected),) = redact_faults([rule], {"mail": {}})
    assert where == path
    assert what.startswith(found)
    assert expected


# --- the property ------------------------------------------------------------------------------------------------

# A value that is nothing else in the message, so that finding it means that it leaked.
_hostile = st.text(alphabet=st.sampled_from(list("zqZ'\"\\%+& \n\t<>=…•é\u202e\x1b#{}")), max_size=8)
_values = st.builds(lambda text: f"zq{text}qz", _hostile)
_names = st.sampled_from(["user", "user_id", "ip", "client_ip", "home", "job", "note"])
_patterns = st.sampled_from(["user", "user*", "*ip", "*", "job", "note"])
_rules = st.lists(
    st.builds(Redact, names=st.tuples(_patterns), way=st.sampled_from(list(Way))), min_size=1, max_size=4
).map(tuple)
_labels = st.dictionaries(_names, _values, max_size=5)


def _texts(values: list[str]) -> st.SearchStrategy[str]:
    """What may be written of values: as they are, quoted, in addresses, cut."""
    if not values:
        return st.just("nothing")
    some = st.sampled_from(values)
    return st.one_of(
        some.map(lambda value: f"it is {value}, it is"),
        some.map(lambda value: f"see {value!r} and {json.dumps(value)}"),
        some.map(lambda value: f"http://x/?q={quote(value)}&y={quote_plus(value)}"),
        some.map(lambda value: f"{value[: max(5, len(value) - 2)]}…"),
    )


@st.composite
def _cases(draw: st.DrawFn) -> tuple[tuple[Redact, ...], Incident, list[AlertRecord]]:
    many = draw(st.lists(_labels, min_size=1, max_size=3))
    values = [value for labels in many for value in labels.values()]
    text = _texts(values)
    alerts = [
        alert(labels, {"summary": draw(text), "note": draw(text)}, url=draw(text), number=number)
        for number, labels in enumerate(many)
    ]
    about = incident(alerts, title=draw(text), why=draw(text))
    return draw(_rules), about, alerts


def hidden_values(rules: tuple[Redact, ...], alerts: Sequence[AlertRecord]) -> set[str]:
    """By the rules, read again here in the plainest way."""
    hidden = set()
    for each in alerts:
        for name, value in [*each.labels.items(), *each.annotations.items()]:
            first = next((rule for rule in rules if rule.takes(name)), None)
            if first is not None and first.way is not Way.SHOWN:
                hidden.add(value)
    return hidden


@settings(max_examples=300)
@given(_cases())
def test_no_hidden_value_is_in_any_message(case: tuple[tuple[Redact, ...], Incident, list[AlertRecord]]) -> None:
    rules, about, alerts = case
    shown = text_of(told(rules, alerts, about=about))
    whole = json.loads(told(rules, alerts, about=about).body)
    texts = list(_strings(whole))
    for value in hidden_values(rules, alerts):
        assert [text for text in texts if value in text] == []
        assert quote(value) not in shown
        assert quote_plus(value) not in shown


def _strings(value: object) -> Any:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _strings(each)
        case list():
            for each in value:
                yield from _strings(each)
