"""Clips of `facevitals simulate`: a video file and the `.truth.json` beside it."""

import json
from functools import partial
from pathlib import Path

import numpy as np

from lab.data.recording import Recording, RecordingUnreadable, video_frames

_SUFFIXES = (".mp4", ".webm")


def recordings(folder: Path) -> list[Recording]:
    """Every clip of the folder that shows a living person.

    Raises:
        RecordingUnreadable: a `.truth.json` lacks times, pulse or conditions.
    """
    found = []
    for truth_file in sorted(folder.glob("*.truth.json")):
        stem = truth_file.name.removesuffix(".truth.json")
        video = next((path for suffix in _SUFFIXES if (path := truth_file.with_name(stem + suffix)).is_file()), None)
        if video is None:
            continue
        try:
            truth = json.loads(truth_file.read_text("utf-8"))
            times, wave = (np.array(truth[name], np.float64) for name in ("frame_times_s", "bvp"))
            subject = str(truth["conditions"]["portrait"])
        except (ValueError, KeyError, TypeError) as error:
            raise RecordingUnreadable(f"{truth_file}: {error!r}") from error
        if len(wave):
            found.append(Recording(stem, subject, times, wave, partial(video_frames, video), (video, truth_file)))
    return found
