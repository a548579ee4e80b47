"""A command line that was written for node_exporter: what is said about its flags that are none here.

What both have has the same name and is simply a flag. This is about the rest: names that node_exporter itself has given
up, collectors that only it has, and what is about its own insides. The answer says what to write instead.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence

from exporter.collectors import COLLECTORS

# node_exporter's collectors on Linux, those of its newest version included.
COLLECTORS_THERE = """
arp bcache bcachefs bonding btrfs buddyinfo cgroups conntrack cpu cpu_vulnerabilities cpufreq diskstats dmi
drbd drm edac entropy ethtool fibrechannel filefd filesystem hwmon infiniband interrupts ipvs kernel_hung ksmd
lnstat loadavg logind mdadm meminfo meminfo_numa mountstats netclass netdev netstat network_route nfs nfsd ntp
nvme os pcidevice perf powersupplyclass pressure processes qdisc rapl runit schedstat selinux slabinfo
sockstat softirqs softnet stat supervisord swap sysctl systemd tapestats tcpstat textfile thermal_zone time
timex udp_queues uname vmstat watchdog wifi xfrm xfs zfs zoneinfo
"""
OUTSIDE = "leave it out: the numbers come from the kernel's files, where they are the same"
INSTEAD = {
    "--collector.arp.netlink": OUTSIDE,
    "--collector.diskstats.ignored-devices": "use --collector.diskstats.device-exclude",
    "--collector.filesystem.ignored-fs-types": "use --collector.filesystem.fs-types-exclude",
    "--collector.filesystem.ignored-mount-points": "use --collector.filesystem.mount-points-exclude",
    "--collector.netclass.netlink": OUTSIDE,
    "--collector.netclass_rtnl.with-stats": OUTSIDE,
    "--collector.netdev.device-blacklist": "use --collector.netdev.device-exclude",
    "--collector.netdev.device-whitelist": "use --collector.netdev.device-include",
    "--collector.netdev.enable-detailed-metrics": "leave it out: it gives metrics other names than dashboards ask for",
    "--collector.netdev.ignored-devices": "use --collector.netdev.device-exclude",
    "--collector.netdev.netlink": OUTSIDE,
    "--collector.qdisk.device-exclude": "leave it out: there is no collector qdisc here",
    "--collector.qdisk.device-include": "leave it out: there is no collector qdisc here",
    "--collector.systemd.unit-blacklist": "use --collector.systemd.unit-exclude",
    "--collector.systemd.unit-whitelist": "use --collector.systemd.unit-include",
    "--help-long": "use --help",
    "--help-man": "use --help",
    "--runtime.gomaxprocs": "leave it out: it is about Go",
}


# Flags there that are not called after their collector.
ALIASES = {"--collector.powersupply.ignored-supplies": "--collector.powersupplyclass.ignored-supplies"}


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The namespace; a flag that is none ends the process with status 2, and with what to use instead.

    To switch off a collector that only node_exporter has is no mistake: it does not run here either.
    """
    said = [_here(word) for word in (sys.argv[1:] if argv is None else argv)]
    arguments, unknown = parser.parse_known_args([word for word in said if not _is_off_anyway(word)])
    if unknown:
        parser.error(explained(unknown, re.findall(r"--[a-z][\w.-]*", parser.format_help())))
    return arguments


def _here(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{ALIASES.get(name, name)}{equals}{value}"


def _is_off_anyway(word: str) -> bool:
    collector = word.removeprefix("--no-collector.")
    return word != collector and collector in COLLECTORS_THERE.split() and collector not in _ours()


def _ours() -> set[str]:
    return {each.name for each in COLLECTORS}


def explained(unknown: Sequence[str], known: Sequence[str]) -> str:
    """What is wrong with the first flag that is none."""
    for word in unknown:
        if word.startswith("-"):
            name = word.partition("=")[0]
            return f"found {name}: {_instead(name) or _nothing_here(name, known)}"
    return f"found {unknown[0]!r}, expected flags alone"


def _instead(name: str) -> str:
    if name in INSTEAD:
        return INSTEAD[name]
    negated = "no-" if name.startswith("--no-") else ""
    _, _, words = name.partition("collector.")
    collector, _, option = words.partition(".")
    if not words or f"--{negated}collector.{words}" != name:
        return ""
    if collector in _ours():
        return f"the collector {collector} has no option {option}" if option else ""
    if collector not in COLLECTORS_THERE.split():
        return ""
    return "there is no such collector here; docs/node-exporter.md says why"


def _nothing_here(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return "there is no such flag" + (f" (did you mean {near[0]}?)" if near else "; --help tells them all")
