"""`facevitals bench accuracy`: errors and coverage of the vitals, and whether their intervals hold.

Measured on simulated clips with known truth, on real clips where there are some, and on negatives, for which no rate
may be reported.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from lab.arrays import Floats
from lab.data.measured_clips import Row
from lab.report import Report
from workers.rppg.estimators import ESTIMATORS
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.traces import Traces

#: Coverages at which the risk is measured.
COVERAGES: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)

#: Fitzpatrick type from which on figures are given apart: published systems are weakest there.
DARK: Final = 5
#: A rate that is off by more than this, /min, is a gross error.
GROSS_PER_MIN: Final = 5.0
#: Largest error in /min for which an estimator alone counts as right.
NEAR_PER_MIN: Final = 3.0
ORDER: Final = tuple(spec.name for spec in ESTIMATORS)
#: Fewest clips with a reported vital for a group to be the worst one.
MIN_GROUP: Final = 8
DEFAULT: Final = tuple(spec.name for spec in ESTIMATORS if spec.default)


def is_live(row: Row) -> bool:
    """Whether the clip shows a living person throughout."""
    return bool(row["conditions"]["kind"] == "live")


def is_indoor_still(row: Row) -> bool:
    """Whether the clip shows a living person in bright light with no more motion than sitting."""
    return is_live(row) and row["conditions"]["light"] >= 1.0 and row["conditions"]["motion"] <= 1.0


def reported_value(row: Row, vital: str) -> float | None:
    """A vital's number, or None where it was not reported."""
    value = row["vitals"][vital]["value"]
    return float(value) if isinstance(value, int | float) else None


def figures(rows: Sequence[Row], vital: str) -> dict[str, float | int | None]:
    """Clips, coverage, and where the vital was reported: errors against truth, gross errors, interval coverage."""
    pairs = [
        (value, row["truth"][vital], row["vitals"][vital]["interval"])
        for row in rows
        if row["truth"][vital] is not None and (value := reported_value(row, vital)) is not None
    ]
    errors = np.array([value - true for value, true, _ in pairs])
    inside = [interval[0] <= true <= interval[1] for _, true, interval in pairs if interval is not None]
    share = len(pairs) / len(rows) if rows else None
    if not pairs:
        return {"clips": len(rows), "reported": 0, "coverage": share}
    return {
        "clips": len(rows),
        "reported": len(pairs),
        "coverage": round(len(pairs) / len(rows), 4),
        "mae": round(float(np.abs(errors).mean()), 3),
        "rmse": round(float(np.sqrt((errors**2).mean())), 3),
        "p95": round(float(np.percentile(np.abs(errors), 95)), 2),
        "gross": int((np.abs(errors) > GROSS_PER_MIN).sum()),
        "interval_coverage": round(float(np.mean(inside)), 3) if inside else None,
        "interval_width": round(float(np.median([i[1] - i[0] for *_, i in pairs if i is not None])), 2),
    }


def by_condition(rows: Sequence[Row], vital: str) -> Report:
    """The vital in all clips, in bright still ones, and for every value of every condition."""
    columns = ("group", "clips", "reported", "coverage", "mae", "p95", "gross", "interval_coverage", "interval_width")
    report = Report(f"accuracy-{vital}", f"{vital} on simulated clips, /min", columns)
    live = [row for row in rows if is_live(row)]

    def add(name: str, chosen: Sequence[Row]) -> None:
        found = figures(chosen, vital)
        report.add(name, *(found.get(column, "") for column in columns[1:]))

    add("all", live)
    still = [row for row in live if is_indoor_still(row)]
    add("indoor, still", still)
    add("indoor, still, types I-IV", [row for row in still if row["conditions"]["skin_tone"] < DARK])
    for tone in (5, 6):
        add(
            f"indoor, still, type {'V' if tone == 5 else 'VI'}",
            [r for r in still if r["conditions"]["skin_tone"] == tone],
        )
    for condition in ("skin_tone", "light", "motion", "codec", "bitrate_bps", "fps"):
        for value in sorted({row["conditions"][condition] for row in live}):
            add(f"{condition} {value}", [row for row in live if row["conditions"][condition] == value])
    for low, high in ((42, 60), (60, 90), (90, 120), (120, 180)):
        add(f"heart rate {low}-{high}", [row for row in live if low <= row["conditions"]["heart_rate"] < high])
    groups = [row for row in report.rows if isinstance(row[4], float) and int(str(row[2])) >= MIN_GROUP]
    worst = max(groups, key=lambda row: float(str(row[4])), default=None)
    truth = np.array([row["truth"][vital] for row in live if row["truth"][vital] is not None])
    constant = float(np.abs(truth - np.median(truth)).mean()) if len(truth) else None
    report.summary = {
        "all": figures(live, vital),
        "indoor_still": figures(still, vital),
        "indoor_still_types_1_to_4": figures([r for r in still if r["conditions"]["skin_tone"] < DARK], vital),
        "worst_group": None if worst is None else {"group": worst[0], "mae": worst[4], "reported": worst[2]},
        "constant_mae": None if constant is None else round(constant, 2),
    }
    refused = Counter(str(row["vitals"][vital]["reason"]) for row in live if reported_value(row, vital) is None)
    reasons = ", ".join(f"{name} {count}" for name, count in refused.most_common()) or "none"
    report.notes.append(f"Refused: {reasons}.")
    if constant is not None:
        report.notes.append(f"A constant, the clips' own median, misses by {constant:.1f} /min.")
    return report


def by_estimator(rows: Sequence[Row], costs_ms: dict[str, float]) -> Report:
    """Each estimator alone, at full coverage, and the rate that the verdict finds likeliest; costs in ms."""
    live = [row for row in rows if is_live(row) and "estimates" in row]
    truth = np.array([row["truth"]["heart_rate"] for row in live], np.float64)
    dark = np.array([row["conditions"]["skin_tone"] >= DARK for row in live], np.bool_)
    columns = (
        "estimator", "mae", "within 3 /min", "types I-IV within 3", "types V, VI within 3", "ms of one core",
    )  # fmt: skip
    report = Report("accuracy-estimators", "Estimators alone, simulated clips", columns)

    def line(name: str, rates: Floats, cost: float | str) -> None:
        error = rates - truth
        near = np.abs(error) <= NEAR_PER_MIN
        shares = (float(near[part].mean()) if part.any() else "" for part in (~dark, dark))
        report.add(name, float(np.nanmean(np.abs(error))), float(near.mean()), *shares, cost)

    if live:
        line("the verdict's likeliest rate", np.array([row["rate_per_min"] for row in live]), "")
    for name in (name for name in ORDER if any(name in row["estimates"] for row in live)):
        rates = np.array([row["estimates"].get(name, np.nan) for row in live])
        line(name if name in DEFAULT else f"{name} (not weighed)", rates, costs_ms.get(name, ""))
    report.notes.append("Nothing is refused here: every clip counts.")
    return report


def costs_ms(models: RppgModels, traces: Traces, rounds: int = 3) -> dict[str, float]:
    """Processor time of each estimator on these traces in ms: the median of `rounds`."""
    costs = {}
    for name, estimate in models.estimators.items():
        estimate(traces)
        taken = []
        for _ in range(rounds):
            begun = time.process_time()
            estimate(traces)
            taken.append(1000 * (time.process_time() - begun))
        costs[name] = round(median(taken), 1)
    return costs


def risk(rows: Sequence[Row]) -> Report:
    """Error against coverage; the clips with the surest verdict first."""
    live = [row for row in rows if is_live(row) and "probability" in row and row["truth"]["heart_rate"] is not None]
    report = Report("accuracy-risk", "Risk against coverage, heart rate, simulated clips", ("coverage", "mae", "p95"))
    error = np.array([abs(row["rate_per_min"] - row["truth"]["heart_rate"]) for row in live])
    order = np.argsort([-row["probability"] for row in live], kind="stable")
    for coverage in COVERAGES:
        kept = error[order][: max(1, round(coverage * len(live)))] if live else np.zeros(0)
        if len(kept):
            report.add(coverage, float(kept.mean()), float(np.percentile(kept, 95)))
    return report


def negatives(rows: Sequence[Row]) -> Report:
    """By kind of negative: clips, reported rates (there must be none), and the reasons for abstaining."""
    report = Report(
        "accuracy-negatives", "Negatives: no rate may be reported", ("kind", "clips", "reported", "reasons")
    )
    chosen = [row for row in rows if not is_live(row)]
    wrong = {"heart_rate": 0, "respiration_rate": 0}
    for kind in sorted({row["conditions"]["kind"] for row in chosen}):
        of_kind = [row for row in chosen if row["conditions"]["kind"] == kind]
        reasons = Counter(str(row["vitals"]["heart_rate"]["reason"]) for row in of_kind)
        for vital in wrong:
            wrong[vital] += sum(reported_value(row, vital) is not None for row in of_kind)
        reported = sum(reported_value(row, "heart_rate") is not None for row in of_kind)
        report.add(kind, len(of_kind), reported, ", ".join(f"{name} {count}" for name, count in reasons.most_common()))
    report.summary = {"clips": len(chosen), **{f"{vital}_reported": count for vital, count in wrong.items()}}
    return report


def variability(rows: Sequence[Row]) -> Report:
    """SDNN and RMSSD of the clip's own beats."""
    report = Report(
        "accuracy-variability",
        "Variability of the clip's own beats, ms",
        ("measure", "reported", "mae", "median error", "interval coverage", "a constant's mae"),
    )
    for name in ("sdnn_ms", "rmssd_ms"):
        pairs = [
            (measure["value"], row["truth"][name], measure["interval"])
            for row in rows
            if is_live(row) and isinstance(values := row["vitals"]["heart_rate_variability"]["value"], dict)
            if (measure := values[name])["value"] is not None and row["truth"][name] is not None
        ]
        if not pairs:
            continue
        error = np.array([value - true for value, true, _ in pairs])
        truth = np.array([true for _, true, _ in pairs])
        inside = float(np.mean([low <= true <= high for _, true, (low, high) in pairs]))
        constant = float(np.abs(truth - np.median(truth)).mean())
        report.add(name, len(pairs), float(np.abs(error).mean()), float(np.median(error)), inside, constant)
        report.summary[name] = {"reported": len(pairs), "mae": round(float(np.abs(error).mean()), 1)}
    return report


def summary(rows: Sequence[Row], reports: Sequence[Report]) -> dict[str, Any]:
    """The summary of all reports as one object."""
    return {"clips": len(rows), **{report.name: report.summary for report in reports if report.summary}}


def plot(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Plot reported against true heart rate, and error against probability, as PNG files in `folder`."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    live = [row for row in rows if is_live(row) and row["truth"]["heart_rate"] is not None]
    ok = [row for row in live if reported_value(row, "heart_rate") is not None]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), constrained_layout=True)
    left.plot([40, 185], [40, 185], color="0.7", linewidth=1)
    left.plot(
        [r["truth"]["heart_rate"] for r in ok], [reported_value(r, "heart_rate") for r in ok], ".", color="tab:red"
    )
    left.set(xlabel="true heart rate, /min", ylabel="reported, /min", title=f"{len(ok)} of {len(live)} clips reported")
    rest = [row for row in live if "probability" in row]
    right.plot(
        [row["probability"] for row in rest],
        [max(abs(row["rate_per_min"] - row["truth"]["heart_rate"]), 0.02) for row in rest],
        ".",
        color="tab:blue",
    )
    right.set(yscale="log", xlabel="probability", ylabel="error, /min", title="error against probability, all clips")
    path = folder / "accuracy.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return [path]


#: Every table of simulated clips that needs only the rows.
TABLES: Final[tuple[Callable[[Sequence[Row]], Report], ...]] = (
    lambda rows: by_condition(rows, "heart_rate"),
    lambda rows: by_condition(rows, "respiration_rate"),
    risk,
    negatives,
    variability,
)
