"""Decoding of clips: frames with their times, within budgets, or a rejection with advice."""

import hashlib
import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.clips.first_bytes import ClipFormats
from shared.schemas import ErrorCode
from shared.settings import Settings
from workers.analyzer import AnalyzerOptions
from workers.branch.result import ClipRejected
from workers.media.clip import ClipBudget, Frame, open_clip

from .conftest import Encode

#: Fast settings for libvpx.
FAST = {"deadline": "realtime", "cpu-used": "8"}


def read(path: Path, budget: ClipBudget | None = None) -> list[Frame]:
    with open_clip(path, budget) as clip:
        return list(clip.frames())


def rejection(path: Path, budget: ClipBudget | None = None) -> ErrorCode:
    with pytest.raises(ClipRejected) as caught:
        read(path, budget)
    assert caught.value.detail[-1] in ".!"
    assert len(caught.value.detail) > 40
    assert str(path) not in caught.value.detail
    return caught.value.code


@pytest.mark.parametrize(
    ("codec", "name", "shown"),
    [
        ("libx264", "clip.mp4", "h264"),
        ("libx265", "clip.mp4", "hevc"),
        ("libvpx", "clip.webm", "vp8"),
        ("libvpx-vp9", "clip.webm", "vp9"),
        ("libsvtav1", "clip.webm", "av1"),
    ],
)
def test_every_accepted_codec_is_decoded(encode: Encode, codec: str, name: str, shown: str) -> None:
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = encode(name, codec, encoding=quiet)
    with open_clip(path) as clip:
        frames = list(clip.frames())
        facts = clip.facts
    assert [frame.index for frame in frames] == list(range(60))
    assert frames[0].rgb.shape == (120, 160, 3)
    assert (facts.codec, facts.container) == (shown, path.suffix[1:])
    red, green, blue = frames[5].rgb[10, 10].tolist()
    assert red > 190
    assert max(green, blue) < 70


def test_presentation_times_are_kept_at_a_variable_rate(encode: Encode) -> None:
    steps_s = np.random.default_rng(3).choice([0.02, 0.033, 0.05, 0.12], 59)
    times_s = np.concatenate([[0.0], np.cumsum(steps_s)])
    frames = read(encode("clip.webm", "libvpx", times_s))
    assert [frame.time_s for frame in frames] == pytest.approx(times_s.tolist(), abs=0.0011)


def test_facts_of_a_webm_without_a_duration_are_measured(encode: Encode) -> None:
    path = encode("clip.webm", "libvpx", 0.7 + np.arange(55) / 27.3, muxing={"live": "1"})
    with av.open(str(path)) as raw:
        assert raw.duration is None
    with open_clip(path) as clip:
        assert sum(1 for _ in clip.frames()) == 55
        facts = clip.facts
    assert facts.fps == pytest.approx(27.3, abs=0.02)
    assert facts.duration_s == pytest.approx(55 / 27.3, abs=0.003)
    assert (facts.width, facts.height, facts.frames) == (160, 120, 55)
    assert facts.bytes == path.stat().st_size
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_frames_with_equal_times_are_dropped(encode: Encode) -> None:
    times_s = np.sort(np.concatenate([np.arange(45) / 30, np.arange(0, 45, 5) / 30 + 0.0002]))
    times_s[1:] += 1e-4 * (np.diff(times_s) < 1e-4)
    frames = read(encode("clip.webm", "libvpx", times_s))
    seen_s = [frame.time_s for frame in frames]
    assert len(frames) < len(times_s)
    assert all(later > earlier for earlier, later in pairwise(seen_s))


def test_frames_closer_than_a_hundred_and_twentieth_of_a_second_are_dropped(encode: Encode) -> None:
    """600 frames within 10 ms took 1.6 GB in a worker."""
    times_s = np.append(np.arange(600) / 60_000, 1.5)
    with open_clip(encode(times_s=times_s)) as clip:
        frames = list(clip.frames())
        facts = clip.facts
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.00725, 1.5], abs=1e-4)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert facts.frames == 3
    slow_motion = read(encode(times_s=np.arange(480) / 240))
    assert np.diff([frame.time_s for frame in slow_motion]) == pytest.approx(1 / 120, abs=1e-4)


def test_a_dropped_keyframe_marks_the_next_frame(encode: Encode) -> None:
    times_s = np.arange(480) / 240
    keys = {"g": "31", "keyint_min": "31", "sc_threshold": "0", "bf": "0"}
    frames = read(encode(times_s=times_s, encoding=keys))
    marked = [frame.time_s for frame in frames if frame.is_keyframe]
    first = times_s[::31]
    assert len(marked) == len(first)
    assert all(0 <= seen_s - key_s < 1 / 120 for seen_s, key_s in zip(marked, first, strict=True))


@pytest.mark.parametrize(
    "times_s",
    [
        np.arange(240) / 120,
        np.arange(240) / 119.88 + np.random.default_rng(1).uniform(0, 3e-4, 240),
        np.arange(120) / 60 + np.random.default_rng(2).uniform(0, 8e-3, 120),
        np.arange(60) / 30 + np.random.default_rng(3).uniform(0, 2.4e-2, 60),
    ],
    ids=["120", "120 trembling", "60 trembling", "30 trembling"],
)
@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.webm", "libvpx")])
def test_no_frame_of_a_camera_is_dropped(encode: Encode, times_s: NDArray[np.float64], name: str, codec: str) -> None:
    """WebM rounds times to whole milliseconds."""
    frames = read(encode(name, codec, times_s, encoding=FAST if codec == "libvpx" else {"preset": "ultrafast"}))
    assert len(frames) == len(times_s)


@pytest.mark.parametrize(
    ("rotation", "size", "corner"),
    [(90, (120, 160), (-10, 10)), (-90, (120, 160), (10, -10)), (180, (160, 120), (-10, -10))],
)
def test_rotation_in_the_metadata_is_applied(
    encode: Encode, rotation: float, size: tuple[int, int], corner: tuple[int, int]
) -> None:
    path = encode(rotation=rotation)
    with open_clip(path) as clip:
        frame = list(clip.frames())[5]
        assert (clip.facts.width, clip.facts.height) == size
    assert (frame.rgb.shape[1], frame.rgb.shape[0]) == size
    assert frame.rgb[corner][0] > 190
    assert frame.rgb[corner][1] < 70


def test_a_bomb_of_8192_pixels_square_is_refused_within_a_second(encode: Encode) -> None:
    path = encode(times_s=np.zeros(1), size=(8192, 8192), encoding={"preset": "ultrafast"})
    # Processor time, which other processes do not affect.
    begun = time.process_time()
    assert rejection(path) is ErrorCode.CLIP_TOO_LARGE
    assert time.process_time() - begun < 1.0


def test_a_wrong_size_in_the_header_does_not_bypass_the_limit(encode: Encode) -> None:
    path = encode("clip.webm", "libvpx", np.arange(31) / 30, size=(512, 512), encoding=FAST)
    data = path.read_bytes()
    for tag in (b"\xb0\x82", b"\xba\x82"):  # PixelWidth and PixelHeight, two bytes each
        assert data.count(tag + b"\x02\x00") == 1
        data = data.replace(tag + b"\x02\x00", tag + b"\x00\x40")
    path.write_bytes(data)
    with av.open(str(path)) as raw:
        assert raw.streams.video[0].width in {64, 512}
    assert rejection(path, ClipBudget(pixels=320 * 240)) in {ErrorCode.CLIP_TOO_LARGE, ErrorCode.CLIP_UNDECODABLE}


def test_budgets_on_frames_bytes_and_decoding_time_hold(encode: Encode) -> None:
    path = encode()
    assert rejection(path, ClipBudget(frames=59)) is ErrorCode.CLIP_TOO_LARGE
    assert rejection(path, ClipBudget(bytes=path.stat().st_size - 1)) is ErrorCode.CLIP_TOO_LARGE
    assert rejection(path, ClipBudget(cpu_s=1e-3)) is ErrorCode.CLIP_TOO_LARGE
    assert len(read(path, ClipBudget(frames=60, bytes=path.stat().st_size))) == 60


def test_the_decoding_budget_does_not_count_the_consumer(encode: Encode) -> None:
    frames = 0
    with open_clip(encode(), ClipBudget(cpu_s=2)) as clip:
        for _ in clip.frames():
            time.sleep(0.05)
            frames += 1
    assert frames == 60


def test_clips_are_accepted_from_one_second_to_two_minutes(encode: Encode) -> None:
    assert rejection(encode(times_s=np.arange(29) / 30)) is ErrorCode.CLIP_TOO_SHORT
    assert len(read(encode(times_s=np.arange(30) / 30))) == 30
    two_minutes = np.arange(0, 121) * 1.0
    assert len(read(encode(times_s=two_minutes))) == 121
    assert rejection(encode(times_s=np.append(two_minutes, 121.0))) is ErrorCode.CLIP_TOO_LONG


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "code"),
    [
        ("clip.avi", "mpeg4", "yuv420p", ErrorCode.CONTAINER_NOT_ALLOWED),
        ("clip.gif", "gif", "rgb8", ErrorCode.CONTAINER_NOT_ALLOWED),
        ("clip.png", "png", "rgb24", ErrorCode.CONTAINER_NOT_ALLOWED),
        ("clip.mkv", "mpeg4", "yuv420p", ErrorCode.CODEC_NOT_ALLOWED),
        ("clip.mkv", "ffv1", "yuv420p", ErrorCode.CODEC_NOT_ALLOWED),
    ],
)
def test_other_containers_and_codecs_are_rejected_whatever_the_file_name(
    encode: Encode, name: str, codec: str, pixels: str, code: ErrorCode
) -> None:
    single = {"update": "1"} if codec == "png" else {}
    path = encode(name, codec, np.zeros(1) if codec == "png" else None, pixels=pixels, muxing=single)
    web = ClipBudget(formats=ClipFormats.WEB)
    assert rejection(path.rename(path.with_suffix(".mp4")), web) is code


def test_a_playlist_that_names_another_file_is_not_followed(encode: Encode, tmp_path: Path) -> None:
    playlist = tmp_path / "clip.webm"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{encode()}\n#EXT-X-ENDLIST\n")
    assert rejection(playlist) is ErrorCode.CONTAINER_NOT_ALLOWED


def test_audio_and_a_cover_image_are_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        output.mux(stream.encode(sound))
        output.mux(stream.encode())
    assert rejection(path) is ErrorCode.NO_VIDEO
    covered = tmp_path / "cover.mp4"
    with av.open(str(path)) as source, av.open(str(covered), "w") as output:
        voice = output.add_stream_from_template(source.streams.audio[0])
        cover = output.add_stream("mjpeg", rate=1)
        assert isinstance(cover, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        output.mux(cover.encode())
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = voice
                output.mux(packet)
    assert rejection(covered) is ErrorCode.NO_VIDEO


def test_a_truncated_clip_is_decoded_as_far_as_possible(encode: Encode) -> None:
    path = encode("clip.webm", "libvpx", np.arange(90) / 30, muxing={"live": "1"}, encoding=FAST)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert 35 < len(read(path)) < 85


def test_an_mp4_without_its_index_is_rejected(encode: Encode) -> None:
    path = encode()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert rejection(path) is ErrorCode.CLIP_UNDECODABLE


def test_damage_in_the_middle_drops_frames_only(encode: Encode) -> None:
    path = encode(times_s=np.arange(90) / 30, encoding={"g": "10", "bf": "0"})
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 400] = np.random.default_rng(0).integers(0, 256, 400, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    frames = read(path)
    assert 50 < len(frames) <= 90
    assert frames[-1].time_s == pytest.approx(89 / 30, abs=0.01)


@pytest.mark.parametrize("head", [b"\x00\x00\x00\x18ftypisom", b"\x1a\x45\xdf\xa3\x9f"])
def test_noise_behind_the_right_first_bytes_is_undecodable(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(head + np.random.default_rng(0).bytes(50_000))
    assert rejection(path) in {ErrorCode.CLIP_UNDECODABLE, ErrorCode.NO_VIDEO}


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert rejection(path) is ErrorCode.CONTAINER_NOT_ALLOWED


def test_frames_are_scaled_to_the_first_size(encode: Encode, tmp_path: Path) -> None:
    parts = [
        encode(f"{index}.webm", "libvpx", np.arange(30) / 30, size=size)
        for index, size in enumerate([(160, 120), (80, 60)])
    ]
    joined = tmp_path / "joined.webm"
    with av.open(str(joined), "w") as output, av.open(str(parts[0])) as first, av.open(str(parts[1])) as second:
        stream = output.add_stream_from_template(first.streams.video[0])
        for offset, part in ((0, first), (1000, second)):
            for packet in part.demux(video=0):
                if packet.dts is not None and packet.pts is not None:
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = stream
                    output.mux(packet)
    frames = read(joined)
    assert len(frames) == 60
    assert {frame.rgb.shape for frame in frames} == {(120, 160, 3)}


def test_leaving_early_stops_the_decoder(encode: Encode) -> None:
    path = encode(times_s=np.arange(300) / 30)
    with open_clip(path) as clip:
        for frame in clip.frames():
            if frame.index == 3:
                break
    assert not [thread for thread in threading.enumerate() if thread.name == "decode"]

    def stumble() -> None:
        with open_clip(path) as clip:
            for frame in clip.frames():
                _ = 1 / (frame.index - 3)

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert not [thread for thread in threading.enumerate() if thread.name == "decode"]


def test_frames_are_read_once_and_facts_known_afterwards(encode: Encode) -> None:
    with open_clip(encode()) as clip:
        with pytest.raises(RuntimeError, match="last frame"):
            _ = clip.facts
        assert sum(1 for _ in clip.frames()) == 60
        with pytest.raises(RuntimeError, match="once"):
            next(clip.frames())
        assert clip.facts.frames == 60


def test_raw_recordings_of_data_sets_are_within_the_limit_on_bytes_of_an_analysis() -> None:
    minute_of_raw_640x480 = 60 * 30 * 640 * 480 * 3
    assert AnalyzerOptions(Path("models")).budget.bytes > 2 * minute_of_raw_640x480
    for formats, limited in (("web", True), ("all", False)):
        budget = AnalyzerOptions.from_settings(Settings(clip_formats=formats)).budget
        assert (budget.bytes < minute_of_raw_640x480) is limited
