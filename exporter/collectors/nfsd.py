"""`nfsd`: what the kernel's NFS server was asked for, and how it answered."""

from collections.abc import Iterable

from exporter.collectors.files import Paths
from exporter.collectors.options import Option
from exporter.collectors.rpc import VERSION_2, VERSION_3, methods, parse, requests
from exporter.collectors.steady import Steady
from exporter.family import Family, Shape

# Operations of version 4 by their number in the protocol. node_exporter shows those that are in SHOWN_4.
VERSION_4 = methods(
    "0 1 2 Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup LookupRoot"
    " Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH PutPubFH PutRootFH Read ReadDir ReadLink Remove Rename Renew"
    " RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify Write RelLockOwner"
)
UNSHOWN_4 = ("0", "1", "2", "PutPubFH", "PutRootFH", "SetClientID", "SetClientIDConfirm")
SHOWN_4 = tuple(method for method in VERSION_4 if method not in UNSHOWN_4)
SIZES = {
    b"rc": 3,
    b"fh": 1,
    b"io": 2,
    b"th": 1,
    b"ra": 12,
    b"net": 4,
    b"rpc": 5,
    b"proc2": len(VERSION_2),
    b"proc3": len(VERSION_3),
    b"proc4ops": len(VERSION_4),
}

HITS = Shape("node_nfsd_reply_cache_hits_total", "counter", "Calls that came again and were answered from the cache.")
MISSES = Shape("node_nfsd_reply_cache_misses_total", "counter", "Calls whose answers went into the cache.")
UNCACHED = Shape("node_nfsd_reply_cache_nocache_total", "counter", "Calls whose answers need no cache.")
STALE = Shape("node_nfsd_file_handles_stale_total", "counter", "Files that clients asked for and that were gone.")
READ = Shape("node_nfsd_disk_bytes_read_total", "counter", "Bytes that the NFS server has read.")
WRITTEN = Shape("node_nfsd_disk_bytes_written_total", "counter", "Bytes that the NFS server has written.")
THREADS = Shape("node_nfsd_server_threads", "gauge", "Threads of the NFS server.")
READ_AHEAD_SIZE = Shape("node_nfsd_read_ahead_cache_size_blocks", "gauge", "Size of the cache for reading ahead.")
READ_AHEAD_MISSES = Shape(
    "node_nfsd_read_ahead_cache_not_found_total", "counter", "What was looked for in that cache and not found."
)
PACKETS = Shape("node_nfsd_packets_total", "counter", "Packets of the NFS server, sent and received.", ("proto",))
CONNECTIONS = Shape("node_nfsd_connections_total", "counter", "TCP connections that clients have made.")
ERRORS = Shape("node_nfsd_rpc_errors_total", "counter", "Calls that the NFS server refused, by reason.", ("error",))
CALLS = Shape("node_nfsd_server_rpcs_total", "counter", "Calls that the NFS server has taken.")
REQUESTS = Shape(
    "node_nfsd_requests_total", "counter", "Procedures of the NFS server that were called.", ("method", "proto")
)


class Nfsd:
    name = "nfsd"
    help = "The NFS server, from /proc/net/rpc/nfsd."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._steady = Steady(f"{paths.procfs}/net/rpc/nfsd", families, absent="this machine is no NFS server")

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        return self._steady.families()


def families(content: bytes, where: str) -> Iterable[Family]:
    lines = parse(content, SIZES, where)
    for shape, number in zip((HITS, MISSES, UNCACHED), lines[b"rc"], strict=True):
        yield shape.single(number)
    yield STALE.single(lines[b"fh"][0])
    for shape, number in zip((READ, WRITTEN), lines[b"io"], strict=True):
        yield shape.single(number)
    yield THREADS.single(lines[b"th"][0])
    yield READ_AHEAD_SIZE.single(lines[b"ra"][0])
    yield READ_AHEAD_MISSES.single(lines[b"ra"][-1])
    _, udp, tcp, connections = lines[b"net"]
    yield PACKETS.of([(("udp",), udp), (("tcp",), tcp)])
    yield CONNECTIONS.single(connections)
    calls, _, ill_formed, unauthenticated, cint = lines[b"rpc"]
    yield ERRORS.of([(("fmt",), ill_formed), (("auth",), unauthenticated), (("cInt",), cint)])
    yield CALLS.single(calls)
    yield REQUESTS.of(
        [
            *requests("2", VERSION_2, lines[b"proc2"], VERSION_2[1:]),
            *requests("3", VERSION_3, lines[b"proc3"], VERSION_3[1:]),
            *requests("4", VERSION_4, lines[b"proc4ops"], SHOWN_4),
        ]
    )
