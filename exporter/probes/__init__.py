"""Is something elsewhere well? One file a way of asking; each asks once, within a deadline, and says why not.

Its files, in the order in which a request for a probe meets them:

    door          GET /probe
    settings      what exporter.yml says of probes
    modules       what it says of a way of asking
    foreseen      what can be said of a target before anybody is asked
    part          the probes in the program, which load nothing before somebody asks
    counts        what is counted of them
    attempt       one probe while it goes on
    probers       who asks, by the word that a module says
    http          a web server
    httpresponse  what it answers, bounded
    matching      regular expressions that hold up nobody
    tcp           whoever listens
    dns           a name server
    dnsmessage    what is asked of it, and what it answers
    redis         Redis
    postgres      PostgreSQL
    scram         how one logs in there
    process       a program on this machine
    file          a file on it
    ground        what every prober stands on
    targets       how a target is written, and where it is
    allow         whether it may be asked
    aside         work that may hang
    wire          a connection
    tls           certificates, and what they say
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from exporter.family import Family


class Probed(msgspec.Struct, frozen=True):
    """`reason` is a bounded word such as `timeout` or `refused`, empty where it went well; `notes` are for people who
    ask with `debug=true`, without secrets."""

    success: bool
    seconds: float
    reason: str = ""
    families: Sequence[Family] = ()
    notes: Sequence[str] = ()


class Prober(Protocol):
    """Never raises, and never takes longer than `seconds` by more than a moment, whatever is at the other end."""

    async def probe(self, module: str, target: str, *, seconds: float) -> Probed: ...
