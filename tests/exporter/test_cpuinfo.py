"""What /proc/cpuinfo says, when somebody asks for it."""

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import cpuinfo
from exporter.collectors.cpu import Cpu
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.options import Chosen
from tests.exporter.builders import FIXTURE_PATHS

INFO = {"info": "true"}
ARM = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd crc32
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd08
CPU revision\t: 3

Hardware\t: BCM2835
"""


def collected(paths: Paths, said: dict[str, str]) -> dict[str, dict[tuple[str, ...], float]]:
    families = Cpu(paths, Chosen(Cpu.options, said)).collect(time.monotonic() + 30)
    return {family.name: dict(family.samples) for family in families}


def procfs(folder: Path, content: str) -> Paths:
    (folder / "stat").write_text("cpu0 1 2 3 4\n")
    (folder / "cpuinfo").write_text(content)
    return Paths(str(folder), "/nonexistent", "/")


@given(
    content=st.one_of(
        st.binary(max_size=200), st.binary(max_size=60).map(lambda rest: b"processor : 0\ncpu MHz :" + rest)
    )
)
def test_a_broken_file_is_malformed_and_never_another_error(content: bytes) -> None:
    with contextlib.suppress(Malformed):
        list(cpuinfo.frequencies(cpuinfo.parse(content), "cpuinfo"))


def test_processors_are_described_with_what_the_kernel_says_of_each() -> None:
    found = collected(FIXTURE_PATHS, INFO)
    assert found["node_cpu_info"] == {
        ("0", "4", "0", "GenuineCrow", "25", "1", 'Crow "Seven" 7', "0x1000065", "3", "512 KB"): 1,
        ("1", "0", "1", "GenuineCrow", "", "", "", "", "", ""): 1,
    }
    labels = "package core cpu vendor family model model_name microcode stepping cachesize"
    assert " ".join(cpuinfo.INFO.labels) == labels
    assert not {"node_cpu_flag_info", "node_cpu_bug_info"} & set(found)
    assert "node_cpu_info" not in collected(FIXTURE_PATHS, {})


def test_flags_and_bugs_of_the_first_processor_are_shown_as_far_as_they_are_wanted() -> None:
    found = collected(FIXTURE_PATHS, {"info.flags-include": "^(sse|avx)", "info.bugs-include": "_v"})
    assert found["node_cpu_flag_info"] == {("sse",): 1, ("sse2",): 1, ("avx2",): 1}
    assert found["node_cpu_bug_info"] == {("spectre_v1",): 1, ("spectre_v2",): 1}
    assert len(found["node_cpu_info"]) == 2
    assert "node_cpu_bug_info" not in collected(FIXTURE_PATHS, {"info.bugs-include": "none"})


def test_frequencies_are_told_where_no_driver_knows_them() -> None:
    assert "node_cpu_frequency_hertz" not in collected(FIXTURE_PATHS, INFO)
    virtual = FIXTURE_PATHS._replace(sysfs="/nonexistent")
    assert collected(virtual, INFO)["node_cpu_frequency_hertz"] == {
        ("0", "4", "0"): 2_445_426_000,
        ("1", "0", "1"): 800_000_000,
    }


def test_a_frequency_is_read_at_each_scrape(tmp_path: Path) -> None:
    collector = Cpu(procfs(tmp_path, "processor : 0\ncpu MHz : 800.5\n"), Chosen(Cpu.options, INFO))
    for megahertz, hertz in ((800.5, 800_500_000), (900, 900_000_000)):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\ncpu MHz : {megahertz}\n")
        (frequency,) = [each for each in collector.collect(1.0) if each.name == "node_cpu_frequency_hertz"]
        assert dict(frequency.samples) == {("", "", "0"): hertz}


def test_a_processor_of_another_kind_has_what_it_says_and_no_frequency(tmp_path: Path) -> None:
    found = collected(procfs(tmp_path, ARM), {"info.flags-include": "."})
    assert found["node_cpu_info"] == {("", "", "0", "0x41", "8", "0xd08", "", "", "3", ""): 1}
    assert found["node_cpu_flag_info"] == {("fp",): 1, ("asimd",): 1, ("crc32",): 1}
    assert "node_cpu_frequency_hertz" not in found


def test_what_is_wrong_is_an_error_that_names_the_file_until_it_is_right_again(tmp_path: Path) -> None:
    collector = Cpu(procfs(tmp_path, "Hardware : none\n"), Chosen(Cpu.options, INFO))
    for content, said in (
        ("Hardware : none\n", "found 'Hardware : none.n', expected a block of lines"),
        ("processor : 0\ncpu MHz : fast\n", "found 'cpu MHz : fast', expected a number of MHz"),
    ):
        (tmp_path / "cpuinfo").write_text(content)
        for _ in range(2):
            with pytest.raises(Malformed, match=f"{tmp_path}/cpuinfo: {said}"):
                collector.collect(1.0)
    (tmp_path / "cpuinfo").write_text(ARM)
    assert "node_cpu_info" in {family.name for family in collector.collect(1.0)}
