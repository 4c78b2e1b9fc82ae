"""Clips of `facevitals simulate`: a video file and the `.truth.json` beside it."""

import json
from functools import partial
from pathlib import Path

import numpy as np

from lab.data.recording import Recording, RecordingUnreadable, video_frames

_SUFFIXES = (".mp4", ".webm")


def recordings(folder: Path) -> list[Recording]:
    """Every clip of the folder in which somebody alive is to be seen. Raises RecordingUnreadable."""
    found = []
    for told in sorted(folder.glob("*.truth.json")):
        stem = told.name.removesuffix(".truth.json")
        video = next((path for suffix in _SUFFIXES if (path := told.with_name(stem + suffix)).is_file()), None)
        if video is None:
            continue
        try:
            truth = json.loads(told.read_text("utf-8"))
            times, wave = (np.array(truth[name], np.float64) for name in ("frame_times_s", "bvp"))
            subject = str(truth["conditions"]["portrait"])
        except (ValueError, KeyError, TypeError) as error:
            raise RecordingUnreadable(f"{told}: {error!r}") from error
        if len(wave):
            found.append(Recording(stem, subject, times, wave, partial(video_frames, video), (video, told)))
    return found
