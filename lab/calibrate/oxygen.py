"""`python -m lab.calibrate.oxygen READINGS.csv`: fit a camera's A and B to clips with an oximeter's readings.

READINGS.csv has columns `clip,spo2`, one line for each clip; clips without a pulse or without colour are left out.
Prints the settings and their residual deviation on these clips. Healthy people at rest differ too little to fit a
slope: where readings span less than 4 %, B keeps its default.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.rppg.fusion.gate import refusal
from workers.rppg.pipeline import Examined, examine
from workers.rppg.vitals.oxygen_saturation import OxygenCalibration, ratio_of_ratios, why_without_colour

#: Least span of the readings, in per cent, for a slope to be fitted.
MIN_SPAN: Final = 4.0


def fit(ratios: NDArray[np.float64], readings: NDArray[np.float64]) -> OxygenCalibration:
    """Fit A and B of SpO2 = A - B·R by least squares, from ratios R (k,) and readings (k,) in per cent.

    Raises:
        ValueError: fewer than three clips.
    """
    if len(ratios) < 3:
        raise ValueError(f"three clips with a pulse are needed, {len(ratios)} were given")
    slope = OxygenCalibration().b
    if np.ptp(readings) >= MIN_SPAN and np.ptp(ratios) > 0:
        slope = -float(np.polyfit(ratios, readings, 1)[0])
    offset = float(np.mean(readings + slope * ratios))
    rest = readings - (offset - slope * ratios)
    return OxygenCalibration(round(offset, 2), round(slope, 2), round(max(float(rest.std(ddof=1)), 1.0), 2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each clip's ratio of ratios, fit, print the settings as JSON."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.oxygen", description=__doc__)
    parser.add_argument("readings", type=Path)
    options = parser.parse_args(arguments)
    tracker = FaceTracker()
    ratios: list[float] = []
    readings: list[float] = []
    with options.readings.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            with open_clip(options.readings.parent / row["clip"]) as clip:
                examined = examine(tracker.track(clip.frames()))
            if not isinstance(examined, Examined) or refusal(examined.pulse) is not None:
                sys.stderr.write(f"{row['clip']}: no pulse, left out\n")
                continue
            ratio = ratio_of_ratios(examined.traces, examined.pulse)
            if (why := why_without_colour(examined.traces, ratio)) is not None:
                sys.stderr.write(f"{row['clip']}: {why}, left out\n")
                continue
            ratios.append(ratio.value)
            readings.append(float(row["spo2"]))
    found = fit(np.array(ratios), np.array(readings))
    summary = {"FACEVITALS_SPO2_A": found.a, "FACEVITALS_SPO2_B": found.b, "FACEVITALS_SPO2_SD": found.residual_sd}
    sys.stdout.write(json.dumps({**summary, "clips": len(ratios)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
