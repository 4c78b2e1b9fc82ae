"""How far BMIs read off faces are from the true ones, by class and gender."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.report import Report
from lab.train.bmi.people import CLASSES, Face, class_of

Floats = NDArray[np.float32]


def report_of(told: Floats, faces: Sequence[Face], constant: float) -> Report:
    """MAE, RMSE and Pearson's r of the BMIs (n,) told of n faces, and the MAE of always saying `constant`."""
    columns = ("group", "pictures", "people", "MAE kg/m2", "RMSE kg/m2", "Pearson r", "a constant's MAE")
    report = Report("train-bmi", "BMI read off faces that training had not seen", columns)
    true = np.array([face.bmi for face in faces], np.float32)
    groups = {"all": np.ones(len(faces), bool)}
    groups |= {name: np.array([class_of(face.bmi) == name for face in faces], bool) for name, _ in CLASSES}
    groups |= {name: np.array([face.gender == name for face in faces], bool) for name in ("female", "male")}
    for name, own in groups.items():
        if own.any():
            figures = _figures(told[own], true[own], constant)
            people = len({face.person for face, mine in zip(faces, own, strict=True) if mine})
            report.add(name, int(own.sum()), people, *("" if value is None else value for value in figures.values()))
            report.summary[name] = {"people": people} | _rounded(figures)
    report.notes.append("Within a class of BMI no answer correlates much: the range is small there.")
    return report


def interval_90(told: Floats, true: Floats) -> tuple[float, float]:
    """The 5 % and 95 % quantiles of truth less estimate, each rank moved outwards as for one more person.

    Vovk, Gammerman, Shafer 2005, "Algorithmic learning in a random world": what makes the interval hold on others.
    """
    error = np.sort(true - told)
    n = len(error)
    rank = min(int(np.ceil(0.95 * (n + 1))), n)
    return float(error[n - rank]), float(error[rank - 1])


def _figures(told: Floats, true: Floats, constant: float) -> dict[str, float | None]:
    error = told - true
    varied = len(told) > 2 and min(float(told.std()), float(true.std())) > 1e-6
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "pearson": float(np.corrcoef(told, true)[0, 1]) if varied else None,
        "constant_mae": float(np.abs(constant - true).mean()),
    }


def _rounded(figures: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: None if value is None else round(value, 3) for name, value in figures.items()}
