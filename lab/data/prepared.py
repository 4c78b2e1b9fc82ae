"""Recordings through the workers' own face tracking and crops, once: training sees what the workers will see."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.data import pure, simulated, ubfc
from lab.data.example import mark
from lab.data.recording import NoRecordings, Recording
from workers.face.tracker import FaceTracker
from workers.rppg.signals.traces import Traces, traces_of

#: Data sets by name; a new one is a module with `recordings` and a line here.
LAYOUTS: Final = {"UBFC-rPPG": ubfc.recordings, "PURE": pure.recordings, "facevitals simulate": simulated.recordings}
#: Counts what is changed in the making of prepared files; other code of the workers is not noticed.
_RECIPE: Final = 1

#: Fields of `Traces` that are arrays.
_ARRAYS: Final = ("times_s", "regions", "background", "motion", "crops", "position", "seen")


@dataclass(frozen=True)
class Prepared:
    """What is left of a recording: the traces of its longest stretch with a face, and the pulse (n,) on their grid."""

    traces: Traces
    bvp: NDArray[np.float64]


def recordings_in(folder: Path) -> list[Recording]:
    """The recordings of a folder, in whichever layout it is. Raises NoRecordings, RecordingUnreadable."""
    for find in LAYOUTS.values():
        if found := find(folder):
            return found
    raise NoRecordings(f"{folder} holds nothing in the layout of {', '.join(LAYOUTS)}")


def prepared(recording: Recording, folder: Path, tracker: FaceTracker) -> Path:
    """The recording's file in the folder, made where it is not there yet; `lab.data.example` reads it as well.

    Raises `workers.rppg.signals.traces.NoTraces` where no face is seen.
    """
    path = folder / f"{mark(_RECIPE, *recording.content)}.npz"
    if path.is_file():
        return path
    traces = traces_of(tracker.track(recording.frames())).longest_seen()
    inside = (traces.times_s >= recording.bvp_times_s[0]) & (traces.times_s <= recording.bvp_times_s[-1])
    within = np.flatnonzero(inside)
    if len(within):
        traces = traces.part(int(within[0]), int(within[-1]) + 1)
    bvp = np.interp(traces.times_s, recording.bvp_times_s, recording.bvp)
    held = {name: getattr(traces, name) for name in _ARRAYS}
    if traces.chest is not None:
        held["chest"] = traces.chest
    folder.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    np.savez(
        making,
        bvp=bvp,
        fs=traces.fs,
        frames=traces.frames,
        coded=traces.keyframe_modulation,
        gaps=np.array(traces.gaps),
        **held,
    )
    making.replace(path)
    return path


def load(path: Path) -> Prepared:
    """The contents of a prepared file."""
    with np.load(path) as held:
        traces = Traces(
            **{name: held[name] for name in _ARRAYS},
            fs=float(held["fs"]),
            gaps=tuple((float(start), float(stop)) for start, stop in held["gaps"].reshape(-1, 2)),
            frames=int(held["frames"]),
            keyframe_modulation=float(held["coded"]),
        )
        if "chest" in held:
            traces = replace(traces, chest=held["chest"])
        return Prepared(traces, held["bvp"].astype(np.float64))


def subjects(recordings: Sequence[Recording], every: int) -> tuple[list[Recording], list[Recording]]:
    """For training and for validation: of every so many subjects, in order of their names, the last is kept out.

    Of fewer the last; a single one is never kept out.
    """
    names = sorted({recording.subject for recording in recordings})
    step = min(every, len(names))
    kept_out = set(names[step - 1 :: step]) if step > 1 else set()
    return (
        [recording for recording in recordings if recording.subject not in kept_out],
        [recording for recording in recordings if recording.subject in kept_out],
    )
