"""`python -m lab.render.measured`: render clips of the world, measure them as the product does, and keep the traces.

A clip's traces and every estimator's wave are kept in one file each (`.npz`, without pictures but
crops of 36 pixels for networks to come), beside its truth. The clip is erased: later fits decode nothing.

    python -m lab.render.measured --renderer warp --seed 7 --count 50 --portraits FACES --people fitted --ppg BIDMC ROWS
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.render.clip import name_of, write_clip
from lab.render.options import add_clip_options, draws
from lab.world.conditions import Conditions
from lab.world.portraits import Portrait
from lab.world.pulse import rate_between
from shared.settings import models_folder
from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.rppg.estimators import ESTIMATORS
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import refusal_of, seen_traces
from workers.rppg.signals.nuisances import in_even_light, without_nuisances
from workers.rppg.signals.traces import Traces, scale_of

#: Fields of `Traces` that are kept.
_KEPT = ("times_s", "regions", "background", "clothes", "motion", "head", "position", "chest")


@dataclass(frozen=True)
class Measured:
    """What is kept of a clip.

    name    of its file, without a suffix
    truth   as in `.truth.json`
    refused why the product measures no vital of the pulse in it, or None
    traces  of the longest stretch with a face, with crops of 36 pixels once kept; None where there is none
    waves   of each estimator that ran, (n,) or (k, n), as in the product
    cleaned the same of traces without nuisances, and of crops in even light
    """

    name: str
    truth: dict[str, Any]
    refused: str | None
    traces: Traces | None
    waves: dict[str, Floats]
    cleaned: dict[str, Floats]

    @property
    def rate_per_min(self) -> float | None:
        """True heart rate over the stretch that was measured: 60 over the mean interval of its beats."""
        if self.traces is None or not self.truth["alive"]:
            return None
        beats = np.array(self.truth["beat_times_s"])
        return rate_between(beats, float(self.traces.times_s[0]), float(self.traces.times_s[-1]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Render and measure the clips that are not kept yet."""
    parser = argparse.ArgumentParser(prog="python -m lab.render.measured", description=__doc__)
    parser.add_argument("rows", type=Path, help="folder of the kept files")
    parser.add_argument("--without-networks", action="store_true", help="run the estimators of the verdict alone")
    add_clip_options(parser)
    options = parser.parse_args(arguments)
    options.rows.mkdir(parents=True, exist_ok=True)
    failed = 0
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        work = {}
        for conditions, portrait in draws(options):
            name = name_of(options.renderer, conditions)
            if not (options.rows / f"{name}.truth.json").is_file():
                job = pool.submit(
                    _keep,
                    options.rows,
                    options.renderer,
                    conditions,
                    portrait,
                    options.ppg,
                    networks=not options.without_networks,
                )
                work[job] = name
        for count, job in enumerate(as_completed(work), 1):
            try:
                rendered, measured = job.result()
                sys.stderr.write(f"{count}/{len(work)} {work[job]} {rendered:.1f} s + {measured:.1f} s\n")
            except ValueError as error:
                failed += 1
                sys.stderr.write(f"{count}/{len(work)} {work[job]}: {error}\n")
    return 1 if failed else 0


def measure(path: Path, truth: dict[str, Any], *, networks: bool = True) -> tuple[Measured, NDArray[np.uint8]]:
    """Measure a clip by every estimator that is installed; also gives crops (n, 36, 36, 3) of the face.

    Without `networks`, the estimators that the verdict weighs run alone.
    """
    tracker, models = _parts(networks=networks)
    with open_clip(path) as clip:
        track = tracker.track(clip.frames())
    name = path.name.removesuffix(path.suffix)
    refused = refusal_of(track)
    traces = seen_traces(track)
    if not isinstance(traces, Traces):
        reason, _ = refused or traces
        return Measured(name, truth, str(reason), None, {}, {}), np.zeros((0, 36, 36, 3), np.uint8)
    waves, cleaned = (
        {name: np.asarray(run(given), np.float64) for name, run in models.estimators.items()}
        for given in (traces, in_even_light(traces, without_nuisances(traces)))
    )
    halves = traces.crops.reshape(len(traces.crops), 36, 2, 36, 2, 3).astype(np.float32).mean(axis=(2, 4))
    crops = np.clip(np.rint(halves / scale_of(traces.crops)), 0, 255).astype(np.uint8)
    return Measured(name, truth, str(refused[0]) if refused else None, traces, waves, cleaned), crops


def save(folder: Path, measured: Measured, crops: NDArray[np.uint8]) -> None:
    """Keep a clip's measurement in a folder."""
    arrays: dict[str, NDArray[Any]] = {"crops": crops}
    for kind, waves in (("wave", measured.waves), ("cleaned", measured.cleaned)):
        arrays |= {f"{kind}.{name}": wave.astype(np.float32) for name, wave in waves.items()}
    traces = measured.traces
    if traces is not None:
        kept = {name: getattr(traces, name) for name in _KEPT}
        arrays |= {f"trace.{name}": value for name, value in kept.items() if value is not None}
        arrays["numbers"] = np.array(
            [traces.fs, traces.frames, traces.keyframe_modulation, traces.keyframes_per_min, float(traces.grey)]
        )
    np.savez_compressed(folder / f"{measured.name}.npz", allow_pickle=False, **arrays)
    kept_truth = {**measured.truth, "refused": measured.refused}
    (folder / f"{measured.name}.truth.json").write_text(json.dumps(kept_truth) + "\n", encoding="utf-8")


def load(path: Path) -> Measured:
    """Read a clip's measurement from its `.truth.json`."""
    truth = json.loads(path.read_text("utf-8"))
    name = path.name.removesuffix(".truth.json")
    with np.load(path.with_name(f"{name}.npz")) as data:
        waves, cleaned = (
            {key.removeprefix(kind): data[key].astype(np.float64) for key in data.files if key.startswith(kind)}
            for kind in ("wave.", "cleaned.")
        )
        traces = None
        if "numbers" in data.files:
            fs, frames, modulation, per_min, grey = data["numbers"].tolist()
            kept = {key.removeprefix("trace."): data[key] for key in data.files if key.startswith("trace.")}
            crops = data["crops"]
            count = len(kept["times_s"])
            traces = Traces(
                fs=fs,
                crops=crops,
                seen=np.ones(count, np.bool_),
                gaps=(),
                frames=int(frames),
                keyframe_modulation=modulation,
                keyframes_per_min=per_min,
                grey=bool(grey),
                **kept,
            )
        return Measured(name, truth, truth["refused"], traces, waves, cleaned)


def _keep(
    rows: Path, renderer: str, conditions: Conditions, portrait: Portrait, ppg: Path | None, *, networks: bool
) -> tuple[float, float]:
    """Render, measure and keep one clip; returns the seconds that each took."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder), renderer, conditions, portrait, ppg)
        rendered = time.monotonic()
        save(rows, *measure(clip.path, clip.truth, networks=networks))
    return rendered - begun, time.monotonic() - rendered


@cache
def _parts(*, networks: bool) -> tuple[FaceTracker, RppgModels]:
    every = frozenset(spec.name for spec in ESTIMATORS)
    return FaceTracker(), RppgModels.load(models_folder(), only=every if networks else None)


if __name__ == "__main__":
    sys.exit(main())
