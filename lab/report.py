"""A measured report: JSON and Markdown files, and a summary of one line."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

#: Default folder of reports.
FOLDER: Final = Path("bench-out")


@dataclass
class Report:
    """A table with notes and a summary, filled row by row."""

    name: str
    title: str
    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    def add(self, *row: object) -> None:
        """Add a row; one cell for each column."""
        self.rows.append(row)

    @property
    def markdown(self) -> str:
        """The report as a Markdown section."""
        head = ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        body = ["| " + " | ".join(format_cell(cell) for cell in row) + " |" for row in self.rows]
        return "\n".join([f"# {self.title}", "", machine(), "", *head, *body, "", *self.notes, ""])

    def write(self, folder: Path = FOLDER) -> Path:
        """Write `NAME.json` and `NAME.md` to `folder`; returns the path of the latter."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        body = {"title": self.title, "machine": machine(), "rows": rows, "notes": self.notes, "summary": self.summary}
        (folder / f"{self.name}.json").write_text(json.dumps(body, indent=2) + "\n")
        path = folder / f"{self.name}.md"
        path.write_text(self.markdown)
        return path


def format_cell(cell: object) -> str:
    """A cell as text; floats with three significant digits."""
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def machine() -> str:
    """Cores, architecture and Python version of this machine."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def spread(values: Sequence[float]) -> Mapping[str, float]:
    """Median, minimum and maximum of `values`."""
    return {"median": median(values), "min": min(values), "max": max(values)}
