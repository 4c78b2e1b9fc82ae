"""The table of published estimators' heart rates on real clips, and of the reference oximeter's."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.rppg.fusion.agreement import Estimate

#: Estimators of the table's columns `hr_…` that are open.
ESTIMATORS: Final = ("pos", "chrom", "green", "deepphys", "mttscan")
NEURAL: Final = frozenset({"deepphys", "mttscan"})

#: Movement of people who sit still, in the table's unit: its median on VV-Medium.
STILL: Final = 0.04


class SubjectClip(Protocol):
    """Anything that belongs to one subject of one dataset."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        ...

    @property
    def subject(self) -> str:
        """Name of the subject."""
        ...


@dataclass(frozen=True)
class RealClip:
    """One clip of the table.

    duration_s    length in seconds;  rate_per_min  the reference heart rate
    skin_type     Fitzpatrick type, 1 to 6, or None
    movement      relative to the median of people who sit still (`STILL`)
    estimates     heart rates of the open estimators
    """

    dataset: str
    subject: str
    duration_s: float
    skin_type: int | None
    movement: float
    rate_per_min: float
    estimates: tuple[Estimate, ...]


def read_table(path: Path) -> tuple[RealClip, ...]:
    """Every clip of the table that has a reference and at least one estimate."""
    with path.open(newline="", encoding="utf-8") as file:
        clips = [_clip(row) for row in csv.DictReader(file) if row["hr_ref"]]
    return tuple(clip for clip in clips if clip.estimates)


def _clip(row: dict[str, str]) -> RealClip:
    return RealClip(
        dataset=row["dataset"],
        subject=row["subject"],
        duration_s=float(row["duration_s"]),
        skin_type=int(float(row["skin_type"])) if row["skin_type"] else None,
        movement=float(row["movement"]) / STILL,
        rate_per_min=float(row["hr_ref"]),
        # The table has no spectra, so no SNR either.
        estimates=tuple(
            Estimate(name, float(row[f"hr_{name}"]), 0.0, neural=name in NEURAL)
            for name in ESTIMATORS
            if row[f"hr_{name}"]
        ),
    )


def folds_by_subject(clips: Sequence[SubjectClip], count: int, seed: int) -> NDArray[np.int64]:
    """A fold number (n,) for each clip; all clips of a subject are in the same fold."""
    subjects = sorted({clip.subject for clip in clips})
    shuffled = np.random.default_rng(seed).permutation(len(subjects)) % count
    fold_of = dict(zip(subjects, shuffled, strict=True))
    return np.array([fold_of[clip.subject] for clip in clips], dtype=np.int64)


def dataset_weights(clips: Sequence[SubjectClip]) -> NDArray[np.float64]:
    """Weights (n,) that sum to 1 and give every dataset the same total, however many clips it has."""
    names = [clip.dataset for clip in clips]
    weights = np.array([1.0 / names.count(name) for name in names])
    return np.asarray(weights / weights.sum())
