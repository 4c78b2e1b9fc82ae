"""`python -m lab.calibrate`: fit fusion and interval to real clips, and report their accuracy on held-out people.

With `--write`, renews both in `workers/rppg/fusion/calibration.json`.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.calibrate.document import renewed_document
from lab.calibrate.fit import fit_fusion, fit_interval
from lab.calibrate.held_out import (
    PLAIN_SUPPORT,
    HeldOut,
    at_coverage,
    cross_validate,
    plain_agreement,
    resampled,
)
from lab.calibrate.table import RealClip, read_table
from workers.rppg.fusion.agreement import GROSS_PER_MIN, agree
from workers.rppg.fusion.gate import GATE

#: Level of the interval.
LEVEL: Final = 0.9
#: Seeds of the divisions into folds: PROSIT's coverage varies by 3 % between them, the mean of twenty by under 1 %.
SEEDS: Final = range(20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the held-out report as JSON; with `--write`, renew `workers/rppg/fusion/calibration.json`."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate", description=__doc__)
    parser.add_argument("--table", type=Path, default=Path("../shared/data/hr_estimator_agreement.csv"))
    parser.add_argument("--write", action="store_true", help="renew workers/rppg/fusion/calibration.json")
    options = parser.parse_args(arguments)
    clips = read_table(options.table)
    confidence = GATE.min_confidence
    report = _report(clips, confidence)
    if options.write:
        with renewed_document() as document:
            document.update(_document(clips, confidence, options.table, report))
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def _document(clips: Sequence[RealClip], confidence: float, table: Path, report: dict[str, Any]) -> dict[str, Any]:
    """The entries of the calibration's document that follow from this table, fitted to all of its clips."""
    fusion = fit_fusion(clips)
    agreements = [agree(clip.estimates, fusion) for clip in clips]
    accepted = [at for at, agreement in enumerate(agreements) if agreement.confidence >= confidence]
    interval = fit_interval(
        [agreements[at] for at in accepted],
        [clips[at] for at in accepted],
        np.array([agreements[at].rate_per_min - clips[at].rate_per_min for at in accepted]),
        LEVEL,
    )
    return {
        "made_by": "python -m lab.calibrate --write",
        "data": {"file": table.name, "sha256": hashlib.sha256(table.read_bytes()).hexdigest(), "clips": len(clips)},
        "held_out": report,
        "fusion": {name: value for name, value in asdict(fusion).items() if name != "consistent_across_halves"},
        "interval": {name: round(value, 4) for name, value in asdict(interval).items()},
    }


def _report(clips: Sequence[RealClip], confidence: float) -> dict[str, Any]:
    """Held-out figures, averaged over `SEEDS` divisions of the subjects into five folds."""
    runs = [cross_validate(clips, confidence, LEVEL, seed=seed) for seed in SEEDS]
    datasets = sorted({clip.dataset for clip in clips})
    everything = np.ones(len(clips), dtype=np.bool_)
    report = {"confidence": confidence, "all": _row(clips, runs, everything, confidence)}
    for dataset in datasets:
        chosen = np.array([clip.dataset == dataset for clip in clips])
        report[dataset] = _row(clips, runs, chosen, confidence)
    for skin in range(1, 7):
        chosen = np.array([clip.skin_type == skin and clip.dataset != "prosit" for clip in clips])
        if chosen.any():
            report[f"skin type {skin}, vv_medium and vv_africa"] = _row(clips, runs, chosen, confidence)
    return report


def _row(
    clips: Sequence[RealClip], runs: Sequence[HeldOut], chosen: np.ndarray[Any, np.dtype[np.bool_]], confidence: float
) -> dict[str, float]:
    truth = np.array([clip.rate_per_min for clip in clips])
    plain = [plain_agreement(clip) for clip in clips]
    plain_ok = chosen & np.array([support >= PLAIN_SUPPORT for _, support in plain])
    plain_error = np.abs(np.array([rate for rate, _ in plain]) - truth)
    plain_coverage = float(plain_ok.sum() / chosen.sum())
    same, mae, coverage, gross, held, width = [], [], [], [], [], []
    reported, inside = np.zeros(len(clips)), np.zeros(len(clips))
    for run in runs:
        error = np.abs(run.rate_per_min - truth)
        same.append(at_coverage(error[chosen], run.confidence[chosen], plain_coverage))
        accepted = chosen & (run.confidence >= confidence)
        coverage.append(accepted.sum() / chosen.sum())
        mae.append(error[accepted].mean())
        gross.append((error[accepted] > GROSS_PER_MIN).mean())
        holds = accepted & (error <= run.half_width_per_min)
        held.append(holds.sum() / accepted.sum())
        reported, inside = reported + accepted / len(runs), inside + holds / len(runs)
        width.append(np.median(run.half_width_per_min[accepted]))
    low, high = resampled(inside, reported, [clip.subject for clip in clips])
    figures = {
        "clips": float(chosen.sum()),
        "plain 3 of 5: coverage": plain_coverage,
        "plain 3 of 5: MAE": float(plain_error[plain_ok].mean()),
        "MAE at that coverage": float(np.mean(same)),
        "coverage": float(np.mean(coverage)),
        "MAE": float(np.mean(mae)),
        "gross errors": float(np.mean(gross)),
        "interval coverage": float(np.mean(held)),
        "interval coverage, by chance from": low,
        "interval coverage, by chance to": high,
        "median half-width": float(np.mean(width)),
    }
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
