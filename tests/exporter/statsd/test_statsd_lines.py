"""Lines as clients send them, and what is on the page; and lines that are none, and what is counted then."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.intake.statsd import counting
from exporter.intake.statsd.lines import LINE_BYTES_MAX, TAGS_MAX, Styles
from tests.exporter.statsd.world import NOW, World, shown


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"hits:1|c", "hits_total 1.0"),
        (b"hits_total:1|c", "hits_total 1.0"),
        (b"hits:2.5|c", "hits_total 2.5"),
        (b"hits:+3|c", "hits_total 3.0"),
        (b"hits:1|c|@0.1", "hits_total 10.0"),
        (b"hits:1|c|@0.25|#a:b", 'hits_total{a="b"} 4.0'),
        (b"hits:1|c|#a:b|@0.25", 'hits_total{a="b"} 4.0'),
        (b"hits:1:2:3|c", "hits_total 6.0"),
        (b"hits:1|c:2|c", "hits_total 3.0"),
        (b"level:5|g", "level 5.0"),
        (b"level:-5|g", "level -5.0"),
        (b"level:5|g|@0.1", "level 5.0"),
        (b"my.app-name.level:1e3|g", "my_app_name_level 1000.0"),
        (b"a--b:1|g", "a_b 1.0"),
        (b"9lives:1|g", "_9lives 1.0"),
        ("größe:1|g".encode(), "gr__e 1.0"),
        (b"hits:1|c|c:in-0123456789ab|T1656581400|e:it-false,cn-x|card:low", "hits_total 1.0"),
        (b"hits:1|c|#a:b|T1656581400|c:in-0123456789ab", 'hits_total{a="b"} 1.0'),
        (b"queue.count:1|g", "queue_count_value 1.0"),
        (b"up:1|g", "statsd_up 1.0"),
        (b"scrape.duration.seconds:1|g", "statsd_scrape_duration_seconds 1.0"),
        (b"hits:1|c|#le:1,quantile:2,__name__:3,env:4", None),
    ],
)
def test_a_line_and_its_series(line: bytes, expected: str | None) -> None:
    expected = expected or 'hits_total{env="4",exported_le="1",exported_name__="3",exported_quantile="2"} 1.0'
    assert shown(line) == [expected]


@pytest.mark.parametrize(
    "line",
    [b"n:1|g|#a:b,c:d", b"n#a=b,c=d:1|g", b"n,a=b,c=d:1|g", b"n[a=b,c=d]:1|g", b"[c=d,a=b]n:1|g", b"n:1|g|#a:b,#c:d"],
)
def test_the_four_styles_of_tags_are_the_same_series(line: bytes) -> None:
    assert shown(line) == ['n{a="b",c="d"} 1.0']


@pytest.mark.parametrize(
    ("styles", "line", "expected"),
    [
        (Styles(dogstatsd=False), b"n:1|g|#a:b", "n 1.0"),
        (Styles(librato=False), b"n#a=b:1|g", "n_a_b 1.0"),
        (Styles(influxdb=False), b"n,a=b:1|g", "n_a_b 1.0"),
        (Styles(signalfx=False), b"n[a=b]:1|g", "n_a_b_ 1.0"),
    ],
)
def test_a_style_that_is_switched_off_is_part_of_the_name(styles: Styles, line: bytes, expected: str) -> None:
    world = World(styles=styles)
    world.send(line)
    assert (world.lines(), world.faults) == ([expected], {})


@pytest.mark.parametrize(
    ("line", "seconds", "count"),
    [
        (b"t:320|ms", 0.32, 1),
        (b"t:320|ms|@0.1", 3.2, 10),
        (b"t:1:2:3|ms", 0.006, 3),
        (b"t:0.5|h", 0.5, 1),
        (b"t:0.5|d|@0.5", 1.0, 2),
        (b"t:1|ms:2|ms|@0.5", 0.005, 3),
    ],
)
def test_timers_histograms_and_distributions_are_histograms_in_seconds(line: bytes, seconds: float, count: int) -> None:
    assert shown(line)[-2:] == [f"t_sum {seconds}", f"t_count {count}"]


def test_a_rate_that_is_no_whole_share_is_right_in_the_sum() -> None:
    world = World()
    for _ in range(3):
        world.send(b"t:100|ms|@0.3", now=NOW)
    assert world.lines()[-1] == "t_count 10"


def test_gauges_take_their_lines_in_order_within_a_packet_and_across_packets() -> None:
    assert shown(b"g:5|g\ng:7|g\ng:5|g\ng:+2|g", b"g:-1|g\nother:3|g\nother:3|g\nother:+3|g") == ["g 6.0", "other 6.0"]
    world = World()
    world.send(b"g:5|g")
    world.send(b"g:+1.5|g\ng:-10|g")
    assert world.lines() == ["g -3.5"]


def test_labels_that_come_later_join_the_metric_also_within_one_batch() -> None:
    assert shown(b"n:1|g\nn:2|g|#a:b", b"n:3|g\nn:+1|g|#c:d") == [
        'n{a="",c=""} 3.0',
        'n{a="b",c=""} 2.0',
        'n{a="",c="d"} 1.0',
    ]
    world = World()
    for packet in (b"hits:1|c", b"hits:1|c|#a:b", b"hits:1|c\nhits:1|c|#a:b"):
        world.send(packet)
    assert world.lines() == ['hits_total{a=""} 2.0', 'hits_total{a="b"} 2.0']


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"x", "malformed"),
        (b"x:1", "malformed"),
        (b":1|c", "malformed"),
        (b"#a=b:1|c", "malformed"),
        (b"x|c", "malformed"),
        (b"x:|c", "value"),
        (b"x:one|c", "value"),
        (b"x:NaN|g", "value"),
        (b"x:inf|g", "value"),
        (b"x:-Infinity|ms", "value"),
        (b"x:1_0|c", "value"),
        (b"x:1e300|c", "value"),
        (b"x:1\x00|c", "value"),
        (b"x:1:b|c", "value"),
        (b"x:1:|ms", "value"),
        (b"x:-1|c", "negative"),
        (b"x:1:-1|c", "negative"),
        (b"x:1|", "type"),
        (b"x:1|q", "type"),
        (b"x:1|c\r", "type"),
        (b"x:1|c:2", "malformed"),
        (b"x:1|c|@0", "rate"),
        (b"x:1|c|@2", "rate"),
        (b"x:1|c|@-0.5", "rate"),
        (b"x:1|c|@nan", "rate"),
        (b"x:1|c|@", "rate"),
        (b"x:1|c|@1e-300", "rate"),
        (b"x:1|c|", "section"),
        (b"x:1|c|?", "section"),
        (b"x#a=b:1|c|#c:d", "mixed_tags"),
        (b"\xff\xfe:1|c", "encoding"),
        (b"x:1|c|#a:\xff", "encoding"),
        (b"x" * LINE_BYTES_MAX + b":1|c", "too_long"),
    ],
)
def test_a_line_that_is_none_is_one_fault_with_its_reason_and_the_others_count(line: bytes, reason: str) -> None:
    world = World()
    world.send(b"good:1|c\n" + line + b"\n\ngood:1|c\n")
    assert (world.lines(), world.faults, world.told.lines) == (["good_total 2.0"], {reason: 1}, 3)


def test_the_largest_packet_is_read_to_its_end() -> None:
    packet = b"\n".join([b"hits:1|c"] * 8_000)[:65_507]
    assert shown(packet) == [f"hits_total {float(packet.count(b'c'))}"]


def test_events_and_service_checks_are_ignored_and_are_no_faults() -> None:
    world = World()
    world.send(b"_e{5,4}:title|text|#a:b", b"_sc|check|0|#a:b|m:fine", b"_e{1")
    assert (world.lines(), world.faults, world.told.ignored) == ([], {}, 3)


def test_tags_without_a_name_or_a_value_and_too_many_are_left_out_and_counted() -> None:
    world = World()
    tags = b",".join(b"t%02d:x" % number for number in range(TAGS_MAX + 3))
    world.send(b"n:1|g|#alone,:x,a:,b:c", b"m:1|g|#" + tags)
    assert world.told.tags_dropped == 3 + 3
    assert world.lines()[0] == 'n{b="c"} 1.0'
    assert world.lines()[1].count('="x"') == TAGS_MAX


def test_a_name_that_another_type_has_is_a_conflict_and_stays_what_it_was() -> None:
    world = World()
    world.send(b"x:1|g\nx:5|ms\nx_total:1|c\nx.sum:1|g\nx:2|g")
    assert (world.lines(), world.faults) == (["x 2.0", "x_sum_value 1.0"], {"conflict": 2})


def test_a_conflict_is_counted_and_shown_as_those_of_rules_are() -> None:
    world = World()
    world.send(b"x:1|g\nx:5|ms|#shop:a-secret\nx:5|ms|#shop:a-secret\nx_value:1|g\nx.sum:1|g\nx.sum.value:2|h|@0.5")
    world.send(b"wait:1|ms\nwait.total:1|c")
    type_, name = world.pipeline.report()["conflicts"][::-1][:2]  # type: ignore[index]
    assert type_ == {
        "reason": "type",
        "events": 2,
        "offered": {"name": "x", "type": "histogram", "labels": ("shop",)},
        "there": {"name": "x", "type": "gauge", "labels": ()},
        "last_labels": {"shop": "a-[SECRET]"},
    }
    assert (name["reason"], name["offered"]["name"]) == ("type", "x_sum_value")
    refused = {reason.value: events for reason, events in world.trouble.refused.items() if events}
    assert refused == {"type": 3, "name": 1}
    assert world.faults == {"conflict": 4}


def test_a_metric_has_a_bounded_number_of_labels() -> None:
    world = World()
    for number in range(counting.LABELS_MAX + 5):
        world.send(b"n:1|g|#t%d:x" % number)
    assert len(world.families()[0].labels) == counting.LABELS_MAX
    assert world.told.tags_dropped == 5


def test_too_many_names_are_faults_until_those_that_are_gone_make_room() -> None:
    world = World()
    for number in range(counting.METRICS_MAX + 7):
        world.send(b"n%d:1|g" % number)
    assert world.faults == {"metrics_max": 7}
    world.send(b"later:1|g", now=NOW + 1_000_000)
    assert world.faults == {"metrics_max": 7}


def test_more_heads_than_are_remembered_are_still_right() -> None:
    world = World()
    half = counting.REMEMBERED_MAX // 2
    for _ in range(2):
        for start in range(0, half * 3, 500):
            world.send(*(b"n:1|c|@%.9f" % (1 - number / 1e8) for number in range(start, start + 500)))
    assert float(world.lines()[0].split()[1]) == pytest.approx(half * 6, rel=1e-3)


def test_values_and_names_are_redacted_before_they_are_series() -> None:
    assert shown(b"secret.name:1|g|#who:secret") == ['_SECRET__name{who="[SECRET]"} 1.0']


PIECES = st.sampled_from(
    [
        b"\n",
        b" ",
        *b"a b.c : | 1 -2.5 + c g ms h d s @0.1 # a=b a:b , [ ] nan _e{ _sc| \x00 \xff 1e309 T1 c:x _".split(b" "),
    ]
)
PACKET = st.lists(PIECES | st.binary(max_size=3), max_size=30).map(b"".join)


@given(st.lists(st.lists(PACKET, max_size=4), max_size=4))
@example([[b"a:1|c\na:1|ms\na:1|g|#x:y\na:1|c|#z:z"]])
@example([[b"a:1|g:2|g\na:1|g|#b:c"]])
def test_whatever_comes_every_line_is_a_sample_a_fault_or_ignored_and_the_page_is_whole(
    batches: list[list[bytes]],
) -> None:
    world = World()
    for batch in batches:
        world.send(*batch)
    counted = sum(world.told.faults.values()) + world.told.ignored
    lines = [line for batch in batches for packet in batch for line in packet.split(b"\n") if line]
    assert world.told.lines == len(lines)
    assert counted <= len(lines)
    assert bool(world.lines()) == (counted < len(lines))
