"""Whose address is blocked, for how long, and who never is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.control import Refused as PlanRefused
from exporter.finding import Finding, Severity
from exporter.identity import Address, address_of
from exporter.reputation import reputation as limits
from exporter.reputation.allowed import Allowed, Entry
from exporter.reputation.block import Block, block_of
from exporter.reputation.blocklist import BLOCKS_MAX, NETWORKS_MAX
from exporter.reputation.deed import Deed
from exporter.reputation.families import families
from exporter.reputation.part import policy_of
from exporter.reputation.place import Network, Place, family_of, place_of, span, written
from exporter.reputation.policy import Policy
from exporter.reputation.reputation import Refused, Reputation
from exporter.reputation.score import REASONS_MAX, SCORES_MAX
from exporter.reputation.settings import ReputationSettings
from tests.exporter.test_exporter_settings import faults
from tests.pages import section

NOW = 1_800_000_000.0
MINUTE = 60.0
HOUR = 3_600.0
MALLORY = "203.0.113.7"


def address(text: str) -> Address:
    found = address_of(text)
    assert found is not None
    return found


def finding(who: str | None = MALLORY, severity: Severity = "critical", detector: str = "brute_force") -> Finding:
    return Finding(
        detector=detector,
        severity=severity,
        at=NOW,
        why="51 failed logins in 1 h",
        value=51,
        threshold=50,
        window_seconds=3600,
        address=None if who is None else address(who),
    )


def listed(reputation: Reputation) -> list[str]:
    return [block.address for block in reputation.blocks]


def value(reputation: Reputation, name: str, *labels: str, now: float = NOW) -> float:
    (family,) = [family for family in families(reputation, now) if family.name == name]
    found = dict(family.samples)[labels]
    assert isinstance(found, float)
    return found


class Heard:
    def __init__(self) -> None:
        self.deeds: list[Deed] = []

    def __call__(self, deed: Deed) -> None:
        self.deeds.append(deed)

    def words(self) -> list[str]:
        return [f"{deed.what} {deed.why}".strip() for deed in self.deeds]


# --- scores and blocks -----------------------------------------------------------------------------------------


def test_who_is_above_the_threshold_is_blocked_for_a_quarter_of_an_hour_with_the_reason() -> None:
    heard = Heard()
    reputation = Reputation(told=[heard])
    reputation.take([finding(severity="high")], now=NOW)
    assert listed(reputation) == []
    reputation.take([finding(severity="high", detector="login_rate")], now=NOW + MINUTE)
    (block,) = reputation.blocks
    assert (block.address, block.origin, block.until) == (MALLORY, "automatic", NOW + 16 * MINUTE)
    assert block.reason == ("brute_force (+60): 51 failed logins in 1 h; login_rate (+60): 51 failed logins in 1 h")
    reputation.expire(NOW + 16 * MINUTE)
    assert listed(reputation) == []
    assert heard.words() == ["blocked", "released expired"]


def test_a_score_that_is_the_threshold_blocks_nobody_and_one_above_it_does() -> None:
    reputation = Reputation(Policy(detectors={"scan": 100.0, "more": 0.5}))
    reputation.take([finding(detector="scan")], now=NOW)
    assert listed(reputation) == []
    reputation.take([finding(detector="more")], now=NOW)
    assert listed(reputation) == [MALLORY]


def test_time_lowers_a_score_so_that_what_is_rare_blocks_nobody() -> None:
    reputation = Reputation()
    for hours in range(100):
        reputation.take([finding(severity="high")], now=NOW + hours * HOUR)
    assert reputation.blocked_total["automatic"] == 0
    score = reputation.scores.get(address(MALLORY))
    assert score is not None
    assert score.left(reputation.policy, NOW + 99.5 * HOUR) == pytest.approx(40.0)


def test_each_further_block_lasts_twice_as_long_up_to_a_cap_and_a_quiet_day_makes_it_the_first_again() -> None:
    reputation = Reputation()
    now, minutes = NOW, []
    for _ in range(9):
        reputation.take([finding()], now=now)
        (block,) = reputation.blocks
        minutes.append((block.until - now) / MINUTE)
        now = block.until + 1
    assert minutes == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    reputation.take([finding()], now=now + 24 * HOUR)
    (block,) = reputation.blocks
    assert (block.until - block.since, block.times) == (15 * MINUTE, 1)


def test_who_goes_on_while_blocked_stays_blocked_for_the_whole_time_from_then() -> None:
    heard = Heard()
    reputation = Reputation(told=[heard])
    reputation.take([finding()], now=NOW)
    reputation.take([finding()], now=NOW + 30)
    assert [block.until for block in reputation.blocks] == [NOW + 15 * MINUTE]
    reputation.take([finding()], now=NOW + 10 * MINUTE)
    assert [block.until for block in reputation.blocks] == [NOW + 25 * MINUTE]
    assert heard.words() == ["blocked", "extended"]
    assert reputation.blocked_total["automatic"] == 1


def test_a_finding_of_nobody_or_of_a_dry_run_or_without_points_is_held_against_nobody() -> None:
    reputation = Reputation()
    reputation.take([finding(None), replace(finding(), dry_run=True), finding(severity="info")], now=NOW)
    assert len(reputation.scores) == len(reputation.blocks) == 0


def test_points_of_a_detector_outweigh_those_of_its_severity() -> None:
    reputation = Reputation(Policy(detectors={"brute_force": 5.0, "own": 101.0}))
    reputation.take([finding()], now=NOW)
    assert listed(reputation) == []
    reputation.take([finding("198.51.100.1", "low", "own")], now=NOW)
    assert listed(reputation) == ["198.51.100.1"]


def test_an_ipv6_customer_is_blocked_as_a_whole() -> None:
    reputation = Reputation()
    reputation.take([finding("2001:db8:1:2::99")], now=NOW)
    assert listed(reputation) == ["2001:db8:1:2::/64"]
    assert reputation.blocks.covering(address("2001:db8:1:2:ffff::1")) is not None


def test_a_dry_run_blocks_nobody_and_counts_who_would_be() -> None:
    heard = Heard()
    reputation = Reputation(Policy(dry_run=True), told=[heard])
    reputation.take([finding()], now=NOW)
    assert listed(reputation) == []
    assert value(reputation, "security_dry_run_blocked_addresses") == 1
    assert value(reputation, "security_dry_run_blocks_total") == 1
    assert value(reputation, "security_blocks_total", "automatic") == 0
    assert [deed.dry_run for deed in heard.deeds] == [True]
    reputation.expire(NOW + HOUR)
    assert value(reputation, "security_dry_run_blocked_addresses", now=NOW + HOUR) == 0


def test_a_dry_run_that_begins_releases_whom_findings_have_blocked_and_nobody_else() -> None:
    reputation = Reputation()
    reputation.take([finding()], now=NOW)
    reputation.block(place_of("198.51.100.1"), now=NOW, seconds=HOUR, reason="phone call")
    for who, by_hand in (("198.51.100.2", False), ("198.51.100.3", True)):
        theirs = block_of(place_of(who), origin="shared", at=NOW, since=NOW, until=NOW + 60, reason="", by_hand=by_hand)
        assert reputation.adopt(theirs, now=NOW)
    reputation.use(Policy(dry_run=True), now=NOW)
    assert listed(reputation) == ["198.51.100.1", "198.51.100.3"]
    assert value(reputation, "security_releases_total", "settings") == 2


def test_the_story_in_the_documentation_is_what_happens() -> None:
    reputation = Reputation()
    table = re.findall(
        r"^\| (\d+):(\d+) \|(.*)\|([^|]+)\|([^|]+)\|$", section("reputation.md", "The score"), re.MULTILINE
    )
    assert table
    for hour, minute, found, score, what in table:
        now = NOW + int(hour) * HOUR + int(minute) * MINUTE
        severities: dict[str, Severity] = {"+60": "high", "+10": "low"}
        points = re.search(r"\+\d+", found)
        reputation.take([finding(severity=severities[points[0]])] if points else [], now=now)
        held = reputation.scores.get(address(MALLORY))
        assert held is not None
        assert round(held.left(reputation.policy, now), 1) == float(score)
        until = re.search(r"blocked until (\d+):(\d+)", what)
        ends = [block.until for block in reputation.blocks]
        assert ends == ([NOW + int(until[1]) * HOUR + int(until[2]) * MINUTE] if until else [])


# --- who is never blocked --------------------------------------------------------------------------------------


def allowing(*texts: str) -> Policy:
    return Policy(allowed=Allowed([Entry(place_of(text), "a test") for text in texts]))


@pytest.mark.parametrize(
    "who", ["127.0.0.1", "10.1.2.3", "192.168.0.7", "172.16.9.9", "100.64.0.1", "fe80::1", "fd00::1"]
)
def test_addresses_of_machines_of_ones_own_are_never_blocked_unless_that_is_switched_off(who: str) -> None:
    reputation = Reputation()
    reputation.take([finding(who)], now=NOW)
    assert listed(reputation) == []
    assert value(reputation, "security_blocks_refused_total", "allow_list") == 1
    reputation = Reputation(Policy(allowed=Allowed()))
    reputation.take([finding(who)], now=NOW)
    assert len(reputation.blocks) == 1


def test_a_block_by_hand_of_who_is_never_blocked_is_refused_with_the_reason() -> None:
    reputation = Reputation(allowing("203.0.113.7", "198.51.100.0/24"))
    for text in ("203.0.113.7", "203.0.113.0/24", "198.51.100.3"):
        with pytest.raises(Refused, match=r"never blocked.*\(a test\)") as raised:
            reputation.block(place_of(text), now=NOW, seconds=60, reason="x")
        assert raised.value.why == "allow_list"
    reputation.block(place_of("203.0.113.8"), now=NOW, seconds=60, reason="x")
    assert listed(reputation) == ["203.0.113.8"]


def test_who_may_not_be_blocked_any_more_is_released_at_once_and_others_are_not() -> None:
    heard = Heard()
    reputation = Reputation(told=[heard])
    reputation.take([finding(), finding("198.51.100.1")], now=NOW)
    reputation.block(place_of("192.0.2.0/24"), now=NOW, seconds=HOUR, reason="x")
    reputation.use(allowing("203.0.113.0/28", "192.0.2.9"), now=NOW)
    assert listed(reputation) == ["198.51.100.1"]
    assert heard.words()[-2:] == ["released allow_list", "released allow_list"]


def test_a_refusal_is_told_once_a_minute_not_with_each_finding() -> None:
    heard = Heard()
    reputation = Reputation(told=[heard])
    for second in range(120):
        reputation.take([finding("10.0.0.1")], now=NOW + second)
    assert heard.words() == ["refused allow_list", "refused allow_list"]


# --- by hand ---------------------------------------------------------------------------------------------------


def test_whom_a_person_has_released_is_left_alone_for_a_while_and_begins_at_nothing() -> None:
    reputation = Reputation()
    reputation.take([finding(), finding()], now=NOW)
    assert reputation.release(place_of(MALLORY), now=NOW, reason="a customer", by="ana") is not None
    reputation.take([finding()], now=NOW + MINUTE)
    assert listed(reputation) == []
    reputation.take([finding()], now=NOW + 16 * MINUTE)
    assert listed(reputation) == [MALLORY]
    assert [block.times for block in reputation.blocks] == [1]


def test_a_block_by_hand_goes_before_that_of_findings_and_findings_do_not_change_it() -> None:
    reputation = Reputation()
    reputation.take([finding()], now=NOW)
    reputation.block(place_of(MALLORY), now=NOW + 1, seconds=HOUR, reason="phone call", by="ana")
    reputation.take([finding()], now=NOW + 50 * MINUTE)
    (block,) = reputation.blocks
    assert (block.origin, block.until, block.since, block.by) == ("manual", NOW + 1 + HOUR, NOW, "ana")
    assert value(reputation, "security_blocked_addresses", "automatic") == 0


def test_a_clock_that_is_set_back_makes_no_block_longer_and_no_score_stay() -> None:
    reputation, later = Reputation(), NOW + 10 * 365 * 24 * HOUR
    reputation.block(place_of("198.51.100.2"), now=later, seconds=HOUR, reason="x")
    reputation.release(place_of("198.51.100.2"), now=later, reason="x")
    for at in (later, later + 5 * MINUTE):
        reputation.take([finding(), finding(), finding("45.0.0.1", "medium")], now=at)
    reputation.expire(later + 6 * MINUTE)
    reputation.expire(NOW)
    assert [(block.address, block.at, block.until) for block in reputation.blocks] == [
        (MALLORY, NOW, NOW + 14 * MINUTE)
    ]
    reputation.expire(NOW + 14 * MINUTE)
    assert listed(reputation) == []
    score = reputation.scores.get(address("45.0.0.1"))
    assert score is not None
    assert score.left(reputation.policy, NOW + 24 * HOUR) < 1
    # Whom a person has released is found again when the grace is over.
    reputation.take(5 * [finding("198.51.100.2")], now=NOW + 16 * MINUTE)
    assert listed(reputation) == ["198.51.100.2"]


def test_a_network_is_blocked_by_hand_and_holds_its_addresses() -> None:
    reputation = Reputation()
    reputation.block(place_of("203.0.113.0/25"), now=NOW, seconds=HOUR, reason="x")
    reputation.block(place_of("2001:db8::/32"), now=NOW, seconds=HOUR, reason="x")
    covered = {text: reputation.blocks.covering(address(text)) for text in (MALLORY, "203.0.113.200", "2001:db8:5::1")}
    assert [None if block is None else block.address for block in covered.values()] == [
        "203.0.113.0/25",
        None,
        "2001:db8::/32",
    ]
    assert reputation.release(place_of("203.0.113.0/25"), now=NOW, reason="x") is not None
    assert reputation.blocks.covering(address(MALLORY)) is None


# --- from other exporters --------------------------------------------------------------------------------------


def theirs(text: str = MALLORY, *, at: float = NOW, seconds: float = HOUR, by_hand: bool = False) -> Block:
    other = Reputation()
    if by_hand:
        return other.block(place_of(text), now=at, seconds=seconds, reason="theirs", node="b")
    other = Reputation(Policy(block_seconds=seconds))
    other.take([finding(text)], now=at)
    (block,) = other.blocks
    return replace(block, node="b")


def test_the_same_block_of_another_exporter_is_news_once() -> None:
    reputation = Reputation()
    assert [reputation.adopt(theirs(), now=NOW + 1) for _ in range(3)] == [True, False, False]
    assert [block.origin for block in reputation.blocks] == ["shared"]
    assert value(reputation, "security_blocks_total", "shared") == 1


def test_two_exporters_that_hear_of_each_other_in_any_order_end_with_the_same() -> None:
    blocks = [
        theirs(),
        theirs(at=NOW + 5, seconds=60, by_hand=True),
        theirs(at=NOW + 9),
        theirs(at=NOW + 2, by_hand=True),
    ]
    found = set()
    for order in (blocks, blocks[::-1], blocks[2:] + blocks[:2]):
        reputation = Reputation()
        for block in order:
            reputation.adopt(block, now=NOW + 10)
        found.add(tuple((block.until, block.by_hand) for block in reputation.blocks))
    assert found == {((NOW + 65, True),)}


def test_what_was_released_before_it_came_stays_released_and_what_is_newer_does_not() -> None:
    reputation = Reputation()
    assert reputation.adopt_release(place_of(MALLORY), at=NOW + 5, now=NOW + 6)
    assert not reputation.adopt(theirs(), now=NOW + 7)
    assert not reputation.adopt_release(place_of(MALLORY), at=NOW + 5, now=NOW + 8)
    assert reputation.adopt(theirs(at=NOW + 9), now=NOW + 9)
    assert not reputation.adopt_release(place_of(MALLORY), at=NOW + 8, now=NOW + 10)
    assert listed(reputation) == [MALLORY]
    assert reputation.adopt_release(place_of(MALLORY), at=NOW + 11, now=NOW + 12)
    assert listed(reputation) == []


def test_another_exporter_cannot_block_who_is_never_blocked_here() -> None:
    reputation = Reputation(allowing(MALLORY))
    with pytest.raises(Refused, match="never blocked"):
        reputation.adopt(theirs(), now=NOW)
    assert not reputation.adopt(theirs("198.51.100.1", at=NOW - 2 * HOUR), now=NOW)
    assert listed(reputation) == []


# --- limits ----------------------------------------------------------------------------------------------------


def test_a_full_list_takes_nobody_more_but_for_a_person_for_whom_the_first_to_end_makes_room() -> None:
    reputation = Reputation()
    start = address("45.0.0.1")
    many = [replace(finding(), address=Address(start + at)) for at in range(BLOCKS_MAX + 1)]
    reputation.take(many[:1], now=NOW - 1)
    reputation.take(many[1:], now=NOW)
    assert len(reputation.blocks) == BLOCKS_MAX
    assert value(reputation, "security_blocks_refused_total", "full") == 1
    reputation.block(place_of(MALLORY), now=NOW, seconds=60, reason="x")
    assert len(reputation.blocks) == BLOCKS_MAX
    assert reputation.blocks.get(start) is None
    assert reputation.blocks.get(address(MALLORY)) is not None
    assert value(reputation, "security_releases_total", "room") == 1


def test_many_blocks_that_end_together_end_in_pieces_and_none_of_them_stands() -> None:
    reputation = Reputation()
    start = address("45.0.0.1")
    count = 2 * limits.ENDED_MAX + 1
    reputation.take([replace(finding(), address=Address(start + at)) for at in range(count)], now=NOW)
    reputation.block(Address(start + 5), now=NOW, seconds=HOUR, reason="x")
    reputation.take([replace(finding(), address=Address(start + count - 1))], now=NOW + HOUR / 2)
    again = reputation.blocks.get(Address(start + count - 1))
    assert again is not None
    assert (again.since, again.times) == (NOW + HOUR / 2, 2)
    assert [reputation.expire(NOW + HOUR / 2) for _ in range(2)] == [False, False]
    assert len(reputation.blocks) == 2
    assert reputation.released_total["expired"] == count - 1


def test_there_are_so_many_networks_at_most() -> None:
    reputation = Reputation()
    for at in range(NETWORKS_MAX):
        reputation.block(Network(Address((45 << 24) + at * 256), 24), now=NOW, seconds=60, reason="x")
    with pytest.raises(Refused, match="networks"):
        reputation.block(place_of("198.51.100.0/24"), now=NOW, seconds=60, reason="x")
    reputation.block(place_of("198.51.100.1"), now=NOW, seconds=60, reason="x")


def test_of_too_many_addresses_the_least_is_forgotten_and_who_is_blocked_is_not() -> None:
    reputation = Reputation()
    reputation.take([finding()], now=NOW)
    start = address("45.0.0.1")
    low = finding(severity="low")
    reputation.take((replace(low, address=Address(start + at)) for at in range(SCORES_MAX + 5)), now=NOW + 1)
    assert len(reputation.scores) == SCORES_MAX
    assert value(reputation, "security_forgotten_addresses_total") == 6
    assert reputation.scores.get(address(MALLORY)) is not None
    assert reputation.scores.get(start) is None


def test_what_has_faded_is_swept_away_and_that_counts_as_no_loss() -> None:
    reputation = Reputation()
    reputation.take([finding(severity="low")], now=NOW)
    reputation.sweep(NOW + HOUR)
    assert len(reputation.scores) == 1
    reputation.sweep(NOW + 2 * HOUR)
    assert (len(reputation.scores), reputation.scores.forgotten) == (0, 0)


def test_the_reasons_of_one_address_are_bounded() -> None:
    reputation = Reputation()
    for number in range(100):
        why = replace(finding(detector=f"d{number}"), why="x" * 1_000)
        reputation.take([why], now=NOW + number)
    score = reputation.scores.get(address(MALLORY))
    assert score is not None
    assert list(score.reasons) == [f"d{number}" for number in range(100 - REASONS_MAX, 100)]
    assert all(len(block.reason) <= 500 for block in reputation.blocks)


def test_released_places_are_remembered_up_to_a_number() -> None:
    reputation = Reputation()
    for at in range(limits.RELEASED_MAX + 3):
        reputation.adopt_release(Address((45 << 24) + at), at=NOW, now=NOW)
    assert len(reputation.released) == limits.RELEASED_MAX


# --- metrics ---------------------------------------------------------------------------------------------------


def test_everything_that_can_be_foreseen_is_there_at_nothing() -> None:
    found = {family.name: [each for _, each in family.samples] for family in families(Reputation(), NOW)}
    assert {name: set(values) for name, values in found.items() if values} == {
        name: {0.0} for name in found if name != "security_top_source_score"
    }


def test_no_address_is_in_a_metric_and_at_most_so_many_networks() -> None:
    reputation = Reputation(Policy(top_networks=2))
    reputation.take([finding(f"203.0.113.{at}", "low") for at in range(1, 4)], now=NOW)
    reputation.take([finding("198.51.100.1", "low"), finding("2001:db8:1:2::9", "medium")], now=NOW)
    (top,) = [family for family in families(reputation, NOW) if family.name == "security_top_source_score"]
    assert dict(top.samples) == {("203.0.113.0/24",): 30.0, ("2001:db8:1::/48",): 30.0}
    off = Reputation(Policy(top_networks=0))
    off.take([finding()], now=NOW)
    assert off.top_networks(NOW) == []


# --- places ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical", "family"),
    [
        ("203.0.113.7", "203.0.113.7", 4),
        (" 203.0.113.7/32 ", "203.0.113.7", 4),
        ("203.0.113.0/24", "203.0.113.0/24", 4),
        ("2001:DB8::1", "2001:db8::/64", 6),
        ("2001:db8::1/64", "2001:db8::/64", 6),
        ("2001:db8::1/128", "2001:db8::/64", 6),
        ("2001:db8::/64", "2001:db8::/64", 6),
        ("2001:db8::/32", "2001:db8::/32", 6),
        ("::ffff:203.0.113.7", "203.0.113.7", 4),
    ],
)
def test_a_place_is_written_in_one_way(text: str, canonical: str, family: int) -> None:
    place = place_of(text)
    assert (written(place), family_of(place)) == (canonical, family)
    assert place_of(written(place)) == place


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "203.0.113", "203.0.113.7:80", "[2001:db8::1]", "fe80::1%eth0", "203.0.113.7/24", "203.0.113.0/0"),
        *("203.0.113.0/33", "203.0.113.0/", "203.0.113.0/+8", "203.0.113.0/٣", "2001:db8::/65"),
        *("::ffff:203.0.113.0/120", "0.0.0.0", "::1", "203.0.113.7 203.0.113.8", "203.0.113.0/24/24"),
    ],
)
def test_what_is_no_place_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as raised:
        place_of(text)
    assert "203.0.113.7" not in str(raised.value)


def test_allowed_places_may_lie_within_each_other() -> None:
    allowed = Allowed([Entry(place_of(text), "x") for text in ("203.0.113.0/24", "203.0.113.7", "203.0.114.0/23")])
    inside: list[Place] = [address("203.0.113.0"), address("203.0.113.255"), address("203.0.115.255")]
    assert all(map(allowed.meets, inside))
    assert not any(map(allowed.meets, [address("203.0.112.255"), address("203.0.116.0"), address("2001:db8::")]))
    assert span(place_of("203.0.113.0/24")) == (address("203.0.113.0"), address("203.0.113.255"))
    assert allowed.meets(place_of("203.0.0.0/16"))
    assert not Allowed().meets(address(MALLORY))


# --- exporter.yml ----------------------------------------------------------------------------------------------


def test_the_defaults_of_the_file_are_those_without_one() -> None:
    made = policy_of(ReputationSettings())
    for name in Policy.__struct_fields__:
        if name != "allowed":
            assert getattr(made, name) == getattr(Policy(), name), name
    assert made.allowed.meets(address("10.0.0.1"))


def test_faults_of_the_file_name_their_place_and_tell_no_address() -> None:
    found = faults(
        "reputation:\n  half_life: 0s\n  block_for: 2h\n  block_for_max: 1h\n  points: {hgih: 1}\n"
        "  detectors: {x: -1}\n"
    )
    assert len(found) == 3
    (fault,) = faults("reputation:\n  allow: [203.0.113.7/24]\n")
    assert fault.startswith("exporter.yml:2: reputation.allow[0]: found an address within a /24, expected the first")
    assert "203.0.113.7" not in fault
    (fault,) = faults("reputation: {block_for: 2h, block_for_max: 1h}\n")
    assert "no less than block_for, which is 2h" in fault


def test_a_list_of_who_is_never_blocked_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "allowed.txt"
    path.write_text("# the office\n203.0.113.7  # ana\n\n198.51.100.0/24\n")
    policy = policy_of(ReputationSettings(allow_file=str(path), allow_private=False))
    assert policy.allowed.meets(address(MALLORY))
    assert policy.allowed.why(place_of("198.51.100.9")) == f"198.51.100.0/24 ({path}:4)"
    assert not policy.allowed.meets(address("10.0.0.1"))
    path.write_text("office\n" * 12)
    with pytest.raises(PlanRefused) as raised:
        policy_of(ReputationSettings(allow_file=str(path)))
    assert raised.value.faults[0].startswith(f"{path}:1: found something else, expected an IPv4")
    assert raised.value.faults[-1] == f"{path}: and 2 more"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(PlanRefused, match="found no text"):
        policy_of(ReputationSettings(allow_file=str(path)))
