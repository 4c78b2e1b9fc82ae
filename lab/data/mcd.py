"""The MCD-rPPG dataset as published: `db.csv`, `video/P_CAMERA_STEP.avi`, `ppg_sync/….txt`, `meta/….txt`.

Egorov et al. 2025, "Gaze into the heart: a multi-view video dataset for rPPG and health biomarkers estimation", ACM
Multimedia, p. 13053. `ppg_sync` has the contact pulse at each frame in its first column, `meta` the number and time of
each frame. The table has a row for each video, with what was measured at the same visit: respiration and saturation by
hand, age, sex, BMI. Its `pulse` is the blood-pressure cuff's, minutes apart, and used only where there is no wave.
"""

import csv
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np

from lab.arrays import Floats
from lab.data.labelled import LabelledRecording, Person, clip_frames, sex_of
from lab.data.recording import RecordingUnreadable
from lab.data.reference import PulseWave, Reference, References, constants
from workers.media.clip import Frame

#: Columns of the table by the vital that they are a reference of.
_COLUMNS: Final = {"heart_rate": "pulse", "respiration_rate": "respiratory", "oxygen_saturation": "saturation"}


def labelled(folder: Path) -> list[LabelledRecording]:
    """A recording for each row of `db.csv` whose video is there; none where the folder has another layout."""
    table = folder / "db.csv"
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return [_recording(folder, row) for row in rows if row.get("video") and (folder / row["video"]).is_file()]


def _recording(folder: Path, row: dict[str, str]) -> LabelledRecording:
    video = folder / row["video"]
    # Rows have paths of their own; without one, the files of a video have its name.
    wave = folder / (row.get("ppg_sync") or f"ppg_sync/{video.stem}.txt")
    meta = folder / (row.get("meta") or f"meta/{video.stem}.txt")
    numbers = {vital: _number(row.get(column)) for vital, column in _COLUMNS.items()}
    try:
        sex = sex_of(row.get("sex") or "")
    except ValueError:
        sex = None
    return LabelledRecording(
        name=row["video"],
        subject=row.get("patient_id") or video.stem.split("_")[0],
        frames=partial(_frames, video, meta),
        references=partial(_references, video, wave, meta, numbers),
        condition=", ".join(row[name] for name in ("step", "camera") if row.get(name)) or None,
        person=Person(_number(row.get("age")), sex, _number(row.get("bmi"))),
        video=video,
    )


def _frames(video: Path, meta: Path) -> Iterator[Frame]:
    """Frames of a video at the camera's times, which the container does not have."""
    if not meta.is_file():
        yield from clip_frames(video)
        return
    times_s = _times(meta)
    last_s, count = -1.0, 0
    for index, frame in enumerate(clip_frames(video)):
        if index < len(times_s) and times_s[index] > last_s:
            last_s = float(times_s[index])
            yield replace(frame, index=count, time_s=last_s)
            count += 1


def _references(video: Path, wave: Path, meta: Path, numbers: dict[str, float | None]) -> References:
    found: dict[str, Reference] = constants(numbers)
    if wave.is_file():
        try:
            values = np.loadtxt(wave, np.float64, usecols=0, ndmin=1)
        except (ValueError, IndexError) as error:
            raise RecordingUnreadable(f"{wave}: {error!r}; one row a frame is expected") from error
        times_s = _times(meta) if meta.is_file() else np.arange(len(values)) / _frame_rate(video)
        count = min(len(values), len(times_s))
        found["heart_rate"] = PulseWave(times_s[:count], values[:count])
    return found


def _times(meta: Path) -> Floats:
    """Time (n,) of each frame in seconds, the first is 0."""
    try:
        lines = [line.split(None, 1) for line in meta.read_text("utf-8").splitlines() if line.strip()]
        stamps = [dt.datetime.fromisoformat(time.strip()) for _, time in lines]
        return np.array([(stamp - stamps[0]).total_seconds() for stamp in stamps], np.float64)
    except ValueError as error:
        raise RecordingUnreadable(f"{meta}: {error}; number and time of a frame are expected in each line") from error


def _frame_rate(video: Path) -> float:
    try:
        with av.open(str(video)) as container:
            rate = container.streams.video[0].average_rate
    except (av.error.FFmpegError, IndexError) as error:
        raise RecordingUnreadable(f"{video}: {error}") from error
    return float(rate or 30)


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "nan")
    except ValueError:
        return None
    return value if np.isfinite(value) else None
