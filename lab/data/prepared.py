"""Recordings through the workers' own face tracking, once: training uses the traces and crops that workers use."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.data import pure, simulated, ubfc
from lab.data.fingerprint import fingerprint
from lab.data.recording import NoRecordings, Recording
from workers.face.tracker import FaceTracker
from workers.rppg.signals.traces import Traces, traces_of

#: Datasets by name; a new one is a module with `recordings`, and a line here.
LAYOUTS: Final = {"UBFC-rPPG": ubfc.recordings, "PURE": pure.recordings, "facevitals simulate": simulated.recordings}
#: Version of prepared files: raise it when their making changes. Changes of the workers' code are not detected.
_FORMAT_VERSION: Final = 1

#: Fields of `Traces` that are arrays.
_ARRAYS: Final = ("times_s", "regions", "background", "motion", "crops", "position", "seen")


@dataclass(frozen=True)
class Prepared:
    """The traces of a recording's longest stretch with a face, and the pulse (n,) on their grid."""

    traces: Traces
    bvp: NDArray[np.float64]


def recordings_in(folder: Path) -> list[Recording]:
    """The recordings of a folder in any layout of `LAYOUTS`.

    Raises:
        NoRecordings: the folder has none of the layouts.
        RecordingUnreadable: a recording's files are not what their layout requires.
    """
    for find in LAYOUTS.values():
        if found := find(folder):
            return found
    raise NoRecordings(f"{folder} holds nothing in the layout of {', '.join(LAYOUTS)}")


def prepared(recording: Recording, folder: Path, tracker: FaceTracker) -> Path:
    """The recording's file in `folder`, made unless it is there; `lab.data.example.Example.load` reads it too.

    Raises:
        workers.rppg.signals.traces.NoTraces: no face is seen.
    """
    path = folder / f"{fingerprint(_FORMAT_VERSION, *recording.content)}.npz"
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
    """Read a prepared file."""
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
    """Split recordings into training and validation by subject: the last of every `every` subjects is held out.

    Subjects are ordered by name. With fewer than `every` subjects the last is held out; a single one never is.
    """
    names = sorted({recording.subject for recording in recordings})
    step = min(every, len(names))
    kept_out = set(names[step - 1 :: step]) if step > 1 else set()
    return (
        [recording for recording in recordings if recording.subject not in kept_out],
        [recording for recording in recordings if recording.subject in kept_out],
    )
