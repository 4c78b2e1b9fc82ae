"""The PURE dataset as published: for each recording a JSON file and a folder of PNG files `Image<nanoseconds>.png`.

Stricker, Müller, Gross 2014, "Non-contact video-based pulse rate measurement on a mobile service robot", RO-MAN.
Recordings are named `PP-SS`: person and setup. The folder is beside the JSON file, or contains it. The package of the
oximeter has a wave, the pulse rate and SpO2 at 60 Hz.
"""

import json
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.data.labelled import LabelledRecording
from lab.data.recording import Recording, RecordingUnreadable
from lab.data.reference import PulseWave, References, spo2_series
from workers.media.clip import Frame

#: The setups by number.
_SETUPS: Final = {
    "01": "steady",
    "02": "talking",
    "03": "slow translation",
    "04": "fast translation",
    "05": "small rotation",
    "06": "medium rotation",
}


def recordings(folder: Path) -> list[Recording]:
    """Every recording below the folder; none where it has another layout.

    Raises:
        RecordingUnreadable: a JSON file lacks times or waveform, or its times go back.
    """
    return [_recording(truth, pictures) for truth, pictures in _found(folder)]


def labelled(folder: Path) -> list[LabelledRecording]:
    """Every recording below the folder; none where it has another layout."""
    found = []
    for truth, pictures in _found(folder):
        person, _, setup = truth.stem.partition("-")
        found.append(
            LabelledRecording(
                name=truth.relative_to(folder).as_posix(),
                subject=person,
                frames=partial(_frames, pictures),
                references=partial(_references, truth, pictures[0][0]),
                condition=_SETUPS.get(setup, setup or None),
            )
        )
    return found


def _found(folder: Path) -> Iterator[tuple[Path, list[tuple[int, Path]]]]:
    """Each JSON file below the folder that belongs to pictures, and those."""
    for truth in sorted(folder.rglob("*.json")):
        pictures = next((held for place in (truth.with_suffix(""), truth.parent) if (held := _pictures(place))), None)
        if pictures is not None:
            yield truth, pictures


def _pictures(folder: Path) -> list[tuple[int, Path]]:
    """Nanoseconds and file of each picture, in order."""
    return sorted((int(path.stem.removeprefix("Image")), path) for path in folder.glob("Image[0-9]*.png"))


def _recording(truth: Path, pictures: list[tuple[int, Path]]) -> Recording:
    stamps, values = _package(truth)
    wave = _values(values, "waveform")
    begin = pictures[0][0]
    return Recording(
        name=truth.stem,
        subject=truth.stem.split("-")[0],
        bvp_times_s=(stamps - begin) / 1e9,
        bvp=wave,
        frames=partial(_frames, pictures),
        # Names, which contain the times, and sizes represent gigabytes of pictures.
        content=(truth, tuple((path.name, path.stat().st_size) for _, path in pictures)),
    )


def _references(truth: Path, begin: int) -> References:
    stamps, values = _package(truth)
    times_s = (stamps - begin) / 1e9
    found: dict[str, Any] = {"heart_rate": PulseWave(times_s, _values(values, "waveform"))}
    if all("o2saturation" in value for value in values):
        found["oxygen_saturation"] = spo2_series(times_s, _values(values, "o2saturation"))
    return found


def _package(truth: Path) -> tuple[NDArray[np.int64], list[dict[str, Any]]]:
    """Times (n,) in nanoseconds, and values of the oximeter's package."""
    try:
        package = json.loads(truth.read_text("utf-8"))["/FullPackage"]
        stamps = np.array([entry["Timestamp"] for entry in package], np.int64)
        values = [entry["Value"] for entry in package]
        _values(values, "waveform")
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingUnreadable(f"{truth}: no /FullPackage of Timestamp and Value.waveform ({error!r})") from error
    if len(stamps) < 2 or any(later < earlier for earlier, later in pairwise(stamps)):
        raise RecordingUnreadable(f"{truth}: its times must not go back")
    return stamps, values


def _values(values: list[dict[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([value[name] for value in values], np.float64)


def _frames(pictures: list[tuple[int, Path]]) -> Iterator[Frame]:
    begin = pictures[0][0]
    for index, (stamp, path) in enumerate(pictures):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise RecordingUnreadable(f"{path} is not a readable picture")
        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        yield Frame(index, (stamp - begin) / 1e9, rgb)
