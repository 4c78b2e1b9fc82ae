"""`python -m lab.calibrate.variability`: the errors of variability, and the shortfall of SDNN of short clips.

Errors are those against the true beats of the same seconds. They are fitted to photoplethysmograms of patients (BIDMC)
at a webcam's 30 Hz, and to the simulated clips in the journal of `facevitals bench accuracy`; the shortfall from five
minutes to the patients alone. Reports how often a verdict of stress would differ after five minutes. With `--write`,
renews `errors` and `shortfall` in `workers/rppg/fusion/calibration.json`.
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

from lab.calibrate.beat_errors import fitted_model, of_clips, of_patients
from lab.calibrate.document import renewed_document
from lab.contact_ppg import BIDMC_HZ, steepest_rises
from lab.data.bidmc import beats_at_30_hz, recordings
from lab.data.measured_clips import Row, read_rows
from lab.data.vitals_clips import live_spec
from lab.simulate.physiology import FAST_HEART
from shared.schemas import HeartRateVariability, Measure, VariabilityMeasures, VitalStatus
from shared.vitals import Reason
from workers.rppg.signals.beats import beats_at
from workers.rppg.vitals.heart_rate_variability import (
    FULL_S,
    VARIABILITY_MODEL,
    VariabilityModel,
    interval_of,
    mean_ibi_ms,
    reason_withheld,
    regular,
    sdnn_ms,
)
from workers.rppg.vitals.stress import StressThresholds, adjusted_to_rest_ms, stress

#: Lengths of segment for which the shortfall is fitted, and starts of the five minutes in a patient's eight, seconds.
LENGTHS_S: Final = (10, 15, 30, 60, 120)
STARTS_S: Final = (0, 180)
#: Least share of regular intervals in five minutes: below, SDNN is not that of sinus rhythm.
MIN_REGULAR_SHARE: Final = 0.95


@dataclass(frozen=True)
class Segment:
    """SDNN of a segment at 30 Hz, the upper end of its interval, and SDNN of the five minutes that contain it, ms.

    `mean_ibi_ms` is the mean interval of the segment, `full_mean_ibi_ms` that of the five minutes.
    """

    kind: str
    person: str
    duration_s: float
    sdnn_ms: float
    high_ms: float
    full_ms: float
    mean_ibi_ms: float
    full_mean_ibi_ms: float

    @property
    def log_ratio(self) -> float:
        """Log ratio of the full SDNN to that of the segment."""
        return float(np.log(self.full_ms / self.sdnn_ms))

    @property
    def adjusted_ms(self) -> tuple[float, float]:
        """SDNN of the segment and of the five minutes, adjusted to a heart at rest, ms."""
        return (
            adjusted_to_rest_ms(self.sdnn_ms, self.mean_ibi_ms),
            adjusted_to_rest_ms(self.full_ms, self.full_mean_ibi_ms),
        )

    def verdict(self, threshold_ms: float) -> object:
        """The verdict of `stress` for the segment; None where it abstains."""
        measure = Measure(value=self.sdnn_ms, unit="ms", status=VitalStatus.EXPERIMENTAL, interval=(0.0, self.high_ms))
        absent = Measure(value=None, unit=None, status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
        mean_ibi = Measure(value=self.mean_ibi_ms, unit="ms", status=VitalStatus.OK)
        measures = dict.fromkeys(VariabilityMeasures.model_fields, absent)
        measures |= {"sdnn_ms": measure, "mean_ibi_ms": mean_ibi}
        beats = HeartRateVariability(value=measures, unit=None, status=VitalStatus.EXPERIMENTAL)
        return stress(beats, StressThresholds(sdnn_ms=threshold_ms), 0, self.duration_s).value


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the fit as JSON; with `--write`, renew `workers/rppg/fusion/calibration.json`."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.variability", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ppg/bidmc_01_26.npz"))
    parser.add_argument("--journal", type=Path, default=Path("bench-out/accuracy-rows.jsonl"))
    parser.add_argument(
        "--write", action="store_true", help="renew variability in workers/rppg/fusion/calibration.json"
    )
    options = parser.parse_args(arguments)
    rows = read_rows(options.journal)
    clips = list(of_clips(rows))
    if options.write and not clips:
        parser.error(f"no beats of living clips in {options.journal}: run facevitals bench accuracy first")
    model, errors = fitted_model([*of_patients(options.data), *clips])
    found = list(segments(options.data, model))
    shortfall = fit_shortfall(found)
    report: dict[str, Any] = {
        "errors": errors,
        "shortfall": {"fitted": shortfall, "by length": _by_length(found)},
    }
    if options.write:
        with renewed_document() as document:
            document["variability"]["errors"] = model.errors
            document["variability"]["shortfall"] = [round(value, 3) for value in shortfall]
            document["variability_made_by"] = {
                "command": "python -m lab.calibrate.variability --write",
                "data": {"file": options.data.name, "sha256": hashlib.sha256(options.data.read_bytes()).hexdigest()},
                "held_out": {name: fit["held_out"] for name, fit in errors.items()},
            }
    else:
        shipped = segments(options.data, VARIABILITY_MODEL)
        report["verdicts of stress, as shipped"] = _verdicts([*shipped, *segments_of_clips(rows)])
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def segments(path: Path, model: VariabilityModel) -> Iterator[Segment]:
    """Segments of each patient with a regular rhythm, and the five minutes that contain them."""
    for patient, ppg in recordings(path):
        for start in STARTS_S:
            full = ppg[start * BIDMC_HZ : (start + round(FULL_S)) * BIDMC_HZ]
            truth = beats_at(steepest_rises(full))
            if truth.kept_share < MIN_REGULAR_SHARE:
                continue
            for length_s in LENGTHS_S:
                for at in range(0, round(FULL_S) - length_s + 1, max(length_s // 2, 10)):
                    beats, snr = beats_at_30_hz(full[at * BIDMC_HZ : (at + length_s) * BIDMC_HZ])
                    if regular(beats) and reason_withheld("sdnn_ms", beats, snr, model) is None:
                        value, full_ms = sdnn_ms(beats), sdnn_ms(truth)
                        high = interval_of("sdnn_ms", value, beats, snr, model)[1]
                        means = mean_ibi_ms(beats), mean_ibi_ms(truth)
                        yield Segment("patients", patient, length_s, value, high, full_ms, *means)


def segments_of_clips(rows: Sequence[Row]) -> Iterator[Segment]:
    """Simulated clips whose SDNN is reported, and SDNN of their heart over long times (`lab.simulate.physiology`)."""
    for row in rows:
        hrv = row["vitals"]["heart_rate_variability"]["value"]
        if row["conditions"]["kind"] == "live" and isinstance(hrv, dict) and hrv["sdnn_ms"]["value"] is not None:
            spec = live_spec(row["seed"])
            full = spec.hrv_sdnn_ms * min(1.0, FAST_HEART / spec.heart_rate) ** 2
            sdnn = hrv["sdnn_ms"]
            high = sdnn["interval"][1]
            means = hrv["mean_ibi_ms"]["value"], 60_000 / spec.heart_rate
            yield Segment("simulated clips", str(row["seed"]), spec.duration_s, sdnn["value"], high, full, *means)


def _verdicts(found: Sequence[Segment]) -> list[dict[str, Any]]:
    """How often "SDNN below the threshold" differs from the verdict of five minutes, for all and for reported segments.

    Few patients change sides at 50 ms; their median is the hardest threshold.
    """
    rows = []
    for kind, duration_s in sorted({(part.kind, part.duration_s) for part in found}):
        chosen = [part for part in found if (part.kind, part.duration_s) == (kind, duration_s)]
        for threshold in (StressThresholds().sdnn_ms, float(np.median([part.adjusted_ms[1] for part in chosen]))):
            full = np.array([part.adjusted_ms[1] < threshold for part in chosen])
            plain = np.array([part.adjusted_ms[0] < threshold for part in chosen])
            verdicts = [part.verdict(threshold) for part in chosen]
            reported = np.array([verdict is not None for verdict in verdicts])
            flipped = np.array([verdict == "stress" for verdict in verdicts]) != full
            rows.append(
                {
                    "of": kind,
                    "seconds": duration_s,
                    "threshold": round(threshold, 1),
                    "segments": len(chosen),
                    "low in the whole": round(float(full.mean()), 3),
                    "plain: low": round(float(plain.mean()), 3),
                    "plain: flipped": round(float((plain != full).mean()), 3),
                    "reported": round(float(reported.mean()), 3),
                    "reported: flipped": round(float(flipped[reported].mean()), 3) if reported.any() else None,
                    "stress": verdicts.count("stress"),
                    "no_stress": verdicts.count("no_stress"),
                }
            )
    return rows


def fit_shortfall(found: Sequence[Segment]) -> tuple[float, float]:
    """Drift and spread as in `VariabilityModel`; every patient has the same weight.

    Drift by least squares through the medians of the lengths, spread as the mean of their spreads.
    """
    by_length = _by_length(found)
    shorter = np.log(FULL_S / np.array(list(by_length), np.float64))
    median, spread = (np.array([row[name] for row in by_length.values()]) for name in ("median", "spread"))
    return float(median @ shorter / (shorter @ shorter)), float(spread.mean())


def _by_length(found: Sequence[Segment]) -> dict[float, dict[str, float]]:
    """For each length in seconds: median of the log ratio, and half its 90 % range over 1.645."""
    rows = {}
    for length_s in sorted({part.duration_s for part in found}):
        of_length = [part for part in found if part.duration_s == length_s]
        persons = [part.person for part in of_length]
        order = np.argsort([part.log_ratio for part in of_length])
        weights = np.array([1 / persons.count(person) for person in persons])[order]
        share = (np.cumsum(weights) - weights / 2) / weights.sum()
        low, middle, high = np.interp((0.05, 0.5, 0.95), share, np.array([part.log_ratio for part in of_length])[order])
        rows[length_s] = {
            "segments": len(of_length),
            "patients": len(set(persons)),
            "median": round(float(middle), 3),
            "spread": round(float(high - low) / (2 * 1.645), 3),
        }
    return rows


if __name__ == "__main__":
    sys.exit(main())
