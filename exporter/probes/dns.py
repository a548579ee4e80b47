"""Does a name server answer, and what? The target is the server; the module says what it is asked."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

from exporter.probes import dnsmessage
from exporter.probes.attempt import Attempt, Failed
from exporter.probes.dnsmessage import TYPES, Malformed, Message
from exporter.probes.ground import Ground
from exporter.probes.matching import Matching
from exporter.probes.modules import Dns, Records
from exporter.probes.settings import Module
from exporter.probes.targets import Place
from exporter.probes.tls import secured
from exporter.probes.wire import connected, failed

PORT, TLS_PORT = 53, 853
PHASES = ("resolve", "connect", "request")
# Datagrams that are not the answer; the one after them ends the probe.
STRAY_MAX = 20


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    dns, phases = module.dns, dict.fromkeys(PHASES, 0.0)
    try:
        place = await ground.place(
            attempt,
            target,
            port=TLS_PORT if dns.dns_over_tls else PORT,
            prefer=dns.preferred_ip_protocol,
            fall_back=dns.ip_protocol_fallback,
        )
        phases["resolve"] = attempt.elapsed
        if place.address is None:
            raise Failed("target", "a name server has no Unix socket")
        identifier = secrets.randbelow(1 << 16)
        asked = dnsmessage.question(identifier, dns.query_name, dns.query_type, recursion_desired=dns.recursion_desired)
        attempt.note(f"asking for {dns.query_type} of {dns.query_name} over {dns.transport_protocol}")
        if dns.transport_protocol == "udp":
            answer = await _over_udp(attempt, place, asked, identifier, dns, phases)
        else:
            answer = await _over_tcp(attempt, ground, place, asked, identifier, dns, phases)
    finally:
        attempt.labelled("probe_dns_duration_seconds", "How long each phase took.", "phase", phases)
    _tell(attempt, answer, dns)
    valid = dns.valid_rcodes or ("NOERROR",)
    if answer.rcode not in valid:
        raise Failed("status", f"the answer is {answer.rcode}, expected {', '.join(valid)}")
    if answer.truncated:
        raise Failed("too_large", "the answer is cut off: transport_protocol: tcp gets the whole of it")
    for section, records, rules in (
        ("answer", answer.answer, dns.validate_answer_rrs),
        ("authority", answer.authority, dns.validate_authority_rrs),
        ("additional", answer.additional, dns.validate_additional_rrs),
    ):
        await _judge(ground.matching, section, [record.text for record in records], rules)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, identifier: int, dns: Dns) -> None:
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._identifier = identifier
        self._dns = dns
        self._stray = 0

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the kernel lets no other in
        if self.answer.done():
            return
        try:
            self.answer.set_result(_fitting(data, self._identifier, self._dns))
        except Failed as error:
            # Anybody can send a datagram; the answer may still come.
            self._stray += 1
            if self._stray > STRAY_MAX:
                self.answer.set_exception(error)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(failed(exc))


async def _over_udp(
    attempt: Attempt, place: Place, asked: bytes, identifier: int, dns: Dns, phases: dict[str, float]
) -> Message:
    began = attempt.elapsed
    try:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(identifier, dns), remote_addr=(str(place.address), place.port)
        )
    except OSError as error:
        raise failed(error) from None
    phases["connect"] = attempt.elapsed - began
    try:
        transport.sendto(asked)
        return await protocol.answer
    finally:
        phases["request"] = attempt.elapsed - began - phases["connect"]
        with suppress(RuntimeError):
            transport.abort()


async def _over_tcp(
    attempt: Attempt, ground: Ground, place: Place, asked: bytes, identifier: int, dns: Dns, phases: dict[str, float]
) -> Message:
    began = attempt.elapsed
    async with connected(place) as wire:
        if dns.dns_over_tls:
            await secured(attempt, wire, ground.contexts, dns.tls_config, host=place.host)
        phases["connect"] = attempt.elapsed - began
        try:
            wire.send(len(asked).to_bytes(2, "big") + asked)
            size = int.from_bytes(await wire.exactly(2), "big")
            return _fitting(await wire.exactly(size), identifier, dns)
        finally:
            phases["request"] = attempt.elapsed - began - phases["connect"]


def _fitting(data: bytes, identifier: int, dns: Dns) -> Message:
    """Raises Failed for what is not the answer to our question."""
    try:
        found = dnsmessage.parse(data)
    except Malformed as error:
        raise Failed("protocol", f"no message of DNS: {error}") from None
    name = "." if dns.query_name == "." else dns.query_name.removesuffix(".") + "."
    question = (name.lower(), TYPES[dns.query_type])
    # Who answers with an error may leave the question out.
    if not found.is_answer or found.identifier != identifier or found.question not in (question, None):
        raise Failed("protocol", "an answer to another question")
    if found.question is None and found.rcode == "NOERROR":
        raise Failed("protocol", "an answer without its question")
    return found


def _tell(attempt: Attempt, answer: Message, dns: Dns) -> None:
    sections = {"answer": answer.answer, "authority": answer.authority, "additional": answer.additional}
    for name, records in sections.items():
        attempt.gauge(f"probe_dns_{name}_rrs", f"How many records are in the part {name}.", len(records))
        for record in records[:20]:
            attempt.note(f"{name}: {record.text}")
    succeeded = answer.rcode in (dns.valid_rcodes or ("NOERROR",))
    attempt.gauge("probe_dns_query_succeeded", "1 if there was an answer that is valid.", float(succeeded))
    if dns.query_type == "SOA":
        serials = [record.serial for record in answer.answer if record.serial is not None]
        if serials:
            attempt.gauge("probe_dns_serial", "The serial number of the zone.", serials[-1])


async def _judge(matching: Matching, section: str, texts: list[str], rules: Records) -> None:
    """Raises Failed."""
    for key, fails in (
        ("fail_if_matches_regexp", any),
        ("fail_if_all_match_regexp", lambda hits: bool(hits) and all(hits)),
        ("fail_if_not_matches_regexp", lambda hits: not hits or not all(hits)),
        ("fail_if_none_matches_regexp", lambda hits: not any(hits)),
    ):
        for expression in getattr(rules, key):
            if fails(await matching.search([(expression, text) for text in texts])):
                raise Failed("content", f"validate_{section}_rrs.{key}: the {len(texts)} records are not so")
