"""`python -m lab.calibrate.halves`: how often a network is right that hears one rate in the face and its halves.

Published answers of networks are of the whole face, so simulated clips of living people alone can tell: those in the
journal that `python -m lab.calibrate.gate` keeps. Run it first, and the gate again after it, since the gate's rows hold
rates that are agreed on by what is written here.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lab.bench.trial import Row, read_rows
from lab.calibrate.document import renewed
from workers.rppg.agreement import MEMBER_PER_MIN, Estimate, heard_in_step
from workers.rppg.calibration import InStepModel


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, report, write down."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.halves", description=__doc__)
    parser.add_argument("--journal", type=Path, default=Path("bench-out/calibration-rows.jsonl"))
    parser.add_argument("--write", action="store_true", help="renew workers/rppg/calibration.json")
    options = parser.parse_args(arguments)
    errors = list(errors_in_step(read_rows(options.journal)))
    if not errors:
        sys.stderr.write(f"{options.journal} has no living clip whose halves are in step\n")
        return 1
    model = fit(errors)
    report = {"in step": len(errors), "wrong": sum(error > MEMBER_PER_MIN for error in errors)}
    if options.write:
        with renewed() as document:
            document["in_step"] = {
                "hit": round(model.hit, 4),
                "scale_per_min": round(model.scale_per_min, 4),
            }
            document["in_step_made_by"] = {"command": "python -m lab.calibrate.halves --write", **report}
    json.dump({**report, "hit": model.hit, "scale_per_min": model.scale_per_min}, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def errors_in_step(found: Iterable[Row]) -> Iterable[float]:
    """How far off, in /min, each network was that heard one rate in whole and halves of a living face."""
    for row in found:
        if row["conditions"]["kind"] != "live" or "estimates" not in row:
            continue
        estimates = []
        for full_name, rate in row["estimates"].items():
            name, _, part = full_name.partition(".")
            estimates.append(Estimate(name, rate, 0.0, part=part or None))
        for rate in heard_in_step(estimates).values():
            yield abs(rate - row["truth"]["heart_rate"])


def fit(errors_per_min: Sequence[float]) -> InStepModel:
    """Rule of succession for how often it is right (none of a hundred wrong is no proof of never); the mean error where
    it is.
    """
    close = np.array([error for error in errors_per_min if error <= MEMBER_PER_MIN])
    return InStepModel((len(close) + 1) / (len(errors_per_min) + 2), max(float(close.mean()), 0.15))


if __name__ == "__main__":
    sys.exit(main())
