"""`facevitals bench accuracy --vision FACES`: every table of the vision branch, the quick ones first."""

from collections.abc import Iterator
from pathlib import Path

from lab.bench.liveness_report import liveness
from lab.bench.obstruction_report import obstruction
from lab.bench.vision import looks
from lab.report import Report


def seeing(faces: Path, models_dir: Path, clips: Path, impostors: int, real: Path | None = None) -> Iterator[Report]:
    """Age, gender and BMI, obstruction, and liveness on so many simulated clips, filmed into `clips` once."""
    tables, missed = looks(faces)
    for table in tables:
        table.notes.append(f"Portraits in which no face was found: {missed}.")
        yield table
    yield obstruction(faces)
    if impostors:
        yield from liveness(impostors, clips, faces, models_dir, real)
