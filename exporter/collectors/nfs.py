"""`nfs`: what the kernel's NFS client has asked of servers."""

from collections.abc import Iterable

from exporter.collectors.files import Paths
from exporter.collectors.options import Option
from exporter.collectors.rpc import VERSION_2, VERSION_3, methods, parse, requests
from exporter.collectors.steady import Steady
from exporter.family import Family, Shape

VERSION_4 = methods(
    "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID"
    " SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink Create Pathconf"
    " StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner Secinfo FsidPresent"
    " ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete LayoutGet GetDeviceInfo"
    " LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession DestroyClientID"
    " Seek Allocate DeAllocate LayoutStats Clone"
)
SIZES = {b"net": 4, b"rpc": 3, b"proc2": len(VERSION_2), b"proc3": len(VERSION_3), b"proc4": len(VERSION_4)}

PACKETS = Shape("node_nfs_packets_total", "counter", "Packets of the NFS client, sent and received.", ("protocol",))
CONNECTIONS = Shape("node_nfs_connections_total", "counter", "TCP connections that the NFS client has made.")
CALLS = Shape("node_nfs_rpcs_total", "counter", "Calls that the NFS client has made.")
RETRANSMISSIONS = Shape("node_nfs_rpc_retransmissions_total", "counter", "Calls that had to be sent again.")
REFRESHES = Shape(
    "node_nfs_rpc_authentication_refreshes_total", "counter", "How often credentials of the client were renewed."
)
REQUESTS = Shape(
    "node_nfs_requests_total", "counter", "Procedures that the NFS client has called.", ("method", "proto")
)


class Nfs:
    name = "nfs"
    help = "The NFS client, from /proc/net/rpc/nfs."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._steady = Steady(f"{paths.procfs}/net/rpc/nfs", families, absent="this machine is no NFS client")

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        return self._steady.families()


def families(content: bytes, where: str) -> Iterable[Family]:
    lines = parse(content, SIZES, where)
    _, udp, tcp, connections = lines[b"net"]
    calls, retransmissions, refreshes = lines[b"rpc"]
    yield PACKETS.of([(("udp",), udp), (("tcp",), tcp)])
    yield CONNECTIONS.single(connections)
    yield CALLS.single(calls)
    yield RETRANSMISSIONS.single(retransmissions)
    yield REFRESHES.single(refreshes)
    yield REQUESTS.of(
        [
            *requests("2", VERSION_2, lines[b"proc2"], VERSION_2),
            *requests("3", VERSION_3, lines[b"proc3"], VERSION_3),
            *requests("4", VERSION_4, lines[b"proc4"], VERSION_4),
        ]
    )
