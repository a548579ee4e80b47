"""Metrics from files that others write: whole or not at all, and never at the cost of another's."""

import logging
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import textfile
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.options import Chosen
from exporter.collectors.textfile import Textfile
from exporter.collectors.textformat import read
from exporter.collectors.time import Time
from exporter.exposition import Format, render
from exporter.outcome import Names
from tests.exporter.builders import FIXTURES


def collector(directory: Path | str) -> Textfile:
    return Textfile(Paths(), Chosen(Textfile.options, {"directory": str(directory)}))


def page(collector: Textfile) -> list[str]:
    """The lines of samples, without those about files."""
    lines = render(collector.collect(float("inf")), Format.TEXT).decode().splitlines()
    return [line for line in lines if not line.startswith(("#", "node_textfile_mtime_seconds"))]


def types(collector: Textfile) -> dict[str, str]:
    return {family.name: family.type for family in collector.collect(float("inf"))}


def test_without_a_folder_there_is_nothing_and_nothing_is_wrong() -> None:
    assert page(collector("")) == ["node_textfile_scrape_error 0"]


def test_what_is_in_the_files_is_shown_with_the_time_of_each() -> None:
    directory = FIXTURES / "text"
    found = collector(directory)
    assert page(found) == [
        "node_textfile_scrape_error 0",
        'backup_last_success_timestamp_seconds{job_name="nightly",volume="/srv/\\"a b\\""} 1795240000.5',
        'backup_last_success_timestamp_seconds{job_name="weekly",volume=""} 1794900000',
        "backup_runs_total 17",
        'updates_pending{origin="security"} 3',
    ]
    times, _, last, *_, pending = found.collect(float("inf"))
    files = [directory / "backup.prom", directory / "updates.prom"]
    assert times.samples == [((str(file),), int(file.stat().st_mtime)) for file in files]
    assert last.help == "When the last backup ended well."
    assert pending.help == f"From {directory}/updates.prom."


def test_types_are_kept_where_openmetrics_has_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text(
        "# TYPE a_total counter\na_total 1\n# TYPE b counter\nb 1\n# TYPE c_total counter\nc_total NaN\n"
        "# TYPE d gauge\nd -1\n# TYPE e_count GAUGE\ne_count 5\n# TYPE f untyped\nf 1\ng_total 4\n"
    )
    assert types(collector(tmp_path)) == {
        "node_textfile_mtime_seconds": "gauge",
        "node_textfile_scrape_error": "gauge",
        "a_total": "counter",
        "b": "unknown",
        "c_total": "unknown",
        "d": "gauge",
        "e_count": "unknown",
        "f": "unknown",
        "g_total": "unknown",
    }


HISTOGRAM = """# TYPE h histogram
h_bucket{le="+Inf",a="1"} 3
h_bucket{le="0.5",a="1"} 1
h_sum{a="1"} 4.5
h_count{a="1"} 3
h_bucket{le="2"} 1
h_sum 2
h_count 1
# TYPE s summary
s{quantile="0.9"} 7
s{quantile="0.5"} NaN
s_sum 12
s_count 3
"""


def test_histograms_and_summaries_are_put_together_from_their_parts(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text(HISTOGRAM)
    assert page(collector(tmp_path))[1:] == [
        'h_bucket{a="1",le="0.5"} 1',
        'h_bucket{a="1",le="+Inf"} 3',
        'h_sum{a="1"} 4.5',
        'h_count{a="1"} 3',
        'h_bucket{a="",le="2.0"} 1',
        'h_bucket{a="",le="+Inf"} 1',
        'h_sum{a=""} 2',
        'h_count{a=""} 1',
        's{quantile="0.5"} NaN',
        's{quantile="0.9"} 7',
        "s_sum 12",
        "s_count 3",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "# TYPE h histogram\nh 1\n",
        "# TYPE h histogram\nh_bucket 1\n",
        '# TYPE h histogram\nh_sum{le="1"} 1\n',
        '# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\n',
        '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count 1\n',
        '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n',
        '# TYPE h histogram\nh_bucket{le="1"} 3\nh_sum 1\nh_count 2\n',
        '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1.0"} 1\nh_sum 1\nh_count 2\n',
        '# TYPE h histogram\nh_bucket{le="NaN"} 1\nh_sum 1\nh_count 2\n',
        '# TYPE h histogram\nh_bucket{le="one"} 1\nh_sum 1\nh_count 2\n',
        "# TYPE h histogram\nh_sum 1\nh_sum 1\nh_count 2\n",
        "# TYPE h_count histogram\nh_count_sum 1\n",
        '# TYPE s summary\ns{quantile="0.5"} 1\n',
        "# TYPE s summary\ns 1\ns_sum 1\ns_count 1\n",
        '# TYPE s summary\ns{quantile="2"} 1\ns_sum 1\ns_count 1\n',
        "# TYPE s summary\ns_sum 1\ns_count 1.5\n",
    ],
)
def test_a_histogram_or_a_summary_that_is_not_whole_is_a_fault(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.prom").write_text(content)
    assert page(collector(tmp_path)) == ["node_textfile_scrape_error 1"]


def test_a_file_that_is_wrong_is_left_out_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.prom").write_text("good 1\nbad one two three\n")
    (tmp_path / "good.prom").write_text("fine 1\n")
    found = collector(tmp_path)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert page(found) == ["node_textfile_scrape_error 1", "fine 1"]
        (record,) = caplog.records
        assert record.__dict__["file"] == f"{tmp_path}/bad.prom"
        assert record.__dict__["error"] == (
            f"{tmp_path}/bad.prom, line 2: found 'bad one two three', "
            "expected a name, labels in braces, and one number; no time stamp"
        )
        (tmp_path / "bad.prom").write_text("good 1\n")
        assert page(found) == ["node_textfile_scrape_error 0", "good 1", "fine 1"]
        assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


def test_a_family_in_several_files_is_one_with_the_labels_of_all(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text('# HELP x First.\n# TYPE x gauge\nx{a="1"} 1\n')
    (tmp_path / "b.prom").write_text('# HELP x Second.\n# TYPE x gauge\nx{b="2"} 2\nx{a="",b=""} 3\n')
    found = collector(tmp_path)
    assert page(found)[1:] == ['x{a="1",b=""} 1', 'x{a="",b="2"} 2', 'x{a="",b=""} 3']
    assert [family.help for family in found.collect(0.0)][2:] == ["First."]


@pytest.mark.parametrize(
    "second",
    ['x{a="1"} 2\n', "# TYPE x gauge\nx 1\n", "node_textfile_scrape_error 0\n"],
    ids=["the same series", "another type", "a name of ours"],
)
def test_a_file_that_contradicts_one_before_it_is_left_out_whole(tmp_path: Path, second: str) -> None:
    (tmp_path / "a.prom").write_text('x{a="1"} 1\n')
    (tmp_path / "b.prom").write_text(f"mine 1\n{second}")
    found = collector(tmp_path)
    assert page(found) == ["node_textfile_scrape_error 1", 'x{a="1"} 1']
    (tmp_path / "a.prom").unlink()
    (tmp_path / "b.prom").write_text("mine 1\n")
    assert page(found) == ["node_textfile_scrape_error 0", "mine 1"]


def test_a_file_that_changes_is_seen_at_once_even_with_the_same_time_and_size(tmp_path: Path) -> None:
    file = tmp_path / "a.prom"
    file.write_text("x 1\n")
    os.utime(file, (1, 1))
    found = collector(tmp_path)
    assert page(found)[1:] == ["x 1"]
    file.write_text("x 2\n")
    os.utime(file, (1, 1))
    assert page(found)[1:] == ["x 2"]


def test_a_file_takes_no_name_of_a_collector_that_comes_after_it(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("node_time_seconds 1\nmine 1\n")
    guest = collector(tmp_path)
    offers = {each.name: tuple(each.collect(0.0)) for each in (guest, Time(Paths(), now=lambda: 5.0))}
    families, (clash,) = Names().without_clashes(offers)
    assert (clash.collector, clash.family, clash.owner) == ("textfile", "node_time_seconds", "time")
    shown = {family.name: family.samples for family in families}
    assert shown["node_time_seconds"][0][1] == 5.0
    assert shown["mine"][0][1] == 1


def test_several_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.prom").write_text(f"x_{name} 1\n")
        (tmp_path / name / "x.prom.new").write_text("half")
    assert page(collector(f"{tmp_path}/a*, {tmp_path}/b,{tmp_path}/a1"))[1:] == ["x_a1 1", "x_a2 1", "x_b 1"]
    assert page(collector(f"{tmp_path}/none*,{tmp_path}/b")) == ["node_textfile_scrape_error 1", "x_b 1"]


def test_what_is_no_regular_file_is_left_out_and_nothing_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.prom")
    (tmp_path / "loop.prom").symlink_to(tmp_path / "loop.prom")
    (tmp_path / "folder.prom").mkdir()
    (tmp_path / "gone.prom").symlink_to(tmp_path / "nowhere")
    (tmp_path / "zero.prom").symlink_to("/dev/zero")
    (tmp_path / "elsewhere").write_text("linked 1\n")
    (tmp_path / "link.prom").symlink_to(tmp_path / "elsewhere")
    assert page(collector(tmp_path)) == ["node_textfile_scrape_error 1", "linked 1"]


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (tmp_path / "large.prom").open("wb") as file:
        file.truncate(100 << 20)
    (tmp_path / "small.prom").write_text("x 1\n")
    assert page(collector(tmp_path)) == ["node_textfile_scrape_error 1", "x 1"]
    assert "found '104857600 bytes', expected at most 8388608" in caplog.records[0].__dict__["error"]


def test_bytes_are_limited_in_all_files_together(tmp_path: Path) -> None:
    comment = b"#" * (textfile.FILE_BYTES_MAX - 100) + b"\n"
    for number in range(6):
        (tmp_path / f"{number}.prom").write_bytes(comment + f"x{number} 1\n".encode())
    (tmp_path / "9.prom").write_text("small 1\n")
    assert page(collector(tmp_path)) == ["node_textfile_scrape_error 1", *(f"x{n} 1" for n in range(4)), "small 1"]


def test_samples_are_limited_in_all_files_together(tmp_path: Path) -> None:
    for name, samples in (("a", 1), ("b", textfile.SAMPLES_MAX - 1), ("c", 1)):
        (tmp_path / f"{name}.prom").write_text("".join(f'{name}{{n="{n}"}} 1\n' for n in range(samples)))
    found = page(collector(tmp_path))
    assert found[0] == "node_textfile_scrape_error 1"
    assert len(found) == 1 + textfile.SAMPLES_MAX


def test_files_are_limited(tmp_path: Path) -> None:
    for number in range(textfile.FILES_MAX + 1):
        (tmp_path / f"{number:05}.prom").write_text(f"x{number} 1\n")
    found = page(collector(tmp_path))
    assert (found[0], len(found)) == ("node_textfile_scrape_error 1", 1 + textfile.FILES_MAX)


def test_a_name_that_is_not_utf_8_stays_visible(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.prom")).write_text("x 1\n")
    times, *_ = collector(tmp_path).collect(0.0)
    assert times.samples[0][0] == (f"{tmp_path}/\\xff.prom",)


def test_a_file_that_is_replaced_all_the_time_is_one_or_the_other(tmp_path: Path) -> None:
    file, other = tmp_path / "a.prom", tmp_path / "new"
    texts = [f'x{{n="{n}"}} 1\n' * 1 + "".join(f"x_{n}_{i} 1\n" for i in range(200)) for n in (1, 2)]
    file.write_text(texts[0])
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            for each in texts:
                other.write_text(each)
                other.replace(file)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        found = collector(tmp_path)
        for _ in range(100):
            error, *lines = page(found)
            assert error == "node_textfile_scrape_error 0"
            assert len(lines) == 201
    finally:
        stop.set()
        thread.join()


def test_names_beyond_ascii_are_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text(
        '# HELP "size of things" How large.\n# TYPE "size of things" gauge\n{"size of things"} 1\n'
        '{ "size of things" , "unit.name"="é",a="1", } 2\n# TYPE h histogram\nh_bucket{"le"="+Inf"} 1\n'
        '{"h_sum"} 2\nh_count 1\nplain{"b c"="1"} 3\n'
    )
    found = collector(tmp_path)
    assert page(found)[0] == "node_textfile_scrape_error 0"
    sizes, histogram, plain = list(found.collect(0.0))[2:]
    assert (sizes.name, sizes.type, sizes.help) == ("size of things", "gauge", "How large.")
    assert (sizes.labels, sizes.samples) == (("a", "unit.name"), [(("", ""), 1), (("1", "é"), 2)])
    assert (histogram.type, plain.labels) == ("histogram", ("b c",))


def test_names_that_no_page_can_carry_cost_only_their_family(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("# TYPE _total counter\n_total 1\nfine 1\n")
    (tmp_path / "b.prom").write_text('clash{"a.b"="1",a_b="2"} 1\n')
    (tmp_path / "c.prom").write_text("good 1\n")
    assert page(collector(tmp_path)) == ["node_textfile_scrape_error 1", "fine 1", "good 1"]


@pytest.mark.parametrize(
    ("content", "where", "expected"),
    [
        (b"a 1\nb 2", "line 2", "a line break"),
        (b"a 1\n\nb \xff\n", "line 3", "UTF-8"),
        (b"a 1 1700000000000\n", "line 1", "no time stamp"),
        (b"a\n", "line 1", "one number"),
        (b"a one\n", "line 1", "a number instead of 'one'"),
        (b"a 1_000\n", "line 1", "a number"),
        (b"a 1e400\n", "line 1", "a number"),
        ("a ٣\n".encode(), "line 1", "a number"),
        (b"9a 1\n", "line 1", "a metric name"),
        (b"{} 1\n", "line 1", "a metric name"),
        (b'a{"b"} 1\n', "line 1", "a metric name"),
        (b"a.b{} 1\n", "line 1", "a metric name"),
        (b"a.b 1\n", "line 1", "a metric name"),
        (b'{"a\\nb"} 1\n', "line 1", "printable"),
        (b'{""} 1\n', "line 1", "printable"),
        (b'{"a","b"} 1\n', "line 1", "labels"),
        (b'{x="1","a"} 1\n', "line 1", "labels"),
        (b'a{"__x"="1"} 1\n', "line 1", "a label name"),
        (b'a{b="1",,} 1\n', "line 1", "labels"),
        (b'# TYPE "a gauge\n', "line 1", "a metric name"),
        (b'a{b="1" 1\n', "line 1", "labels"),
        (b"a{b=1} 1\n", "line 1", "labels"),
        (b'a{b="1"\n', "line 1", "labels"),
        (b'a{b="1" c="2"} 1\n', "line 1", "labels"),
        (b'a{__b="1"} 1\n', "line 1", "a label name"),
        (b'a{b.c="1"} 1\n', "line 1", "a label name"),
        (b'a{b="1",b="2"} 1\n', "line 1", "the label b once"),
        (b'a{b="\\x"} 1\n', "line 1", r"instead of \x"),
        (b"# HELP a b\\q\na 1\n", "line 1", "instead of"),
        (b"# HELP a b\n# HELP a c\n", "line 2", "one HELP of a"),
        (b"# TYPE a gauge\n# TYPE a gauge\n", "line 2", "one TYPE of a"),
        (b"a 1\n# TYPE a gauge\n", "line 2", "before its samples"),
        (b"# TYPE a gauges\n", "line 1", "one of the types"),
        (b'a 1\na{b=""} 1\n', "line 2", "each series once"),
        (b"# TYPE 9 gauge\n", "line 1", "a metric name"),
        (b"a 1\nb 1\nc 1\nd 1\n", "line 4", "at most 3 samples"),
    ],
)
def test_a_fault_names_the_line_and_what_was_expected(content: bytes, where: str, expected: str) -> None:
    with pytest.raises(Malformed) as error:
        read(content, where="x.prom", samples_max=3)
    assert str(error.value).startswith(f"x.prom, {where}: found ")
    assert expected in str(error.value)


def test_blanks_comments_and_carriage_returns_change_nothing() -> None:
    content = b' \t\n#\n# HELP\n# TYPE a\n#x y z\n#HELP a b  c\\n\\\\d\r\n\t a { b = "\\n{}," , } \t +Inf \r\n\n'
    (family,) = read(content, where="x", samples_max=10).families
    assert (family.name, family.type, family.help) == ("a", "untyped", "b  c\n\\d")
    assert family.values == {(("b", "\n{},"),): float("inf")}


@given(st.binary(max_size=200) | st.text(alphabet='ab_{}=",\\n# \n1.eTYPEHLINFNa', max_size=200).map(str.encode))
def test_whatever_is_written_is_read_or_refused(content: bytes) -> None:
    try:
        text = read(content, where="x", samples_max=1000)
    except Malformed:
        return
    assert all(family.values for family in text.families)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), st.text(), max_size=4), st.floats())
def test_what_we_write_is_read_as_it_was(labels: dict[str, str], value: float) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

    pairs = ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())
    (family,) = read(f"x{{{pairs}}} {value}\n".encode(), where="x", samples_max=1).families
    ((found, number),) = family.values.items()
    assert dict(found) == {name: text for name, text in labels.items() if text}
    assert isinstance(number, float | int)
    assert repr(float(number)) == repr(value)
