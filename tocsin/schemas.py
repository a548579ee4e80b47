"""The JSON Schemas of every kind of configuration file, written out for editors.

    python -m tocsin.schemas        writes docs/schemas/ of the repository that this file is in

The same schemas are generated again at each reading; these files are for people, and a test may hold them
against what is generated, because they come out the same byte for byte.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from guard.configfile import Kind, schema


def write(folder: Path, kinds: Iterable[Kind[Any]]) -> list[Path]:
    """Writes `<kind>.schema.json` for each kind, and returns the paths in the order of the kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_written(folder / file_name(kind), kind) for kind in kinds]


def file_name(kind: Kind[Any]) -> str:
    """The name under which a configuration file's first line refers to its schema."""
    return f"{kind.name}.schema.json"


def _written(path: Path, kind: Kind[Any]) -> Path:
    text = json.dumps(schema(kind), indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8", newline="\n")
    return path


def main() -> int:
    # Only here: the rest of this module serves any kinds that it is handed.
    from tocsin.kinds import KINDS

    repository = Path(__file__).resolve().parent.parent
    for path in write(repository / "docs" / "schemas", KINDS):
        sys.stdout.write(f"{path.relative_to(repository)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
