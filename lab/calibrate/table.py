"""The table of what published estimators said about real clips, and what the oximeter said."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.rppg.fusion.agreement import Estimate

#: Columns `hr_…` of the table that are open estimators.
ESTIMATORS: Final = ("pos", "chrom", "green", "deepphys", "mttscan")
NEURAL: Final = frozenset({"deepphys", "mttscan"})

#: The table's movement of people who were asked to sit still: its median on VV-Medium.
STILL: Final = 0.04


class Sample(Protocol):
    """Whatever is of one subject and one set of data."""

    @property
    def dataset(self) -> str:
        """The set of data."""
        ...

    @property
    def subject(self) -> str:
        """Whose it is."""
        ...


@dataclass(frozen=True)
class RealClip:
    """One clip of the table. `skin_type` is Fitzpatrick's, 1 to 6; `movement` is over that of a still sitter."""

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


def folds_by_subject(clips: Sequence[Sample], count: int, seed: int) -> NDArray[np.int64]:
    """A fold for each clip, all clips of a subject in the same one."""
    subjects = sorted({clip.subject for clip in clips})
    shuffled = np.random.default_rng(seed).permutation(len(subjects)) % count
    fold_of = dict(zip(subjects, shuffled, strict=True))
    return np.array([fold_of[clip.subject] for clip in clips], dtype=np.int64)


def dataset_weights(clips: Sequence[Sample]) -> NDArray[np.float64]:
    """Weights (n,) that sum to 1 and give every dataset the same say, however many clips it has."""
    names = [clip.dataset for clip in clips]
    weights = np.array([1.0 / names.count(name) for name in names])
    return np.asarray(weights / weights.sum())
