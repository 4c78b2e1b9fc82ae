"""`facevitals bench speed`: the whole analysis against decoding alone, in alternation."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import av

from lab.report import Report
from shared.vitals import VITALS, Branch
from workers.analyzer import Analyzer, AnalyzerOptions
from workers.branch.result import Progress

#: Default number of rounds.
ROUNDS: Final = 5


@dataclass(frozen=True)
class Cost:
    """Wall time and processor time of a run, seconds."""

    wall_s: float
    cpu_s: float


def cost_of(run: Callable[[], object]) -> Cost:
    """Wall and processor time of one call; all threads are counted."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def decode_to_rgb(path: Path) -> int:
    """The baseline: decode with PyAV as documented, every frame an RGB array. Returns the number of frames."""
    frames = 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")
            frames += 1
    return frames


def measure(clip: Path, options: AnalyzerOptions, rounds: int = ROUNDS) -> Report:
    """Time decoding, the whole analysis and each branch alone, in alternation for `rounds` rounds, models warm.

    Raises:
        ClipRejected: the clip can't be analysed.
    """
    analyzer = Analyzer.load(options)
    quiet = Progress()
    everything = frozenset(VITALS)
    runs: dict[str, Callable[[], object]] = {
        "decode to RGB (PyAV)": lambda: decode_to_rgb(clip),
        "analyze, all vitals": lambda: analyzer.analyze(clip),
        "vision branch": lambda: analyzer.branch(Branch.VISION, clip, everything, quiet),
        "rppg branch": lambda: analyzer.branch(Branch.RPPG, clip, everything, quiet),
    }
    for run in runs.values():
        run()
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            costs[name].append(cost_of(run))
    analyzer.close()
    report = Report(
        "speed",
        f"Speed: {clip.name}, {rounds} rounds, models warm",
        ["run", "wall s", "wall min", "wall max", "CPU s", "wall / decode", "CPU / decode"],
    )
    base = costs["decode to RGB (PyAV)"]
    for name, measured in costs.items():
        # Ratios are taken within a round, whose runs share the machine's other load.
        wall = [cost.wall_s for cost in measured]
        wall_ratio = median(cost.wall_s / of.wall_s for cost, of in zip(measured, base, strict=True))
        cpu_ratio = median(cost.cpu_s / of.cpu_s for cost, of in zip(measured, base, strict=True))
        cpu = median(cost.cpu_s for cost in measured)
        report.add(name, median(wall), min(wall), max(wall), cpu, wall_ratio, cpu_ratio)
        key = name.split(",")[0].split(" (")[0].replace(" ", "_")
        report.summary[key] = {"wall_s": round(median(wall), 3), "wall_ratio": round(wall_ratio, 2)}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.summary["peak_memory_mb"] = round(peak_mb)
    report.notes.append(f"Peak memory of the measuring process: {peak_mb:.0f} MB.")
    return report
