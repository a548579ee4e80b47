"""`tocsin up` before it starts anything; the rest is in tests/real/test_up.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin import up


@pytest.mark.parametrize("program", ["", "RECEIVER_", "EXPORTER_"])
def test_it_does_not_wait_for_programs_that_would_speak_tls(
    tmp_path: Path, program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"TOCSIN_{program}WEB_CONFIG_FILE"
    with pytest.raises(SystemExit) as raised:
        up.main([f"--data-dir={tmp_path / 'data'}"], {name: "web.yml"})
    assert raised.value.code == 2
    assert f"found {name} in the environment, expected none" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
