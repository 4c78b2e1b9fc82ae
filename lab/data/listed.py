"""Recordings that a table lists: a CSV file with a row for each video, for recordings of your own (docs/validate.md).

The table has a header. `file` is the video's path, relative to the table; every other column may be missing, and a cell
may be empty. Columns are separated by commas, or by semicolons with decimal commas, as spreadsheets write them.
"""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from lab.arrays import Floats
from lab.data.labelled import LabelledRecording, Person, clip_frames, sex_of
from lab.data.recording import NoRecordings, RecordingUnreadable
from lab.data.reference import BeatTimes, Reference, References, constants
from workers.media.clip import Frame

#: Columns with a reference for the whole file, by the names that they may have.
_VITALS: Final = {
    "heart_rate": "heart_rate",
    "hr": "heart_rate",
    "pulse": "heart_rate",
    "respiration_rate": "respiration_rate",
    "respiration": "respiration_rate",
    "oxygen_saturation": "oxygen_saturation",
    "spo2": "oxygen_saturation",
}
#: Other columns, by the names that they may have.
_OTHERS: Final = {
    **{name: name for name in ("file", "subject", "condition", "age", "bmi", "skin_type", "rr_file", "rr_start_s")},
    "gender": "gender",
    "sex": "gender",
}
#: Skin types in Roman numerals.
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}
#: Units of the intervals between beats in a file: seconds, or milliseconds from this value on.
_MILLISECONDS_FROM: Final = 20.0


def labelled(table: Path) -> list[LabelledRecording]:
    """A recording for each row of the table. A row that can't be understood gives one that can't be read.

    Raises:
        NoRecordings: the table has no column `file`, no reference, or a column of another name.
    """
    found = []
    for line, cells in _rows(table):
        name = cells.get("file", "")
        video = table.parent / name
        try:
            numbers = {vital: _number(cells, vital) for vital in dict.fromkeys(_VITALS.values())}
            person = Person(_number(cells, "age"), sex_of(cells.get("gender", "")), _number(cells, "bmi"), _skin(cells))
            intervals = table.parent / cells["rr_file"] if cells.get("rr_file") else None
            start_s = _number(cells, "rr_start_s") or 0.0
        except ValueError as error:
            found.append(_unreadable(name, cells, f"{table}, line {line}: {error}"))
            continue
        found.append(
            LabelledRecording(
                name=name,
                subject=cells.get("subject") or name,
                frames=partial(clip_frames, video),
                references=partial(_references, numbers, intervals, start_s),
                condition=cells.get("condition") or None,
                person=person,
                video=video,
            )
        )
    return found


def is_table(path: Path) -> bool:
    """Whether the file is a CSV with a column `file`."""
    try:
        return path.suffix.lower() == ".csv" and "file" in _header(path)[0]
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def _header(table: Path) -> tuple[list[str], str]:
    """The columns' names, and the character between them."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        head = file.readline()
    between = ";" if head.count(";") > head.count(",") else ","
    names = next(csv.reader([head], delimiter=between), [])
    return [name.strip().lower().replace(" ", "_") for name in names], between


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row, under the names of `_VITALS` and `_OTHERS`."""
    names, between = _header(table)
    known = _VITALS | _OTHERS
    unknown = [name for name in names if name and name not in known]
    columns = [known.get(name, "") for name in names]
    if "file" not in columns or unknown or not {*_VITALS.values(), "rr_file", "age", "gender", "bmi"} & set(columns):
        wrong = f"unknown columns: {', '.join(unknown)}" if unknown else "it needs a column `file` and a reference"
        raise NoRecordings(f"{table}: {wrong}. Known columns: {', '.join(known)}")
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=between)
        next(reader)
        for row in reader:
            cells = {column: cell.strip() for column, cell in zip(columns, row, strict=False) if column}
            if between == ";":
                cells = {name: cell if name in {"file", "rr_file"} else _decimal(cell) for name, cell in cells.items()}
            if any(cells.values()):
                yield reader.line_num, cells


def _decimal(cell: str) -> str:
    """The cell with a decimal point, if it is a number with a decimal comma."""
    point = cell.replace(",", ".", 1)
    return point if point.lstrip("+-").replace(".", "", 1).isdigit() else cell


def _number(cells: dict[str, str], name: str) -> float | None:
    cell = cells.get(name, "")
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"{name} is {cell!r}, which is not a number")
    return value


def _skin(cells: dict[str, str]) -> int | None:
    cell = cells.get("skin_type", "").lower()
    if not cell:
        return None
    number = _ROMAN.get(cell) or (int(cell) if cell.isdigit() else 0)
    if not 1 <= number <= 6:
        raise ValueError(f"skin_type is {cell!r}: Fitzpatrick's types are 1 to 6")
    return number


def _references(numbers: dict[str, float | None], intervals: Path | None, start_s: float) -> References:
    found: dict[str, Reference] = constants(numbers)
    if intervals is not None:
        found["heart_rate"] = BeatTimes(_beat_times_s(intervals, start_s))
    return found


def _beat_times_s(path: Path, start_s: float) -> Floats:
    """Moments of the beats from a text of intervals, the last number of each line; `start_s` is that of the first beat.

    Intervals are in milliseconds or seconds. Lines without a number, such as a header, are left out.
    """
    found = []
    for line in path.read_text("utf-8-sig").splitlines():
        cell = line.replace(";", " ").replace(",", " ").replace("\t", " ").split()
        try:
            found.append(float(cell[-1]))
        except (ValueError, IndexError):
            continue
    if len(found) < 2 or min(found) <= 0:
        raise RecordingUnreadable(f"{path}: intervals between beats are expected, one a line")
    seconds = np.array(found) / (1000 if float(np.median(found)) >= _MILLISECONDS_FROM else 1)
    return np.concatenate(([start_s], start_s + np.cumsum(seconds)))


def _unreadable(name: str, cells: dict[str, str], why: str) -> LabelledRecording:
    return LabelledRecording(name, cells.get("subject") or name, partial(_no_frames, why), dict)


def _no_frames(why: str) -> Iterator[Frame]:
    raise RecordingUnreadable(why)
