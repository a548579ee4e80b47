"""Certificates in files: those that the real openssl makes, read as openssl itself reads them, and broken ones."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.certificates import FILE_BYTES_MAX, FILES_MAX, Certificates
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.options import Chosen
from exporter.collectors.x509 import CERTIFICATES_MAX, Validity, validities
from tests.exporter.builders import SURELY, Found, collected
from tests.left_out import left_out

EXPIRY = "security_certificate_expiry_timestamp_seconds"
KEYS = {
    "rsa": ("rsa:2048",),
    "ec": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    "ed25519": ("ed25519",),
}


def openssl(*arguments: str, told: bytes = b"") -> bytes:
    if shutil.which("openssl") is None:
        left_out("openssl is not installed")
    done = subprocess.run(["openssl", *arguments], input=told, capture_output=True, check=True, timeout=SURELY)
    return done.stdout


def made(folder: Path, *, key: str = "ec", days: int = 30) -> bytes:
    """A certificate as PEM; its key is beside it."""
    subject = ("-subj", "/O=Crow/CN=crow.invalid", "-days", str(days))
    return openssl("req", "-x509", "-nodes", "-newkey", *KEYS[key], "-keyout", str(folder / "key.pem"), *subject)


def dates(pem: bytes) -> Validity:
    """As openssl reads them."""
    lines = openssl("x509", "-noout", "-dates", told=pem).decode().splitlines()
    begin, end = (ssl.cert_time_to_seconds(line.partition("=")[2]) for line in lines)
    return Validity(begin, end)


def certificates(root: Path, files: str, *, now: float = 0.0) -> Certificates:
    return Certificates(Paths(rootfs=str(root)), Chosen(Certificates.options, {"files": files}), now=lambda: now)


def states(found: Found) -> dict[str, float]:
    return {state: count for (state,), count in found["security_certificate_files"].items() if count}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("days", [1, 40_000])
def test_both_times_are_those_that_openssl_reads(key: str, days: int, tmp_path: Path) -> None:
    pem = made(tmp_path, key=key, days=days)
    der = openssl("x509", "-outform", "DER", told=pem)
    assert validities(pem) == validities(der) == [dates(pem)]


def test_a_certificate_of_the_first_version_has_them_too(tmp_path: Path) -> None:
    made(tmp_path)
    request = openssl("req", "-new", "-key", str(tmp_path / "key.pem"), "-subj", "/CN=crow")
    pem = openssl("x509", "-req", "-key", str(tmp_path / "key.pem"), "-days", "9", told=request)
    assert validities(pem) == [dates(pem)]


def test_text_and_keys_around_certificates_are_passed_over(tmp_path: Path) -> None:
    first, second = made(tmp_path, days=9), made(tmp_path, days=3)
    key = (tmp_path / "key.pem").read_bytes()
    bundle = b"# ours\r\n" + key + first.replace(b"\n", b"\r\n") + second
    assert validities(bundle) == [dates(first), dates(second)]


def test_what_this_machine_trusts_is_read_as_openssl_reads_it() -> None:
    bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    if not Path(bundle).is_file():
        left_out("no bundle of certificates is installed (Debian's package ca-certificates)")
    context = ssl.create_default_context(cafile=bundle)
    expected = {ssl.cert_time_to_seconds(str(each["notAfter"])) for each in context.get_ca_certs()}
    assert expected <= {each.not_after for each in validities(Path(bundle).read_bytes())}


def test_of_several_in_a_file_the_first_that_ends_counts(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(made(tmp_path, days=9) + (shorter := made(tmp_path, days=3)))
    found = collected(certificates(tmp_path, "/chain.pem"))
    assert found[EXPIRY] == {("/chain.pem",): dates(shorter).not_after}


@pytest.mark.parametrize(
    ("when", "state"), [(-1.0, "not_yet_valid"), (0.0, "valid"), (86_399.0, "valid"), (86_401.0, "expired")]
)
def test_files_are_counted_by_what_they_are_now(when: float, state: str, tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(pem := made(tmp_path, days=1))
    now = dates(pem).not_before + when
    assert states(collected(certificates(tmp_path, "/a.pem", now=now))) == {state: 1}


def test_what_cannot_be_read_is_counted_and_has_no_time(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("no certificate")
    (tmp_path / "b.pem").mkdir()
    (tmp_path / "c.pem").write_bytes(b" " * (FILE_BYTES_MAX + 1))
    found = collected(certificates(tmp_path, "/?.pem,/missing.pem"))
    assert states(found) == {"unreadable": 4}
    assert found[EXPIRY] == {}


def test_without_files_there_is_nothing_but_zeros(tmp_path: Path) -> None:
    found = collected(certificates(tmp_path, ""))
    assert states(found) == {}
    assert found[EXPIRY] == {}


def test_only_so_many_files_are_read(tmp_path: Path) -> None:
    for number in range(FILES_MAX + 9):
        (tmp_path / f"{number}.pem").touch()
    assert states(collected(certificates(tmp_path, "/*.pem"))) == {"unreadable": FILES_MAX}


def test_a_file_with_too_many_is_refused(tmp_path: Path) -> None:
    pem = made(tmp_path)
    assert len(validities(pem * CERTIFICATES_MAX)) == CERTIFICATES_MAX
    with pytest.raises(Malformed, match="at most 500"):
        validities(pem * (CERTIFICATES_MAX + 1))


WHOLE = bytes.fromhex("3029302702010130003000301e170d3236303130313030303030305a170d3236303730313030303030305a")


def test_the_smallest_that_could_be_one_is_read() -> None:
    assert validities(WHOLE) == [Validity(1767225600.0, 1782864000.0)]


@given(content=st.binary(max_size=200))
def test_what_is_none_is_malformed_and_nothing_else(content: bytes) -> None:
    for each in (content, b"-----BEGIN CERTIFICATE-----" + content + b"-----END"):
        with contextlib.suppress(Malformed):
            validities(each)


@given(place=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255), end=st.integers(0, len(WHOLE)))
def test_no_change_of_one_makes_it_fail_in_another_way(place: int, value: int, end: int) -> None:
    changed = WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :]
    for each in (changed, WHOLE[:end]):
        with contextlib.suppress(Malformed):
            validities(each)


def test_beginnings_without_an_end_hold_up_nobody() -> None:
    content = b"-----BEGIN CERTIFICATE-----" * 4_000
    began = time.process_time()
    with pytest.raises(Malformed):
        validities(content)
    assert time.process_time() - began < 1


def test_what_is_wrong_repeats_nothing_of_the_file() -> None:
    with pytest.raises(Malformed) as raised:
        validities(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    assert "c2VjcmV0" not in str(raised.value)
