"""The UBFC-Phys dataset as published: `sN/vid_sN_T1.avi`, `sN/bvp_sN_T1.csv`, `sN/info_sN.txt`; T1, T2, T3 are tasks.

Meziati Sabour, Benezeth, De Oliveira, Chappé, Yang 2021, "UBFC-Phys: a multimodal database for psychophysiological
studies of social stress", IEEE Transactions on Affective Computing 14(1):622. The wave is that of a wristband, one
value a line at 64 Hz, which begins with the video. The second line of the information is the sex.
"""

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from lab.data.labelled import LabelledRecording, Person, clip_frames, sex_of
from lab.data.recording import RecordingUnreadable
from lab.data.reference import PulseWave, References

#: Sampling rate of the wristband.
_HZ: Final = 64.0
#: The tasks by name.
_TASKS: Final = {"T1": "rest", "T2": "speech", "T3": "arithmetic"}


def labelled(folder: Path) -> list[LabelledRecording]:
    """Every recording at any depth below the folder; none where it has another layout."""
    found = []
    for video in sorted(folder.rglob("vid_s*_T*.avi"), key=lambda path: (len(path.parent.name), path)):
        _, subject, task = video.stem.split("_", 2)
        wave = video.with_name(f"bvp_{subject}_{task}.csv")
        found.append(
            LabelledRecording(
                name=video.relative_to(folder).as_posix(),
                subject=subject,
                frames=partial(clip_frames, video),
                references=partial(_references, wave),
                condition=_TASKS.get(task, task),
                person=_person(video.with_name(f"info_{subject}.txt")),
                video=video,
            )
        )
    return found


def _references(path: Path) -> References:
    try:
        wave = np.loadtxt(path, np.float64, delimiter=",", usecols=0, ndmin=1)
    except (ValueError, IndexError) as error:
        raise RecordingUnreadable(f"{path}: {error!r}; one number a line is expected") from error
    return {"heart_rate": PulseWave(np.arange(len(wave)) / _HZ, wave)}


def _person(path: Path) -> Person:
    """The person, as far as the file of information names the sex."""
    try:
        return Person(gender=sex_of(path.read_text("utf-8").splitlines()[1]))
    except (OSError, ValueError, IndexError):
        return Person()
