"""What the exporter knows of the machine: one file a collector, and the tuple that names them all.

A collector reads, parses and yields families; it keeps no clock, catches no error of its own and never
decides how long it may take. The registry runs it in a thread, times it and isolates its failures.

    files         where the kernel's files are, and how they are read
    options       what can be set about a collector
    steady        the families of a file that often stays the same
    asking        file systems are asked for their numbers in threads that can be left behind
    cpuinfo       what /proc/cpuinfo says of processors
    listening     sockets that wait for others, and the list of those that may
    netaddresses  addresses of network devices
    netdevices    files of network devices, which come and go
    netlink       lists that the kernel sends over a socket
    processfiles  what the kernel says of one process
    rpc           the lines of numbers of the NFS client and server
    dbus          questions over D-Bus
    dbusmessage   the bytes of such questions and their answers
    textformat    reads what others have written in the text format
    behind        work that is too slow for a scrape
    fingerprints  what a file is known by
    x509          when certificates are valid
    aptlists      what Debian's tools know of packages
    debversion    which of two versions of a Debian package is the later one
    elsewhere     the collectors of other systems than Linux
    arp … zfs     the collectors, named as in node_exporter, with node_exporter's metrics; but for those of security,
                  which SECURITY names
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from exporter.collectors.arp import Arp
from exporter.collectors.bcache import Bcache
from exporter.collectors.bonding import Bonding
from exporter.collectors.btrfs import Btrfs
from exporter.collectors.certificates import Certificates
from exporter.collectors.conntrack import Conntrack
from exporter.collectors.cpu import Cpu
from exporter.collectors.cpu_vulnerabilities import CpuVulnerabilities
from exporter.collectors.cpufreq import Cpufreq
from exporter.collectors.diskstats import Diskstats
from exporter.collectors.dmi import Dmi
from exporter.collectors.edac import Edac
from exporter.collectors.entropy import Entropy
from exporter.collectors.filefd import Filefd
from exporter.collectors.files import Paths
from exporter.collectors.filesystem import Filesystem
from exporter.collectors.hwmon import Hwmon
from exporter.collectors.interrupts import Interrupts
from exporter.collectors.ipvs import Ipvs
from exporter.collectors.kernel_hung import KernelHung
from exporter.collectors.listening_ports import ListeningPorts
from exporter.collectors.loadavg import Loadavg
from exporter.collectors.mdadm import Mdadm
from exporter.collectors.meminfo import Meminfo
from exporter.collectors.meminfo_numa import MeminfoNuma
from exporter.collectors.netclass import Netclass
from exporter.collectors.netdev import Netdev
from exporter.collectors.netstat import Netstat
from exporter.collectors.nfs import Nfs
from exporter.collectors.nfsd import Nfsd
from exporter.collectors.nvme import Nvme
from exporter.collectors.options import COUNT_MAX as COUNT_MAX
from exporter.collectors.options import Chosen
from exporter.collectors.options import Kind as Kind
from exporter.collectors.options import Option as Option
from exporter.collectors.options import parse as parse
from exporter.collectors.os import Os
from exporter.collectors.powersupplyclass import PowerSupplyClass
from exporter.collectors.pressure import Pressure
from exporter.collectors.process_groups import ProcessGroups
from exporter.collectors.processes import Processes
from exporter.collectors.rapl import Rapl
from exporter.collectors.schedstat import Schedstat
from exporter.collectors.selinux import Selinux
from exporter.collectors.sessions import Sessions
from exporter.collectors.setuid_files import SetuidFiles
from exporter.collectors.sockstat import Sockstat
from exporter.collectors.softnet import Softnet
from exporter.collectors.stat import Stat
from exporter.collectors.systemd import Systemd
from exporter.collectors.tcpstat import Tcpstat
from exporter.collectors.textfile import Textfile
from exporter.collectors.thermal_zone import ThermalZone
from exporter.collectors.time import Time
from exporter.collectors.timex import Timex
from exporter.collectors.udp_queues import UdpQueues
from exporter.collectors.uname import Uname
from exporter.collectors.updates import Updates
from exporter.collectors.vmstat import Vmstat
from exporter.collectors.watchdog import Watchdog
from exporter.collectors.watched_files import WatchedFiles
from exporter.collectors.xfs import Xfs
from exporter.collectors.zfs import Zfs
from exporter.family import Family


class Collector(Protocol):
    """`collect` runs in a thread, never twice at once. `deadline` is a reading of `time.monotonic`."""

    name: str
    help: str

    def collect(self, deadline: float) -> Iterable[Family]: ...


class BuiltIn(Collector, Protocol):
    """A collector of this package: made from the paths, and from what was chosen if it has options."""

    enabled: bool
    options: tuple[Option, ...]

    def __init__(self, *arguments: Any) -> None: ...


def build(kind: type[BuiltIn], paths: Paths, said: Mapping[str, str] | None = None) -> Collector:
    """`said` are options by name, as texts."""
    return kind(paths, Chosen(kind.options, said)) if kind.options else kind(paths)


def prove(kind: type[BuiltIn], said: Mapping[str, str]) -> None:
    """ValueError says which option the collector cannot do with, and why."""
    build(kind, Paths(), said)


# By name. One line each, as more are added all the time.
COLLECTORS: tuple[type[BuiltIn], ...] = (
    Arp,
    Bcache,
    Bonding,
    Btrfs,
    Certificates,
    Conntrack,
    Cpu,
    CpuVulnerabilities,
    Cpufreq,
    Diskstats,
    Dmi,
    Edac,
    Entropy,
    Filefd,
    Filesystem,
    Hwmon,
    Interrupts,
    Ipvs,
    KernelHung,
    ListeningPorts,
    Loadavg,
    Mdadm,
    Meminfo,
    MeminfoNuma,
    Netclass,
    Netdev,
    Netstat,
    Nfs,
    Nfsd,
    Nvme,
    Os,
    PowerSupplyClass,
    Pressure,
    ProcessGroups,
    Processes,
    Rapl,
    Schedstat,
    Selinux,
    Sessions,
    SetuidFiles,
    Sockstat,
    Softnet,
    Stat,
    Systemd,
    Tcpstat,
    Textfile,
    ThermalZone,
    Time,
    Timex,
    UdpQueues,
    Uname,
    Updates,
    Vmstat,
    Watchdog,
    WatchedFiles,
    Xfs,
    Zfs,
)

# Those that the role `security` asks, by name; the role `system` asks the others.
SECURITY: tuple[str, ...] = (
    "certificates",
    "listening_ports",
    "sessions",
    "setuid_files",
    "updates",
    "watched_files",
)

if sys.platform != "linux":
    from exporter.collectors.elsewhere import COLLECTORS as COLLECTORS
