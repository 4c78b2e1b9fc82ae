"""The numbers of a validation, from the rows of its windows: one dictionary, which is the content of `report.json`."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from lab.arrays import Floats
from lab.data.rows import Row
from lab.validate.agreement import bootstrap_mean, errors_of, risk_coverage, upper_bound
from shared.vitals import VITALS

#: Largest error that is not wrong, of each vital with a number. Heart rate: ANSI/AAMI EC13; saturation: the accuracy
#: that ISO 80601-2-61 requires of an oximeter.
TOLERANCES: Final = {"heart_rate": 5.0, "respiration_rate": 3.0, "oxygen_saturation": 4.0, "age": 2.0, "bmi": 3.0}
#: Vitals of the person, whose reference is the same in all windows.
_PERSONAL: Final = ("age", "bmi")


@dataclass(frozen=True)
class Sample:
    """One measurement with a reference: a window, or for age and BMI a recording.

    value, interval  None where the vital was not reported, and `reason` why
    """

    subject: str
    reference: float
    value: float | None
    interval: tuple[float, float] | None
    reason: str | None


def samples(rows: Sequence[Row], vital: str) -> list[Sample]:
    """The measurements of a vital that have a reference."""
    if vital in _PERSONAL:
        found = [(row, row["person"].get(vital)) for row in personal_rows(rows, vital)]
    else:
        found = [(row, row["reference"].get(vital)) for row in rows]
    return [_sample(row, vital, float(reference)) for row, reference in found if reference is not None]


def personal_rows(rows: Iterable[Row], vital: str) -> list[Row]:
    """For each recording the first row in which a vital of the person has a value, or else the first."""
    chosen: dict[str, Row] = {}
    for row in rows:
        if vital not in row["vitals"]:
            continue
        before = chosen.get(row["file"])
        if before is None or ("value" not in before["vitals"][vital] and "value" in row["vitals"][vital]):
            chosen[row["file"]] = row
    return list(chosen.values())


def _sample(row: Row, vital: str, reference: float) -> Sample:
    found = row["vitals"][vital]
    interval = found.get("interval")
    return Sample(
        subject=row["subject"],
        reference=reference,
        value=found.get("value"),
        interval=None if interval is None else (interval[0], interval[1]),
        reason=found.get("reason"),
    )


def figures(found: Sequence[Sample], tolerance: float) -> dict[str, Any]:
    """Coverage, errors, interval coverage and baseline of measurements; reasons of those that were refused."""
    reported = [each for each in found if each.value is not None]
    values, references = _column(reported, lambda each: each.value), _column(reported, lambda each: each.reference)
    subjects = [each.subject for each in reported]
    errors = errors_of(values, references, subjects, tolerance)
    every = _column(found, lambda each: each.reference)
    return {
        "n": len(found),
        "subjects": len({each.subject for each in found}),
        "reported": len(reported),
        "refused": len(found) - len(reported),
        "reasons": dict(Counter(str(each.reason) for each in found if each.value is None).most_common()),
        "coverage": len(reported) / len(found) if found else None,
        "tolerance": tolerance,
        "errors": None if errors is None else asdict(errors),
        "interval": _interval(reported),
        "baseline": _baseline(every, references, tolerance),
    }


def _column(found: Iterable[Sample], value: Callable[[Sample], float | None]) -> Floats:
    return np.array([value(each) for each in found], np.float64)


def _interval(reported: Sequence[Sample]) -> dict[str, Any] | None:
    """How often the interval contains the reference, and its median width."""
    known = [(each, each.interval) for each in reported if each.interval is not None]
    if not known:
        return None
    inside = np.array([low <= each.reference <= high for each, (low, high) in known], np.float64)
    return {
        "n": len(known),
        "coverage": float(inside.mean()),
        "coverage_interval": bootstrap_mean(inside, [each.subject for each, _ in known]),
        "median_width": float(np.median([high - low for _, (low, high) in known])),
    }


def _baseline(every: Floats, reported: Floats, tolerance: float) -> dict[str, Any] | None:
    """Errors of a constant, the median of all references: over all measurements, and over those reported."""
    if not len(every):
        return None
    constant = float(np.median(every))
    off = np.abs(reported - constant)
    return {
        "constant": constant,
        "mae_all": float(np.abs(every - constant).mean()),
        "mae_reported": float(off.mean()) if len(off) else None,
        "within_reported": float((off <= tolerance + 1e-9).mean()) if len(off) else None,
    }


def genders(rows: Sequence[Row]) -> dict[str, Any]:
    """By the sex of the person: recordings, those whose gender was reported, and those where it was right."""
    found: dict[str, Any] = {}
    known = [row for row in personal_rows(rows, "gender") if row["person"].get("gender")]
    for sex in sorted({row["person"]["gender"] for row in known}):
        values = [row["vitals"]["gender"].get("value") for row in known if row["person"]["gender"] == sex]
        reported = [value for value in values if value is not None]
        right = sum(value == sex for value in reported)
        found[sex] = {
            "n": len(values),
            "reported": len(reported),
            "refused": len(values) - len(reported),
            "right": right,
            "share_right": right / len(reported) if reported else None,
            "wrong_upper": upper_bound(len(reported) - right, len(reported)) if reported else None,
        }
    return found


def heart_rate_risk(rows: Sequence[Row]) -> list[dict[str, float]]:
    """Risk and coverage of the heart rate before the verdict, by the log odds that there is a pulse."""
    known = [row for row in rows if row["reference"].get("heart_rate") is not None]
    candidates = [row["candidate"] for row in known]
    confidence = np.array([-np.inf if each is None else each["pulse_log_odds"] for each in candidates])
    off = np.array(
        [
            np.inf if each is None else abs(each["heart_rate"] - row["reference"]["heart_rate"])
            for each, row in zip(candidates, known, strict=True)
        ]
    )
    return risk_coverage(confidence, off, TOLERANCES["heart_rate"])


def groups(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Figures of the heart rate by skin type, by condition and by sex, as far as they are known."""
    keys: dict[str, Callable[[Row], object]] = {
        "skin type": lambda row: row["person"].get("skin_type"),
        "condition": lambda row: row["condition"],
        "sex": lambda row: row["person"].get("gender"),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, key in keys.items():
        values = sorted({str(value) for row in rows if (value := key(row)) is not None})
        found[name] = {
            value: figures(
                samples([row for row in rows if str(key(row)) == value], "heart_rate"), TOLERANCES["heart_rate"]
            )
            for value in values
        }
    return {name: group for name, group in found.items() if group}


def all_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Every number of the report; `rows` are those of the windows."""
    vitals = {
        vital: figures(found, tolerance)
        for vital, tolerance in TOLERANCES.items()
        if (found := samples(rows, vital)) or vital == "heart_rate"
    }
    return {
        "windows": len(rows),
        "recordings": len({row["file"] for row in rows}),
        "subjects": len({row["subject"] for row in rows}),
        "without_heart_rate_reference": sum(row["reference"].get("heart_rate") is None for row in rows),
        "vitals": vitals,
        "units": {vital: VITALS[vital].unit for vital in vitals},
        "gender": genders(rows),
        "heart_rate_by": groups(rows),
        "risk_coverage": heart_rate_risk(rows),
    }
