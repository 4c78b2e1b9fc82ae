"""Errors of BMI estimated from faces, by class and gender."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab.arrays import Floats32
from lab.report import Report
from lab.train.bmi.people import CLASSES, Face, class_of


def report_of(estimated: Floats32, faces: Sequence[Face], constant: float) -> Report:
    """MAE, RMSE and Pearson's r of the estimates (n,) for n faces in kg/m2, and the MAE of a constant."""
    columns = ("group", "pictures", "people", "MAE kg/m2", "RMSE kg/m2", "Pearson r", "a constant's MAE")
    report = Report("train-bmi", "BMI estimated from faces that were held out", columns)
    true = np.array([face.bmi for face in faces], np.float32)
    groups = {"all": np.ones(len(faces), bool)}
    groups |= {name: np.array([class_of(face.bmi) == name for face in faces], bool) for name, _ in CLASSES}
    groups |= {name: np.array([face.gender == name for face in faces], bool) for name in ("female", "male")}
    for name, own in groups.items():
        if own.any():
            figures = _figures(estimated[own], true[own], constant)
            people = len({face.person for face, mine in zip(faces, own, strict=True) if mine})
            report.add(name, int(own.sum()), people, *("" if value is None else value for value in figures.values()))
            report.summary[name] = {"people": people} | _rounded(figures)
    report.notes.append("Within a class of BMI no estimate correlates much: the range is small there.")
    return report


def interval_90(estimated: Floats32, true: Floats32) -> tuple[float, float]:
    """The 5 % and 95 % quantiles of `true` minus `estimated` (n,), each rank moved outwards as for one more person.

    Vovk, Gammerman, Shafer 2005, "Algorithmic learning in a random world": this makes the interval hold on others.
    """
    error = np.sort(true - estimated)
    n = len(error)
    rank = min(int(np.ceil(0.95 * (n + 1))), n)
    return float(error[n - rank]), float(error[rank - 1])


def _figures(estimated: Floats32, true: Floats32, constant: float) -> dict[str, float | None]:
    error = estimated - true
    varied = len(estimated) > 2 and min(float(estimated.std()), float(true.std())) > 1e-6
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "pearson": float(np.corrcoef(estimated, true)[0, 1]) if varied else None,
        "constant_mae": float(np.abs(constant - true).mean()),
    }


def _rounded(figures: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: None if value is None else round(value, 3) for name, value in figures.items()}
