"""Tables of age, gender and BMI on labelled portraits; what is fitted is measured on portraits that were held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from lab.arrays import Floats
from lab.bench.age_gender import PortraitLabels, fit_age, fit_gender, folds, years
from lab.report import Report
from workers.vision.age_gender.age import BASELINE_YEARS
from workers.vision.age_gender.gender import MIN_PROBABILITY
from workers.vision.bmi.proportions import BASELINE, INTERVAL_90, MEAN, PER_SD, index

#: Level of the interval around a counted share.
_LEVEL: Final = 0.9
#: Groups of adults by the first year of their band.
_GENDER_BANDS: Final = ((20.0, 40.0), (40.0, 60.0), (60.0, 70.0), (70.0, 200.0))


@dataclass(frozen=True)
class ModelOutputs:
    """Uncalibrated outputs of the models on n pictures, by model name; the truth; face ratios of frontal adults.

    ages  (n,) years;  log_odds  (n,) of being male;  ratios  (m, 7)
    """

    ages: dict[str, Floats]
    log_odds: dict[str, Floats]
    truth: PortraitLabels
    ratios: Floats


def age_table(model: str, raw: Floats, truth: PortraitLabels) -> Report:
    """By band and gender, from `raw` ages (n,): years off the band and off its middle, beside a constant; coverage."""
    ages, inside, width = _held_out_ages(raw, truth)
    off, aside, constant = truth.off_band(ages), np.abs(ages - truth.middle), np.abs(BASELINE_YEARS - truth.middle)
    columns = (
        "group", "portraits", "years off the band", "off its middle", "a constant: off its middle",
        "estimate less middle", "interval holds", "interval width",
    )  # fmt: skip
    report = Report(f"vision-age-{model}", f"Age by {model}, held out", columns)
    groups = {
        "adults": truth.adult,
        "adults, female": truth.adult & ~truth.male,
        "adults, male": truth.adult & truth.male,
        "sixty and older": truth.low >= 60,
        "minors": ~truth.adult,
        **{f"from {low:g}": truth.low == low for low in np.unique(truth.low)},
    }
    for name, own in groups.items():
        figures = (off, aside, constant, ages - truth.middle, inside, width)
        report.add(name, int(own.sum()), *(_mean(figure[own]) for figure in figures))
    adult = truth.adult
    bands = [row for row in report.rows if str(row[0]).startswith("from") and float(str(row[0]).split()[1]) >= 20]
    worst = max(bands, key=lambda row: float(str(row[2])), default=None)
    report.summary = {
        "off_band": _mean(off[adult]),
        "off_middle": _mean(aside[adult]),
        "constant_off_middle": _mean(constant[adult]),
        "interval_coverage": _mean(inside[adult], 3),
        "worst_adult_band": None if worst is None else {"group": worst[0], "off_band": worst[2]},
    }
    fitted = fit_age(raw, truth)
    report.notes.append(f"Uncalibrated: {_mean(truth.off_band(raw)[adult])} years off the band (adults).")
    report.notes.append(
        "Constants fitted to all: curve "
        + ", ".join(f"{knot:g}: {value:.1f}" for knot, value in fitted.curve)
        + f"; low {fitted.low[0]:.3f} {fitted.low[1]:+.3f}; high {fitted.high[0]:.3f} {fitted.high[1]:+.3f}."
    )
    return report


def _held_out_ages(raw: Floats, truth: PortraitLabels) -> tuple[Floats, Floats, Floats]:
    """Held-out ages (n,), the share of each band inside the interval (n,), and the interval's width (n,), years."""
    ages, inside, width, times = (np.zeros(len(raw)) for _ in range(4))
    for rest, fold in folds(len(raw)):
        fitted = fit_age(raw[rest], truth.of(rest))
        found = years(fitted, raw[fold])
        low, high = (offset + slope * found for offset, slope in (fitted.low, fitted.high))
        low, high = np.maximum(np.minimum(low, found), 0.0), np.maximum(high, found)
        spread = truth.of(fold).spread()
        ages[fold] += found
        inside[fold] += np.mean((spread >= low[:, None]) & (spread <= high[:, None]), axis=1)
        width[fold] += high - low
        times[fold] += 1
    return ages / times, inside / times, width / times


def gender_table(models: tuple[str, ...], outputs: ModelOutputs) -> Report:
    """By gender and age: coverage, the share right where reported, and the probability claimed."""
    adult = outputs.truth.adult
    log_odds = np.stack([outputs.log_odds[model] for model in models], axis=1)[adult]
    male, low = outputs.truth.male[adult], outputs.truth.low[adult]
    held = _held_out_odds(log_odds, male)
    right = (held > 0) == male
    probability = 1 / (1 + np.exp(-np.abs(held)))
    reported = probability >= MIN_PROBABILITY
    columns = (
        "group",
        "portraits",
        "coverage",
        "right where reported",
        "90 % interval of that",
        "claimed",
        "claim holds",
    )
    name = " + ".join(models)
    report = Report(f"vision-gender-{'-'.join(models)}", f"Gender by {name}, adults, held out", columns)
    rows = dict(_gender_groups(male, low))
    for group, own in rows.items():
        report.add(
            group, int(own.sum()), _mean(reported[own], 3), *_claim(right[own & reported], probability[own & reported])
        )
    named = [row for row in report.rows if row[0] not in {"all", "female", "male"} and isinstance(row[3], float)]
    worst = min(named, key=lambda row: float(str(row[3])), default=None)
    report.summary = {
        "coverage": _mean(reported, 3),
        "right_where_reported": _mean(right[reported], 3),
        "right_at_full_coverage": _mean(right, 3),
        "majority": round(max(_mean(male, 3), 1 - _mean(male, 3)), 3),
        "worst_group": None if worst is None else {"group": worst[0], "right": worst[3], "claimed": worst[5]},
        "groups_whose_claim_fails": [row[0] for row in report.rows if row[6] == "no"],
    }
    fifths = ", ".join(f"{claimed:g} → {true:g}" for claimed, true in _fifths(probability, right))
    report.notes.append(
        f"Right at full coverage: {_mean(right, 3):.1%}. Always the commoner gender: {report.summary['majority']:.1%}."
    )
    report.notes.append(f"Claimed probability and share right, by fifths: {fifths}.")
    weights = ", ".join(f"{value:.3f}" for value in fit_gender(log_odds, male))
    report.notes.append(f"Constants fitted to all (weights of log-odds, constant): {weights}.")
    return report


def _held_out_odds(log_odds: Floats, male: NDArray[np.bool_]) -> Floats:
    held, times = np.zeros(len(male)), np.zeros(len(male))
    for rest, fold in folds(len(male)):
        weights = fit_gender(log_odds[rest], male[rest])
        held[fold] += log_odds[fold] @ weights[:-1] + weights[-1]
        times[fold] += 1
    return np.asarray(held / times)


def _gender_groups(male: NDArray[np.bool_], low: Floats) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "all", np.ones(len(male), np.bool_)
    for name, own in (("female", ~male), ("male", male)):
        yield name, own
        for first, after in _GENDER_BANDS:
            title = f"{name}, {first:g} and older" if after > 100 else f"{name}, {first:g}-{after - 1:g}"
            yield title, own & (low >= first) & (low < after)


def _claim(right: NDArray[np.bool_], probability: Floats) -> tuple[object, ...]:
    """Share right, its interval (Clopper, Pearson 1934), the mean claimed probability, whether that is inside."""
    if not len(right):
        return "", "", "", ""
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(_LEVEL)
    claimed = float(probability.mean())
    holds = interval.low <= claimed <= interval.high
    return _mean(right, 3), f"{interval.low:.2f}-{interval.high:.2f}", round(claimed, 3), "yes" if holds else "no"


def bmi_table(measured: Floats) -> Report:
    """Published error of BMI from face ratios, and the spread of estimates on these portraits, ratios (m, 7)."""
    columns = ("method", "error on photos with stated height and weight, kg/m2", "estimates on these portraits")
    report = Report("vision-bmi", "BMI from the face's proportions", columns)
    found = np.array([MEAN + PER_SD * index(one) for one in measured])
    report.add(f"a constant, {MEAN:g}", "4.8 to 6.5 (887 and 201 photos)", f"{MEAN:g}")
    spread = f"{np.quantile(found, 0.05):.1f} to {np.quantile(found, 0.95):.1f} (nine in ten)" if len(found) else "none"
    report.add("face ratios, experimental", "0.2 to 0.5 less", spread)
    report.notes += [
        f"The 90 % interval is {INTERVAL_90[0]:+g} to {INTERVAL_90[1]:+g} kg/m2. Bias by ethnicity is not known.",
        "Those photos can't be shipped: nothing here measures the error again. "
        f"Frontal adults among these portraits: {len(measured)}.",
    ]
    if len(measured) > 1:
        mean, sd = measured.mean(axis=0), measured.std(axis=0)
        report.notes.append(f"Ratios' means {mean.round(3).tolist()}, spreads {sd.round(3).tolist()}.")
    report.summary = {"constant_mae": BASELINE.mae, "measured_here": False, "frontal_adults": len(measured)}
    return report


def _fifths(probability: Floats, right: NDArray[np.bool_]) -> list[tuple[float, float]]:
    return [(_mean(probability[part]), _mean(right[part])) for part in np.array_split(np.argsort(probability), 5)]


def _mean(values: NDArray[Any], digits: int = 2) -> float:
    return round(float(np.mean(values)), digits) if len(values) else float("nan")
