"""The schema files for editors."""

import json
from pathlib import Path

from guard.configfile import schema
from tests.guard.kinds import POLICY, STRICT
from tocsin import schemas


def test_each_kind_has_its_file_and_writing_again_changes_no_byte(tmp_path: Path) -> None:
    written = schemas.write(tmp_path / "schemas", (POLICY, STRICT))
    assert [path.name for path in written] == ["policy.schema.json", "strict.schema.json"]
    before = [path.read_bytes() for path in written]
    schemas.write(tmp_path / "schemas", (POLICY, STRICT))
    assert [path.read_bytes() for path in written] == before


def test_a_schema_file_is_sorted_indented_and_ends_with_a_line_break(tmp_path: Path) -> None:
    (path,) = schemas.write(tmp_path, (POLICY,))
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == schema(POLICY)
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
