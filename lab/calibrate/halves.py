"""`python -m lab.calibrate.halves`: how often those are right that hear one rate in the face and its halves.

Published answers are of the whole face, so simulated clips of living people alone can tell: those in the
journal that `python -m lab.calibrate.gate` keeps. Run it first, and the gate again after it, since the gate's rows hold
rates that are agreed on by what is written here.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lab.bench.trial import Row, read_rows
from lab.calibrate.document import renewed
from lab.calibrate.fit import density
from workers.rppg.fusion.agreement import KNOTS_PER_MIN, MEMBER_PER_MIN, Estimate, Reliability, consistent_across_halves


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, report, write down."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.halves", description=__doc__)
    parser.add_argument("--journal", type=Path, default=Path("bench-out/calibration-rows.jsonl"))
    parser.add_argument("--write", action="store_true", help="renew workers/rppg/fusion/calibration.json")
    options = parser.parse_args(arguments)
    said = said_in_step(read_rows(options.journal))
    if not said:
        sys.stderr.write(f"{options.journal} has no living clip whose halves are in step\n")
        return 1
    report = {
        name: {"consistent": len(pairs), "wrong": sum(abs(rate - truth) > MEMBER_PER_MIN for rate, truth in pairs)}
        for name, pairs in said.items()
    }
    if options.write:
        with renewed() as document:
            document["consistent_across_halves"] = {name: asdict(fit(pairs)) for name, pairs in said.items()}
            document["consistent_across_halves_made_by"] = {
                "command": "python -m lab.calibrate.halves --write",
                **report,
            }
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def said_in_step(found: Iterable[Row]) -> dict[str, list[tuple[float, float]]]:
    """By estimator: the rates that it heard in whole and halves of a living face, each with the true one, /min."""
    said: dict[str, list[tuple[float, float]]] = {}
    for row in found:
        if row["conditions"]["kind"] != "live" or "estimates" not in row:
            continue
        estimates = []
        for full_name, rate in row["estimates"].items():
            name, _, part = full_name.partition(".")
            estimates.append(Estimate(name, rate, 0.0, part=part or None))
        for name, rate in sorted(consistent_across_halves(estimates).items()):
            said.setdefault(name, []).append((rate, row["truth"]["heart_rate"]))
    return said


def fit(pairs: Sequence[tuple[float, float]]) -> Reliability:
    """Of rates and the true ones: the rule of succession for how often they are right (none of a hundred wrong is no
    proof of never), the mean error where they are, and what the wrong ones were, or one more that may be anything.
    """
    said, truth = np.array(pairs).T
    error = np.abs(said - truth)
    wrong = said[error > MEMBER_PER_MIN]
    anything = 1 / float(KNOTS_PER_MIN[-1] - KNOTS_PER_MIN[0])
    misses = density(wrong, np.ones(len(wrong)), bandwidth=5.0) if len(wrong) else (0.0,) * len(KNOTS_PER_MIN)
    return Reliability(
        hit=round((len(said) - len(wrong) + 1) / (len(said) + 2), 4),
        scale_per_min=round(max(float(error[error <= MEMBER_PER_MIN].mean()), 0.15), 4),
        misses=tuple(round((len(wrong) * often + anything) / (len(wrong) + 1), 7) for often in misses),
    )


if __name__ == "__main__":
    sys.exit(main())
