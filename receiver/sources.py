"""Who may post webhooks. Without `sources` any name may.

A source may have a token of its own, in the policy; a token or a login of the web configuration with the role `source`
(or `admin`) lets in as well. Without either, and as long as nobody is asked who they are, only this machine may post.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from guard.access import Access, Approach, Denied
from guard.callers import Caller
from guard.tokens import TokenFile, Unreadable
from receiver.policy.file import SourceFile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_REASONS = {401: "unauthorized", 403: "not_loopback", 429: "logins", 503: "busy"}


class Unwelcome(Exception):
    """Not let in. `status` is HTTP's, `reason` a bounded word for the metric; the text is for the sender.
    `login` says that they tried to prove who they are; `name` is theirs, where it is one that we know."""

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


class Sources:
    """The door-keeper of /webhook/SOURCE."""

    def __init__(self, sources: Mapping[str, SourceFile] | None, *, access: Access | None = None) -> None:
        self._open = sources is None
        self._access = access or Access(None)
        self._tokens: dict[str, TokenFile | None] = {
            name: TokenFile(Path(source.token_file)) if source.token_file else None
            for name, source in (sources or {}).items()
        }

    def admit(self, name: str, approach: Approach) -> None:
        """Raises Unwelcome; and Unverified where that takes longer: then it is `admit_slowly` that answers."""
        if self._has_own_token(name, approach):
            return
        try:
            caller = self._access.at_once(approach)
        except Denied as denied:
            raise _unwelcome(name, denied) from None
        _check(name, caller)

    async def admit_slowly(self, name: str, approach: Approach) -> None:
        """The same. Raises Unwelcome."""
        if self._has_own_token(name, approach):
            return
        try:
            caller = await self._access.who(approach)
        except Denied as denied:
            raise _unwelcome(name, denied) from None
        _check(name, caller)

    def _has_own_token(self, name: str, approach: Approach) -> bool:
        """Whether it brings the token that the policy gives to this source. Raises Unwelcome where only that would
        do."""
        if _NAME.fullmatch(name) is None:
            raise Unwelcome(
                404,
                reason="source",
                text="a source's name has letters, digits, '_', '.', '-', at most 63 of them",
            )
        if not self._open and name not in self._tokens:
            raise Unwelcome(404, reason="source", text=f"no source {name!r} in the receiver's policy (key `sources`)")
        token = self._tokens.get(name)
        if token is None:
            return False
        try:
            welcome = token.accepts(approach.authorization)
        except Unreadable as error:
            raise Unwelcome(503, reason="token_file", text=f"the token of source {name!r} cannot be read") from error
        if not welcome and not self._access.asks_everybody:
            raise Unwelcome(
                401,
                reason="unauthorized",
                text=f"source {name!r} needs `Authorization: Bearer <token>`",
                headers={"WWW-Authenticate": "Bearer"},
                login=approach.authorization is not None,
            )
        return welcome


def _check(name: str, caller: Caller) -> None:
    if not caller.may_post(name):
        who = f"{caller.name} has the role {caller.role}" + (", for other sources" if caller.sources else "")
        raise Unwelcome(403, reason="role", text=f"posting as {name!r} needs the role source, and {who}")


def _unwelcome(name: str, denied: Denied) -> Unwelcome:
    if denied.status == 403:
        text = f"source {name!r} has no token_file in the policy: only this machine may post"
    elif denied.reason == "anonymous":
        text = f"source {name!r} needs a token or a login: none came"
    else:
        text = str(denied)
    return Unwelcome(
        # Alertmanager repeats nothing that is answered 4xx; a right password must not get lost among wrong ones.
        503 if denied.status == 429 else denied.status,
        reason="unauthorized" if denied.reason == "certificate" else _REASONS[denied.status],
        text=text,
        headers=denied.headers,
        login=denied.login,
        name=denied.name,
    )
