"""What `tocsin check` says of exporter.yml before somebody finds it out at night."""

from pathlib import Path

import pytest

from exporter.settings import KIND
from guard import configfile


def warned(folder: Path, text: str) -> list[str]:
    path = folder / "exporter.yml"
    path.write_text(text)
    _, found = configfile.read_and_warn(path, KIND, environ={})
    return [str(each).removeprefix(f"{folder}/exporter.yml:") for each in found]


def dependency(target: str, *, module: str = "tcp_connect", allow: str = "") -> str:
    return (
        f"probes: {{allow: [{allow}], modules: {{zone: {{prober: dns, dns: {{query_name: example.org}}}}}}}}\n"
        f"health: {{dependencies: {{db: {{probe: {{module: {module}, target: '{target}'}}}}}}}}\n"
    )


@pytest.mark.parametrize(
    ("module", "target", "allow"),
    [
        ("tcp_connect", "127.0.0.1:5432", "'127.0.0.1:5432'"),
        ("postgres", "127.0.0.1", "'127.0.0.0/8:5432'"),
        ("redis", "unix:/run/redis.sock", "'unix:/run/*'"),
        ("zone", "10.0.0.53", "'10.0.0.53:53'"),
        ("http_2xx", "https://shop.example.org/ready?key=s3cret", "'*.example.org:443'"),
        ("file", "/var/backups/db.dump", "'file:/var/backups/*'"),
        ("process", "nginx", "'process:nginx'"),
    ],
)
def test_a_dependency_that_may_not_be_probed_is_warned_of(tmp_path: Path, module: str, target: str, allow: str) -> None:
    assert warned(tmp_path, dependency(target, module=module, allow=allow)) == []
    (found,) = warned(tmp_path, dependency(target, module=module, allow="'192.0.2.1:1'"))
    assert found == (
        "2: health.dependencies.db.probe.target: found a target that is not among probes.allow,"
        " expected one that may be probed"
    )


def test_a_target_that_is_none_is_warned_of_without_repeating_it(tmp_path: Path) -> None:
    (found,) = warned(tmp_path, dependency("s3cret"))
    assert "health.dependencies.db.probe.target: found a target that is none for its module" in found
    assert "HOST:PORT" in found
    assert "s3cret" not in found


def test_points_of_a_detector_that_there_is_not_are_warned_of(tmp_path: Path) -> None:
    own = "detectors: {own: [{name: card_testing, event: transaction, threshold: 5}]}\n"
    assert warned(tmp_path, own + "reputation: {detectors: {brute_force_address: 60, card_testing: 90}}\n") == []
    (found,) = warned(tmp_path, own + "reputation: {detectors: {brute_force_adress: 60}}\n")
    assert found.startswith(
        "2: reputation.detectors.brute_force_adress: found this key, expected the name of a detector"
    )
    assert found.endswith(", card_testing")
