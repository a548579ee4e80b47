"""SCRAM-SHA-256 (RFC 5802, RFC 7677) for a client, as PostgreSQL asks for it. Pure but for the drawing of a nonce."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

NAME = "SCRAM-SHA-256"
# More rounds than that would hold up everybody else.
ITERATIONS_MAX = 100_000
_NONCE_BYTES = 18
_WITHOUT_BINDING = b"n,,"


class NotProven(ValueError):
    """What the server says does not fit."""


class Scram:
    """`first`, then `answer` to what the server says first, then `check` of what it says last."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._nonce = b64encode(secrets.token_bytes(_NONCE_BYTES))
        self._bare = b"n=,r=" + self._nonce  # the name is that of the start-up message
        self._signature = b""

    @property
    def first(self) -> bytes:
        return _WITHOUT_BINDING + self._bare

    def answer(self, said: bytes) -> bytes:
        """Raises NotProven."""
        fields = _fields(said)
        nonce, salt, rounds = fields.get(b"r", b""), fields.get(b"s", b""), fields.get(b"i", b"")
        if not nonce.startswith(self._nonce) or len(nonce) <= len(self._nonce):
            raise NotProven("another nonce than ours")
        if not rounds.isdigit() or not 1 <= int(rounds[:20]) <= ITERATIONS_MAX:
            raise NotProven(f"it wants no rounds, or more than {ITERATIONS_MAX}")
        try:
            salted = hashlib.pbkdf2_hmac("sha256", self._password, b64decode(salt, validate=True), int(rounds))
        except ValueError:
            raise NotProven("a salt that cannot be read") from None
        without_proof = b"c=" + b64encode(_WITHOUT_BINDING) + b",r=" + nonce
        message = b",".join((self._bare, said, without_proof))
        client_key = _mac(salted, b"Client Key")
        signature = _mac(hashlib.sha256(client_key).digest(), message)
        self._signature = _mac(_mac(salted, b"Server Key"), message)
        proof = bytes(ours ^ theirs for ours, theirs in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + b64encode(proof)

    def check(self, said: bytes) -> None:
        """Whether the server knows the password as well. Raises NotProven."""
        try:
            found = b64decode(_fields(said).get(b"v", b""), validate=True)
        except ValueError:
            found = b""
        if not self._signature or not hmac.compare_digest(found, self._signature):
            raise NotProven("the server does not know the password")


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _fields(said: bytes) -> dict[bytes, bytes]:
    return {name: value for name, _, value in (part.partition(b"=") for part in said.split(b","))}
