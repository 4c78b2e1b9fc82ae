"""Rows of measurements in a journal: JSON objects, one a line."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(journal: Path) -> list[Row]:
    """All rows of a journal; empty without the file. An incomplete last line is left out."""
    if not journal.is_file():
        return []
    found = []
    for line in journal.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found
