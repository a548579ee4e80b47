"""What `tocsin check` says of exporter.yml before somebody finds it out at night."""

from pathlib import Path

from exporter.settings import KIND
from guard import configfile


def warned(folder: Path, text: str) -> list[str]:
    path = folder / "exporter.yml"
    path.write_text(text)
    _, found = configfile.read_and_warn(path, KIND, environ={})
    return [str(each).removeprefix(f"{folder}/exporter.yml:") for each in found]


def test_points_of_a_detector_that_there_is_not_are_warned_of(tmp_path: Path) -> None:
    own = "detectors: {own: [{name: card_testing, event: transaction, threshold: 5}]}\n"
    assert warned(tmp_path, own + "reputation: {detectors: {brute_force_address: 60, card_testing: 90}}\n") == []
    (found,) = warned(tmp_path, own + "reputation: {detectors: {brute_force_adress: 60}}\n")
    assert found.startswith(
        "2: reputation.detectors.brute_force_adress: found this key, expected the name of a detector"
    )
    assert found.endswith(", card_testing")
