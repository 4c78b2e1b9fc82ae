"""`python -m lab.bench.tracking CLIP…`: cost and effect of the time between two measured face meshes (the stride).

A clip's true heart rate is read from `CLIP.truth.json` beside it, or given as `CLIP=RATE`. Prints one line for each
clip and stride, a summary over all clips for each stride, and a JSON object of the summaries.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import Frame, open_clip
from workers.rppg.estimators import pos
from workers.rppg.fusion.pulse import estimate_pulse
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import traces_of

#: Strides that are compared, seconds; 0 measures a mesh in every frame.
STRIDES_S: Final = (0.0, 0.1, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 1.0)


@dataclass(frozen=True)
class Row:
    """One clip at one stride.

    cpu_s        processor time of tracking, all threads
    mesh_rms     RMS distance of the landmarks from those measured in every frame, in face widths
    pos_error    error of POS, /min;  pos_snr_db  its SNR at the true rate, dB
    fused_error  error of the fused rate, /min
    """

    clip: str
    stride_s: float
    cpu_s: float
    mesh_rms: float
    pos_error: float
    pos_snr_db: float
    fused_error: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.tracking", description=__doc__)
    parser.add_argument("clips", nargs="+", metavar="CLIP[=RATE]")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    trackers = {stride_s: FaceTracker(stride_s) for stride_s in STRIDES_S}
    for clip in options.clips:
        rows += _rows(*_named(clip), trackers)
    summary = {f"{stride_s:.3f}": _mean([row for row in rows if row.stride_s == stride_s]) for stride_s in STRIDES_S}
    for name, figures in summary.items():
        _print(f"stride {name} s  " + "  ".join(f"{key} {value:.4g}" for key, value in figures.items()))
    _print(json.dumps(summary))
    return 0


def _named(argument: str) -> tuple[Path, float]:
    name, _, rate = argument.partition("=")
    path = Path(name)
    if rate:
        return path, float(rate)
    return path, float(json.loads(path.with_suffix(".truth.json").read_text("utf-8"))["heart_rate"])


def _rows(path: Path, rate: float, trackers: dict[float, FaceTracker]) -> list[Row]:
    with open_clip(path) as clip:
        frames: list[Frame] = list(clip.frames())
    rows: list[Row] = []
    every: FaceTrack | None = None
    for stride_s, tracker in trackers.items():
        began_s = time.process_time()
        track = tracker.track(iter(frames))
        cpu_s = time.process_time() - began_s
        every = every or track
        width = float(np.nanmedian(np.hypot(*(every.landmarks[:, 454] - every.landmarks[:, 234]).T)))
        apart = np.hypot(*np.moveaxis(track.landmarks - every.landmarks, 2, 0)) / width
        traces = traces_of(track)
        spectrum = spectrum_of(pos.estimate(traces), traces.fs)
        row = Row(
            clip=path.name,
            stride_s=stride_s,
            cpu_s=cpu_s,
            mesh_rms=float(np.sqrt(np.nanmean(apart**2))),
            pos_error=abs(60 * spectrum.peak_hz() - rate),
            pos_snr_db=snr_db(spectrum, rate / 60),
            fused_error=abs(estimate_pulse(traces).rate_per_min - rate),
        )
        rows.append(row)
        _print("  ".join(f"{key} {value:.4g}" if key != "clip" else str(value) for key, value in asdict(row).items()))
    return rows


def _mean(rows: Sequence[Row]) -> dict[str, float]:
    names = ("cpu_s", "mesh_rms", "pos_error", "pos_snr_db", "fused_error")
    return {name: round(float(np.mean([getattr(row, name) for row in rows])), 4) for name in names}


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
