"""Decoded pictures are sRGB, whatever range, matrix, transfer function and pixel format the file has."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from workers.face.quality_checks import is_grey_face
from workers.face.tracker import FaceTracker
from workers.media.colour import ColourObserver, is_grey, rgb_of

from .conftest import Encode, Picture, Scene, filmed

Light = NDArray[np.float64]

WIDTH = 16
PATCHES = np.array([(200, 40, 40), (40, 180, 60), (50, 60, 210), (220, 170, 140), (20, 20, 20), (225, 225, 225)])
GREY_PATCHES = np.repeat([[30], [80], [120], [160], [200], [235]], 3, axis=1)
#: FFmpeg's AVCOL_SPC of each matrix.
MATRICES = {Colorspace.ITU709: 1, Colorspace.ITU601: 6, Colorspace.BT2020: 9}
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def chart(patches: Picture) -> Picture:
    """Return patches of colour side by side, (64, 96, 3) in the type of `patches`."""
    return np.ascontiguousarray(np.broadcast_to(np.repeat(patches, WIDTH, axis=0), (64, WIDTH * len(patches), 3)))


def decoded(  # noqa: PLR0917  (all have defaults)
    path: Path,
    picture: Picture,
    pixels: str = "yuv420p",
    matrix: Colorspace | None = None,
    range_: ColorRange | None = None,
    trc: ColorTrc | None = None,
    primaries: ColorPrimaries | None = None,
) -> tuple[Picture, ColourObserver]:
    """Encode a picture of patches with these tags; return the mean colour (n, 3) of each patch after decoding."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"crf": "4"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = pixels
        coder = stream.codec_context
        for name, value in (("color_trc", trc), ("color_primaries", primaries), ("color_range", range_)):
            if value is not None:
                setattr(coder, name, int(value))
        if matrix is not None:
            coder.colorspace = MATRICES[matrix]
        frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.dtype == np.uint8 else "rgb48le")
        frame = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=range_)
        frame.pts, frame.time_base = 0, Fraction(1, 30)
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    observer = ColourObserver()
    with av.open(str(path)) as source:
        shown = next(source.decode(video=0))
        rgb = observer.rgb(shown, (shown.width, shown.height))
    assert rgb.dtype == np.uint8
    return rgb[16:48].reshape(32, -1, WIDTH, 3)[:, :, 5:11].mean(axis=(0, 2)), observer


@pytest.mark.parametrize("range_", [None, ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("matrix", [None, Colorspace.ITU601, Colorspace.ITU709, Colorspace.BT2020])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le"])
def test_range_and_matrix_of_the_file_are_obeyed(
    tmp_path: Path, pixels: str, matrix: Colorspace | None, range_: ColorRange | None
) -> None:
    colours, observer = decoded(tmp_path / "clip.mkv", chart(PATCHES.astype(np.uint8)), pixels, matrix, range_)
    assert colours == pytest.approx(PATCHES, abs=4)
    if range_ is not None:
        assert observer.facts.range == ("full" if range_ is ColorRange.JPEG else "limited")
    assert not observer.facts.grey


@pytest.mark.parametrize("pixels", ["gray", "gray10le", "yuv420p", "yuvj420p", "yuv420p10le"])
def test_a_grey_picture_keeps_its_brightness_and_is_known_to_be_grey(tmp_path: Path, pixels: str) -> None:
    # swscale gives grey formats the full range, whether requested or not.
    range_ = ColorRange.JPEG if pixels.startswith(("gray", "yuvj")) else ColorRange.MPEG
    colours, observer = decoded(tmp_path / "clip.mkv", chart(GREY_PATCHES.astype(np.uint8)), pixels, range_=range_)
    assert colours == pytest.approx(GREY_PATCHES, abs=3)
    assert observer.facts.grey


def hlg_signal(light: Light) -> Light:
    """BT.2100: signal of light over the reference white, which has a signal of 0.75."""
    scene = light * 0.26496
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper), np.float64)


def pq_signal(light: Light) -> Light:
    """SMPTE ST 2084: signal of light over the reference white of 203 cd/m2."""
    power = (light * 203 / 10_000) ** (2610 / 16384)
    return np.asarray(((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32), np.float64)


@pytest.mark.parametrize("transfer", ["hlg", "pq"])
def test_a_high_dynamic_range_is_converted_to_the_colours_of_the_scene(tmp_path: Path, transfer: str) -> None:
    signal, trc = {"hlg": (hlg_signal, ColorTrc.ARIB_STD_B67), "pq": (pq_signal, ColorTrc.SMPTE2084)}[transfer]
    value = PATCHES / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    samples = chart(np.rint(65535 * signal(light @ TO_BT2020.T)).astype(np.uint16))
    colours, observer = decoded(
        tmp_path / "clip.mkv",
        samples,
        "yuv420p10le",
        Colorspace.BT2020,
        ColorRange.MPEG,
        trc,
        ColorPrimaries.BT2020,
    )
    assert colours == pytest.approx(PATCHES, abs=8)
    assert observer.facts.transfer == transfer


def test_only_the_transfer_function_of_a_large_picture_is_converted() -> None:
    patches = PATCHES[:3]  # saturated, so that the primaries matter
    value = patches / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    samples = np.rint(65535 * hlg_signal(light)).astype(np.uint16)

    def converted(width: int, height: int) -> Light:
        picture = np.ascontiguousarray(np.broadcast_to(np.repeat(samples, width // 3, axis=0), (height, width, 3)))
        frame = av.VideoFrame.from_ndarray(picture, "rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace=Colorspace.BT2020)
        frame.color_trc, frame.color_primaries = ColorTrc.ARIB_STD_B67, ColorPrimaries.BT2020
        rgb = rgb_of(frame, (width, height))
        assert rgb.shape == (height, width, 3)
        return rgb[height // 2, width // 6 :: width // 3].astype(np.float64)

    assert converted(3840, 2160) == pytest.approx(patches, abs=8)
    with_primaries = converted(960, 540)
    assert np.abs(with_primaries - patches).max() > 20


@pytest.mark.parametrize("container", ["mov", "avi"])
def test_a_decoder_that_gives_one_channel_gives_a_grey_picture(tmp_path: Path, container: str) -> None:
    coded, jpeg = cv2.imencode(".jpg", chart(GREY_PATCHES.astype(np.uint8))[..., 0])
    assert coded
    path = tmp_path / f"clip.{container}"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        packet = av.Packet(jpeg.tobytes())
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 30)
        packet.is_keyframe = True
        output.mux(packet)
    observer = ColourObserver()
    with av.open(str(path)) as source:
        shown = next(source.decode(video=0))
        assert shown.format.name == "gray"
        rgb = observer.rgb(shown, (96, 64))
    assert rgb[32, WIDTH // 2 :: WIDTH] == pytest.approx(GREY_PATCHES, abs=3)
    assert observer.facts.grey


def test_colour_in_a_small_part_of_the_picture_is_colour() -> None:
    picture = np.full((100, 100, 3), 90, np.uint8)
    assert is_grey(picture)
    picture[:10, :10] = (180, 120, 100)
    assert not is_grey(picture)
    assert not is_grey(np.empty((0, 3), np.uint8))


def test_a_clip_states_that_it_has_colour(encode: Encode) -> None:
    observer = ColourObserver()
    with av.open(str(encode())) as source:
        for shown in source.decode(video=0):
            observer.rgb(shown, (shown.width, shown.height))
    assert not observer.facts.grey
    assert observer.facts.transfer is None


def test_the_check_of_light_warns_of_a_grey_picture(scene: Scene, tracker: FaceTracker, astronaut: Picture) -> None:
    grey = np.repeat(astronaut.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    frames = scene(2.0, change=lambda _, picture: np.repeat(picture[..., 1:2], 3, axis=2), face=grey)
    track = tracker.track(frames)
    assert track.grey
    assert track.checks["lighting"].reason == "no_colour"
    assert track.checks["lighting"].status == "warn"
    coloured = tracker.track(scene(2.0))
    assert not coloured.grey
    assert coloured.checks["lighting"].status == "pass"
    assert not is_grey_face(filmed(astronaut, (160.0, 110.0))[None], np.ones(1, np.int8))
