"""What alerts and dashboards ask for is on the exporters' pages: those of node_exporter's mixin, and our own."""

import re

import yaml

from exporter.mapping.bundled import RULES
from tests.pages import DOCS, ROOT

# What the alerts, the recording rules and the dashboards of node_exporter's mixin ask of a Linux machine.
MIXIN = """
node_bonding_active node_bonding_slaves node_boot_time_seconds node_cpu_seconds_total node_disk_io_time_seconds_total
node_disk_io_time_weighted_seconds_total node_disk_read_bytes_total node_disk_written_bytes_total node_filefd_allocated
node_filefd_maximum node_filesystem_avail_bytes node_filesystem_files node_filesystem_files_free
node_filesystem_readonly node_filesystem_size_bytes node_load1 node_load5 node_load15 node_md_disks
node_md_disks_required node_memory_Buffers_bytes node_memory_Cached_bytes node_memory_MemAvailable_bytes
node_memory_MemFree_bytes node_memory_MemTotal_bytes node_memory_Slab_bytes node_network_receive_bytes_total
node_network_receive_drop_total node_network_receive_errs_total node_network_receive_packets_total
node_network_transmit_bytes_total node_network_transmit_drop_total node_network_transmit_errs_total
node_network_transmit_packets_total node_nf_conntrack_entries node_nf_conntrack_entries_limit node_os_info
node_pressure_cpu_waiting_seconds_total node_pressure_io_waiting_seconds_total
node_pressure_memory_waiting_seconds_total
node_scrape_collector_success node_systemd_service_restart_total node_systemd_unit_state node_textfile_mtime_seconds
node_textfile_scrape_error node_time_seconds node_timex_maxerror_seconds node_timex_offset_seconds
node_timex_sync_status node_uname_info node_vmstat_oom_kill node_vmstat_pgmajfault
"""
# What every Prometheus has without being told.
ITS_OWN = ("up", "ALERTS")
WORDS = """
abs absent and avg bool by changes count delta group_left group_right ignoring increase max min offset on or rate sum
time unless vector without
"""


def documented() -> tuple[set[str], tuple[str, ...]]:
    """Names, and beginnings of names that the kernel chooses."""
    text = (DOCS / "metrics-exporter.md").read_text() + (DOCS / "metrics-receiver.md").read_text()
    return set(re.findall(r"`(\w+)`", text)), tuple(re.findall(r"`(\w+)…`", text))


def names_asked_for() -> set[str]:
    """The metrics in the expressions of the bundled rules."""
    found: set[str] = set()
    for path in sorted((ROOT / "rules" / "bundled").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                # Without what stands in braces, in brackets, and after `by`: labels are no metrics.
                bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring) *\([^)]*\)", " ", rule["expr"])
                found |= set(re.findall(r"\b[a-zA-Z_:][\w:]*", bare)) - {*WORDS.split()}
    return found


def test_every_metric_of_node_exporters_mixin_is_published() -> None:
    names, beginnings = documented()
    assert [name for name in MIXIN.split() if name not in names and not name.startswith(beginnings)] == []


def test_every_metric_of_the_bundled_alerts_is_published() -> None:
    asked = names_asked_for() - set(ITS_OWN)
    assert len(asked) > 10
    of_events = {rule.metric.name for rule in RULES}
    assert asked <= documented()[0] | of_events
