"""A synthetic clip, for a service that is given none."""

import json
from pathlib import Path

from rich.progress import Progress

from facevitals.local.terminal import output

console = output()


def generated_clip(folder: Path) -> tuple[Path, dict[str, float]]:
    """A synthetic clip in `folder`, and the rates that it was made with."""
    from lab.simulate import ClipSpec, simulate

    path = folder / "generated.mp4"
    with Progress(console=console) as progress:
        task = progress.add_task("generating a 15 s clip of known rates", total=1.0)
        simulate(path, ClipSpec(), on_progress=lambda done, total: progress.update(task, completed=done, total=total))
    truth = json.loads(path.with_suffix(".truth.json").read_text())
    return path, {
        name: float(truth[name]) for name in ("heart_rate", "respiration_rate", "sdnn_ms", "rmssd_ms", "mean_ibi_ms")
    }
