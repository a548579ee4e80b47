"""Who a caller is: by a bearer token, by a login, by a certificate that TLS has verified, or by where they are.

Where nothing is configured this machine may do everything, and what callers from elsewhere may do is up to the program.
Once there are users or tokens, everybody says who they are, this machine too.

`at_once` answers without waiting; only a password that was not right before must be verified, which takes long on
purpose (passwords.py). Logins that fail are counted by address, and after some of them an address waits. Whoever has
the right token, or a password that was right before, is let in all the same.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from guard.callers import THIS_MACHINE, Caller, Role
from guard.limits import Buckets, network_of
from guard.passwords import Busy, Passwords
from guard.peers import is_loopback, name_in, sans_in
from guard.tokens import digest_of

if TYPE_CHECKING:  # what reads the file is not paid for by those who are given none
    from guard.webconfig import Known, WebConfig

FAILED_LOGINS_MAX = 10
FAILED_LOGINS_PER_SECOND = 1 / 6
BUSY_SECONDS = 5
REALM = "tocsin"


class Approach(NamedTuple):
    """What a request brings that tells who asks."""

    remote: str | None
    authorization: str | None
    certificate: Mapping[str, object] | None = None


class Denied(Exception):
    """Not known, or not now. `status` is HTTP's, `reason` a bounded word for a metric; the text is for the caller.
    `login` says that somebody tried to log in and could not; `name` is theirs, where it is one that we know."""

    def __init__(
        self,
        status: int,
        *,
        reason: str,
        text: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        login: bool = False,
        name: str = "",
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.login = login
        self.name = name
        super().__init__(text)


class Unverified(Exception):
    """A password has to be verified first: `who` does that."""


class Access:
    """`strangers` is the role of callers from elsewhere while nobody is asked who they are; None: they have none."""

    def __init__(
        self,
        web: WebConfig | None,
        *,
        strangers: Role | None = None,
        failures: Buckets | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self._web = web
        self._strangers = strangers
        if failures is None:
            failures = Buckets(burst=FAILED_LOGINS_MAX, per_second=FAILED_LOGINS_PER_SECOND)
        self._failures = failures
        self._passwords = passwords or Passwords()

    @property
    def asks_everybody(self) -> bool:
        return self._web is not None and self._web.now().asks_everybody

    @property
    def headers(self) -> Mapping[str, str]:
        """For each answer."""
        return {} if self._web is None else self._web.now().headers

    def take_one(self) -> float:
        """Of the requests that everybody together may make; after how many seconds there is one again, or 0."""
        limiter = None if self._web is None else self._web.now().all_requests
        return 0.0 if limiter is None else limiter.take("")

    def at_once(self, approach: Approach) -> Caller:
        """Raises Denied, and Unverified where it takes longer."""
        known = None if self._web is None else self._web.now()
        if known is not None and known.allowed_sans and not known.allowed_sans & sans_in(approach.certificate):
            text = "the certificate has none of the names that are let in"
            raise Denied(403, reason="certificate", text=text)
        if known is None or not known.asks_everybody:
            return self._by_place(approach, known)
        scheme, _, rest = (approach.authorization or "").partition(" ")
        match scheme.lower():
            case "":
                raise Denied(401, reason="anonymous", text="say who you are", headers=_challenge(known))
            case "bearer":
                caller = known.tokens.get(digest_of(rest.strip().encode("utf-8", "surrogateescape")))
                if caller is None:
                    raise self._failed(approach, known)
                return caller
            case "basic":
                return self._by_password(approach, known)
        raise self._failed(approach, known)

    async def who(self, approach: Approach) -> Caller:
        """Raises Denied."""
        try:
            return self.at_once(approach)
        except Unverified:
            pass
        assert self._web is not None
        known = self._web.now()
        # Taken before it is known whether the password is right: many at once are not more than one after the other.
        network = network_of(approach.remote)
        self._refuse_after(self._failures.take(network))
        name, password = _login(approach)
        hashed = known.users.get(name)
        try:
            right = await self._passwords.verify(password, hashed or known.nobodys_hash)
        except Busy:
            self._failures.give_back(network)
            headers = {"Retry-After": str(BUSY_SECONDS)}
            raise Denied(503, reason="busy", text="too many logins at once: try again", headers=headers) from None
        if not right or hashed is None:
            raise _wrong(known, name=name if hashed else "")
        self._failures.give_back(network)
        return Caller(known.role_of(name), name)

    def close(self) -> None:
        self._passwords.close()

    def _by_place(self, approach: Approach, known: Known | None) -> Caller:
        if is_loopback(approach.remote):
            return THIS_MACHINE
        name = name_in(approach.certificate)
        if known is not None and name:
            return Caller(known.role_of(name), name)
        if self._strangers is not None:
            return Caller(self._strangers)
        raise Denied(
            403,
            reason="not_loopback",
            text="only this machine is served: users or tokens in --web.config.file let others in",
        )

    def _by_password(self, approach: Approach, known: Known) -> Caller:
        name, password = _login(approach)
        hashed = known.users.get(name)
        if hashed is not None and self._passwords.is_known(password, hashed):
            return Caller(known.role_of(name), name)
        raise Unverified

    def _failed(self, approach: Approach, known: Known) -> Denied:
        """Counts it."""
        self._refuse_after(self._failures.take(network_of(approach.remote)))
        return _wrong(known)

    def _refuse_after(self, seconds: float) -> None:
        if seconds > 0:
            wait = ceil(seconds)
            headers = {"Retry-After": str(wait)}
            text = f"too many logins failed from this address: try again in {wait} s"
            raise Denied(429, reason="logins", text=text, headers=headers, login=True)


def _wrong(known: Known, *, name: str = "") -> Denied:
    """It says the same, whatever was wrong."""
    text = "the token, or the name or the password, is not right"
    return Denied(401, reason="login", text=text, headers=_challenge(known), login=True, name=name)


def _login(approach: Approach) -> tuple[str, bytes]:
    """The name and the password of a basic login; empty ones, which nobody has, where it is none."""
    _, _, encoded = (approach.authorization or "").partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip().encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return "", b""
    name, _, password = decoded.partition(b":")
    return name.decode("utf-8", "replace"), password


def _challenge(known: Known) -> Mapping[str, str]:
    schemes = [
        *([f'Basic realm="{REALM}", charset="UTF-8"'] if known.users else []),
        *([f'Bearer realm="{REALM}"'] if known.tokens else []),
    ]
    return {"WWW-Authenticate": ", ".join(schemes)}
