"""`python -m lab.calibrate.halves`: how reliable an estimator is whose rate is the same in the face and both halves.

Published estimates are of the whole face, so this is fitted to the living simulated clips in the journal that
`python -m lab.calibrate.gate` keeps. Run that first, and again afterwards, since rates in its rows depend on what is
written here. With `--write`, renews `consistent_across_halves` in `workers/rppg/fusion/calibration.json`.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lab.calibrate.document import renewed_document
from lab.calibrate.fit import density
from lab.data.measured_clips import Row, read_rows
from workers.rppg.fusion.agreement import KNOTS_PER_MIN, MEMBER_PER_MIN, Estimate, Reliability, consistent_across_halves


def main(arguments: Sequence[str] | None = None) -> int:
    """Print counts as JSON; with `--write`, renew `workers/rppg/fusion/calibration.json`."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.halves", description=__doc__)
    parser.add_argument("--journal", type=Path, default=Path("bench-out/calibration-rows.jsonl"))
    parser.add_argument("--write", action="store_true", help="renew workers/rppg/fusion/calibration.json")
    options = parser.parse_args(arguments)
    found = consistent_estimates(read_rows(options.journal))
    if not found:
        sys.stderr.write(f"{options.journal} has no living clip with the same rate in both halves\n")
        return 1
    report = {
        name: {"consistent": len(pairs), "wrong": sum(abs(rate - truth) > MEMBER_PER_MIN for rate, truth in pairs)}
        for name, pairs in found.items()
    }
    if options.write:
        with renewed_document() as document:
            document["consistent_across_halves"] = {name: asdict(fit(pairs)) for name, pairs in found.items()}
            document["consistent_across_halves_made_by"] = {
                "command": "python -m lab.calibrate.halves --write",
                **report,
            }
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def consistent_estimates(rows: Iterable[Row]) -> dict[str, list[tuple[float, float]]]:
    """By estimator: pairs of its rate, where the face and both halves give the same one, and the true rate, /min."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["conditions"]["kind"] != "live" or "estimates" not in row:
            continue
        estimates = []
        for full_name, rate in row["estimates"].items():
            name, _, part = full_name.partition(".")
            estimates.append(Estimate(name, rate, 0.0, part=part or None))
        for name, rate in sorted(consistent_across_halves(estimates).items()):
            found.setdefault(name, []).append((rate, row["truth"]["heart_rate"]))
    return found


def fit(pairs: Sequence[tuple[float, float]]) -> Reliability:
    """Reliability from pairs of estimated and true rate in /min.

    hit            by the rule of succession: none wrong of a hundred does not prove that none ever is
    scale_per_min  mean error of the right ones
    misses         density of the wrong ones, and of one more that is even over all rates
    """
    rates, truth = np.array(pairs).T
    error = np.abs(rates - truth)
    wrong = rates[error > MEMBER_PER_MIN]
    even = 1 / float(KNOTS_PER_MIN[-1] - KNOTS_PER_MIN[0])
    misses = density(wrong, np.ones(len(wrong)), bandwidth=5.0) if len(wrong) else (0.0,) * len(KNOTS_PER_MIN)
    return Reliability(
        hit=round((len(rates) - len(wrong) + 1) / (len(rates) + 2), 4),
        scale_per_min=round(max(float(error[error <= MEMBER_PER_MIN].mean()), 0.15), 4),
        misses=tuple(round((len(wrong) * often + even) / (len(wrong) + 1), 7) for often in misses),
    )


if __name__ == "__main__":
    sys.exit(main())
