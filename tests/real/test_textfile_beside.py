"""Files of metrics beside the real node_exporter: what it reads in a file, the exporter reads in it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen
from exporter.collectors.textfile import Textfile
from exporter.exposition import Format, render
from tests.real.peer import Families, families, fetch, node_exporter

NAMES = ("a", "b_total", "c:d", "e_count", "f_bytes", "g_sum", "_h")
TYPES = ("", "counter", "gauge", "untyped")
# What both take for a number, in several ways of writing it; a counter of ours is not negative.
NUMBERS = st.sampled_from(["0", "1", "007", "1.5", ".5", "5.", "1e3", "1E-3", "+7", "Inf", "+Inf", "inf", "1e308"])
OTHER_NUMBERS = st.sampled_from(["-1", "-Inf", "NaN", "nan", "-0.25"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
LABELS = st.dictionaries(st.sampled_from(["x", "Y_2", "_z", "le", "quantile"]), TEXTS, max_size=3)
BLANKS = st.sampled_from([" ", "  ", "\t", " \t "])

HISTOGRAM = (
    '# TYPE h histogram\nh_bucket{le="0.5",x="1"} 2\nh_bucket{x="1",le="+Inf"} 3\nh_sum{x="1"} 4.5\nh_count{x="1"} 3\n'
)
SUMMARY = (
    '# HELP s A \\\\ and\\nmore.\n# TYPE s summary\ns{quantile="0.5"} 2\ns{quantile="0.9"} NaN\ns_sum 4.5\ns_count 3\n'
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A text as others may write it: legal, but not tidy."""
    lines = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4)):
        kind = draw(st.sampled_from(TYPES))
        lines += draw(
            st.sampled_from([[], [f"# HELP {name} Some \\n help."], [f"#\tHELP  {name}"], ["", " # said by"]])
        )
        lines += [f"# TYPE {name} {kind}"] if kind else []
        numbers = NUMBERS if kind == "counter" else NUMBERS | OTHER_NUMBERS
        for labels in draw(st.lists(LABELS, unique_by=meaning, max_size=3)):
            pairs = draw(st.sampled_from([",", ", ", " , "])).join(
                f'{key}="{escaped(text)}"' for key, text in labels.items()
            )
            braces = (
                f"{{{pairs}{draw(st.sampled_from(['', ',']))}}}" if pairs else draw(st.sampled_from(["", "{}", "{ }"]))
            )
            lines.append(f"{name}{braces}{draw(BLANKS)}{draw(numbers)}")
    return "\n".join([*lines, ""]) + draw(st.sampled_from(["", HISTOGRAM, SUMMARY, HISTOGRAM + SUMMARY]))


def meaning(labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    """An empty label says the same as none."""
    return frozenset(item for item in labels.items() if item[1])


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text")


@pytest.fixture(scope="module")
def theirs(directory: Path, needs: Callable[[str], str]) -> Iterator[str]:
    flags = ("--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={directory}")
    with node_exporter(needs("prometheus-node-exporter"), *flags) as address:
        yield f"{address}/metrics"


def read(page: str) -> dict[str, dict[frozenset[tuple[str, str]], str]]:
    """Series by name; a value as text, as NaN is not equal to itself."""
    found: Families = families(page)
    return {
        name: {labels: str(float(value)) for labels, value in family.series.items()}
        for name, family in found.items()
        if not name.startswith("node_scrape_")
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(content=files())
def test_what_is_legal_is_read_alike(directory: Path, theirs: str, content: str) -> None:
    (directory / "it.prom").write_text(content)
    collector = Textfile(Paths(), Chosen(Textfile.options, {"directory": str(directory)}))
    ours = render(collector.collect(float("inf")), Format.TEXT).decode()
    assert "node_textfile_scrape_error 0\n" in ours
    assert read(ours) == read(fetch(theirs))
