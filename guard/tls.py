"""TLS as a web configuration asks for it. What Python cannot do is a fault of the file, never a weaker connection."""

import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping

from guard.faults import Problem
from guard.webfile import TlsFile

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_VERIFYING = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Go's names of those suites before TLS 1.3 that both Go and OpenSSL take for secure. Those of TLS 1.3 cannot be chosen.
CIPHERS: Mapping[str, str] = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
_NOT_CHOSEN = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
CIPHER_NAMES = (*CIPHERS, *_NOT_CHOSEN)


class Renewed(ssl.SSLContext):
    """What a server listens with: each connection begins with the context that is right at that moment."""

    _current: Callable[[], ssl.SSLContext]

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> "Renewed":
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._current = current
        return made

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return self._current().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def context_of(file: TlsFile) -> ssl.SSLContext:
    """Raises OSError or ValueError; `problems` says in words what is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of what the file asks for
        context.minimum_version = VERSIONS[file.min_version]
        context.maximum_version = VERSIONS[file.max_version]
    suites = [CIPHERS[name] for name in file.cipher_suites if name in CIPHERS]
    if suites:
        context.set_ciphers(":".join(suites))
    if file.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(file.cert_file, file.key_file, password=_no_password)
    if file.client_ca_file is not None:
        context.load_verify_locations(file.client_ca_file)
    context.verify_mode = _VERIFYING[file.client_auth_type]
    return context


def problems(file: TlsFile) -> Iterator[Problem]:
    """What is wrong with the files that it names."""
    try:
        context_of(file)
    except (OSError, ValueError) as error:
        yield Problem(
            ("tls_server_config",),
            f"files that cannot be used ({_in_words(error)})",
            "a certificate, its own key without a password, and certificates of authorities, as PEM",
        )


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise ValueError("the key has a password")


def _in_words(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
