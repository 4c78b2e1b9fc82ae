"""Small folders in the layouts of public datasets."""

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lab.encode import encode
from tests.unit.media.conftest import filmed

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]


def pulse_at(times_s: Floats, rate_per_min: float) -> Floats:
    """Blood volume (n,), higher with more blood."""
    return np.asarray(np.sin(2 * np.pi * times_s * rate_per_min / 60), np.float64)


def pulsating(face: Picture, times_s: Floats, rate_per_min: float) -> list[Picture]:
    """A face on a wall, its green weaker by 3 % where there is more blood."""
    noise = np.random.default_rng(1).normal(0, 1.5, (8, 240, 320, 3))
    seen = filmed(face, (160.0, 110.0)).astype(np.float64)
    bare = filmed(np.full_like(face, 110), (160.0, 110.0)).astype(np.float64)
    skin = np.abs(seen - bare).max(axis=2, keepdims=True) > 12
    pictures = []
    for index, blood in enumerate(pulse_at(times_s, rate_per_min)):
        change = 1 - 0.03 * blood * skin * np.array([0.4, 1.0, 0.7])
        pictures.append(np.clip(seen * change + noise[index % len(noise)], 0, 255).astype(np.uint8))
    return pictures


def write_ubfc(folder: Path, subject: int, face: Picture, rate_per_min: float, duration_s: float = 4.0) -> Path:
    """`subjectN/vid.avi`, uncompressed as theirs, and `ground_truth.txt`: wave, rate, times. The folder."""
    times = np.arange(round(duration_s * 30)) / 30
    place = folder / f"subject{subject}"
    place.mkdir(parents=True)
    with av.open(str(place / "vid.avi"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "bgr0"
        stream.time_base = Fraction(1, 30)
        for index, picture in enumerate(pulsating(face, times, rate_per_min)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    # Their clock does not begin at 0 in every subject.
    lines = (pulse_at(times, rate_per_min), np.full(len(times), rate_per_min), times + 0.25)
    text = "\n".join("   " + "   ".join(f"{value:.7e}" for value in line) for line in lines)
    (place / "ground_truth.txt").write_text(text + "\n")
    return folder


def write_pure(folder: Path, name: str, face: Picture, rate_per_min: float, duration_s: float = 3.0) -> Path:
    """`PP-SS/PP-SS.json` beside `PP-SS/PP-SS/Image<ns>.png`, its wave at 60 Hz as theirs. The folder."""
    begin = 1_392_643_993_642_815_000
    times, sampled = np.arange(round(duration_s * 30)) / 30, np.arange(round((duration_s + 1) * 60)) / 60 - 0.5
    place = folder / name / name
    place.mkdir(parents=True)
    images = []
    for time_s, picture in zip(times, pulsating(face, times, rate_per_min), strict=True):
        stamp = begin + round(time_s * 1e9)
        cv2.imwrite(str(place / f"Image{stamp}.png"), picture[..., ::-1])
        images.append({"Timestamp": stamp, "Value": {"translation": {"x": 0.0, "y": 0.0, "z": 0.0}}})
    package = [
        {
            "Timestamp": begin + round(time_s * 1e9),
            "Value": {"pulseRate": rate_per_min, "o2saturation": 97, "signalStrength": 6, "waveform": round(wave)},
        }
        for time_s, wave in zip(sampled, 60 + 30 * pulse_at(sampled, rate_per_min), strict=True)
    ]
    (folder / name / f"{name}.json").write_text(json.dumps({"/FullPackage": package, "/Image": images}))
    return folder


def write_simulated(folder: Path, name: str, face: Picture, rate_per_min: float, duration_s: float = 3.0) -> Path:
    """`NAME.mp4` and `NAME.truth.json` as `facevitals simulate` leaves them, as far as a reader looks. The folder."""
    times = np.arange(round(duration_s * 30)) / 30
    folder.mkdir(parents=True, exist_ok=True)
    frames = zip(times.tolist(), pulsating(face, times, rate_per_min), strict=True)
    encode(folder / f"{name}.mp4", frames, codec="h264", fps=30, bitrate_bps=2_000_000)
    truth = {
        "frame_times_s": times.tolist(),
        "bvp": pulse_at(times, rate_per_min).tolist(),
        "conditions": {"portrait": "astronaut"},
    }
    (folder / f"{name}.truth.json").write_text(json.dumps(truth))
    return folder
