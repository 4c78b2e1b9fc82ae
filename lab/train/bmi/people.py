"""The table of `facevitals train bmi`: pictures with BMI, gender and person."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

#: BMI classes of the World Health Organization: name, and where it ends.
CLASSES: Final = (("underweight", 18.5), ("normal", 25.0), ("overweight", 30.0), ("obese", float("inf")))
#: Range of plausible BMIs, kg/m2; others are typing errors.
_PLAUSIBLE: Final = (10.0, 90.0)
_GENDERS: Final[Mapping[str, Literal["female", "male"]]] = {
    "f": "female", "female": "female", "woman": "female", "m": "male", "male": "male", "man": "male",
}  # fmt: skip
_PICTURES: Final = ("file", "image", "name", "path")

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Face:
    """One picture: BMI in kg/m2 of the `person` on it, and their gender where known."""

    picture: Path
    bmi: float
    person: str
    gender: Literal["female", "male"] | None = None

    @property
    def part(self) -> Part:
        """The part it belongs to: 70 % of people for training, 15 % for validation, 15 % for the test.

        A person is in one part only, whichever others are in the table.
        """
        place = int.from_bytes(hashlib.sha256(self.person.encode()).digest()[:4]) / 2**32
        return "train" if place < 0.7 else "validation" if place < 0.85 else "test"


def class_of(bmi: float) -> str:
    """The class of a BMI in kg/m2."""
    return next(name for name, end in CLASSES if bmi < end)


def read_table(table: Path, images: Path) -> list[Face]:
    """The faces of a table.

    Columns: `file` (or image, name, path) below `images`; `bmi`, or `height_cm` (or `height_m`) and `weight_kg`; and
    optionally `gender` (or sex) and `person` (or subject).

    Raises:
        ValueError: a line is incomplete or implausible; the message names it.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return [_face(line, row, images) for line, row in enumerate(rows, 2)]


def _face(line: int, row: Mapping[str, str | None], images: Path) -> Face:
    values = {name.strip().lower(): (value or "").strip() for name, value in row.items() if name}
    name = _first(values, _PICTURES)
    if not name:
        raise ValueError(f"line {line}: none of the columns {', '.join(_PICTURES)} names a picture")
    picture = images / name
    if not picture.is_file():
        raise ValueError(f"line {line}: there is no picture {picture}")
    bmi = _bmi(line, values)
    gender = _GENDERS.get(_first(values, ("gender", "sex")).lower())
    return Face(picture, bmi, _first(values, ("person", "subject")) or name, gender)


def _bmi(line: int, values: Mapping[str, str]) -> float:
    try:
        if values.get("bmi"):
            bmi = float(values["bmi"])
        else:
            height_m = float(values["height_m"]) if values.get("height_m") else float(values["height_cm"]) / 100
            bmi = float(values["weight_kg"]) / height_m**2
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"line {line}: neither bmi nor height_cm and weight_kg are numbers") from error
    if not _PLAUSIBLE[0] <= bmi <= _PLAUSIBLE[1]:
        raise ValueError(f"line {line}: a BMI of {bmi:.1f} is not plausible; are the units kg and cm?")
    return bmi


def _first(values: Mapping[str, str], names: Sequence[str]) -> str:
    return next((values[name] for name in names if values.get(name)), "")
