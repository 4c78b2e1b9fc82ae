"""`python -m lab.bench.trust`: how far the heart rate can be trusted, on people and by a renderer it was not fitted on.

Takes folders of kept clips (`python -m lab.render.measured`), and gives for each stratum how many rates were reported
and how many of them were wrong, with bounds; what the frozen rival does (`lab.bench.two_lines`); whether intervals
hold; and what was reported without a pulse. With `--look WHY` the figures are added to `lab/looks.csv`: each look at
test clips is kept, the bad ones too, since figures whose clips steered a change are no evidence.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.bench.answers import NEAR_PER_MIN, Answer, answer
from lab.bench.risk import best_constant_winkler, coverage_at, difference_of_areas, risk_area, upper_bound, winkler
from lab.report import Report
from lab.world.conditions import LIFELESS, LIVING

LOOKS: Final = Path(__file__).parent.parent / "looks.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables; print the summary as JSON."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.trust", description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+", help="folders of kept clips")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--look", metavar="WHY", help="add the figures to lab/looks.csv")
    options = parser.parse_args(arguments)
    files = [file for folder in options.rows for file in sorted(folder.glob("*.truth.json"))]
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        answers = list(pool.map(answer, files, chunksize=8))
    reports = [strata(answers), rival(answers), lifeless(answers), intervals(answers), respiration(answers)]
    for report in reports:
        report.write(options.out)
        sys.stderr.write(report.markdown + "\n")
    summary = {key: value for report in reports for key, value in report.summary.items()}
    if options.look:
        _keep_look(options.look, answers, summary)
    json.dump(summary, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def groups(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """The living clips by stratum, the ordinary ones, and all."""
    living = [found for found in answers if found.alive]
    by_name = {name: [found for found in living if found.truth["conditions"]["stratum"] == name] for name in LIVING}
    return {**by_name, "ordinary": [found for found in living if found.truth["ordinary"]], "all": living}


def strata(answers: Sequence[Answer]) -> Report:
    """Coverage and wrong answers of each stratum."""
    columns = ("group", "clips", "reported", "coverage", "wrong", "95 % bound", "mae", "ceiling", "refused")
    report = Report("trust-strata", "Heart rate reported, and wrong (off by more than 5 /min)", columns)
    for name, found in groups(answers).items():
        ok = [one for one in found if one.reported is not None]
        wrong = sum(one.wrong for one in found)
        errors = [abs(one.reported - one.rate_per_min) for one in ok if one.reported and one.rate_per_min]
        near = [one for one in found if one.nearest is not None and one.nearest <= NEAR_PER_MIN]
        reasons = Counter(str(one.reason) for one in found if one.reported is None)
        report.add(
            name,
            len(found),
            len(ok),
            _share(len(ok), len(found)),
            wrong,
            upper_bound(wrong, len(ok)),
            float(np.mean(errors)) if errors else "",
            _share(len(near), len(found)),
            ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()),
        )
        report.summary[name] = {"clips": len(found), "reported": len(ok), "wrong": wrong}
    for one in answers:
        if one.alive and one.wrong:
            report.notes.append(f"Wrong: {one.name}: {one.reported} for {one.rate_per_min}.")
    return report


def rival(answers: Sequence[Answer]) -> Report:
    """Ours beside the two lines: at both thresholds, at as many wrong answers, and by the area under the curve."""
    columns = (
        "group", "clips", "wrong", "wrong, two lines", "coverage", "coverage, two lines", "coverage at as many wrong",
        "area", "area less theirs", "95 % from", "to", "two lines with our conditions", "wrong of these",
    )  # fmt: skip
    report = Report("trust-rival", "The verdict beside the two lines", columns)
    for name, found in groups(answers).items():
        if not found:
            continue
        theirs = [one for one in found if one.rival_reported is not None]
        their_wrong = sum(one.is_off(one.rival_reported) for one in theirs)
        checked = [one for one in found if one.checked_rival is not None]
        checked_wrong = sum(one.is_off(one.checked_rival) for one in checked)
        ours = np.array([one.score for one in found])
        our_wrong = np.array([one.is_off(one.likeliest) for one in found])
        off = np.array([one.is_off(one.likeliest, NEAR_PER_MIN) for one in found])
        their_off = np.array([one.is_off(one.rival.pos_per_min if one.rival else None, NEAR_PER_MIN) for one in found])
        their_score = np.array([-1e3 if one.rival is None else max(one.rival.score, -99.0) for one in found])
        people = [str(one.truth["conditions"]["portrait"]) for one in found]
        difference, low, high = difference_of_areas(ours, their_score, off, their_off, people)
        report.add(
            name,
            len(found),
            sum(one.wrong for one in found),
            their_wrong,
            _share(sum(one.reported is not None for one in found), len(found)),
            _share(len(theirs), len(found)),
            coverage_at(ours, our_wrong, their_wrong),
            risk_area(ours, off),
            difference,
            low,
            high,
            _share(len(checked), len(found)),
            checked_wrong,
        )
        report.summary[f"rival {name}"] = {
            "wrong": their_wrong,
            "reported": len(theirs),
            "with conditions": len(checked),
            "wrong of these": checked_wrong,
        }
    return report


def lifeless(answers: Sequence[Answer]) -> Report:
    """What was reported without a pulse, by stratum: there must be nothing."""
    columns = (
        "group",
        "clips",
        "heart rates",
        "respiration rates",
        "heart rates, two lines",
        "with our conditions",
        "reasons",
    )
    report = Report("trust-lifeless", "Reported without a pulse", columns)
    for name in (*LIFELESS, "all"):
        found = [one for one in answers if not one.alive and name in (one.truth["conditions"]["stratum"], "all")]
        rates = sum(one.reported is not None for one in found)
        breaths = sum(one.respiration is not None for one in found)
        theirs = sum(one.rival_reported is not None for one in found)
        checked = sum(one.checked_rival is not None for one in found)
        reasons = Counter(str(one.reason) for one in found)
        report.add(
            name,
            len(found),
            rates,
            breaths,
            theirs,
            checked,
            ", ".join(f"{why} {n}" for why, n in reasons.most_common()),
        )
        report.summary[f"lifeless {name}"] = {"clips": len(found), "heart_rate": rates, "respiration_rate": breaths}
    for one in answers:
        if not one.alive and one.reported is not None:
            report.notes.append(f"Reported: {one.name}: {one.reported}.")
    return report


def intervals(answers: Sequence[Answer]) -> Report:
    """Whether 90 % of the intervals hold, and whether they are worth more than one width for a group."""
    columns = ("group", "reported", "hold", "width", "score", "score of one width")
    report = Report("trust-intervals", "90 % intervals of the heart rate", columns)
    for name, found in groups(answers).items():
        ok = [one for one in found if one.interval is not None and one.reported is not None and one.rate_per_min]
        if not ok:
            continue
        low, high = (np.array([one.interval[side] for one in ok if one.interval]) for side in (0, 1))
        true = np.array([one.rate_per_min for one in ok], np.float64)
        error = np.array([one.reported for one in ok], np.float64) - true
        hold = float(((low <= true) & (true <= high)).mean())
        report.add(
            name, len(ok), hold, float(np.median(high - low)), winkler(low, high, true), best_constant_winkler(error)
        )
        report.summary[f"intervals {name}"] = {"reported": len(ok), "hold": round(hold, 3)}
    return report


def respiration(answers: Sequence[Answer]) -> Report:
    """Respiration of the living: coverage, error, the worst."""
    columns = ("group", "clips", "reported", "coverage", "mae", "off by more than 4", "worst", "a constant's mae")
    report = Report("trust-respiration", "Respiration rate", columns)
    for name, found in groups(answers).items():
        known = [one for one in found if one.truth["respiration_rate"] is not None]
        ok = [one for one in known if one.respiration is not None]
        error = np.abs([one.respiration - one.truth["respiration_rate"] for one in ok if one.respiration is not None])
        true = np.array([one.truth["respiration_rate"] for one in known], np.float64)
        constant = float(np.abs(true - np.median(true)).mean()) if len(true) else ""
        figures: tuple[object, ...] = ("", "", "")
        if len(error):
            figures = (float(error.mean()), int((error > 4).sum()), float(error.max()))
        report.add(name, len(known), len(ok), _share(len(ok), len(known)), *figures, constant)
    return report


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _keep_look(why: str, answers: Sequence[Answer], summary: dict[str, Any]) -> None:
    """Add one line to `lab/looks.csv`."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=LOOKS.parent
    )
    living, dead = summary["all"], summary["lifeless all"]
    row = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit.stdout.strip(),
        "renderer": "+".join(sorted({one.truth["renderer"] for one in answers})),
        "seeds": "+".join(sorted({str(one.truth["conditions"]["seed"]) for one in answers})),
        "why": why,
        "living": living["clips"],
        "reported": living["reported"],
        "wrong": living["wrong"],
        "wrong_ordinary": summary["ordinary"]["wrong"],
        "lifeless": dead["clips"],
        "lifeless_heart_rates": dead["heart_rate"],
        "lifeless_respiration_rates": dead["respiration_rate"],
        "two_lines_reported": summary.get("rival all", {}).get("reported", ""),
        "two_lines_wrong": summary.get("rival all", {}).get("wrong", ""),
    }
    new = not LOOKS.exists()
    with LOOKS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
