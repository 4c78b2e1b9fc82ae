"""The UBFC-rPPG dataset as published: `subjectN/vid.avi`, `subjectN/ground_truth.txt`.

Bobbia, Macwan, Benezeth, Mansouri, Dubois 2019, "Unsupervised skin tissue segmentation for remote
photoplethysmography", Pattern Recognition Letters 124:82. The text has three lines: the wave, the heart rate, and the
times in seconds.
"""

from functools import partial
from pathlib import Path

import numpy as np

from lab.data.recording import Recording, RecordingUnreadable, video_frames


def recordings(folder: Path) -> list[Recording]:
    """Every `subjectN` below the folder; none where it has another layout.

    Raises:
        RecordingUnreadable: a `ground_truth.txt` is missing or incomplete, or its times go back.
    """
    videos = sorted(folder.glob("subject*/vid.avi"), key=lambda path: (len(path.parent.name), path.parent.name))
    return [_recording(video) for video in videos]


def _recording(video: Path) -> Recording:
    truth = video.with_name("ground_truth.txt")
    try:
        lines = [np.array(line.split(), np.float64) for line in truth.read_text("ascii").splitlines() if line.strip()]
        wave, times = lines[0], lines[2]
    except (OSError, ValueError, IndexError) as error:
        raise RecordingUnreadable(f"{truth}: {error!r}; three lines are expected") from error
    if len(wave) != len(times) or len(wave) < 2 or np.any(np.diff(times) < 0):
        raise RecordingUnreadable(f"{truth}: {len(wave)} values of the wave, {len(times)} times that must not go back")
    name = video.parent.name
    return Recording(name, name, times - times[0], wave, partial(video_frames, video), (video, truth))
