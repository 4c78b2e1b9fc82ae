"""A clip whose frames are turned, or whose metadata is wrong, has the vitals of the upright clip."""

from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

import facevitals
from facevitals.cli.render import print_document
from shared.schemas import RotationSource, VitalStatus, WarningCode

VITALS = ["heart_rate", "respiration_rate", "age", "gender", "bmi"]


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "upright.mp4"
    facevitals.simulate(path, heart_rate=72, respiration_rate=15, seed=7, duration_s=15, width=320, height=240)
    return path


@pytest.fixture(scope="module")
def analyzer() -> facevitals.Analyzer:
    return facevitals.Analyzer()


@pytest.fixture(scope="module")
def expected(analyzer: facevitals.Analyzer, upright: Path) -> facevitals.Analysis:
    return analyzer.analyze(upright, vitals=VITALS)


def encode_turned(source: Path, path: Path, frames: int, metadata: int) -> None:
    """Write `source` with frames turned and a display rotation, both in degrees clockwise."""
    with av.open(str(source)) as opened, av.open(str(path), "w") as output:
        video = opened.streams.video[0]
        assert video.time_base is not None
        size = (video.width, video.height) if frames % 180 == 0 else (video.height, video.width)
        stream = output.add_stream("libx264", rate=30, options={"crf": "10", "preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = video.time_base
        if metadata:
            stream.set_display_rotation(-metadata)
        for picture in opened.decode(video):
            turned = np.rot90(np.asarray(picture.to_ndarray(format="rgb24"), np.uint8), -(frames // 90))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(turned), "rgb24")
            frame.pts, frame.time_base = picture.pts, picture.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


@pytest.mark.parametrize(
    ("frames", "metadata"),
    [
        pytest.param(180, 0, id="180_needed_and_none_stored"),
        pytest.param(0, 90, id="0_needed_and_90_stored"),
        pytest.param(90, 90, id="270_needed_and_90_stored"),
        pytest.param(180, 90, id="180_needed_and_90_stored"),
    ],
)
def test_a_turned_clip_has_the_vitals_of_the_upright_one(  # noqa: PLR0917  (fixtures and parameters)
    analyzer: facevitals.Analyzer,
    upright: Path,
    expected: facevitals.Analysis,
    tmp_path: Path,
    frames: int,
    metadata: int,
) -> None:
    path = tmp_path / "turned.mp4"
    encode_turned(upright, path, frames, metadata)
    document = analyzer.analyze(path, vitals=VITALS).document
    assert document.clip is not None
    needed = (360 - frames) % 360
    assert (document.clip.rotation, document.clip.rotation_source) == (needed, RotationSource.FACE)
    assert (document.clip.width, document.clip.height) == (320, 240)
    (warning,) = document.warnings
    assert warning.code is WarningCode.ROTATED_BY_FACE
    assert (f"turned by {needed} degrees" if needed else "the frames were not turned") in warning.detail
    console = Console(width=400)
    with console.capture() as printed:
        print_document(console, document)
    assert warning.detail in printed.get()
    before, after = expected.document.vitals.by_name(), document.vitals.by_name()
    for name in ("heart_rate", "respiration_rate"):
        assert after[name].status is VitalStatus.OK
    for name in VITALS:
        assert after[name].status is before[name].status
        interval, value = before[name].interval, after[name].value
        if interval is None:
            assert value == before[name].value
        else:
            assert isinstance(value, float)
            assert interval[0] <= value <= interval[1]
    # The vitals alone may pass for a face upside down; it has a lower score, and seems to move.
    checks, others = expected.document.checks.model_dump(), document.checks.model_dump()
    for name in ("face", "lighting", "motion"):
        assert others[name]["status"] == checks[name]["status"]
        assert others[name]["score"] == pytest.approx(checks[name]["score"], abs=0.02)


def test_an_upright_clip_is_not_turned(expected: facevitals.Analysis) -> None:
    assert expected.document.clip is not None
    assert (expected.document.clip.rotation, expected.document.clip.rotation_source) == (0, None)
    assert expected.document.warnings == []
