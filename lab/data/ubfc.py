"""The UBFC-rPPG dataset as published: `subjectN/vid.avi`, `subjectN/ground_truth.txt` (DATASET_2).

Bobbia, Macwan, Benezeth, Mansouri, Dubois 2019, "Unsupervised skin tissue segmentation for remote
photoplethysmography", Pattern Recognition Letters 124:82. The text has three lines: the wave, the heart rate, and the
times in seconds. DATASET_1 has `gtdump.xmp` instead, a table without a header: times in milliseconds, heart rate, SpO2,
wave.
"""

from functools import partial
from pathlib import Path

import numpy as np

from lab.arrays import Floats
from lab.data.labelled import LabelledRecording, clip_frames
from lab.data.recording import Recording, RecordingUnreadable, video_frames
from lab.data.reference import PulseWave, References, spo2_series

#: Names of the files with the reference, in DATASET_2 and DATASET_1.
_TRUTH, _TABLE = "ground_truth.txt", "gtdump.xmp"


def recordings(folder: Path) -> list[Recording]:
    """Every `subjectN` below the folder; none where it has another layout.

    Raises:
        RecordingUnreadable: a `ground_truth.txt` is missing or incomplete, or its times go back.
    """
    videos = sorted(folder.glob("subject*/vid.avi"), key=lambda path: (len(path.parent.name), path.parent.name))
    return [_recording(video) for video in videos]


def _recording(video: Path) -> Recording:
    times, wave = _wave(video.with_name(_TRUTH))
    name = video.parent.name
    return Recording(name, name, times, wave, partial(video_frames, video), (video, video.with_name(_TRUTH)))


def labelled(folder: Path) -> list[LabelledRecording]:
    """Every recording of DATASET_1 and DATASET_2 at any depth below the folder; none where it has another layout."""
    videos = [video for video in folder.rglob("vid*.avi") if video.with_name(_TABLE).is_file() or _is_second(video)]
    if not any(_truth(video).is_file() for video in videos):
        return []
    return [
        LabelledRecording(
            name=video.relative_to(folder).as_posix(),
            subject=video.parent.name,
            frames=partial(clip_frames, video),
            references=partial(_references, _truth(video)),
            video=video,
        )
        for video in sorted(videos, key=lambda path: (len(path.parent.name), path))
    ]


def _is_second(video: Path) -> bool:
    """Whether the file belongs to DATASET_2, with its reference or without."""
    return video.name == "vid.avi" and video.parent.name.startswith("subject")


def _truth(video: Path) -> Path:
    return video.with_name(_TABLE if video.with_name(_TABLE).is_file() else _TRUTH)


def _references(truth: Path) -> References:
    if truth.name == _TRUTH:
        return {"heart_rate": PulseWave(*_wave(truth))}
    try:
        table = np.loadtxt(truth, np.float64, delimiter=",", ndmin=2)
        times, spo2, wave = table[:, 0] / 1000, table[:, 2], table[:, 3]
    except (ValueError, IndexError) as error:
        raise RecordingUnreadable(f"{truth}: {error!r}; four columns are expected") from error
    times = times - times[0]
    return {"heart_rate": PulseWave(times, wave), "oxygen_saturation": spo2_series(times, spo2)}


def _wave(truth: Path) -> tuple[Floats, Floats]:
    """Times (n,) in seconds, the first is 0, and wave (n,) of a file of DATASET_2."""
    try:
        lines = [np.array(line.split(), np.float64) for line in truth.read_text("ascii").splitlines() if line.strip()]
        wave, times = lines[0], lines[2]
    except (OSError, ValueError, IndexError) as error:
        raise RecordingUnreadable(f"{truth}: {error!r}; three lines are expected") from error
    if len(wave) != len(times) or len(wave) < 2 or np.any(np.diff(times) < 0):
        raise RecordingUnreadable(f"{truth}: {len(wave)} values of the wave, {len(times)} times that must not go back")
    return times - times[0], wave
