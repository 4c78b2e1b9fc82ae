"""Small folders in the layouts of public datasets."""

import csv
import datetime as dt
import json
from collections.abc import Iterable, Mapping
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


def write_avi(path: Path, pictures: Iterable[Picture], codec: str, fps: int = 30) -> None:
    """A video of `pictures`: `ffv1`, `rawvideo`, `mjpeg` or `mpeg4`."""
    pictures = list(pictures)
    pixels = {"ffv1": "bgr0", "rawvideo": "bgr24", "mjpeg": "yuvj420p", "mpeg4": "yuv420p"}[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options={} if codec == "ffv1" else {"q": "2"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.time_base = Fraction(1, fps)
        if codec in {"mjpeg", "mpeg4"}:
            stream.bit_rate = 8_000_000
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_ubfc(
    folder: Path, subject: int, face: Picture, rate_per_min: float, duration_s: float = 4.0, *, codec: str = "ffv1"
) -> Path:
    """`subjectN/vid.avi`, uncompressed as theirs, and `ground_truth.txt`: wave, rate, times. The folder."""
    times = np.arange(round(duration_s * 30)) / 30
    place = folder / f"subject{subject}"
    place.mkdir(parents=True)
    write_avi(place / "vid.avi", pulsating(face, times, rate_per_min), codec)
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


def write_ubfc_first(folder: Path, name: str, face: Picture, rate_per_min: float, duration_s: float = 4.0) -> Path:
    """`NAME/vid.avi` and `NAME/gtdump.xmp` of DATASET_1: milliseconds, rate, SpO2, wave at 62 Hz. The folder."""
    place = folder / name
    place.mkdir(parents=True)
    write_avi(place / "vid.avi", pulsating(face, np.arange(round(duration_s * 30)) / 30, rate_per_min), "rawvideo")
    sampled = np.arange(round(duration_s * 62)) / 62
    table = np.column_stack(
        (1000 * sampled, np.full(len(sampled), 127.0), np.full(len(sampled), 98.0), pulse_at(sampled, rate_per_min))
    )
    np.savetxt(place / "gtdump.xmp", table, "%.4f", delimiter=",")
    return folder


def write_ubfc_phys(folder: Path, subject: int, face: Picture, rate_per_min: float, duration_s: float = 4.0) -> Path:
    """`sN/vid_sN_T1.avi`, `bvp_sN_T1.csv` at 64 Hz and `info_sN.txt`, whose second line is the sex. The folder."""
    place = folder / f"s{subject}"
    place.mkdir(parents=True)
    times = np.arange(round(duration_s * 35)) / 35
    write_avi(place / f"vid_s{subject}_T1.avi", pulsating(face, times, rate_per_min), "mjpeg", fps=35)
    wave = 40 * pulse_at(np.arange(round(duration_s * 64)) / 64, rate_per_min)
    (place / f"bvp_s{subject}_T1.csv").write_text("\n".join(f"{value:.4f}" for value in wave) + "\n")
    (place / f"info_s{subject}.txt").write_text(f"s{subject}\nf\ntest\n01/02/2019\n14:03:22\n")
    return folder


def write_mcd(folder: Path, patient: int, face: Picture, rate_per_min: float, duration_s: float = 4.0) -> Path:
    """`db.csv`, `video/P_FullHDwebcam_before.avi`, `ppg_sync/….txt` and `meta/….txt`. The folder.

    The container states 25 frames a second, the camera's times 30.
    """
    stem = f"{patient}_FullHDwebcam_before"
    for name in ("video", "ppg_sync", "meta"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    times = np.arange(round(duration_s * 30)) / 30
    write_avi(folder / "video" / f"{stem}.avi", pulsating(face, times, rate_per_min), "mpeg4", fps=25)
    wave = np.round(128 + 90 * pulse_at(times, rate_per_min)).astype(int)
    (folder / "ppg_sync" / f"{stem}.txt").write_text("".join(f"{value} 0.004\n" for value in wave))
    begin = dt.datetime(2024, 5, 14, 9, 58, 59, 980_000)  # noqa: DTZ001  (theirs have no zone)
    stamps = (f"{index}\t{begin + dt.timedelta(seconds=float(time_s))}\n" for index, time_s in enumerate(times))
    (folder / "meta" / f"{stem}.txt").write_text("".join(stamps))
    row = {
        "patient_id": patient, "step": "before", "camera": "FullHDwebcam", "video": f"video/{stem}.avi",
        "ppg_sync": f"ppg_sync/{stem}.txt", "meta": f"meta/{stem}.txt", "age": 34, "sex": "F", "bmi": 23.4,
        "pulse": 101, "saturation": 97, "respiratory": 16,
    }  # fmt: skip
    write_table(folder / "db.csv", [row])
    return folder


def write_table(path: Path, rows: Iterable[Mapping[str, object]], between: str = ",") -> Path:
    """A CSV whose columns are those of its first row."""
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=between)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_listed(folder: Path, name: str, face: Picture, rate_per_min: float, duration_s: float = 4.0) -> Path:
    """An MP4, and `recordings.csv` that lists it. The folder."""
    times = np.arange(round(duration_s * 30)) / 30
    folder.mkdir(parents=True, exist_ok=True)
    frames = zip(times.tolist(), pulsating(face, times, rate_per_min), strict=True)
    encode(folder / f"{name}.mp4", frames, codec="h264", fps=30, bitrate_bps=2_000_000)
    row = {"file": f"{name}.mp4", "heart_rate": rate_per_min, "subject": name, "condition": "rest", "age": 34}
    write_table(folder / "recordings.csv", [row])
    return folder
