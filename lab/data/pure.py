"""The PURE dataset as published: for each recording a JSON file and a folder of PNG files `Image<nanoseconds>.png`.

Stricker, Müller, Gross 2014, "Non-contact video-based pulse rate measurement on a mobile service robot", RO-MAN.
Recordings are named `PP-SS`: person and setup. The folder is beside the JSON file, or contains it.
"""

import json
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from lab.data.recording import Recording, RecordingUnreadable
from workers.media.clip import Frame


def recordings(folder: Path) -> list[Recording]:
    """Every recording below the folder; none where it has another layout.

    Raises:
        RecordingUnreadable: a JSON file lacks times or waveform, or its times go back.
    """
    found = []
    for truth in sorted(folder.rglob("*.json")):
        pictures = next((held for place in (truth.with_suffix(""), truth.parent) if (held := _pictures(place))), None)
        if pictures is not None:
            found.append(_recording(truth, pictures))
    return found


def _pictures(folder: Path) -> list[tuple[int, Path]]:
    """Nanoseconds and file of each picture, in order."""
    return sorted((int(path.stem.removeprefix("Image")), path) for path in folder.glob("Image[0-9]*.png"))


def _recording(truth: Path, pictures: list[tuple[int, Path]]) -> Recording:
    try:
        package = json.loads(truth.read_text("utf-8"))["/FullPackage"]
        stamps = np.array([entry["Timestamp"] for entry in package], np.int64)
        wave = np.array([entry["Value"]["waveform"] for entry in package], np.float64)
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingUnreadable(f"{truth}: no /FullPackage of Timestamp and Value.waveform ({error!r})") from error
    if len(stamps) < 2 or any(later < earlier for earlier, later in pairwise(stamps)):
        raise RecordingUnreadable(f"{truth}: its times must not go back")
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


def _frames(pictures: list[tuple[int, Path]]) -> Iterator[Frame]:
    begin = pictures[0][0]
    for index, (stamp, path) in enumerate(pictures):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise RecordingUnreadable(f"{path} is not a readable picture")
        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        yield Frame(index, (stamp - begin) / 1e9, rgb)
