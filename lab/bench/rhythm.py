"""`python -m lab.bench.rhythm`: what is reported of regular and irregular hearts, with and without the rhythm check.

Takes folders of kept clips (`python -m lab.render.measured`). Regular hearts show how often the check is wrong, the
others how often it is right where a rate would be reported and where none would. Clips without a pulse must not have
the reason `irregular_pulse`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from lab.bench.answers import WRONG_PER_MIN
from lab.render.measured import Measured, load
from lab.report import Report
from shared.schemas import HeartRate
from shared.vitals import Reason
from workers.rppg.fusion.gate import refusal
from workers.rppg.fusion.pulse import pulse_of
from workers.rppg.signals.nuisances import without_nuisances
from workers.rppg.signals.rhythm import UNKNOWN
from workers.rppg.vitals.heart_rate import heart_rate

#: Recorded hearts are uneven where their successive intervals differ by more than this share of the mean interval (root
#: mean square): a third of fibrillation's 0.3. Most are regular, and one beat of the reference is missing.
UNEVEN: Final = 0.1
#: Rhythms that a rate describes.
REGULAR: Final = ("contact", "sinus", "ramp")
#: The groups of the table.
GROUPS: Final = (*REGULAR, "contact, uneven", "ectopic", "fibrillation", "bigeminy", "no pulse")


@dataclass(frozen=True)
class Rhythmic:
    """The heart rate of a clip with and without the rhythm check.

    group        of `GROUPS`
    rate_per_min true rate; None without a pulse
    plain        the vital without the check
    checked      the vital with it
    likeliest    rate of the verdict, and the rate counted near it, /min; None where light or motion explains it
    """

    name: str
    group: str
    rate_per_min: float | None
    plain: HeartRate
    checked: HeartRate
    likeliest: tuple[float, float] | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; print the summary as JSON."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.rhythm", description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+", help="folders of kept clips")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    files = [file for folder in options.rows for file in sorted(folder.glob("*.truth.json"))]
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        found = [one for one in pool.map(rhythmic, files, chunksize=8) if one is not None]
    report = table(found)
    report.write(options.out)
    sys.stderr.write(report.markdown + "\n")
    json.dump(report.summary, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def rhythmic(file: Path) -> Rhythmic | None:
    """Measure a kept clip, by its `.truth.json`; None if a check refuses it or no face was seen."""
    kept = load(file)
    if kept.traces is None or kept.refused is not None:
        return None
    pulse = pulse_of(kept.traces, without_nuisances(kept.traces), kept.cleaned["mrc"])
    refused = refusal(pulse)
    explained = refused is not None and refused[0] in {Reason.MOTION, Reason.LIGHTING_UNSTABLE}
    return Rhythmic(
        name=kept.name,
        group=group_of(kept),
        rate_per_min=kept.rate_per_min,
        plain=heart_rate(replace(pulse, rhythm=UNKNOWN)),
        checked=heart_rate(pulse),
        likeliest=None if explained else (pulse.verdict.rate_per_min, pulse.rate_per_min),
    )


def group_of(kept: Measured) -> str:
    """Return the group of `GROUPS` that a clip belongs to; a recorded heart's is measured."""
    if kept.rate_per_min is None or kept.traces is None:
        return "no pulse"
    rhythm: str = kept.truth["conditions"]["rhythm"]
    if rhythm != "contact":
        return rhythm
    times, beats = kept.traces.times_s, np.array(kept.truth["beat_times_s"])
    intervals = np.diff(beats[(beats >= times[0]) & (beats <= times[-1])])
    differences = float(np.sqrt(np.mean(np.diff(intervals) ** 2)) / intervals.mean())
    return "contact, uneven" if differences > UNEVEN else rhythm


def table(found: Sequence[Rhythmic]) -> Report:
    """For each group: rates reported and wrong without the check, what it refuses, and what remains."""
    columns = (
        "group", "clips", "reported without it", "wrong", "refused by it", "of these wrong", "reported", "wrong then",
        "interval holds", "irregular_pulse in place of another reason", "median error of the belief", "of the count",
    )  # fmt: skip
    report = Report("rhythm", "Heart rates with and without the rhythm check", columns)
    for name in GROUPS:
        group = [one for one in found if one.group == name]
        before = [one for one in group if one.plain.value is not None]
        refused = [one for one in before if one.checked.value is None]
        after = [one for one in before if one.checked.value is not None]
        renamed = [one for one in group if one.plain.value is None and one.checked.reason is Reason.IRREGULAR_PULSE]
        near = [
            np.abs(np.array(one.likeliest) - one.rate_per_min)
            for one in group
            if one.likeliest is not None and one.rate_per_min is not None
        ]
        holds = [_holds(one) for one in after]
        report.add(
            name,
            len(group),
            len(before),
            sum(map(_is_wrong, before)),
            len(refused),
            sum(map(_is_wrong, refused)),
            len(after),
            sum(map(_is_wrong, after)),
            f"{np.mean(holds):.0%}" if holds else "",
            len(renamed),
            *(np.median(near, axis=0).tolist() if near else ("", "")),
        )
        report.summary[name] = {
            "clips": len(group),
            "reported": len(before),
            "refused": len(refused),
            "renamed": len(renamed),
        }
        report.notes += [
            f"{one.name} ({name}): {one.plain.value} for {one.rate_per_min}; {one.checked.detail}"
            for one in group
            if one.checked.reason is Reason.IRREGULAR_PULSE
        ]
    return report


def _is_wrong(one: Rhythmic) -> bool:
    """Whether the rate that is reported without the check is off by more than `WRONG_PER_MIN`, or of no pulse."""
    rate = one.plain.value
    return rate is not None and (one.rate_per_min is None or abs(rate - one.rate_per_min) > WRONG_PER_MIN)


def _holds(one: Rhythmic) -> bool:
    """Whether the interval contains the true rate."""
    interval = one.checked.interval
    return interval is not None and one.rate_per_min is not None and interval[0] <= one.rate_per_min <= interval[1]


if __name__ == "__main__":
    sys.exit(main())
