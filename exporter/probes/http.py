"""Does a web server answer as it should? A request over HTTP/1.1, and those that it sends us on to."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from msgspec import Struct

from exporter.probes.attempt import Attempt, Failed
from exporter.probes.ground import Ground, secret_of
from exporter.probes.httpresponse import Response
from exporter.probes.modules import HeaderMatch, Http
from exporter.probes.settings import Module
from exporter.probes.targets import HostPort, WrongTarget, host_port
from exporter.probes.tls import secured
from exporter.probes.wire import connected
from guard.secretive import SECRET_HEADERS
from guard.version import VERSION

PHASES = ("resolve", "connect", "tls", "processing", "transfer")
URL_CHARACTERS_MAX = 8_000
REDIRECTS_MAX = 10

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
# What stays as it is in a path and a query.
_SAFE = "/?&=;:@!$'()*+,~-._%[]|^{}\"`\\<>"
_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


class Url(Struct, frozen=True):
    scheme: str
    at: HostPort
    path: str

    @property
    def host(self) -> str:
        """As the header has it: without the port that is meant anyway."""
        authority = self.at.authority
        return authority.rpartition(":")[0] if self.at.port == _PORTS[self.scheme] else authority

    @property
    def origin(self) -> tuple[str, HostPort]:
        return self.scheme, self.at


def url_of(text: str) -> Url:
    """Raises WrongTarget."""
    written = text if "://" in text else f"http://{text}"
    if len(written) > URL_CHARACTERS_MAX or any(not each.isprintable() for each in written):
        raise WrongTarget("the target is no URL")
    try:
        split = urlsplit(written)
    except ValueError:
        raise WrongTarget("the target is no URL") from None
    if split.scheme.lower() not in _PORTS:
        raise WrongTarget("the target is no URL that begins with http:// or https://")
    if "@" in split.netloc:
        raise WrongTarget("the target has a name or a password in it: basic_auth of a module is the place for them")
    scheme = split.scheme.lower()
    return Url(scheme, host_port(split.netloc, port=_PORTS[scheme]), _path_of(split))


def _path_of(split: SplitResult) -> str:
    return quote(split.path or "/", safe=_SAFE) + (f"?{quote(split.query, safe=_SAFE)}" if split.query else "")


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    await _Asking(attempt, module.http, ground).run(url_of(target))


class _Asking:
    """One probe, over all its requests."""

    def __init__(self, attempt: Attempt, http: Http, ground: Ground) -> None:
        self._attempt = attempt
        self._http = http
        self._ground = ground
        self._phases = dict.fromkeys(PHASES, 0.0)
        self._redirects = 0
        self._over_tls = False
        self._last: Response | None = None
        self._regex_failed = 0

    async def run(self, url: Url) -> None:
        """Raises Failed."""
        try:
            await self._until_the_last(url)
            await self._judge()
        finally:
            self._tell()

    async def _until_the_last(self, first: Url) -> None:
        url, method = first, self._http.method
        while True:
            response = await self._ask(url, method, first)
            location = response.first("location")
            follows = self._http.follow_redirects and response.status in _REDIRECTS and location is not None
            if not follows or response.status in self._http.valid_status_codes:
                return
            self._redirects += 1
            if self._redirects > REDIRECTS_MAX:
                raise Failed("redirect", f"more than {REDIRECTS_MAX} redirects")
            try:
                url = url_of(urljoin(f"{url.scheme}://{url.at.authority}{url.path}", location))
            except ValueError:
                raise Failed("redirect", "the redirect leads nowhere") from None
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method = "HEAD" if method == "HEAD" else "GET"

    async def _ask(self, url: Url, method: str, first: Url) -> Response:
        attempt, http = self._attempt, self._http
        # What stands behind a question mark may be a secret of the target's.
        attempt.note(f"{method} {url.scheme}://{url.at.authority}{url.path.partition('?')[0]}")
        began = attempt.elapsed
        try:
            place = await self._ground.at(
                attempt, url.at, prefer=http.preferred_ip_protocol, fall_back=http.ip_protocol_fallback
            )
        except Failed as error:
            if error.reason == "not_allowed" and self._redirects:
                raise Failed("redirect", f"the redirect leads to what is {error}") from None
            raise
        finally:
            began = self._spent("resolve", began)
        response = Response(
            method=method,
            body_bytes_max=http.body_bytes_max,
            keep=bool(http.fail_if_body_matches_regexp or http.fail_if_body_not_matches_regexp),
        )
        self._last, self._over_tls = response, url.scheme == "https"
        async with connected(place) as wire:
            began = self._spent("connect", began)
            if self._over_tls:
                await secured(attempt, wire, self._ground.contexts, http.tls_config, host=place.host)
                began = self._spent("tls", began)
            wire.send(self._request(url, method, first))
            phase = "processing"
            try:
                while not response.done:
                    data = await wire.some()
                    began = self._spent(phase, began)
                    phase = "transfer"
                    if data:
                        response.take(data)
                    else:
                        response.end()
            finally:
                self._spent(phase, began)
        attempt.note(f"HTTP/{response.version} {response.status}, {response.body_bytes} bytes")
        return response

    def _spent(self, phase: str, since: float) -> float:
        now = self._attempt.elapsed
        self._phases[phase] += now - since
        return now

    def _request(self, url: Url, method: str, first: Url) -> bytes:
        """Raises Failed."""
        http, same = self._http, url.origin == first.origin
        headers = {
            "host": url.host,
            "user-agent": f"Tocsin/{VERSION}",
            "accept": "*/*",
            "connection": "close",
        }
        body = http.body.encode() if method == http.method else b""
        if body or method in ("POST", "PUT", "PATCH"):
            headers["content-length"] = str(len(body))
        if same and self._attempt.hostname:
            headers["host"] = self._attempt.hostname
        for name, value in http.headers.items():
            # Nobody else is told what is meant for the one that was asked.
            if same or name.lower() not in (*SECRET_HEADERS, "host"):
                headers[name.lower()] = value
        if same:
            headers.update(self._credentials())
        lines = "".join(f"{name.title()}: {value}\r\n" for name, value in headers.items())
        return f"{method} {url.path} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def _credentials(self) -> Iterator[tuple[str, str]]:
        if self._http.basic_auth is not None:
            password = secret_of(self._http.basic_auth.password_file)
            pair = b64encode(f"{self._http.basic_auth.username}:{password}".encode()).decode()
            yield "authorization", f"Basic {pair}"
        if self._http.bearer_token_file is not None:
            token = secret_of(self._http.bearer_token_file)
            if not token.isprintable() or not token.isascii():
                raise Failed("secret", "the file with the token holds what cannot be a token")
            yield "authorization", f"Bearer {token}"

    async def _judge(self) -> None:
        """Raises Failed."""
        http, response = self._http, self._last
        assert response is not None
        valid = http.valid_status_codes
        if response.status not in valid if valid else not 200 <= response.status < 300:
            expected = ", ".join(map(str, valid)) or "2xx"
            raise Failed("status", f"the status is {response.status}, expected {expected}")
        if http.fail_if_ssl and self._over_tls:
            raise Failed("tls", "the last answer came over TLS (fail_if_ssl)")
        if http.fail_if_not_ssl and not self._over_tls:
            raise Failed("tls", "the last answer came without TLS (fail_if_not_ssl)")
        version = f"HTTP/{response.version}"
        if http.valid_http_versions and version not in http.valid_http_versions:
            raise Failed("protocol", f"the version is not among {', '.join(http.valid_http_versions)}")
        await self._match(response)

    async def _match(self, response: Response) -> None:
        http = self._http
        body = response.body.decode("utf-8", "replace")
        checks = [(False, "fail_if_body_matches_regexp", [(each, body)]) for each in http.fail_if_body_matches_regexp]
        checks += [
            (True, "fail_if_body_not_matches_regexp", [(each, body)]) for each in http.fail_if_body_not_matches_regexp
        ]
        for wanted, key, matches in (
            (False, "fail_if_header_matches", http.fail_if_header_matches),
            (True, "fail_if_header_not_matches", http.fail_if_header_not_matches),
        ):
            for each in matches:
                if (pairs := self._of_header(response, each)) is not None:
                    checks.append((wanted, key, pairs))
        found = iter(await self._ground.matching.search([pair for _, _, pairs in checks for pair in pairs]))
        for wanted, key, pairs in checks:
            hits = [next(found) for _ in pairs]
            if any(hits) is not wanted:
                self._regex_failed = 1
                raise Failed("content", f"{key}: {'not found' if wanted else 'found'}")

    def _of_header(self, response: Response, match: HeaderMatch) -> list[tuple[str, str]] | None:
        """None where a header is not there and need not be. Raises Failed."""
        values = response.all(match.header)
        if not values and match.allow_missing:
            return None
        if not values:
            self._regex_failed = 1
            raise Failed("content", f"the header {match.header} is not there")
        return [(match.regexp, value) for value in values]

    def _tell(self) -> None:
        gauge, response = self._attempt.gauge, self._last
        self._attempt.labelled(
            "probe_http_duration_seconds",
            "How long each phase took, over all redirects.",
            "phase",
            self._phases,
        )
        headers_there = response is not None and response.head_done
        length = response.first("content-length") if response is not None and headers_there else None
        gauge(
            "probe_http_status_code",
            "The status of the last answer; 0 without one.",
            0 if response is None else response.status,
        )
        gauge(
            "probe_http_content_length",
            "The length that the last answer says of its body; -1 where it says none.",
            float(length) if length is not None and length.isdecimal() and len(length) < 20 else -1,
        )
        gauge(
            "probe_http_uncompressed_body_length",
            "How many bytes of the body of the last answer came.",
            0 if response is None else response.body_bytes,
        )
        gauge("probe_http_redirects", "How many redirects were followed.", self._redirects)
        gauge("probe_http_ssl", "1 if the last answer was asked for over TLS.", float(self._over_tls))
        gauge(
            "probe_failed_due_to_regex", "1 if a regular expression of the module is why it failed.", self._regex_failed
        )
        version = response.version if response is not None and headers_there else ""
        gauge("probe_http_version", "The version of HTTP of the last answer; 0 without one.", float(version or 0))
        modified = response.first("last-modified") if response is not None else None
        with suppress(ValueError):
            gauge(
                "probe_http_last_modified_timestamp_seconds",
                "When the last answer says that it was changed, in seconds since 1970.",
                datetime.strptime(modified or "", _HTTP_DATE).replace(tzinfo=UTC).timestamp(),
            )
