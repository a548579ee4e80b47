"""Authorities and certificates that they signed, made by openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.left_out import left_out


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path

    def client_context(self, authority: Path) -> ssl.SSLContext:
        """For a client that has this certificate, and believes that authority."""
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


def authority(folder: Path, name: str = "authority") -> Pair:
    return _made(folder, name, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")


def signed(folder: Path, by: Pair, name: str, *, file: str | None = None) -> Pair:
    """For a server on this machine as well as for a client of that name."""
    more = ["-CA", str(by.certificate), "-CAkey", str(by.key), "-addext", "basicConstraints=critical,CA:FALSE"]
    more += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"]
    return _made(folder, name, *more, file=file)


def _made(folder: Path, name: str, *more: str, file: str | None = None) -> Pair:
    openssl = shutil.which("openssl")
    if openssl is None:
        reason = "openssl is not installed (Debian's package openssl; `make test` as root installs it)"
        left_out(reason)
    pair = Pair(folder / f"{file or name}.pem", folder / f"{file or name}.key")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", *more, "-keyout", str(pair.key), "-out", str(pair.certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return pair
