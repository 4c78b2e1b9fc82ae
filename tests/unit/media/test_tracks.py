"""Choice of the video track, and the tracks that are reported as ignored."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from shared.clips.first_bytes import ClipFormats
from shared.clips.warnings import warnings_of
from shared.schemas import IgnoredTrack, WarningCode
from workers.media.clip import ClipBudget

from .files import decoded, scene

#: A track: codec, width, height, pictures and disposition.
Track = tuple[str, int, int, int, Disposition]
NONE, DEFAULT, COVER = Disposition(0), Disposition.default, Disposition.attached_pic


def file_of(path: Path, *tracks: Track, sound: bool = False) -> Path:
    """Write `tracks` to `path`, with one of sound at the end if wanted."""
    with av.open(str(path), "w") as output:
        streams: list[Any] = []
        for codec, width, height, _, disposition in tracks:
            stream: Any = output.add_stream(codec, rate=30)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = disposition
            streams.append(stream)
        audio: Any = output.add_stream("aac", rate=8000) if sound else None
        for stream, (_, width, height, count, _) in zip(streams, tracks, strict=True):
            for index, picture in enumerate(scene(count, width, height)):
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts = index
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        if audio is not None:
            samples: Any = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.float32), "fltp", "mono")
            samples.sample_rate = 8000
            output.mux(audio.encode(samples))
            output.mux(audio.encode())
    return path


@pytest.mark.parametrize(
    ("tracks", "chosen"),
    [
        ((("libx264", 320, 240, 45, NONE), ("libx264", 160, 120, 45, DEFAULT)), 1),
        ((("libx264", 160, 120, 45, DEFAULT), ("libx264", 320, 240, 45, NONE)), 0),
        ((("libx264", 64, 48, 45, DEFAULT), ("libx264", 160, 120, 45, DEFAULT)), 1),
        ((("libx264", 160, 120, 30, DEFAULT), ("libx264", 160, 120, 60, DEFAULT)), 1),
        ((("libx264", 160, 120, 45, DEFAULT), ("libx264", 160, 120, 45, DEFAULT)), 0),
        ((("mpeg4", 320, 240, 45, DEFAULT), ("libx264", 160, 120, 45, NONE)), 1),
    ],
    ids=["default", "default first", "largest", "longest", "first", "accepted codec"],
)
def test_the_default_track_is_analysed_else_the_best(tmp_path: Path, tracks: tuple[Track, ...], chosen: int) -> None:
    frames, facts = decoded(file_of(tmp_path / "clip.mp4", *tracks), ClipBudget.of(ClipFormats.WEB))
    _, width, height, count, _ = tracks[chosen]
    assert (facts.width, facts.height, facts.frames, facts.codec) == (width, height, count, "h264")
    assert np.abs(frames[20].rgb.astype(float) - scene(count, width, height)[20]).mean() < 20
    codec = "mpeg4" if tracks[1 - chosen][0] == "mpeg4" else "h264"
    assert facts.tracks_ignored == [IgnoredTrack(kind="video", codec=codec)]
    assert [warning.code for warning in warnings_of(facts)] == [WarningCode.VIDEO_TRACKS_IGNORED]


def test_the_largest_track_of_a_matroska_is_analysed(tmp_path: Path) -> None:
    path = file_of(tmp_path / "clip.mkv", ("libvpx", 80, 60, 45, NONE), ("libvpx", 160, 120, 45, NONE))
    assert decoded(path)[1].width == 160


def test_sound_and_a_cover_picture_are_reported_and_give_no_warning(tmp_path: Path) -> None:
    path = file_of(tmp_path / "clip.mp4", ("libx264", 160, 120, 45, DEFAULT), ("mjpeg", 320, 240, 1, COVER), sound=True)
    facts = decoded(path)[1]
    assert facts.width == 160
    assert sorted(facts.tracks_ignored, key=lambda track: track.kind) == [
        IgnoredTrack(kind="audio", codec="aac"),
        IgnoredTrack(kind="other", codec="mjpeg"),
    ]
    assert warnings_of(facts) == []
