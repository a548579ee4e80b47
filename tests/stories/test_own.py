"""What Tocsin says of itself: that its journal is broken."""

from __future__ import annotations

from receiver.entry import ChainBroken
from tests.stories.story import POLICY, Store, Story, check, played


def test_that_the_journal_is_broken_is_told_like_anything_critical_and_the_same_finding_once():
    check("""
        00:00  damages  3
               -> chat   opened     Tocsin's journal holds up to entry 3 only: no entry 4  0 firing, 0 resolved
        00:01  damages  3
        00:05  -> pager  escalated  Tocsin's journal holds up to entry 3 only: no entry 4  0 firing, 0 resolved
        00:10  acks     TocsinJournalBroken ana
               -> chat   acknowledged Tocsin's journal holds up to entry 3 only: no entry 4  0 firing, 0 resolved
               -> pager  acknowledged Tocsin's journal holds up to entry 3 only: no entry 4  0 firing, 0 resolved
        00:11  damages  3
    """)


def test_what_a_person_resolved_is_not_told_again_and_another_place_is():
    check("""
        00:00  damages  3
               -> chat   opened     Tocsin's journal holds up to entry 3 only: no entry 4  0 firing, 0 resolved
        00:01  closes   TocsinJournalBroken ana
               -> chat   resolved   Tocsin's journal holds up to entry 3 only: no entry 4  0 firing, 0 resolved
        04:00  damages  3
        04:01  damages  2
               -> chat   opened     Tocsin's journal holds up to entry 2 only: no entry 3  0 firing, 0 resolved
        04:02  damages  1
               -> chat   updated    Tocsin's journal holds up to entry 1 only: no entry 2  0 firing, 0 resolved
    """)


def test_a_finding_is_the_same_by_its_place_or_by_its_words():
    """The end that is cut off is a gap once more is written; that nothing tells of an anchor is found further on."""
    for store in (None, Store()):
        story = played(Story(POLICY, {}, store=store), "00:00  damages 3")
        story._enter(ChainBroken(3, "no entry 4, the next one is 9"))
        story._enter(ChainBroken(12, "no entry 4"))
        assert story.why("journal broken") == ["no entry 4"]
        story._enter(ChainBroken(12, "no entry 13"))
        assert story.why("journal broken") == ["no entry 4", "no entry 13"]
