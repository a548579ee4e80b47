"""What exporters tell each other about addresses: what is believed, and that its order does not matter."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from itertools import permutations

import pytest

from exporter.reputation.allowed import Allowed, Entry
from exporter.reputation.deed import Deed
from exporter.reputation.place import place_of
from exporter.reputation.policy import Policy
from exporter.reputation.reputation import Reputation
from exporter.reputation.settings import SECONDS_MAX
from exporter.reputation.shared import (
    ENTRY_BYTES_MAX,
    Garbage,
    block_told,
    decoded,
    encoded,
    finding_told,
    release_told,
    take,
)
from tests.exporter.test_reputation import MALLORY, NOW, address, finding, listed

BLOCK: Mapping[str, object] = {
    "what": "block",
    "address": MALLORY,
    "at": NOW - 5,
    "since": NOW - 5,
    "until": NOW + 895,
    "reason": "51 failed logins in 1 h",
    "node": "east",
}
RELEASE: Mapping[str, object] = {"what": "release", "address": MALLORY, "at": NOW - 3, "by": "ana"}
FINDING: Mapping[str, object] = {
    "what": "finding",
    "address": MALLORY,
    "at": NOW - 1,
    "detector": "brute_force",
    "severity": "high",
    "why": "51 failed logins in 1 h",
    "value": 51,
    "threshold": 50,
    "window_seconds": 3600,
}


def heard(reputation: Reputation, entry: Mapping[str, object], **other: object) -> str:
    return take(reputation, decoded(json.dumps({**entry, **other}).encode()), now=NOW)


def test_a_block_of_another_exporter_is_on_the_list_with_its_reason_and_its_end() -> None:
    reputation = Reputation()
    assert heard(reputation, BLOCK) == "news"
    (block,) = reputation.blocks
    assert (block.address, block.origin, block.until) == (MALLORY, "shared", NOW + 895)
    assert (block.reason, block.node) == ("51 failed logins in 1 h", "east")
    assert heard(reputation, BLOCK) == "known"


def test_what_is_told_is_what_is_heard() -> None:
    east, west = Reputation(), Reputation()
    east.block(place_of("198.51.100.0/24"), now=NOW, seconds=60, reason="scans us", by="ana")
    east.take([finding("2001:db8:1:2::7")], now=NOW)
    for block in east.blocks:
        assert take(west, decoded(encoded(block_told(block, node="east"))), now=NOW) == "news"
    assert [(b.address, b.until, b.reason, b.by_hand, b.by, b.score) for b in west.blocks] == [
        (b.address, b.until, b.reason, b.by_hand, b.by, b.score) for b in east.blocks
    ]


def test_a_reason_in_two_lines_is_told_in_one() -> None:
    east, west = Reputation(), Reputation()
    block = east.block(place_of(MALLORY), now=NOW, seconds=60, reason="scans us,\n\tsince noon", by="ana\u200b")
    assert take(west, decoded(encoded(block_told(block, node="east"))), now=NOW) == "news"
    (found,) = west.blocks
    assert (found.reason, found.by) == ("scans us,  since noon", "ana ")
    release = release_told(MALLORY, at=NOW + 1, by="ana\n", node="east")
    assert take(west, decoded(encoded(release)), now=NOW + 1) == "news"


def test_a_finding_counts_everywhere_so_that_an_attack_on_many_exporters_adds_up() -> None:
    reputation = Reputation()
    assert heard(reputation, FINDING) == "news"
    assert listed(reputation) == []
    assert heard(reputation, FINDING) == "news"
    assert listed(reputation) == [MALLORY]


def test_who_is_never_blocked_here_is_not_whatever_others_say() -> None:
    reputation = Reputation(Policy(allowed=Allowed([Entry(place_of(MALLORY), "ours")])))
    assert heard(reputation, BLOCK) == "allow_list"
    assert heard(reputation, BLOCK, address="203.0.113.0/24") == "allow_list"
    for _ in range(9):
        heard(reputation, FINDING)
    assert listed(reputation) == []


def test_a_dry_run_takes_from_others_what_people_decided_alone() -> None:
    reputation = Reputation(Policy(dry_run=True))
    assert heard(reputation, BLOCK) == "dry_run"
    assert heard(reputation, BLOCK, by_hand=True, by="ana") == "news"


def test_a_release_by_hand_goes_before_the_block_that_it_ends_in_whichever_order_they_come() -> None:
    for first, second in permutations((BLOCK, RELEASE)):
        reputation = Reputation()
        heard(reputation, first)
        heard(reputation, second)
        assert listed(reputation) == []
    assert heard(reputation, BLOCK, at=NOW - 1, since=NOW - 1) == "news"  # a later block counts again


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "nobody"},
        {"address": "203.0.113.007"},
        {"address": "203.0.113.7:80"},
        {"address": "203.0.113.7/24"},
        {"address": "0.0.0.0"},
        {"address": "2001:db8::1"},
    ],
    ids=str,
)
def test_what_is_no_address_as_we_write_it_is_garbage(wrong: Mapping[str, object]) -> None:
    for entry in (BLOCK, RELEASE, FINDING):
        assert heard(Reputation(), entry, **wrong) == "garbage"


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": NOW + 120, "since": NOW, "until": NOW + 300},
        {"until": NOW + SECONDS_MAX + 1},
        {"until": NOW - 60},
        {"since": NOW},
    ],
    ids=str,
)
def test_a_block_from_the_future_or_for_ever_is_refused(wrong: Mapping[str, object]) -> None:
    reputation = Reputation()
    assert heard(reputation, BLOCK, **wrong) == "time"
    assert listed(reputation) == []


def test_a_finding_that_is_long_ago_is_held_against_nobody() -> None:
    assert heard(Reputation(), FINDING, at=NOW - 3_600) == "time"
    assert heard(Reputation(), RELEASE, at=NOW + 120) == "time"


def test_a_finding_is_about_an_address_and_not_about_a_network() -> None:
    assert heard(Reputation(), FINDING, address="203.0.113.0/24") == "garbage"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[" * 2_000,
        b'{"what": "order"}',
        json.dumps({**BLOCK, "reason": "a\nb"}).encode(),
        json.dumps({**BLOCK, "reason": "a\x1b[2Jb"}).encode(),
        json.dumps({**BLOCK, "reason": "a\u202eb"}).encode(),
        json.dumps({**BLOCK, "reason": "x" * 501}).encode(),
        json.dumps({**BLOCK, "until": "soon"}).encode(),
        json.dumps({**BLOCK, "until": 1e300}).encode(),
        json.dumps({**BLOCK, "until": float("nan")}).encode(),
        json.dumps({**BLOCK, "score": -1}).encode(),
        json.dumps({**BLOCK, "times": 0}).encode(),
        json.dumps({**BLOCK, "more": "x" * ENTRY_BYTES_MAX}).encode(),
        b'{"what": "block", "more": ' + b"[" * 1_900 + b"]" * 1_900 + b"}",
        json.dumps({**FINDING, "severity": "fatal"}).encode(),
        json.dumps({**FINDING, "detector": ""}).encode(),
    ],
)
def test_what_is_none_of_ours_is_garbage(data: bytes) -> None:
    with pytest.raises(Garbage):
        decoded(data)


def test_what_a_later_version_adds_is_left_out() -> None:
    assert heard(Reputation(), BLOCK, colour="red") == "news"


def test_the_longest_that_we_write_is_not_too_long() -> None:
    reputation = Reputation()
    reputation.block(place_of(MALLORY), now=NOW, seconds=60, reason="ä" * 900, by="ü" * 900)
    (block,) = reputation.blocks
    assert decoded(encoded(block_told(block, node="n" * 100))).address == MALLORY
    assert decoded(encoded(finding_told(finding(), address(MALLORY), node="n" * 100))).address == MALLORY


@pytest.mark.parametrize("seed", range(50))
def test_exporters_end_with_the_same_list_in_whichever_order_they_hear_of_it(seed: int) -> None:
    chance = random.Random(seed)
    entries: list[dict[str, object]] = [
        {
            **BLOCK,
            "address": f"203.0.113.{chance.randrange(1, 4)}",
            "at": NOW - 50 + number,
            "since": NOW - 50 + number,
            "until": NOW + chance.randrange(-1, 900),
            "by_hand": chance.random() < 0.3,
            "node": chance.choice(("east", "west")),
        }
        for number in range(12)
    ]
    # A person who releases it knows what there was before, and nothing of what comes after.
    entries += [{**RELEASE, "address": f"203.0.113.{each}", "at": NOW - chance.choice((60, 0))} for each in (1, 2)]
    lists = []
    for _ in range(6):
        reputation = Reputation()
        for entry in chance.sample(entries, len(entries)) + chance.sample(entries, len(entries)):
            heard(reputation, entry)
        lists.append(sorted((block.address, block.until, block.at, block.by_hand) for block in reputation.blocks))
    assert lists == [lists[0]] * len(lists)


def test_what_comes_from_others_is_a_deed_that_is_told_here() -> None:
    deeds: list[Deed] = []
    reputation = Reputation(told=[deeds.append])
    heard(reputation, BLOCK)
    heard(reputation, RELEASE)
    assert [(deed.what, deed.origin, deed.why) for deed in deeds] == [
        ("blocked", "shared", ""),
        ("released", "shared", "shared"),
    ]
