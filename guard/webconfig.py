"""The web configuration in force: read at the start, and again when it or a certificate changes. No restart.

A file that has faults later leaves the one before in force, as a policy with faults does: half a change, such as a new
certificate beside the old key, must not close the doors. The log says what is wrong, once for each change, and
`successful` is for a metric. What cannot change while a program runs is whether it speaks TLS; and whoever has to say
who they are must do so until a restart, as a file that is just being written may be empty for a moment.
"""

import logging
import os
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from guard import configfile, tls
from guard.callers import Caller, Role
from guard.configfile import Fault, InvalidConfig, Kind, Problem
from guard.limits import Buckets
from guard.passwords import check_hash, nobodys_hash
from guard.peers import san_of
from guard.tokens import SETTLED_SECONDS, digest_of
from guard.webfile import RateLimit, WebFile, check_interval, interval_seconds, problems

log = logging.getLogger("tocsin.web")


def _check_cipher(text: str) -> None:
    if text not in tls.CIPHER_NAMES:
        raise ValueError(f"one of: {', '.join(tls.CIPHER_NAMES)}")


def _prove(file: WebFile) -> Iterator[Problem]:
    if file.tls_server_config is not None:
        yield from tls.problems(file.tls_server_config)


KIND = Kind(
    name="web",
    struct=WebFile,
    title="Tocsin's web.yml",
    description="TLS, users, tokens and roles of a program's doors: Prometheus' web configuration, and more.",
    file_names=("web.yml", "web.yaml", "*.web.yml"),
    check=problems,
    prove=_prove,
    formats={"bcrypt": check_hash, "cipher": _check_cipher, "interval": check_interval},
)


class Known(msgspec.Struct, frozen=True):
    """What a web configuration says, ready for use."""

    users: dict[str, str]  # names, and hashes of their passwords
    tokens: dict[bytes, Caller]  # by the digest of the token
    roles: dict[str, Role]
    headers: dict[str, str]
    nobodys_hash: str
    allowed_sans: frozenset[str]
    all_requests: Buckets | None  # of everybody together

    @property
    def asks_everybody(self) -> bool:
        """Whether everybody must say who they are."""
        return bool(self.users or self.tokens)

    def role_of(self, name: str) -> Role:
        return self.roles.get(name, Role.VIEWER)


class WebConfig:
    """One file, and what it names. The first reading raises InvalidConfig, the later ones never do."""

    def __init__(self, path: Path, *, environ: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._environ = environ
        self._clock = clock
        self._config = _Watched([path], clock=clock)
        self.successful = True
        self._put_in_force(configfile.read(path, KIND, environ=environ))

    @property
    def speaks_tls(self) -> bool:
        return self._context is not None

    def now(self) -> Known:
        """For a request."""
        if self._config.changed():
            self._read_again()
        return self._known

    def context(self) -> ssl.SSLContext:
        """For a connection. Only where TLS is spoken."""
        if self._config.changed() or self._named.changed():
            self._read_again()
        assert self._context is not None
        return self._context

    def server_context(self) -> ssl.SSLContext | None:
        """What to listen with."""
        return tls.Renewed(self.context) if self.speaks_tls else None

    def _read_again(self) -> None:
        try:
            file = configfile.read(self._path, KIND, environ=self._environ)
            if (file.tls_server_config is not None) is not self.speaks_tls:
                raise self._fault(
                    "tls_server_config", "nothing" if self.speaks_tls else "TLS", "what it was at the start"
                )
            if self._known.asks_everybody and not (file.basic_auth_users or file.tokens):
                raise self._fault("", "neither users nor tokens, which would let everybody in unasked", "some")
            self._put_in_force(file)
        except InvalidConfig as invalid:
            self.successful = False
            log.error("the web configuration has faults: the one before stays", extra={"faults": str(invalid)})
        else:
            self.successful = True
            log.info("web configuration loaded", extra={"file": str(self._path)})

    def _fault(self, path: str, found: str, expected: str) -> InvalidConfig:
        """What only the next start takes."""
        return InvalidConfig([Fault(str(self._path), 0, path, found, f"{expected}, or a restart")])

    def _put_in_force(self, file: WebFile) -> None:
        server = file.tls_server_config
        named = (server.cert_file, server.key_file, server.client_ca_file) if server else ()
        watched = _Watched([Path(each) for each in named if each is not None], clock=self._clock)
        self._context = _context(self._path, file)
        self._named = watched
        self._known = Known(
            users=file.basic_auth_users,
            tokens={
                bytes.fromhex(each.hash.removeprefix("sha256:")): Caller(each.role, each.name, tuple(each.sources))
                for each in file.tokens
            },
            roles=file.roles,
            headers={name: value for name, value in file.http_server_config.headers.items() if value},
            nobodys_hash=nobodys_hash(file.basic_auth_users.values()),
            allowed_sans=frozenset(map(san_of, server.client_allowed_sans if server else ())),
            all_requests=_limiter(file.rate_limit),
        )


def _limiter(limit: RateLimit) -> Buckets | None:
    seconds = interval_seconds(limit.interval)
    return Buckets(burst=limit.burst, per_second=1 / seconds) if seconds else None


def _context(path: Path, file: WebFile) -> ssl.SSLContext | None:
    if file.tls_server_config is None:
        return None
    try:
        return tls.context_of(file.tls_server_config)
    except (OSError, ValueError):  # it changed since it was proved, a moment ago
        raise InvalidConfig(
            Fault(str(path), 0, ".".join(map(str, each.path)), each.found, each.expected)
            for each in tls.problems(file.tls_server_config)
        ) from None


class _Watched:
    """Whether files changed since they were last looked at. A file that just changed may change again and look the
    same; until it is settled, what is in it is compared."""

    def __init__(self, paths: list[Path], *, clock: Callable[[], float]) -> None:
        self._paths = [os.fspath(path) for path in paths]  # for each request: a Path would take twice as long
        self._clock = clock
        self._signatures, self._settled = self._look()
        self._content = self._contents()

    def changed(self) -> bool:
        signatures, settled = self._look()
        if signatures == self._signatures and self._settled:
            return False
        content = self._contents()
        self._signatures, self._settled = signatures, settled
        before, self._content = self._content, content
        return content != before

    def _look(self) -> tuple[list[tuple[int, ...] | None], bool]:
        signatures: list[tuple[int, ...] | None] = []
        latest = 0.0
        for path in self._paths:
            try:
                found = os.stat(path)
            except OSError:
                signatures.append(None)
                continue
            signatures.append((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
            latest = max(latest, found.st_mtime, found.st_ctime)
        return signatures, self._clock() - latest > SETTLED_SECONDS

    def _contents(self) -> list[bytes | None]:
        return [_digest_of_file(path) for path in self._paths]


def _digest_of_file(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return digest_of(file.read(configfile.FILE_BYTES_MAX + 1))
    except OSError:
        return None
