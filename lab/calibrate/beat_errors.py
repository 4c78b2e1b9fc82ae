"""Errors of SDNN, RMSSD, pNN50 and LF/HF against the true beats of the same seconds.

Fitted to patients' photoplethysmograms (BIDMC) at a webcam's 30 Hz, and for SDNN and RMSSD to simulated clips as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.arrays import Floats
from lab.calibrate.people import dataset_weights, folds_by_subject
from lab.calibrate.quantiles import CONFORMAL_FOLDS, left_out_excess, quantile_regression
from lab.data.bidmc import window_beats
from lab.data.measured_clips import Row
from shared.vitals import VARIABILITY
from workers.rppg.vitals.heart_rate_variability import (
    LEVEL,
    MEASURES,
    MIN_ERRORS,
    VARIABILITY_MODEL,
    VariabilityModel,
    is_uninformative,
    mean_ibi_ms,
    variability_features,
)

#: Lengths of the patients' windows, seconds: a clip's length up to that of the longest clip.
LENGTHS_S: Final = (15, 30, 60, 120)
#: Measures that a simulated clip's truth has.
_OF_CLIPS: Final = ("sdnn_ms", "rmssd_ms")
#: Required signs of the coefficients of `variability_features`, 0 for either: more noise and a larger value never
#: narrow an interval.
SIGNS: Final = (0, 0, -1, 0, 1)


@dataclass(frozen=True)
class MeasureError:
    """A measure (`name`) as estimated in a window, its true value, and what the error may depend on.

    `intervals` counts beat intervals, `mean_ibi_s` is their mean in seconds, `snr_db` the SNR of the pulse wave.
    """

    name: str
    dataset: str
    subject: str
    value: float
    truth: float
    intervals: int
    mean_ibi_s: float
    snr_db: float

    @property
    def features(self) -> Floats:
        """Features (5,) of the error, as `workers.rppg.vitals.heart_rate_variability.interval_of` computes them."""
        return variability_features(self.value, self.mean_ibi_s, self.snr_db, self.intervals * self.mean_ibi_s)

    @property
    def error(self) -> float:
        """Absolute error in the measure's unit; of the logarithm for LF/HF."""
        if self.name == "lf_hf":
            return abs(float(np.log(self.truth / self.value)))
        return abs(self.truth - self.value)

    def allowance(self, model: VariabilityModel) -> float:
        """Error that the interval of the model allows for, in the unit of `error`."""
        return model.error(self.name, self.value, self.mean_ibi_s, self.snr_db, self.intervals * self.mean_ibi_s)

    def reported(self, model: VariabilityModel) -> bool:
        """Whether the service reports the measure (`workers.rppg.vitals.heart_rate_variability.reason_withheld`)."""
        error = self.allowance(model)
        bounds = (self.value * np.exp(-error), self.value * np.exp(error)) if self.name == "lf_hf" else (-error, error)
        return not is_uninformative(self.name, *bounds)


def of_patients(path: Path) -> Iterator[MeasureError]:
    """Windows of BIDMC whose SNR is high enough to place beats, for each measure of at least its shortest length."""
    for length_s in LENGTHS_S:
        for part in window_beats(path, length_s):
            if part.snr_db < VARIABILITY_MODEL.min_snr_db:
                continue
            mean_s, kept = mean_ibi_ms(part.beats) / 1000, int(part.beats.kept.sum())
            for name in MIN_ERRORS:
                value, truth = MEASURES[name](part.beats), MEASURES[name](part.truth)
                shortest_s = VARIABILITY[name].experimental_s or VARIABILITY[name].minimum_s
                if length_s >= shortest_s and np.isfinite((value, truth)).all():
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
        snr_db = row["snr_db"]
        for name in _OF_CLIPS:
            truth = row["truth"][name]
            if truth is not None and snr_db >= VARIABILITY_MODEL.min_snr_db:
                kept, mean_s = beats["intervals"], beats["mean_ibi_ms"] / 1000
                yield MeasureError(name, "simulated clips", str(row["seed"]), beats[name], truth, kept, mean_s, snr_db)


def fit_errors(found: Sequence[MeasureError]) -> tuple[float, ...]:
    """Coefficients (5,) of `variability_features` by quantile regression; every dataset has the same weight.

    Conformalised: each fold of people is predicted from the rest, and the level is
    raised until `LEVEL` of the predictions hold in the dataset that needs it most (Romano, Patterson & Candès 2019,
    "Conformalized quantile regression", NeurIPS).
    """
    rows = np.array([part.features for part in found])
    target = np.log([part.error + MIN_ERRORS[part.name] for part in found])
    weights = dataset_weights(found)
    dataset = np.array([part.dataset for part in found])
    fold = folds_by_subject(found, CONFORMAL_FOLDS, seed=0)
    excess = left_out_excess(
        rows, target, fold, lambda chosen: _with_signs(rows[chosen], target[chosen], weights[chosen])
    )
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
    for name in MIN_ERRORS:
        chosen = [part for part in found if part.name == name]
        errors[name] = tuple(round(value, 3) for value in fit_errors(chosen))
        report[name] = {"fitted": errors[name], "held_out": held_out(chosen)}
    return _model(errors), report


def _figures(pairs: Sequence[tuple[MeasureError, VariabilityModel]]) -> dict[str, float]:
    reported = [(part.error, part.allowance(model)) for part, model in pairs if part.reported(model)]
    counts: dict[str, float] = {
        "windows": len(pairs),
        "people": len({part.subject for part, _ in pairs}),
        "reported": len(reported),
    }
    if not reported:
        return counts
    return counts | {
        "interval_coverage": round(float(np.mean([error <= allowed for error, allowed in reported])), 3),
        "coverage_of_all": round(float(np.mean([part.error <= part.allowance(model) for part, model in pairs])), 3),
        "median_half_width": round(float(np.median([allowed for _, allowed in reported])), 2),
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
