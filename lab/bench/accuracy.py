"""`facevitals bench accuracy`: how right the vitals are, how often they are told, and whether the intervals hold.

Simulated clips whose truth is known, real clips where there are some, and what must never be given a rate.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.bench.report import Report
from lab.bench.trial import Row
from workers.rppg.estimators import ESTIMATORS, NEURAL
from workers.rppg.fusion.agreement import FUSION, GROSS_PER_MIN, Estimate, Fusion, agree
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.traces import Traces

Array = NDArray[np.float64]

#: Coverages at which the risk is told.
COVERAGES: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)

#: From this Fitzpatrick type on figures are told apart: where every published system is weakest.
DARK: Final = 5
#: An estimator alone is right within this many beats a minute.
NEAR_PER_MIN: Final = 3.0
ORDER: Final = tuple(spec.name for spec in ESTIMATORS)
#: Groups with fewer told clips have no worst error to speak of.
FEWEST_IN_GROUP: Final = 8
KEPT: Final = tuple(spec.name for spec in ESTIMATORS if spec.default)


def is_live(row: Row) -> bool:
    """A living person in view throughout."""
    return bool(row["conditions"]["kind"] == "live")


def is_indoor_still(row: Row) -> bool:
    """Good light, and no more movement than sitting."""
    return is_live(row) and row["conditions"]["light"] >= 1.0 and row["conditions"]["motion"] <= 1.0


def told(row: Row, vital: str) -> float | None:
    """A vital's number, where it was told."""
    value = row["vitals"][vital]["value"]
    return float(value) if isinstance(value, int | float) else None


def figures(rows: Sequence[Row], vital: str) -> dict[str, float | int | None]:
    """Clips, how many were told the vital, and how well: errors against truth, gross errors, coverage of intervals."""
    pairs = [
        (value, row["truth"][vital], row["vitals"][vital]["interval"])
        for row in rows
        if row["truth"][vital] is not None and (value := told(row, vital)) is not None
    ]
    errors = np.array([value - true for value, true, _ in pairs])
    inside = [interval[0] <= true <= interval[1] for _, true, interval in pairs if interval is not None]
    share = len(pairs) / len(rows) if rows else None
    if not pairs:
        return {"clips": len(rows), "told": 0, "coverage": share}
    return {
        "clips": len(rows),
        "told": len(pairs),
        "coverage": round(len(pairs) / len(rows), 4),
        "mae": round(float(np.abs(errors).mean()), 3),
        "rmse": round(float(np.sqrt((errors**2).mean())), 3),
        "p95": round(float(np.percentile(np.abs(errors), 95)), 2),
        "gross": int((np.abs(errors) > GROSS_PER_MIN).sum()),
        "interval_coverage": round(float(np.mean(inside)), 3) if inside else None,
        "interval_width": round(float(np.median([i[1] - i[0] for *_, i in pairs if i is not None])), 2),
    }


def by_condition(rows: Sequence[Row], vital: str) -> Report:
    """The vital in all clips, indoor and still, and for every value of every condition."""
    columns = ("group", "clips", "told", "coverage", "mae", "p95", "gross", "interval_coverage", "interval_width")
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
    groups = [row for row in report.rows if isinstance(row[4], float) and int(str(row[2])) >= FEWEST_IN_GROUP]
    worst = max(groups, key=lambda row: float(str(row[4])), default=None)
    truth = np.array([row["truth"][vital] for row in live if row["truth"][vital] is not None])
    constant = float(np.abs(truth - np.median(truth)).mean()) if len(truth) else None
    report.summary = {
        "all": figures(live, vital),
        "indoor_still": figures(still, vital),
        "indoor_still_types_1_to_4": figures([r for r in still if r["conditions"]["skin_tone"] < DARK], vital),
        "worst_group": None if worst is None else {"group": worst[0], "mae": worst[4], "told": worst[2]},
        "constant_mae": None if constant is None else round(constant, 2),
    }
    refused = Counter(str(row["vitals"][vital]["reason"]) for row in live if told(row, vital) is None)
    reasons = ", ".join(f"{name} {count}" for name, count in refused.most_common()) or "none"
    report.notes.append(f"Refused: {reasons}.")
    if constant is not None:
        report.notes.append(f"A constant, the clips' own median, misses by {constant:.1f} /min.")
    return report


def by_estimator(rows: Sequence[Row], costs_ms: dict[str, float]) -> Report:
    """Each estimator alone, and what the fusion loses without it or gains by it; no clip is refused."""
    live = [row for row in rows if is_live(row) and "estimates" in row]
    truth = np.array([row["truth"]["heart_rate"] for row in live], np.float64)
    dark = np.array([row["conditions"]["skin_tone"] >= DARK for row in live], np.bool_)
    names = [name for name in ORDER if any(name in row["estimates"] for row in live)]
    columns = (
        "estimator", "mae", "within 3 /min", "types I-IV within 3", "types V, VI within 3",
        "fusion of the others: mae at 80 %", "fusion with it: mae at 80 %", "ms of one core",
    )  # fmt: skip
    report = Report("accuracy-estimators", "Estimators alone and in the fusion, simulated clips", columns)
    kept = frozenset(KEPT) & frozenset(names)

    def line(name: str, error: Array, others: frozenset[str], ensemble: frozenset[str]) -> None:
        near = np.abs(error) <= NEAR_PER_MIN
        shares = (float(near[part].mean()) if part.any() else "" for part in (~dark, dark))
        without, together = (_at_coverage(live, truth, FUSION, part) for part in (others, ensemble))
        mae = float(np.nanmean(np.abs(error)))
        report.add(name, mae, float(near.mean()), *shares, without, together, costs_ms.get(name, ""))

    if live:
        fused = np.array([_fused(row, FUSION, kept)[0] for row in live])
        line("all kept, fused", fused - truth, kept, kept)
    for name in names:
        alone = np.array([row["estimates"].get(name, np.nan) for row in live])
        line(name if name in kept else f"{name} (asked by name)", alone - truth, kept - {name}, kept | {name})
    report.notes.append("The fusion is that of the calibration; without one estimator the others keep their weights.")
    report.notes.append("Networks are asked where the others leave a doubt; here all were asked, in every clip.")
    if live:
        report.summary = {"fused_mae_at_80": round(_at_coverage(live, truth, FUSION, kept), 3)}
    return report


def costs_ms(models: RppgModels, traces: Traces, rounds: int = 3) -> dict[str, float]:
    """Processor time of each estimator on these traces, milliseconds: the median of some rounds."""
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
    """Error against coverage: the clips in which the estimators were most confident first."""
    live = [row for row in rows if is_live(row) and "agreement" in row and row["truth"]["heart_rate"] is not None]
    report = Report("accuracy-risk", "Risk against coverage, heart rate, simulated clips", ("coverage", "mae", "p95"))
    error = np.array([abs(row["rate_per_min"] - row["truth"]["heart_rate"]) for row in live])
    order = np.argsort([-row["agreement"]["confidence"] for row in live], kind="stable")
    for coverage in COVERAGES:
        kept = error[order][: max(1, round(coverage * len(live)))] if live else np.zeros(0)
        if len(kept):
            report.add(coverage, float(kept.mean()), float(np.percentile(kept, 95)))
    return report


def negatives(rows: Sequence[Row]) -> Report:
    """What has no pulse: how many of each kind were told a rate all the same (none may be), and the reasons given."""
    report = Report("accuracy-negatives", "What must not be told a rate", ("kind", "clips", "told", "reasons"))
    chosen = [row for row in rows if not is_live(row)]
    wrong = {"heart_rate": 0, "respiration_rate": 0}
    for kind in sorted({row["conditions"]["kind"] for row in chosen}):
        of_kind = [row for row in chosen if row["conditions"]["kind"] == kind]
        reasons = Counter(str(row["vitals"]["heart_rate"]["reason"]) for row in of_kind)
        for vital in wrong:
            wrong[vital] += sum(told(row, vital) is not None for row in of_kind)
        given = sum(told(row, "heart_rate") is not None for row in of_kind)
        report.add(kind, len(of_kind), given, ", ".join(f"{name} {count}" for name, count in reasons.most_common()))
    report.summary = {"clips": len(chosen), **{f"{vital}_told": count for vital, count in wrong.items()}}
    return report


def variability(rows: Sequence[Row]) -> Report:
    """SDNN and RMSSD of the clip's own beats."""
    report = Report(
        "accuracy-variability",
        "Variability of the clip's own beats, ms",
        ("measure", "clips told", "mae", "median error", "interval coverage", "a constant's mae"),
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
        report.summary[name] = {"told": len(pairs), "mae": round(float(np.abs(error).mean()), 1)}
    return report


def summary(rows: Sequence[Row], reports: Sequence[Report]) -> dict[str, Any]:
    """One object for the last line."""
    return {"clips": len(rows), **{report.name: report.summary for report in reports if report.summary}}


def plot(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Told against true heart rate, and error against confidence, as PNG files."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    live = [row for row in rows if is_live(row) and row["truth"]["heart_rate"] is not None]
    ok = [row for row in live if told(row, "heart_rate") is not None]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), constrained_layout=True)
    left.plot([40, 185], [40, 185], color="0.7", linewidth=1)
    left.plot([r["truth"]["heart_rate"] for r in ok], [told(r, "heart_rate") for r in ok], ".", color="tab:red")
    left.set(xlabel="true heart rate, /min", ylabel="told, /min", title=f"{len(ok)} of {len(live)} clips told")
    rest = [row for row in live if "agreement" in row]
    right.plot(
        [row["agreement"]["confidence"] for row in rest],
        [max(abs(row["rate_per_min"] - row["truth"]["heart_rate"]), 0.02) for row in rest],
        ".",
        color="tab:blue",
    )
    right.set(yscale="log", xlabel="confidence", ylabel="error, /min", title="error against confidence, all clips")
    path = folder / "accuracy.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return [path]


def _fused(row: Row, fusion: Fusion, names: frozenset[str]) -> tuple[float, float]:
    estimates = []
    for said, rate in row["estimates"].items():
        name, _, part = said.partition(".")
        if name in names:
            estimates.append(Estimate(name, rate, row["snr_db"][said], name in NEURAL, part or None))
    agreement = agree(estimates, fusion)
    return agreement.rate_per_min, agreement.confidence


def _at_coverage(rows: Sequence[Row], truth: Array, fusion: Fusion, names: frozenset[str]) -> float:
    fused = np.array([_fused(row, fusion, names) for row in rows])
    error = np.abs(fused[:, 0] - truth)
    kept = np.argsort(-fused[:, 1], kind="stable")[: max(1, round(0.8 * len(rows)))]
    return float(error[kept].mean())


#: Every table of simulated clips that needs nothing but the rows.
TABLES: Final[tuple[Callable[[Sequence[Row]], Report], ...]] = (
    lambda rows: by_condition(rows, "heart_rate"),
    lambda rows: by_condition(rows, "respiration_rate"),
    risk,
    negatives,
    variability,
)
