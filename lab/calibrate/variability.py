"""`python -m lab.calibrate.variability`: the error of SDNN and RMSSD, and how far SDNN falls short of five minutes'.

Fitted to photoplethysmograms of patients (BIDMC) at a webcam's 30 Hz, the errors to the simulated clips in the journal
of `lab.calibrate.gate` as well. Says how often a verdict of stress would be another one after five minutes. With
`--write`, renews `errors` and `shortfall` in `workers/rppg/fusion/calibration.json`.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.bench.recordings import BIDMC_HZ, beats_in, recordings, steepest
from lab.bench.trial import Row, read_rows
from lab.calibrate.beat_errors import fitted_model, of_clips, of_patients
from lab.calibrate.document import renewed
from lab.simulate.physiology import FAST_HEART
from lab.trials import live_spec
from shared.schemas import HeartRateVariability, Measure, VariabilityMeasures, VitalStatus
from shared.vitals import Reason
from workers.rppg.fusion.calibration import CALIBRATION, FULL_S, VariabilityModel
from workers.rppg.signals.beats import beats_at
from workers.rppg.vitals.hrv import interval_of, regular, sdnn_ms, told_from_noise
from workers.rppg.vitals.stress import StressThresholds, stress

Array = NDArray[np.float64]

#: Lengths of clip for which the shortfall is fitted, seconds, and where five minutes begin in the eight of a patient.
LENGTHS_S: Final = (10, 15, 30, 60, 120)
STARTS_S: Final = (0, 180)
#: Five minutes in which fewer intervals are regular have no SDNN of the heart's own rhythm.
REGULAR_SHARE: Final = 0.95


@dataclass(frozen=True)
class Stretch:
    """SDNN of so many seconds as 30 Hz give it, the upper end of its interval, and the SDNN of the whole around it."""

    kind: str
    person: str
    duration_s: float
    sdnn_ms: float
    high_ms: float
    full_ms: float

    @property
    def log_ratio(self) -> float:
        """By how much the stretch falls short."""
        return float(np.log(self.full_ms / self.sdnn_ms))

    def verdict(self, threshold_ms: float) -> object:
        """What the vital `stress` says of it; None where it says nothing."""
        measure = Measure(value=self.sdnn_ms, unit="ms", status=VitalStatus.EXPERIMENTAL, interval=(0.0, self.high_ms))
        absent = Measure(value=None, unit=None, status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
        measures = dict.fromkeys(VariabilityMeasures.model_fields, absent) | {"sdnn_ms": measure}
        beats = HeartRateVariability(value=measures, unit=None, status=VitalStatus.EXPERIMENTAL)
        return stress(beats, StressThresholds(sdnn_ms=threshold_ms), [], 0, self.duration_s).value


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the fit as JSON; with `--write`, renew `workers/rppg/fusion/calibration.json`."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.variability", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ppg/bidmc_01_26.npz"))
    parser.add_argument("--journal", type=Path, default=Path("bench-out/calibration-rows.jsonl"))
    parser.add_argument(
        "--write", action="store_true", help="renew variability in workers/rppg/fusion/calibration.json"
    )
    options = parser.parse_args(arguments)
    rows = read_rows(options.journal)
    clips = list(of_clips(rows))
    if options.write and not clips:
        parser.error(f"no beats of living clips in {options.journal}: run python -m lab.calibrate.gate first")
    model, errors = fitted_model([*of_patients(options.data), *clips])
    found = list(stretches(options.data, model))
    shortfall = fit_shortfall(found)
    report: dict[str, Any] = {
        "errors": errors,
        "shortfall": {"fitted": shortfall, "by length": _by_length(found)},
    }
    if options.write:
        with renewed() as document:
            document["variability"]["errors"] = model.errors
            document["variability"]["shortfall"] = [round(value, 3) for value in shortfall]
            document["variability_made_by"] = {
                "command": "python -m lab.calibrate.variability --write",
                "data": {"file": options.data.name, "sha256": hashlib.sha256(options.data.read_bytes()).hexdigest()},
                "held_out": {name: fit["held_out"] for name, fit in errors.items()},
            }
    else:
        shipped = stretches(options.data, CALIBRATION.variability)
        report["verdicts of stress, as shipped"] = _verdicts([*shipped, *stretches_of_clips(rows)])
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def stretches(path: Path, model: VariabilityModel) -> Iterator[Stretch]:
    """Stretches of each patient whose heart is regular, against the five minutes that they lie in."""
    for patient, ppg in recordings(path):
        for start in STARTS_S:
            full = ppg[start * BIDMC_HZ : (start + round(FULL_S)) * BIDMC_HZ]
            truth = beats_at(steepest(full))
            if truth.kept_share < REGULAR_SHARE:
                continue
            for length_s in LENGTHS_S:
                for at in range(0, round(FULL_S) - length_s + 1, max(length_s // 2, 10)):
                    beats, snr = beats_in(full[at * BIDMC_HZ : (at + length_s) * BIDMC_HZ])
                    if regular(beats) and told_from_noise("sdnn_ms", beats, snr, model):
                        value = sdnn_ms(beats)
                        high = interval_of("sdnn_ms", value, beats, snr, model)[1]
                        yield Stretch("patients", patient, length_s, value, high, sdnn_ms(truth))


def stretches_of_clips(rows: Sequence[Row]) -> Iterator[Stretch]:
    """Simulated clips that were told SDNN, against that of their heart over long times (`lab.simulate.physiology`)."""
    for row in rows:
        told = row["vitals"]["heart_rate_variability"]["value"]
        if row["conditions"]["kind"] == "live" and isinstance(told, dict) and told["sdnn_ms"]["value"] is not None:
            spec = live_spec(row["seed"])
            full = spec.hrv_sdnn_ms * min(1.0, FAST_HEART / spec.heart_rate) ** 2
            sdnn = told["sdnn_ms"]
            high = sdnn["interval"][1]
            yield Stretch("simulated clips", str(row["seed"]), spec.duration_s, sdnn["value"], high, full)


def _verdicts(found: Sequence[Stretch]) -> list[dict[str, Any]]:
    """How often "SDNN below the threshold" says otherwise than the whole does, of all and of those told a verdict.

    Patients hardly differ in which side of 50 ms they are on; at their median a verdict is hardest.
    """
    rows = []
    for kind, duration_s in sorted({(part.kind, part.duration_s) for part in found}):
        chosen = [part for part in found if (part.kind, part.duration_s) == (kind, duration_s)]
        for threshold in (StressThresholds().sdnn_ms, float(np.median([part.full_ms for part in chosen]))):
            full = np.array([part.full_ms < threshold for part in chosen])
            plain = np.array([part.sdnn_ms < threshold for part in chosen])
            told = [part.verdict(threshold) for part in chosen]
            given = np.array([verdict is not None for verdict in told])
            flipped = np.array([verdict == "stress" for verdict in told]) != full
            rows.append(
                {
                    "of": kind,
                    "seconds": duration_s,
                    "threshold": round(threshold, 1),
                    "stretches": len(chosen),
                    "low in the whole": round(float(full.mean()), 3),
                    "plain: said to be low": round(float(plain.mean()), 3),
                    "plain: flipped": round(float((plain != full).mean()), 3),
                    "told": round(float(given.mean()), 3),
                    "told: flipped": round(float(flipped[given].mean()), 3) if given.any() else None,
                    "stress": told.count("stress"),
                    "no_stress": told.count("no_stress"),
                }
            )
    return rows


def fit_shortfall(found: Sequence[Stretch]) -> tuple[float, float]:
    """Drift and spread as in `VariabilityModel`: least squares through the lengths' medians, and the mean of their
    spreads, every patient counting the same.
    """
    by_length = _by_length(found)
    shorter = np.log(FULL_S / np.array(list(by_length), np.float64))
    median, spread = (np.array([row[name] for row in by_length.values()]) for name in ("median", "spread"))
    return float(median @ shorter / (shorter @ shorter)), float(spread.mean())


def _by_length(found: Sequence[Stretch]) -> dict[float, dict[str, float]]:
    """For each length: median of the log ratio, and half of what nine in ten span over 1.645."""
    rows = {}
    for length_s in sorted({part.duration_s for part in found}):
        of_length = [part for part in found if part.duration_s == length_s]
        persons = [part.person for part in of_length]
        order = np.argsort([part.log_ratio for part in of_length])
        weights = np.array([1 / persons.count(person) for person in persons])[order]
        share = (np.cumsum(weights) - weights / 2) / weights.sum()
        low, middle, high = np.interp((0.05, 0.5, 0.95), share, np.array([part.log_ratio for part in of_length])[order])
        rows[length_s] = {
            "stretches": len(of_length),
            "patients": len(set(persons)),
            "median": round(float(middle), 3),
            "spread": round(float(high - low) / (2 * 1.645), 3),
        }
    return rows


if __name__ == "__main__":
    sys.exit(main())
