"""The table of `facevitals train bmi`: whose face is on which picture, and what they weighed."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

#: BMI classes of the World Health Organization: name, and where it ends.
CLASSES: Final = (("underweight", 18.5), ("normal", 25.0), ("overweight", 30.0), ("obese", float("inf")))
#: BMIs beyond these are slips of the pen: the living are within.
_PLAUSIBLE: Final = (10.0, 90.0)
_GENDERS: Final[Mapping[str, Literal["female", "male"]]] = {
    "f": "female", "female": "female", "woman": "female", "m": "male", "male": "male", "man": "male",
}  # fmt: skip
_PICTURES: Final = ("file", "image", "name", "path")

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Face:
    """One picture: `bmi` in kg/m2 of the `person` on it, whose gender may be unknown."""

    picture: Path
    bmi: float
    person: str
    gender: Literal["female", "male"] | None = None

    @property
    def part(self) -> Part:
        """What it is used for: 70 % of people to learn from, 15 % to stop by, 15 % to measure on. A person is in one
        part only, whichever others are in the table.
        """
        place = int.from_bytes(hashlib.sha256(self.person.encode()).digest()[:4]) / 2**32
        return "train" if place < 0.7 else "validation" if place < 0.85 else "test"


def class_of(bmi: float) -> str:
    """The class of a BMI."""
    return next(name for name, end in CLASSES if bmi < end)


def read_table(table: Path, images: Path) -> list[Face]:
    """The faces of a table: a column `file` (or image, name, path) below `images`; `bmi`, or `height_cm` (or
    `height_m`) and `weight_kg`; and where they are known `gender` (or sex) and `person` (or subject).

    Raises ValueError, which names the line.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return [_face(line, row, images) for line, row in enumerate(rows, 2)]


def _face(line: int, row: Mapping[str, str | None], images: Path) -> Face:
    told = {name.strip().lower(): (value or "").strip() for name, value in row.items() if name}
    name = _first(told, _PICTURES)
    if not name:
        raise ValueError(f"line {line}: none of the columns {', '.join(_PICTURES)} names a picture")
    picture = images / name
    if not picture.is_file():
        raise ValueError(f"line {line}: there is no picture {picture}")
    bmi = _bmi(line, told)
    gender = _GENDERS.get(_first(told, ("gender", "sex")).lower())
    return Face(picture, bmi, _first(told, ("person", "subject")) or name, gender)


def _bmi(line: int, told: Mapping[str, str]) -> float:
    try:
        if told.get("bmi"):
            bmi = float(told["bmi"])
        else:
            height_m = float(told["height_m"]) if told.get("height_m") else float(told["height_cm"]) / 100
            bmi = float(told["weight_kg"]) / height_m**2
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"line {line}: neither bmi nor height_cm and weight_kg are numbers") from error
    if not _PLAUSIBLE[0] <= bmi <= _PLAUSIBLE[1]:
        raise ValueError(f"line {line}: nobody's BMI is {bmi:.1f}; are the units kg and cm?")
    return bmi


def _first(told: Mapping[str, str], names: Sequence[str]) -> str:
    return next((told[name] for name in names if told.get(name)), "")
