"""The journal of a validation, `rows.jsonl`: a line for each window, and one for each recording that was finished."""

import hashlib
import json
import os
from pathlib import Path
from typing import Final

from lab.data.fingerprint import workers_fingerprint
from lab.data.rows import Row, read_rows

#: Name of the journal in the folder of a validation.
ROWS: Final = "rows.jsonl"
#: Version of the rows' format.
FORMAT: Final = 1


class Journal:
    """The rows of one validation. Lines are appended whole, so that several processes can write.

    Rows of other code, of another length of windows, or measured with other options do not count: their windows are
    measured again.

    folder    of the journal; made if it is missing
    window_s  length of the windows
    options   digest of the options of the analysis
    """

    def __init__(self, folder: Path, window_s: float, options: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / ROWS
        self._made_by = {"format": FORMAT, "code": present_code(), "window_s": window_s, "options": options}

    def rows(self) -> list[Row]:
        """The rows that count, the last one of each window and recording, in the order of files and times."""
        known = {
            (row["file"], row["kind"], row.get("start_s", 0.0)): row
            for row in read_rows(self.path)
            if all(row.get(name) == value for name, value in self._made_by.items())
        }
        return [known[key] for key in sorted(known)]

    def repair(self) -> None:
        """End a line that an interrupted run left incomplete. Call it before the first `add`."""
        if self.path.is_file() and self.path.read_bytes()[-1:] not in {b"", b"\n"}:
            self._append(b"\n")

    def add(self, row: Row) -> None:
        """Append a row."""
        self._append(json.dumps({**row, **self._made_by}, ensure_ascii=False).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        # One write at the file's end, which no other process's can interrupt.
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)


def present_code() -> str:
    """Hash of the code that makes the rows."""
    return workers_fingerprint(vision=True)


def is_window(row: Row) -> bool:
    """Whether the row is that of a window."""
    return bool(row["kind"] == "window")


def digest_of(rows: list[Row]) -> str:
    """SHA-256 of rows, so that what was made of them can name them."""
    lines = (json.dumps(row, sort_keys=True) + "\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
