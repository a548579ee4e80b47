"""What is off by default: interrupts, weaknesses of processors, tasks that hung, memory by NUMA node."""

import os
from pathlib import Path

import pytest

from exporter.collectors.cpu_vulnerabilities import CpuVulnerabilities
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.interrupts import Interrupts
from exporter.collectors.kernel_hung import KernelHung
from exporter.collectors.meminfo_numa import MeminfoNuma
from exporter.collectors.options import Chosen
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, collected

NOWHERE = Paths("/nonexistent", "/nonexistent", "/nonexistent")


INTERRUPTS = {
    ("0", "0", "IO-APIC", "2-edge timer"): 17,
    ("2", "0", "IO-APIC", "2-edge timer"): 0,
    ("0", "16", "IO-APIC", "16-fasteoi ehci_hcd:usb1, mmc0"): 3,
    ("2", "16", "IO-APIC", "16-fasteoi ehci_hcd:usb1, mmc0"): 4410,
    ("0", "NMI", "Non-maskable interrupts", ""): 2,
    ("2", "NMI", "Non-maskable interrupts", ""): 5,
    ("0", "IPI0", "Rescheduling interrupts", ""): 2091,
    ("2", "IPI0", "Rescheduling interrupts", ""): 9182,
}


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ({}, {"0", "16", "NMI", "IPI0"}),
        ({"name-include": "mmc0|^NMI;"}, {"16", "NMI"}),
        ({"name-exclude": ";IO-APIC;"}, {"NMI", "IPI0"}),
        ({"name-include": "never"}, set()),
    ],
)
def test_interrupts_by_processor_and_device_as_far_as_they_are_wanted(said: dict[str, str], kinds: set[str]) -> None:
    found = collected(Interrupts(FIXTURE_PATHS, Chosen(Interrupts.options, said)))
    expected = {labels: count for labels, count in INTERRUPTS.items() if labels[1] in kinds}
    assert found.get("node_interrupts_total", {}) == expected


def test_interrupts_that_never_came_can_be_left_out() -> None:
    found = collected(Interrupts(FIXTURE_PATHS, Chosen(Interrupts.options, {"include-zeros": "false"})))
    assert ("2", "0", "IO-APIC", "2-edge timer") not in found["node_interrupts_total"]
    assert len(found["node_interrupts_total"]) == len(INTERRUPTS) - 1


def test_weaknesses_of_processors_and_what_is_done_about_them() -> None:
    assert collected(CpuVulnerabilities(FIXTURE_PATHS)) == {
        "node_cpu_vulnerabilities_info": {
            ("l1tf", "not affected", ""): 1,
            ("mds", "vulnerable", "Clear CPU buffers attempted, no microcode"): 1,
            ("meltdown", "vulnerable", ""): 1,
            ("new_one", "unknown", "KVM: Nobody knows"): 1,
            ("spectre_v1", "mitigation", "usercopy/swapgs barriers and __user pointer sanitization"): 1,
            ("srbds", "unknown", "Dependent on hypervisor status"): 1,
        }
    }


def test_a_weakness_that_cannot_be_read_is_left_out_and_a_strange_name_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "devices/system/cpu/vulnerabilities"
    (folder / "a_folder").mkdir(parents=True)
    (folder / os.fsdecode(b'odd "\xff"')).write_text("Not affected\n")
    found = collected(CpuVulnerabilities(Paths(sysfs=str(tmp_path))))
    assert found == {"node_cpu_vulnerabilities_info": {('odd "\\xff"', "not affected", ""): 1}}


def test_tasks_that_hung(tmp_path: Path) -> None:
    assert collected(KernelHung(FIXTURE_PATHS)) == {"node_kernel_hung_tasks_total": {(): 3}}
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/hung_task_detect_count").write_text("many\n")
    with pytest.raises(Malformed, match="hung_task_detect_count: found 'many"):
        collected(KernelHung(Paths(procfs=str(tmp_path))))


def test_memory_of_each_node() -> None:
    assert collected(MeminfoNuma(FIXTURE_PATHS)) == {
        "node_memory_numa_MemTotal": {("0",): 1871074 * 1024, ("1",): 1871075 * 1024},
        "node_memory_numa_Active_anon": {("0",): 512 * 1024, ("1",): 513 * 1024},
        "node_memory_numa_HugePages_Total": {("0",): 0, ("1",): 1},
        "node_memory_numa_numa_hit_total": {("0",): 193460335812, ("1",): 193460335812},
        "node_memory_numa_numa_miss_total": {("0",): 12624580, ("1",): 12624581},
    }


@pytest.mark.parametrize("kind", [CpuVulnerabilities, KernelHung, MeminfoNuma])
def test_where_the_kernel_has_nothing_of_the_kind_nothing_has_failed(
    kind: type[CpuVulnerabilities | KernelHung | MeminfoNuma],
) -> None:
    with pytest.raises(Absent):
        collected(kind(NOWHERE))


def test_nobody_is_shown_any_of_this_without_asking() -> None:
    assert not any(kind.enabled for kind in (CpuVulnerabilities, Interrupts, KernelHung, MeminfoNuma))
