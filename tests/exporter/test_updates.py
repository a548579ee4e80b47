"""Pending updates: from lists of our own, and beside the real apt with a repository of our own."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from exporter.collectors.aptlists import PARAGRAPH_BYTES_MAX, PIECE_BYTES, VERSION_BYTES_MAX
from exporter.collectors.files import Paths
from exporter.collectors.updates import Updates
from exporter.outcome import Absent
from tests.exporter.builders import SURELY, Found, collected
from tests.left_out import left_out

MAIN = "deb.example.invalid_debian_dists_bookworm"
SECURITY = "security.example.invalid_debian-security_dists_bookworm-security"


def package(name: str, version: str, *, architecture: str = "amd64", status: str = "") -> str:
    said = f"Status: {status}\n" if status else ""
    described = "Description: of several lines\n lines\n"
    return f"Package: {name}\n{said}Architecture: {architecture}\nVersion: {version}\n{described}"


def machine(root: Path, *there: str, **lists: str) -> Paths:
    """`there` is installed; `lists` are by `main` and `security`."""
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text("\n".join(there))
    folder = root / "var/lib/apt/lists"
    (folder / "partial").mkdir(parents=True)
    for name, content in lists.items():
        repository = {"main": MAIN, "security": SECURITY}[name]
        (folder / f"{repository}_main_binary-amd64_Packages").write_text(content)
    return Paths(rootfs=str(root))


def here(name: str, version: str, **more: str) -> str:
    return package(name, version, **{"status": "install ok installed", **more})


def counts(found: Found) -> dict[str, float]:
    return {kind: count for (kind,), count in found["security_pending_updates"].items()}


def test_later_versions_are_counted_by_whether_they_are_for_security(tmp_path: Path) -> None:
    paths = machine(
        tmp_path,
        *(here(name, "1.0-1") for name in ("bash", "curl", "git", "zlib")),
        here("gone", "1.0-1", status="deinstall ok config-files"),
        here("held", "1.0-1", status="hold ok installed"),
        main="\n".join(package(name, "1.0-2") for name in ("bash", "curl", "gone", "other")) + "\n",
        security="\n".join(package(name, "1.0-1+deb12u1") for name in ("curl", "held")) + "\n" + package("git", "0.9"),
    )
    found = collected(Updates(paths))
    assert counts(found) == {"security": 2, "other": 1}
    assert found["security_update_lists"] == {("read",): 2, ("unreadable",): 0}


def test_a_package_counts_for_each_architecture_that_is_installed(tmp_path: Path) -> None:
    paths = machine(
        tmp_path,
        here("libc6", "1", architecture="amd64"),
        here("libc6", "2", architecture="i386"),
        here("doc", "1", architecture="all"),
        main="\n".join((package("libc6", "2"), package("libc6", "3", architecture="i386"), package("doc", "2"))),
    )
    assert counts(collected(Updates(paths))) == {"security": 0, "other": 3}


COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_lists_may_be_compressed_and_are_read_piece_by_piece(compression: str, tmp_path: Path) -> None:
    paths = machine(tmp_path, here("last", "1"))
    many = "\n".join(package(f"package-{number}", "1") for number in range(PIECE_BYTES // 40))
    content = COMPRESSIONS[compression](f"{many}\n{package('last', '2')}".encode())
    (tmp_path / f"var/lib/apt/lists/{MAIN}_main_binary-amd64_Packages{compression}").write_bytes(content)
    assert counts(collected(Updates(paths))) == {"security": 0, "other": 1}


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".lz4", b"\x04\x22"),
        (".gz", b"no gzip"),
        (".xz", b"no xz"),
        (".gz", gzip.compress(b"Package: x")[:-9]),
        ("", b"P" * (PARAGRAPH_BYTES_MAX + 1)),
    ],
)
def test_with_a_list_that_cannot_be_read_it_is_not_known(suffix: str, content: bytes, tmp_path: Path) -> None:
    paths = machine(tmp_path, here("bash", "1"), security=package("bash", "2"))
    (tmp_path / f"var/lib/apt/lists/{MAIN}_main_binary-amd64_Packages{suffix}").write_bytes(content)
    found = collected(Updates(paths))
    assert counts(found) == {}
    assert found["security_update_lists"] == {("read",): 1, ("unreadable",): 1}


def test_without_lists_it_is_not_known(tmp_path: Path) -> None:
    paths = machine(tmp_path, here("bash", "1"))
    assert counts(collected(Updates(paths))) == {}
    shutil.rmtree(tmp_path / "var/lib/apt")
    assert counts(collected(Updates(paths))) == {}


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("Origin: x\nLabel: Debian-Security\n", {"security": 1, "other": 0}),
        ("Suite: stable\n", {"security": 0, "other": 1}),
        ("Suite: bookworm-backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n", {"security": 0, "other": 0}),
    ],
)
def test_what_a_repository_says_of_itself_counts(release: str, expected: object, tmp_path: Path) -> None:
    paths = machine(tmp_path, here("bash", "1"), here("git", "1"), main=package("bash", "2"), security="")
    (tmp_path / f"var/lib/apt/lists/{MAIN}_InRelease").write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\n\n{release}")
    assert counts(collected(Updates(paths))) == expected


def test_a_version_that_is_none_is_passed_over(tmp_path: Path) -> None:
    long = package("bash", "9" * (VERSION_BYTES_MAX + 1))
    paths = machine(tmp_path, here("bash", "1"), main=f"{long}\nPackage: bash\nArchitecture: amd64\n")
    assert counts(collected(Updates(paths))) == {"security": 0, "other": 0}


def test_when_the_lists_were_fetched_and_whether_a_restart_is_due(tmp_path: Path) -> None:
    paths = machine(tmp_path, here("bash", "1"))
    for each in ("", "/partial"):
        os.utime(f"{tmp_path}/var/lib/apt/lists{each}", (1, 1_700_000_000))
    updates = Updates(paths)
    found = collected(updates)
    assert found["security_updates_last_refresh_timestamp_seconds"] == {(): 1_700_000_000}
    assert found["security_reboot_required"] == {(): 0}
    (tmp_path / "run").mkdir()
    (tmp_path / "run/reboot-required").touch()
    assert collected(updates)["security_reboot_required"] == {(): 1}


def test_a_machine_without_dpkg_has_no_such_updates(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        collected(Updates(Paths(rootfs=str(tmp_path))))


def apt(root: Path, *arguments: str) -> str:
    if shutil.which("apt-get") is None:
        left_out("apt is not installed: this is no Debian")
    options = {
        "Dir::State": f"{root}/var/lib/apt",
        "Dir::State::status": f"{root}/var/lib/dpkg/status",
        "Dir::Cache": f"{root}/cache",
        "Dir::Etc::sourcelist": f"{root}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::GzipIndexes": "false",
        "APT::Sandbox::User": "root",
        "APT::Architecture": "amd64",
        "APT::Architectures::": "amd64",
        "Debug::NoLocking": "true",
        # Debian's images for containers remove here what they would not need.
        "APT::Update::Post-Invoke": "",
    }
    said = [f"-o{name}={value}" for name, value in options.items()]
    command = ["apt-get", *said, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SURELY, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_what_the_real_apt_would_install(tmp_path: Path) -> None:
    """Versions of all kinds, in three repositories of our own."""
    root, repository = tmp_path / "root", tmp_path / "repository"
    versions = ["1.0", "1.0-1", "1.0-1+deb12u1", "1.0~rc1", "1:0.1", "1.0+b1", "1.0.1", "0.9", "2~", "10"]
    pairs = [
        (f"p{number}{other}", one, two) for number, one in enumerate(versions) for other, two in enumerate(versions)
    ]
    paths = machine(root, *(here(name, one) for name, one, _ in pairs))
    sources = []
    for suite, chosen, more in (
        ("stable", pairs[::2], ""),
        ("stable-security", pairs[1::4], ""),
        ("stable-backports", pairs, "NotAutomatic: yes\n"),
    ):
        folder = repository / "dists" / suite
        packages = folder / "main/binary-amd64/Packages"
        packages.parent.mkdir(parents=True)
        packages.write_text(
            "\n".join(f"{package(name, two)}Filename: x\nSize: 1\nSHA256: {'0' * 64}\n" for name, _, two in chosen)
        )
        (folder / "Release").write_text(f"Suite: {suite}\nComponents: main\nArchitectures: amd64\n{more}")
        sources.append(f"deb [trusted=yes] file:{repository} {suite} main\n")
    (root / "sources.list").write_text("".join(sources))
    (root / "cache/archives/partial").mkdir(parents=True)
    apt(root, "update")
    found = counts(collected(Updates(paths)))
    installs = re.findall(r"^Inst (\S+) .*?\((.*?)\)", apt(root, "-s", "upgrade"), re.MULTILINE)
    security = {name for name, _, two in pairs[1::4]} & {name for name, _ in installs}
    assert len(security) > 5
    assert found == {"security": len(security), "other": len(installs) - len(security)}
