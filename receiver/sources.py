"""Who may post webhooks. Without `sources` any name may, from this machine only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from guard.peers import is_loopback
from guard.tokens import TokenFile, Unreadable
from receiver.policy.file import SourceFile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Unwelcome(Exception):
    """Not let in. `status` is HTTP's, `reason` a bounded word for the metric; the text is for the sender."""

    def __init__(self, status: int, *, reason: str, text: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(text)


class Sources:
    """The door-keeper of /webhook/SOURCE."""

    def __init__(self, sources: Mapping[str, SourceFile] | None) -> None:
        self._open = sources is None
        self._tokens: dict[str, TokenFile | None] = {
            name: TokenFile(Path(source.token_file)) if source.token_file else None
            for name, source in (sources or {}).items()
        }

    def admit(self, name: str, *, remote: str | None, authorization: str | None) -> None:
        """Raises Unwelcome."""
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
            if not is_loopback(remote):
                raise Unwelcome(
                    403,
                    reason="not_loopback",
                    text=f"source {name!r} has no token_file in the policy: only this machine may post",
                )
            return
        try:
            welcome = token.accepts(authorization)
        except Unreadable as error:
            raise Unwelcome(503, reason="token_file", text=f"the token of source {name!r} cannot be read") from error
        if not welcome:
            raise Unwelcome(401, reason="unauthorized", text=f"source {name!r} needs `Authorization: Bearer <token>`")
