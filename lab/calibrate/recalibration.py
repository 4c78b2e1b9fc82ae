"""Fit a user's calibration to validated windows: offset and scale of the verdict, and of the heart rate's interval.

Windows are those of `facevitals validate`. Each figure is held out by person: people are divided into folds, and each
fold is judged by a fit to the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from lab.arrays import Floats
from lab.calibrate.people import folds_by_subject
from lab.calibrate.quantiles import quantile_regression
from workers.rppg.fusion.calibration import DIGEST
from workers.rppg.fusion.recalibration import FORMAT, Recalibration
from workers.rppg.vitals.heart_rate import INTERVAL_LEVEL

#: Fewest people, windows, and reported windows for a fit.
MIN_PEOPLE: Final = 20
MIN_WINDOWS: Final = 100
MIN_REPORTED: Final = 50
#: Folds of people.
FOLDS: Final = 5
#: Largest error in /min of a rate that is right.
RIGHT_PER_MIN: Final = 5.0
#: Checks whose failure refuses a window before the verdict.
_DECISIVE: Final = ("face", "obstruction", "timing", "motion", "liveness")
#: Standard deviations of the prior of the verdict's offset, and of the logarithm of its scale: few wrong windows move
#: it little.
_OFFSET_SD: Final = 2.0
_LOG_SCALE_SD: Final = 0.5
#: Log odds by which a pulse may be accepted below the shipped threshold. Recordings of people alone do not show what a
#: picture without a pulse gives, so a fit to them must not make the verdict lenient.
MAX_LENIENCE: Final = 0.5
#: Bounds of the scale of the interval.
_SCALES: Final = (0.2, 5.0)

Row = Mapping[str, Any]


class TooFew(ValueError):  # noqa: N818  (named for what happened)
    """There are too few people or windows to fit to; the message has their numbers."""


@dataclass(frozen=True)
class JudgedWindow:
    """A window with a reference whose pulse came before the verdict.

    error_per_min  absolute error of the rate, before the verdict
    log_odds       that it is a pulse; `min_log_odds` are needed
    half_width     of its interval, /min
    otherwise      whether another condition of the gate refuses it
    """

    subject: str
    error_per_min: float
    log_odds: float
    min_log_odds: float
    half_width: float
    otherwise: bool
    dataset: str = "validated"

    def is_reported(self, recalibration: Recalibration) -> bool:
        """Whether the gate reports it."""
        return not self.otherwise and recalibration.log_odds(self.log_odds) >= self.min_log_odds


def judged_windows(rows: Sequence[Row]) -> list[JudgedWindow]:
    """The windows of a validation in which the verdict was consulted, as far as they have a reference."""
    return [
        JudgedWindow(
            subject=row["subject"],
            error_per_min=abs(row["candidate"]["heart_rate"] - row["reference"]["heart_rate"]),
            log_odds=row["candidate"]["pulse_log_odds"],
            min_log_odds=row["candidate"]["min_log_odds"],
            half_width=row["candidate"]["half_width"],
            otherwise=row["candidate"]["refused_otherwise"] is not None,
        )
        for row in rows
        if row["candidate"] is not None
        and row["reference"].get("heart_rate") is not None
        and not any(row["checks"].get(name, {}).get("status") == "fail" for name in _DECISIVE)
    ]


def calibrate(windows: Sequence[JudgedWindow]) -> tuple[Recalibration, dict[str, Any]]:
    """Fit a calibration to all windows, and judge such fits on people that were held out.

    Raises:
        TooFew: fewer people, windows or reported windows than a fit needs.
    """
    people = {window.subject for window in windows}
    reported = sum(window.is_reported(Recalibration()) for window in windows)
    if len(people) < MIN_PEOPLE or len(windows) < MIN_WINDOWS or reported < MIN_REPORTED:
        raise TooFew(
            f"People: {len(people)}, windows with a pulse and a reference: {len(windows)}, reported: {reported}. "
            f"A calibration needs {MIN_PEOPLE} people, {MIN_WINDOWS} windows and {MIN_REPORTED} reported ones. Nothing "
            "is written."
        )
    fold = folds_by_subject(windows, FOLDS, seed=0)
    held_out: list[Recalibration] = [Recalibration()] * len(windows)
    for index in np.unique(fold):
        fitted = fit([window for window, of in zip(windows, fold, strict=True) if of != index])
        for at in np.flatnonzero(fold == index).tolist():
            held_out[at] = fitted
    return fit(windows), {
        "before": judged(windows, [Recalibration()] * len(windows)),
        "after": judged(windows, held_out),
    }


def judged(windows: Sequence[JudgedWindow], by: Sequence[Recalibration]) -> dict[str, float | int | None]:
    """Figures of windows, each under a calibration of its own."""
    pairs = list(zip(windows, by, strict=True))
    reported = [(window, each) for window, each in pairs if window.is_reported(each)]
    half = np.array([each.half_width_per_min(window.half_width) for window, each in reported])
    off = np.array([window.error_per_min for window, _ in reported])
    right = np.array([window.error_per_min <= RIGHT_PER_MIN for window, _ in pairs])
    odds = np.array([each.log_odds(window.log_odds) for window, each in pairs])
    return {
        "windows": len(windows),
        "reported": len(reported),
        "wrong": int((off > RIGHT_PER_MIN).sum()),
        "mae": round(float(off.mean()), 3) if len(off) else None,
        "interval_coverage": round(float((off <= half).mean()), 4) if len(off) else None,
        "median_interval_width": round(float(np.median(2 * half)), 3) if len(off) else None,
        # Mean negative log likelihood of "right" at these log odds; lower is better calibrated.
        "log_loss": round(float(np.logaddexp(0, np.where(right, -odds, odds)).mean()), 4),
    }


def fit(windows: Sequence[JudgedWindow]) -> Recalibration:
    """Fit the four numbers; people weigh the same, however many windows they have."""
    offset, scale = _fit_verdict(windows)
    verdict = Recalibration(offset, scale)
    reported = [window for window in windows if window.is_reported(verdict)] or list(windows)
    interval_offset, interval_scale = _fit_interval(reported)
    return Recalibration(offset, scale, interval_offset, interval_scale)


def _weights(windows: Sequence[JudgedWindow]) -> Floats:
    """Weights (n,) with a mean of 1 that give each person the same total."""
    _, person = np.unique([window.subject for window in windows], return_inverse=True)
    weights = 1 / np.bincount(person)[person]
    return np.asarray(weights / weights.mean(), np.float64)


def _fit_verdict(windows: Sequence[JudgedWindow]) -> tuple[float, float]:
    """Offset and scale of the log odds that a rate is right, by logistic regression with a prior around no change.

    Platt 1999, "Probabilistic outputs for support vector machines", Advances in Large Margin Classifiers, p. 61.
    """
    odds = np.array([window.log_odds for window in windows])
    sign = np.where([window.error_per_min <= RIGHT_PER_MIN for window in windows], 1.0, -1.0)
    weights = _weights(windows)

    def loss(numbers: Floats) -> float:
        offset, log_scale = numbers
        misfit = weights @ np.logaddexp(0, -sign * (offset + np.exp(log_scale) * odds))
        return float(misfit + 0.5 * (offset / _OFFSET_SD) ** 2 + 0.5 * (log_scale / _LOG_SCALE_SD) ** 2)

    offset, log_scale = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    scale = float(np.exp(log_scale))
    thresholds = np.array([window.min_log_odds for window in windows])
    lenience = thresholds - (thresholds - offset) / scale
    if (excess := float(lenience.max()) - MAX_LENIENCE) > 0:
        offset -= excess * scale
    return round(float(offset), 4), round(scale, 4)


def _fit_interval(windows: Sequence[JudgedWindow]) -> tuple[float, float]:
    """Offset and scale of the half-width, by conformalised quantile regression of the absolute error.

    As in `lab.calibrate.verdict`: each fold of people is predicted from the others, and the offset is raised
    until the interval's level of the predictions hold.
    """
    off = np.array([window.error_per_min for window in windows])
    half = np.array([window.half_width for window in windows])
    weights = _weights(windows)
    weights /= weights.sum()
    fold = folds_by_subject(windows, FOLDS, seed=1)

    def line(chosen: NDArray[np.bool_]) -> tuple[float, float]:
        rows = np.column_stack((np.ones(int(chosen.sum())), half[chosen]))
        share = weights[chosen] / weights[chosen].sum()
        level, slope = quantile_regression(rows, off[chosen], share, INTERVAL_LEVEL)
        if not _SCALES[0] <= slope <= _SCALES[1]:
            slope = float(np.clip(slope, *_SCALES))
            level = _quantile(off[chosen] - slope * half[chosen], share, INTERVAL_LEVEL)
        return level, slope

    excess = np.zeros(len(windows))
    for index in np.unique(fold):
        held = fold == index
        if held.all():
            continue
        level, slope = line(~held)
        excess[held] = off[held] - level - slope * half[held]
    level, slope = line(np.ones(len(windows), np.bool_))
    return round(level + _quantile(excess, weights, INTERVAL_LEVEL), 4), round(slope, 4)


def _quantile(values: Floats, weights: Floats, level: float) -> float:
    """Weighted quantile of values (n,): the smallest that at least `level` of the weights do not exceed."""
    order = np.argsort(values)
    total = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(total, level - 1e-12)), len(values) - 1)])


def write(path: Path, recalibration: Recalibration, made_by: Mapping[str, Any], held_out: Mapping[str, Any]) -> None:
    """Write the file that `FACEVITALS_CALIBRATION` names."""
    body = {
        "format": FORMAT,
        "fitted_to": DIGEST,
        "verdict": {"offset": recalibration.verdict_offset, "scale": recalibration.verdict_scale},
        "interval": {
            "offset_per_min": recalibration.interval_offset_per_min,
            "scale": recalibration.interval_scale,
        },
        "made_by": dict(made_by),
        "held_out": dict(held_out),
    }
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")
