"""`facevitals bench accuracy --vision FACES`: every table of the vision branch, the quick ones first."""

from collections.abc import Iterator
from pathlib import Path

from lab.bench.liveness_report import liveness
from lab.bench.obstruction_report import obstruction
from lab.bench.vision import attribute_tables
from lab.report import Report


def vision_reports(
    faces: Path, models_dir: Path, clips: Path, liveness_clips: int, real: Path | None = None
) -> Iterator[Report]:
    """Tables of age, gender and BMI, of obstruction, and of liveness.

    liveness_clips  simulated clips for liveness, rendered into `clips` unless they are there; 0 leaves liveness out
    real            folder of recordings of living people, for liveness
    """
    tables, missed = attribute_tables(faces)
    for table in tables:
        table.notes.append(f"Portraits in which no face was found: {missed}.")
        yield table
    yield obstruction(faces)
    if liveness_clips:
        yield from liveness(liveness_clips, clips, faces, models_dir, real)
