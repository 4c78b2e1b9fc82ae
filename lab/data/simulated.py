"""Clips of `facevitals simulate`: a video file and the `.truth.json` beside it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lab.data.labelled import LabelledRecording, Person, clip_frames
from lab.data.recording import Recording, RecordingUnreadable, video_frames
from lab.data.reference import BeatTimes, PulseWave, Reference, References, constants

_SUFFIXES = (".mp4", ".webm")


def recordings(folder: Path) -> list[Recording]:
    """Every clip of the folder that shows a living person.

    Raises:
        RecordingUnreadable: a `.truth.json` lacks times, pulse or conditions.
    """
    found = []
    for video, truth_file in _found(folder):
        truth = _truth(truth_file)
        times, wave = (np.array(truth[name], np.float64) for name in ("frame_times_s", "bvp"))
        if len(wave):
            subject = str(truth["conditions"]["portrait"])
            stem = truth_file.name.removesuffix(".truth.json")
            found.append(Recording(stem, subject, times, wave, partial(video_frames, video), (video, truth_file)))
    return found


def labelled(folder: Path) -> list[LabelledRecording]:
    """Every clip of the folder."""
    found = []
    for video, truth_file in _found(folder):
        try:
            conditions = _truth(truth_file)["conditions"]
        except (RecordingUnreadable, OSError):
            conditions = {}
        found.append(
            LabelledRecording(
                name=video.relative_to(folder).as_posix(),
                subject=str(conditions.get("portrait")),
                frames=partial(clip_frames, video),
                references=partial(_references, truth_file),
                condition=conditions.get("kind"),
                person=Person(skin_type=conditions.get("skin_tone")),
                video=video,
            )
        )
    return found


def _found(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each clip of the folder, and its truth."""
    for truth in sorted(folder.glob("*.truth.json")):
        stem = truth.name.removesuffix(".truth.json")
        video = next((path for suffix in _SUFFIXES if (path := truth.with_name(stem + suffix)).is_file()), None)
        if video is not None:
            yield video, truth


def _truth(path: Path) -> dict[str, Any]:
    """The truth of a clip; it has times, pulse and conditions."""
    try:
        truth: dict[str, Any] = json.loads(path.read_text("utf-8"))
        for name in ("frame_times_s", "bvp"):
            np.array(truth[name], np.float64)
        str(truth["conditions"]["portrait"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingUnreadable(f"{path}: {error!r}") from error
    return truth


def _references(path: Path) -> References:
    truth = _truth(path)
    if not len(truth["bvp"]):
        return {}
    found: dict[str, Reference] = constants({"respiration_rate": truth.get("respiration_rate")})
    if "beat_times_s" in truth:
        found["heart_rate"] = BeatTimes(np.array(truth["beat_times_s"], np.float64))
    else:
        times, wave = (np.array(truth[name], np.float64) for name in ("frame_times_s", "bvp"))
        found["heart_rate"] = PulseWave(times, wave)
    return found
