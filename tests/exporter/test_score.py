"""The security score: within 0 and 1, worse never raises it, and it is what the page says it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.family import Family, single
from exporter.finding import Finding, Severity
from exporter.negotiation import Wishes
from exporter.outcome import Snapshot
from exporter.pipeline import Pipeline
from exporter.roles import Security
from exporter.score.part import Score
from exporter.score.posture import PARTS, Posture, ratios, score, weights
from exporter.score.reading import posture_of
from exporter.score.recent import HALF_LIFE_SECONDS, POINTS, Points
from tests.exporter.builders import Says, promptly, registry_of
from tests.exporter.test_findings import FOUND
from tests.pages import rows, section

NOW = FOUND.at

COUNT = st.integers(0, 10**9).map(float)
POSTURES = st.builds(
    lambda whole, share, **others: Posture(
        login_attempts=whole, login_failures=None if whole is None else whole * share, **others
    ),
    whole=st.none() | COUNT,
    share=st.floats(0, 1),
    finding_points=st.none() | COUNT,
    blocked_addresses=st.none() | COUNT,
    certificate_seconds=st.none() | st.floats(-1e9, 1e9),
    unexpected_ports=st.none() | COUNT,
    security_updates=st.none() | COUNT,
    file_unchanged_seconds=st.none() | st.floats(0, 1e9) | st.just(inf),
)
# What makes something worse, by how much it may.
WORSE = {
    "finding_points": 1,
    "blocked_addresses": 1,
    "login_failures": 1,
    "unexpected_ports": 1,
    "security_updates": 1,
    "certificate_seconds": -1,
    "file_unchanged_seconds": -1,
}


@given(POSTURES)
def test_the_score_and_its_parts_are_within_0_and_1_and_add_up(posture: Posture) -> None:
    known = ratios(posture)
    found = score(known)
    assert all(0 <= ratio <= 1 for ratio in known.values())
    shares = weights(known)
    assert shares.keys() == PARTS.keys()
    assert {name for name, share in shares.items() if share} == known.keys()
    if found is None:
        assert not known
    else:
        assert 0 <= found <= 1
        assert sum(shares.values()) == pytest.approx(1)
        assert found == pytest.approx(sum(shares[name] * ratio for name, ratio in known.items()))
        assert min(known.values()) - 1e-9 <= found <= max(known.values()) + 1e-9


@given(POSTURES, st.sampled_from(sorted(WORSE)), st.floats(0, 1e6))
def test_what_gets_worse_never_raises_the_score(posture: Posture, name: str, amount: float) -> None:
    before = getattr(posture, name)
    if before is None:
        return
    after = before + WORSE[name] * amount
    if name == "login_failures":
        after = min(after, posture.login_attempts)
    worse = replace(posture, **{name: after})
    assert ratios(worse).keys() == ratios(posture).keys()
    first, second = score(ratios(posture)), score(ratios(worse))
    assert first is None or (second is not None and second <= first + 1e-12)


@given(POSTURES, st.floats(1, 1e6))
def test_one_more_login_that_fails_never_raises_the_score(posture: Posture, more: float) -> None:
    if not posture.login_attempts or posture.login_failures is None:
        return
    worse = replace(posture, login_attempts=posture.login_attempts + more, login_failures=posture.login_failures + more)
    first, second = score(ratios(posture)), score(ratios(worse))
    assert first is not None
    assert second is not None
    assert second <= first + 1e-12


@pytest.mark.parametrize("name", sorted({*WORSE} - {"login_failures"}))
def test_each_thing_that_is_known_matters(name: str) -> None:
    fine = Posture(**{name: 0.0 if WORSE[name] > 0 else 1e9})
    assert score(ratios(fine)) == 1.0
    bad = score(ratios(replace(fine, **{name: 1e9 if WORSE[name] > 0 else 0.0})))
    assert bad is not None
    assert bad < 0.01


def test_nothing_known_is_no_score() -> None:
    assert score(ratios(Posture())) is None
    assert set(weights({}).values()) == {0.0}


# --- findings and logins -----------------------------------------------------------------------------------------


def found(severity: Severity, at: float = NOW, **how: object) -> Finding:
    return replace(FOUND, severity=severity, at=at, **how)


def test_points_of_a_clock_that_was_ahead_fade_from_when_it_was_set_back() -> None:
    points = Points()
    points.take([found("critical", NOW + 10_000_000), found("high", NOW)])
    assert points.left(NOW) == 40.0
    assert points.left(NOW + HALF_LIFE_SECONDS) == pytest.approx(20.0)


def test_points_of_a_finding_are_half_after_an_hour() -> None:
    points = Points()
    points.take([found("critical"), found("high"), found("critical", dry_run=True)])
    assert points.left(NOW) == 40.0
    assert points.left(NOW + HALF_LIFE_SECONDS) == pytest.approx(20.0)
    points.take([found("low", NOW + HALF_LIFE_SECONDS)])
    assert points.left(NOW + HALF_LIFE_SECONDS) == pytest.approx(21.0)


@given(st.lists(st.tuples(st.sampled_from(sorted(POINTS)), st.integers(0, 100_000)), max_size=30))
def test_points_are_the_sum_of_what_is_left_of_each(steps: list[tuple[Severity, int]]) -> None:
    points = Points()
    ordered = sorted(steps, key=lambda step: step[1])
    for severity, seconds in ordered:
        points.take([found(severity, NOW + seconds)])
    end = NOW + (ordered[-1][1] if ordered else 0)
    expected = sum(POINTS[severity] * 2 ** (-(end - NOW - at) / HALF_LIFE_SECONDS) for severity, at in ordered)
    assert points.left(end) == pytest.approx(expected)


def page_of(scores: Score, *seen: Family, now: float = NOW) -> dict[str, dict[tuple[str, ...], object]]:
    return {family.name: dict(family.samples) for family in scores.families(seen, now)}


def test_logins_of_the_last_hour_count_and_those_before_do_not() -> None:
    scores = Score(looks=lambda: False)
    pipeline = Pipeline((), redact=lambda kind, field: lambda text: text, views=(scores.logins,), now=NOW)
    assert page_of(scores)["security_score_part_ratio"] == {}
    pipeline.lines(b'{"event": "auth", "outcome": "failed"}\n' * 50 + b'{"event": "auth"}\n' * 130, now=NOW)
    assert page_of(scores)["security_score_part_ratio"] == {("logins",): 0.75}
    assert page_of(scores, now=NOW + 3_700)["security_score_part_ratio"] == {}


# --- read off the page -------------------------------------------------------------------------------------------


def family(name: str, labels: tuple[str, ...], samples: dict[tuple[str, ...], float]) -> Family:
    return Family.of(name=name, type="gauge", help="A test.", labels=labels, samples=tuple(samples.items()))


SEEN = (
    family("security_blocked_addresses", ("origin",), {("automatic",): 100, ("manual",): 900}),
    family("security_unexpected_listening_ports", ("protocol",), {("tcp",): 1, ("udp",): 2}),
    family(
        "security_certificate_expiry_timestamp_seconds",
        ("path",),
        {("a",): NOW + 90 * 86_400, ("b",): NOW + 15 * 86_400},
    ),
    family("security_pending_updates", ("kind",), {("security",): 10, ("other",): 500}),
    family("security_watched_files", ("path", "state"), {("/etc/passwd", "read"): 1}),
    family("security_watched_file_last_change_timestamp_seconds", ("path",), {("/etc/passwd",): NOW - 43_200}),
    family("security_something_else", (), {(): 7}),
)


def test_the_parts_are_read_off_the_metrics() -> None:
    scores = Score(looks=lambda: True)
    said = page_of(scores, *SEEN)
    assert said["security_score_part_ratio"] == {
        ("findings",): 1.0,
        ("blocked_addresses",): 0.5,
        ("watched_files",): 0.5,
        ("listening_ports",): 0.25,
        ("updates",): 0.5,
        ("certificates",): 0.5,
    }
    assert said["security_score_part_weight_ratio"]["logins",] == 0.0
    assert said["security_score_ratio"][()] == pytest.approx((5 + 0.5 + 2 + 0.75 + 1.5 + 1) / 18)
    unchanged = posture_of([SEEN[4]], now=NOW, finding_points=None, logins=None)
    assert unchanged == Posture(file_unchanged_seconds=inf)


def gathered(only: tuple[str, ...] | None) -> Snapshot:
    registry = registry_of(Says("ports", SEEN[1]))
    security = Security(
        registry,
        collectors=("ports",),
        publishers=(lambda _: [Family.of(name="security_x", type="gauge", help="A test.", samples=single(1.0))],),
        judge=Score(looks=lambda: False).families,
        clock=lambda: NOW,
    )
    return promptly(security.gather(Wishes(20.0, only=only)))


def names(families: Iterable[Family]) -> list[str]:
    return [each.name for each in families]


def test_the_score_is_of_the_whole_page_and_not_of_a_part_of_it() -> None:
    whole = gathered(None).families
    assert names(whole)[:2] == ["security_x", "security_unexpected_listening_ports"]
    (ratio,) = (each for each in whole if each.name == "security_score_ratio")
    assert dict(ratio.samples) == {(): 0.25}
    assert names(gathered(("ports",)).families)[:2] == ["security_x", "security_unexpected_listening_ports"]
    assert "security_score_ratio" not in names(gathered(("ports",)).families)


# --- the page for people -----------------------------------------------------------------------------------------


def test_the_page_has_each_part_with_its_weight() -> None:
    documented = {name: int(row.split("|")[0]) for name, row in rows("security-score.md", "The formula").items()}
    assert documented == {name: part.weight for name, part in PARTS.items()}


def test_the_example_of_the_page_is_right() -> None:
    points = Points()
    points.take([found("critical"), found("high")])
    known = ratios(
        Posture(
            finding_points=points.left(NOW),
            unexpected_ports=1,
            login_attempts=180,
            login_failures=50,
            blocked_addresses=0,
        )
    )
    example = section("security-score.md", "An example")
    (said,) = re.findall(r"The score is ([0-9.]+)\.", example)
    assert f"{score(known):.3f}" == said
    for name, row in rows("security-score.md", "An example").items():
        ratio, share = (cell.strip() for cell in row.strip(" |").split("|"))
        assert f"{known[name]:.3f}".rstrip("0").rstrip(".") == ratio
        assert weights(known)[name] == pytest.approx(int(share.split("/")[0]) / int(share.split("/")[1]))
