"""Errors of SDNN and RMSSD beyond the sampling error that the number of beats implies.

Fitted to patients' photoplethysmograms (BIDMC) at a webcam's 30 Hz, and to simulated clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.arrays import Floats
from lab.calibrate.fit import CONFORMAL_FOLDS, quantile_regression
from lab.calibrate.table import dataset_weights, folds_by_subject
from lab.data.bidmc import window_beats
from lab.data.measured_clips import Row
from workers.rppg.vitals.heart_rate_variability import (
    LEVEL,
    MEASURES,
    MIN_ERROR_MS,
    VARIABILITY_MODEL,
    VariabilityModel,
    mean_ibi_ms,
    sampling_interval,
    variability_features,
)

#: Lengths of the patients' windows, seconds: a clip's length, twice and four times that.
LENGTHS_S: Final = (15, 30, 60)
#: Required signs of the coefficients of `variability_features`, the constant's being free: a slower heart, more noise
#: and a longer window never narrow an interval.
SIGNS: Final = (0, 1, -1, 1)


@dataclass(frozen=True)
class MeasureError:
    """SDNN or RMSSD (`name`) as estimated in a window, its true value, and what the error may depend on.

    `intervals` counts beat intervals, `mean_ibi_s` is their mean in seconds, `snr_db` the SNR of the pulse wave.
    """

    name: str
    dataset: str
    subject: str
    value_ms: float
    truth_ms: float
    intervals: int
    mean_ibi_s: float
    snr_db: float

    @property
    def stretch_s(self) -> float:
        """Length of the beats in seconds, as `workers.rppg.vitals.heart_rate_variability.interval_of` counts it."""
        return self.intervals * self.mean_ibi_s

    @property
    def beside_sampling_ms(self) -> float:
        """Smallest allowance for beat errors, in ms, with which the interval contains the truth."""
        error = self.truth_ms - self.value_ms
        low, high = sampling_interval(self.value_ms, self.intervals)
        allowed = high - self.value_ms if error > 0 else self.value_ms - low
        return float(np.sqrt(max(error**2 - allowed**2, 0.0)))

    def reported(self, model: VariabilityModel) -> bool:
        """Whether the service would report the measure (`workers.rppg.vitals.heart_rate_variability.exceeds_noise`)."""
        return model.error_ms(self.name, self.mean_ibi_s, self.snr_db) <= model.max_error_ms

    def error_ms(self, model: VariabilityModel) -> float:
        """Allowance of the model for beat errors, ms."""
        return model.error_ms(self.name, self.mean_ibi_s, self.snr_db, self.stretch_s)


def of_patients(path: Path) -> Iterator[MeasureError]:
    """Windows of BIDMC whose SNR is high enough to place beats."""
    for length_s in LENGTHS_S:
        for part in window_beats(path, length_s):
            for name in VARIABILITY_MODEL.errors:
                value, truth = MEASURES[name](part.beats), MEASURES[name](part.truth)
                mean_s, kept = mean_ibi_ms(part.beats) / 1000, int(part.beats.kept.sum())
                if part.snr_db >= VARIABILITY_MODEL.min_snr_db:
                    dataset = f"patients, {length_s} s"
                    yield MeasureError(name, dataset, part.patient, value, truth, kept, mean_s, part.snr_db)


def of_clips(rows: Sequence[Row]) -> Iterator[MeasureError]:
    """Living simulated clips whose heart rate was reported and whose SNR is high enough to place beats.

    Measures that the service would not report are included: the reported ones were chosen by the errors that are to be
    fitted. Each clip counts as a person; of rows for the same clip the latest is used.
    """
    for row in {row["seed"]: row for row in rows}.values():
        beats, accepted = row.get("beats"), row["vitals"]["heart_rate"]["value"] is not None
        if row["conditions"]["kind"] != "live" or beats is None or not accepted:
            continue
        snr_db = row["evidence"]["snr_db"]
        for name in VARIABILITY_MODEL.errors:
            truth = row["truth"][name]
            if truth is not None and snr_db >= VARIABILITY_MODEL.min_snr_db:
                kept, mean_s = beats["intervals"], beats["mean_ibi_ms"] / 1000
                yield MeasureError(name, "simulated clips", str(row["seed"]), beats[name], truth, kept, mean_s, snr_db)


def fit_errors(found: Sequence[MeasureError]) -> tuple[float, ...]:
    """Coefficients (4,) of `variability_features` by quantile regression; every dataset has the same weight.

    Corrected as in `lab.calibrate.fit.fit_interval`: each fold of people is predicted from the rest, and the level is
    raised until `LEVEL` of the predictions hold in the dataset that needs it most.
    """
    rows = np.array([variability_features(part.mean_ibi_s, part.snr_db, part.stretch_s) for part in found])
    target = np.log([part.beside_sampling_ms + MIN_ERROR_MS for part in found])
    weights = dataset_weights(found)
    dataset = np.array([part.dataset for part in found])
    fold = folds_by_subject(found, CONFORMAL_FOLDS, seed=0)
    excess = np.zeros(len(found))
    for index in np.unique(fold):
        rest = fold != index
        excess[~rest] = target[~rest] - rows[~rest] @ _with_signs(rows[rest], target[rest], weights[rest])
    coefficients = _with_signs(rows, target, weights)
    coefficients[0] += max(np.quantile(excess[dataset == name], LEVEL) for name in np.unique(dataset))
    return tuple(coefficients.tolist())


def held_out(found: Sequence[MeasureError], seed: int = 1) -> dict[str, dict[str, float]]:
    """By dataset: windows, people and reported measures, and the coverage of intervals fitted without their fold."""
    fold = folds_by_subject(found, CONFORMAL_FOLDS, seed)
    models = {
        index: _model({found[0].name: fit_errors([part for part, of in zip(found, fold, strict=True) if of != index])})
        for index in np.unique(fold)
    }
    of_set: dict[str, list[tuple[MeasureError, VariabilityModel]]] = {}
    for part, index in zip(found, fold, strict=True):
        of_set.setdefault(part.dataset, []).append((part, models[index]))
    return {name: _figures(pairs) for name, pairs in of_set.items()}


def fitted_model(found: Sequence[MeasureError]) -> tuple[VariabilityModel, dict[str, Any]]:
    """The calibration's model with errors fitted to all windows, and a report with held-out figures."""
    errors, report = {}, {}
    for name in VARIABILITY_MODEL.errors:
        chosen = [part for part in found if part.name == name]
        errors[name] = tuple(round(value, 3) for value in fit_errors(chosen))
        report[name] = {"fitted": errors[name], "held_out": held_out(chosen)}
    return _model(errors), report


def _figures(pairs: Sequence[tuple[MeasureError, VariabilityModel]]) -> dict[str, float]:
    reported = [(part.beside_sampling_ms, part.error_ms(model)) for part, model in pairs if part.reported(model)]
    counts: dict[str, float] = {
        "windows": len(pairs),
        "people": len({part.subject for part, _ in pairs}),
        "reported": len(reported),
    }
    if not reported:
        return counts
    return counts | {
        "interval_coverage": round(float(np.mean([needed <= error for needed, error in reported])), 3),
        "median_error_ms": round(float(np.median([error for _, error in reported])), 1),
    }


def _model(errors: dict[str, tuple[float, ...]]) -> VariabilityModel:
    return replace(VARIABILITY_MODEL, errors=errors)


def _with_signs(rows: Floats, target: Floats, weights: Floats) -> Floats:
    """Quantile regression (k,) without the coefficients whose sign contradicts `SIGNS`.

    Such a sign comes from chance among few people.
    """
    used = np.ones(rows.shape[1], np.bool_)
    while True:
        coefficients = np.zeros(rows.shape[1])
        coefficients[used] = quantile_regression(rows[:, used], target, weights / weights.sum(), LEVEL)
        against = coefficients * np.array(SIGNS) < 0
        if not against.any():
            return coefficients
        used &= ~against
