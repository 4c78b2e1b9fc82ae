"""The same recording in another form gives the same vitals: changed by real encoders, read by the whole analysis."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.scheduling import scheduling_kept
from lab.simulate import ClipSpec, simulate
from shared.schemas import JobDocument, JobState, NumericVital
from workers.analyzer import Analyzer, AnalyzerOptions

Picture = NDArray[np.uint8]

#: A strong pulse: a clip at the edge of a condition would be on either side of it after each encoder.
SPEC = ClipSpec(heart_rate=84, respiration_rate=16, duration_s=12, bitrate_bps=8_000_000, pulse_strength=1.8, seed=1613)
#: Encoder's options that keep the pulse.
GOOD = {
    "libx264": {"crf": "12", "preset": "veryfast"},
    "libx265": {"crf": "12", "preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx": {"b": "8000000", "deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"b": "8000000", "deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"crf": "12", "preset": "12"},
}


@dataclass(frozen=True)
class Base:
    """The recording to be changed, and its document."""

    path: Path
    document: JobDocument


@pytest.fixture(scope="module")
def analyzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analyzer]:
    loaded = Analyzer.load(AnalyzerOptions(models_dir=tmp_path_factory.mktemp("models")))
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def base(analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Base:
    path = tmp_path_factory.mktemp("base") / "base.mp4"
    simulate(path, SPEC)
    document = analyzer.analyze(path).document
    assert document.vitals.heart_rate.interval is not None
    assert document.vitals.respiration_rate.interval is not None
    return Base(path, document)


def encoded_again(
    source: Path,
    target: Path,
    change: Callable[[Picture], Picture] = lambda rgb: rgb,
    *,
    codec: str = "libx264",
    speed: float = 1.0,
    times: Callable[[float], float] = lambda time_s: time_s,
) -> Path:
    """Encode every picture of `source` again, changed; `speed` above 1 plays it faster."""
    with scheduling_kept(), av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream: av.VideoStream | None = None
        for frame in read.decode(video=0):
            rgb = np.ascontiguousarray(change(frame.to_ndarray(format="rgb24")))  # type: ignore[arg-type]
            if stream is None:
                added = written.add_stream(codec, rate=30, options=dict(GOOD[codec]))
                assert isinstance(added, av.VideoStream)
                stream = added
                stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
                stream.codec_context.time_base = Fraction(1, 90_000)
            picture = av.VideoFrame.from_ndarray(rgb, "rgb24")
            assert frame.time is not None
            picture.pts, picture.time_base = round(times(frame.time / speed) * 90_000), Fraction(1, 90_000)
            written.mux(stream.encode(picture))
        assert stream is not None
        written.mux(stream.encode())
    return target


def wrapped_again(source: Path, target: Path, container: str | None = None) -> Path:
    """Copy the packets of `source` into another container."""
    with av.open(str(source)) as read, av.open(str(target), "w", format=container) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(read.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    return target


def assert_same_vitals(document: JobDocument, base: Base) -> None:
    """Every vital that the original has lies within its interval, and is not missing."""
    assert document.state is JobState.SUCCEEDED, document.error
    for name, before in base.document.vitals.by_name().items():
        after = document.vitals.by_name()[name]
        if not isinstance(before, NumericVital) or before.value is None or before.interval is None:
            continue
        low, high = before.interval
        assert isinstance(after, NumericVital)
        assert after.value is not None, f"{name}: {after.reason}"
        assert low <= after.value <= high, f"{name}: {after.value}, not in {before.interval}"
    assert document.vitals.gender.value == base.document.vitals.gender.value


def _scaled(factor: float) -> Callable[[Picture], Picture]:
    def scale(rgb: Picture) -> Picture:
        size = (2 * round(rgb.shape[1] * factor / 2), 2 * round(rgb.shape[0] * factor / 2))
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)

    return scale


def _jittered(time_s: float) -> float:
    """Times as a browser gives them: off by up to 4 ms, in whole milliseconds."""
    return round(time_s + 0.004 * math.sin(1000 * time_s), 3)


CHANGES: dict[str, Callable[[Path, Path], Path]] = {
    "mirrored": lambda source, folder: encoded_again(source, folder / "a.mp4", lambda rgb: rgb[:, ::-1]),
    "larger": lambda source, folder: encoded_again(source, folder / "a.mp4", _scaled(1.5)),
    "smaller": lambda source, folder: encoded_again(source, folder / "a.mp4", _scaled(0.75)),
    "cropped": lambda source, folder: encoded_again(source, folder / "a.mp4", lambda rgb: rgb[16:-16, 40:-48]),
    "re-timed": lambda source, folder: encoded_again(source, folder / "a.webm", codec="libvpx", times=_jittered),
    "hevc": lambda source, folder: encoded_again(source, folder / "a.mp4", codec="libx265"),
    "vp9": lambda source, folder: encoded_again(source, folder / "a.webm", codec="libvpx-vp9"),
    "av1": lambda source, folder: encoded_again(source, folder / "a.webm", codec="libsvtav1"),
}
#: Changes of the container alone: the pictures are the same.
WRAPPED: dict[str, Callable[[Path, Path], Path]] = {
    "mov": lambda source, folder: wrapped_again(source, folder / "a.mov"),
    "mkv": lambda source, folder: wrapped_again(source, folder / "a.mkv"),
    "webm of Chromium": lambda source, folder: wrapped_again(source, folder / "a.webm", "matroska"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_recording_in_another_form_has_the_same_vitals(
    change: str, base: Base, analyzer: Analyzer, tmp_path: Path
) -> None:
    assert_same_vitals(analyzer.analyze(CHANGES[change](base.path, tmp_path)).document, base)


@pytest.mark.parametrize("change", WRAPPED)
def test_another_container_changes_no_vital(change: str, base: Base, analyzer: Analyzer, tmp_path: Path) -> None:
    document = analyzer.analyze(WRAPPED[change](base.path, tmp_path)).document
    assert_same_vitals(document, base)
    assert document.vitals.heart_rate.value == pytest.approx(base.document.vitals.heart_rate.value, abs=0.3)


@pytest.mark.parametrize("speed", [0.5, 1.5])
def test_another_speed_has_another_rate_or_none(speed: float, base: Base, analyzer: Analyzer, tmp_path: Path) -> None:
    """The times of the file decide: at half speed the heart beats half as fast."""
    document = analyzer.analyze(encoded_again(base.path, tmp_path / "a.mp4", speed=speed)).document
    assert document.state is JobState.SUCCEEDED
    for name, truth in (("heart_rate", SPEC.heart_rate), ("respiration_rate", SPEC.respiration_rate)):
        vital = document.vitals.by_name()[name]
        assert vital.value is None or vital.value == pytest.approx(speed * truth, abs=2), f"{name}: {vital}"
