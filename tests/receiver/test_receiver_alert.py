"""Alertmanager's body becomes typed values, or a reason that names the place."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.alert import Alert, InvalidPayload, fingerprint_of, parse, utc
from tests.receiver.builders import alert, document, webhook

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def refused(body: bytes) -> InvalidPayload:
    with pytest.raises(InvalidPayload) as raised:
        parse(body)
    return raised.value


def one(**changes: object) -> Alert:
    (only,) = parse(webhook([alert(**changes)])).alerts
    return only


def test_what_alertmanager_says_is_what_is_read() -> None:
    notification = parse(webhook())
    assert (notification.group_key, notification.receiver, notification.status) == (
        '{}:{alertname="Down"}',
        "tocsin",
        "firing",
    )
    assert notification.group_labels == {"alertname": "Down"}
    assert notification.alerts == [
        Alert(
            status="firing",
            labels={"alertname": "Down", "severity": "critical"},
            annotations={"summary": "it is down"},
            starts_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
            ends_at=datetime(1, 1, 1, tzinfo=UTC),
            generator_url="http://prometheus/graph",
        )
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"\x00",
        b"hello",
        b"{",
        webhook()[:-20],
        webhook() + b"{}",
        b"\xff\xfe" + webhook(),
        webhook().replace(b"it is down", b"it is \xff"),
        webhook().replace(b"it is down", b"it is \\ud800"),
        webhook().replace(b"it is down", b"it is \xed\xa0\x80"),
        b'{"version": "4", "alerts": Infinity}',
        b'{"version": "4", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"version": "4", "more": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    ],
)
def test_what_is_not_json_is_told_apart(body: bytes) -> None:
    assert refused(body).reason == "not_json"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"null",
        b'"4"',
        b"{}",
        b'{"text": "Down", "channel": "#ops"}',
        b'{"receiver": "r", "status": "firing", "alerts": [], "groupKey": "g"}',
        webhook(version="5"),
        webhook(version=""),
        webhook(version=4),
        webhook(version=None),
        webhook(version=["4"]),
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_another_shape_is_told_to_be_no_version_4(body: bytes) -> None:
    error = refused(body)
    assert error.reason == "not_version_4"
    assert "custom `payload`" in str(error)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (webhook(receiver=7), "receiver: expected `str`, got `int`"),
        (webhook(status="burning"), "status: invalid enum value 'burning'"),
        (webhook(groupKey=""), "groupKey: expected `str` of length >= 1"),
        (webhook(groupKey="x" * 70_000), "groupKey: expected `str` of length <= 65536"),
        (webhook(truncatedAlerts=-1), "truncatedAlerts: expected `int` >= 0"),
        (webhook(groupLabels={"team": None}), "groupLabels.team: expected `str`, got `null`"),
        (webhook(["x"]), "alerts[0]: expected `object`, got `str`"),
        (webhook([alert(), alert(), alert(labels=[])]), "alerts[2].labels: expected `object`, got `array`"),
        (webhook([alert(), alert(labels={"a": "b", "code": 5})]), "alerts[1].labels.code: expected `str`, got `int`"),
        (webhook([alert(annotations={"a b": {}})]), "alerts[0].annotations.a b: expected `str`, got `object`"),
        (webhook([alert(status=1)]), "alerts[0].status: expected `str`, got `int`"),
        (webhook([alert(startsAt="yesterday")]), "alerts[0].startsAt: invalid RFC3339 encoded datetime"),
        (webhook([alert(startsAt=17e8)]), "alerts[0].startsAt: expected `datetime`, got `float`"),
        (webhook([alert(startsAt="2026-03-01T08:00:00")]), "alerts[0].startsAt: expected `datetime` with a timezone"),
        (webhook([alert(endsAt="10000-01-01T00:00:00Z")]), "alerts[0].endsAt: invalid RFC3339 encoded datetime"),
        (webhook([alert(fingerprint="f" * 129)]), "alerts[0].fingerprint: expected `str` of length <= 128"),
    ],
)
def test_a_wrong_type_deep_inside_names_its_place(body: bytes, says: str) -> None:
    error = refused(body)
    assert error.reason == "wrong_type"
    assert str(error).startswith(says)


@pytest.mark.parametrize("missing", ["alerts", "groupKey", "receiver", "status"])
def test_a_missing_key_is_named(missing: str) -> None:
    changes = {missing: None} if missing != "alerts" else {}
    body = document(**changes)
    body.pop(missing, None)
    error = refused(json.dumps(body).encode())
    assert (error.reason, error.where) == ("wrong_type", "body")
    assert f"`{missing}`" in str(error)


@pytest.mark.parametrize("last", ["[]", "3", "{}", '"x"', '[{"labels": 4}]'])
def test_a_key_that_is_there_twice_is_refused_like_any_other_wrong_type(last: str) -> None:
    body = f'{{"version": "4", "alerts": [{{"status": "firing", "labels": {{"a": 1}}}}], "alerts": {last}}}'
    assert refused(body.encode()).reason == "wrong_type"


@given(st.binary())
def test_no_bytes_raise_anything_but_invalid_payload(body: bytes) -> None:
    assert _survives(body)


@given(json_values)
def test_no_json_raises_anything_but_invalid_payload(value: object) -> None:
    assert _survives(json.dumps(value).encode())


@given(st.sampled_from(sorted(document())), json_values)
def test_no_key_of_the_body_raises_anything_but_invalid_payload(key: str, value: object) -> None:
    assert _survives(json.dumps({**document(), key: value}).encode())


@given(st.sampled_from([*sorted(alert()), "fingerprint", "new"]), json_values)
def test_no_key_of_an_alert_raises_anything_but_invalid_payload(key: str, value: object) -> None:
    assert _survives(json.dumps(document([alert(), {**alert(), key: value}])).encode())


def _survives(body: bytes) -> bool:
    """Whatever is read can also be used; whatever is not says why, in one bounded line."""
    try:
        notification = parse(body)
    except InvalidPayload as error:
        return error.reason in {"not_json", "not_version_4", "wrong_type"} and bool(str(error))
    for each in notification.alerts:
        assert each.identity
        assert each.ended_at is None or each.ended_at.tzinfo is UTC
        assert utc(each.starts_at).tzinfo is UTC
    return notification.receiver_name is not None


def test_twenty_thousand_alerts_are_one_body() -> None:
    alerts = [alert(labels={"alertname": "Down", "instance": f"host-{number}"}) for number in range(20_000)]
    assert len(parse(webhook(alerts)).alerts) == 20_000


def test_more_alerts_than_the_limit_are_refused_with_the_number() -> None:
    small = b'{"status":"firing","labels":{},"startsAt":"2026-03-01T08:00:00Z"},'
    body = webhook([]).replace(b'"alerts": []', b'"alerts": [' + (small * 100_001)[:-1] + b"]")
    error = refused(body)
    assert (error.reason, error.where) == ("too_many_alerts", "alerts")
    assert "at most 100000 alerts, found 100001" in str(error)


def test_keys_of_a_future_alertmanager_are_ignored() -> None:
    future = {"routeLabels": {"team": "db"}, "mood": {"deep": [1, {"er": None}]}}
    notification = parse(webhook([alert(weight=3, links=[])], notification_reason="new alerts added", **future))
    assert notification.notification_reason == "new alerts added"
    assert notification.alerts == parse(webhook()).alerts


def test_what_older_alertmanagers_leave_out_has_a_default() -> None:
    bare = {"status": "firing", "labels": {}, "startsAt": "2026-03-01T08:00:00Z"}
    body = {"version": "4", "groupKey": "g", "receiver": "r", "status": "firing", "alerts": [bare]}
    notification = parse(json.dumps(body).encode())
    assert (notification.truncated_alerts, notification.group_labels) == (0, {})
    assert notification.alerts[0].ended_at is None


@pytest.mark.parametrize("offset", ["Z", "+00:00", "+05:30", "-08:00", "+14:00"])
def test_the_year_1_means_that_it_still_fires_wherever_the_clock_stands(offset: str) -> None:
    assert one(endsAt=f"0001-01-01T00:00:00{offset}").ended_at is None


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-01T09:00:00Z", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("2026-03-01T11:00:00+02:00", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("2026-03-01T03:30:00-05:30", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("2026-03-01T09:00:00.5Z", datetime(2026, 3, 1, 9, microsecond=500_000, tzinfo=UTC)),
        ("2026-03-01T09:00:00.123456789Z", datetime(2026, 3, 1, 9, microsecond=123_457, tzinfo=UTC)),
        ("2026-03-01T09:59:59.999999999+01:00", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("9999-12-31T23:59:59-05:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_nanoseconds_and_offsets_are_one_moment_in_utc(written: str, moment: datetime) -> None:
    ended = one(status="resolved", endsAt=written).ended_at
    assert ended == moment
    assert ended is not None
    assert ended.tzinfo is UTC


@pytest.mark.parametrize(
    ("quoted", "name"),
    [("tocsin", "tocsin"), (r"team\.a", "team.a"), (r"a\+b\(c\)", "a+b(c)"), (r"back\\slash", "back\\slash")],
)
def test_the_receivers_name_loses_its_quoting(quoted: str, name: str) -> None:
    assert parse(webhook(receiver=quoted)).receiver_name == name


def test_a_fingerprint_that_is_missing_is_computed_as_alertmanager_does() -> None:
    labels = {"alertname": "Down", "severity": "critical"}
    assert one(fingerprint="").identity == fingerprint_of(labels) == one(fingerprint=None).identity
    assert one(fingerprint="0123456789abcdef").identity == "0123456789abcdef"


def test_the_fingerprint_depends_on_every_label_and_on_no_order() -> None:
    # The value for no labels at all is the beginning of FNV-1a; tests/real holds others against Alertmanager.
    assert fingerprint_of({}) == "cbf29ce484222325"
    assert fingerprint_of({"a": "1", "b": "2"}) == fingerprint_of({"b": "2", "a": "1"})
    assert len({fingerprint_of(labels) for labels in ({"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"a": "b"})}) == 4
