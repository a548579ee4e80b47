"""Whose certificates a channel believes, and by which one it shows who it is: from files, as they are now."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from receiver.channels import Unreachable


def trust(path: Path) -> ssl.SSLContext:
    """Certificates that lead to one of these, and no others. Raises Unreachable: the file may be there again soon."""
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise Unreachable(f"the file of certificates {path.name} holds none that can be read") from None
    except OSError as error:
        raise Unreachable(f"the file of certificates {path.name} cannot be read: {error.strerror}") from None


def show(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    """From now on it shows this certificate to whoever asks. Without `key_file` the key is in the same file. Raises
    Unreachable likewise."""
    where = cert_file.name if key_file is None else f"{cert_file.name} with {key_file.name}"
    try:
        # A key with a password would be asked for on the terminal: nobody is there.
        context.load_cert_chain(cert_file, key_file, password=lambda: "")
    except ssl.SSLError:
        text = f"{where} holds no certificate with its key that can be read without a password"
        raise Unreachable(text) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it has a password"
        raise Unreachable(f"{where} cannot be read: {reason}") from None


class Certificates:
    """The files of one channel. They are read again when they have changed, so that a certificate can be renewed
    without a reload; connections that are open stay."""

    def __init__(
        self, *, ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
    ) -> None:
        self._ca_file = ca_file
        self._cert_file = cert_file
        self._key_file = key_file
        self._stamps: tuple[tuple[int, int], ...] | None = None
        self._context: ssl.SSLContext | None = None

    async def context(self) -> ssl.SSLContext | bool:
        """True: what the system trusts. Raises Unreachable."""
        return await asyncio.to_thread(self.read) if self._ca_file or self._cert_file else True

    def read(self) -> ssl.SSLContext:
        """Likewise, at once."""
        stamps = tuple(_stamp(each) for each in (self._ca_file, self._cert_file, self._key_file) if each is not None)
        if self._context is None or stamps != self._stamps:
            context = ssl.create_default_context() if self._ca_file is None else trust(self._ca_file)
            if self._cert_file is not None:
                show(context, self._cert_file, self._key_file)
            self._context, self._stamps = context, stamps
        return self._context


def why_no_tls(error: ssl.SSLError) -> str:
    """In words, without an address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return f"no TLS with it: {error.reason or type(error).__name__}"


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise Unreachable(f"the file {path.name} cannot be read: {error.strerror}") from None
    return found.st_mtime_ns, found.st_size
