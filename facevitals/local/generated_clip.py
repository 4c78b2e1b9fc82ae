"""The synthetic clip of `facevitals run` and of the benchmarks."""

import json
from pathlib import Path

from rich.progress import Progress

from facevitals.local.terminal import output

console = output()


def generated_clip(folder: Path) -> tuple[Path, dict[str, float]]:
    """Write a synthetic clip into `folder`; returns its path and its true rates."""
    from lab.simulate import ClipSpec, simulate

    path = folder / "generated.mp4"
    with Progress(console=console) as progress:
        task = progress.add_task("generating a 15 s clip of known rates", total=1.0)
        simulate(path, ClipSpec(), on_progress=lambda done, total: progress.update(task, completed=done, total=total))
    truth = json.loads(path.with_suffix(".truth.json").read_text())
    return path, {
        name: float(truth[name]) for name in ("heart_rate", "respiration_rate", "sdnn_ms", "rmssd_ms", "mean_ibi_ms")
    }
