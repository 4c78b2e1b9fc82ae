"""Orientation by display matrices: of the container, of the video stream, mirrored, degenerate."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shared.schemas import RotationSource
from workers.media.orientation import Orientation, orientation_of_matrix

from .files import Picture, decoded, edited, filtered, joined, scene, with_matrix, written

ONE = 1 << 16
W = 1 << 30

#: By name: a, b, c, d of the matrix, rotation and mirror, and how the upright picture is stored.
ORIENTATIONS: dict[str, tuple[tuple[int, int, int, int], tuple[int, bool], Callable[[Picture], Picture]]] = {
    "upright": ((1, 0, 0, 1), (0, False), lambda upright: upright),
    "rotated by 90": ((0, 1, -1, 0), (90, False), np.rot90),
    "rotated by 180": ((-1, 0, 0, -1), (180, False), lambda upright: np.rot90(upright, 2)),
    "rotated by 270": ((0, -1, 1, 0), (270, False), lambda upright: np.rot90(upright, -1)),
    "mirrored": ((-1, 0, 0, 1), (0, True), np.fliplr),
    "flipped": ((1, 0, 0, -1), (180, True), np.flipud),
    "transposed": ((0, 1, 1, 0), (90, True), lambda upright: upright.transpose(1, 0, 2)),
    "transposed and turned": ((0, -1, -1, 0), (270, True), lambda upright: np.rot90(upright, 2).transpose(1, 0, 2)),
}

DEGENERATE = {
    "zero": (0, 0, 0, 0),
    "one row": (ONE, 0, 0, 0),
    "a line": (ONE, ONE, ONE, ONE),
    "a strip": (ONE, 0, 0, 1),
    "45 degrees": (46341, 46341, -46341, 46341),
    "20 degrees": (61584, 22415, -22415, 61584),
    "sheared": (ONE, 0, -ONE, ONE),
    "most negative": (-(1 << 31), -(1 << 31), -(1 << 31), -(1 << 31)),
    "overflowing": ((1 << 31) - 1, -(1 << 31), (1 << 31) - 1, (1 << 31) - 1),
}


def matrix_of(a: int, b: int, c: int, d: int) -> tuple[int, ...]:
    return (a, b, 0, c, d, 0, 0, 0, W)


def assert_upright(path: Path, pictures: list[Picture]) -> None:
    frames, facts = decoded(path)
    assert len(frames) == len(pictures)
    assert (facts.height, facts.width) == pictures[0].shape[:2]
    for frame, picture in zip(frames, pictures, strict=True):
        assert frame.rgb.shape == picture.shape
        assert frame.rgb.flags.c_contiguous
        assert np.abs(frame.rgb.astype(float) - picture).mean() < 12


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_all_eight_orientations_of_an_mp4_end_upright(tmp_path: Path, name: str) -> None:
    terms, expected, stored = ORIENTATIONS[name]
    pictures = scene()
    path = with_matrix(
        written(tmp_path / "clip.mp4", map(stored, pictures)), matrix_of(*(ONE * term for term in terms))
    )
    assert_upright(path, pictures)
    facts = decoded(path)[1]
    assert (facts.rotation, facts.mirrored) == expected
    assert facts.rotation_source is (RotationSource.METADATA if expected[0] else None)


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_matrix_that_is_no_orientation_is_ignored(tmp_path: Path, name: str) -> None:
    matrix = matrix_of(*DEGENERATE[name])
    assert orientation_of_matrix(matrix) == Orientation()
    pictures = scene()
    path = with_matrix(written(tmp_path / "clip.mp4", pictures), matrix)
    facts = decoded(path)[1]
    assert (facts.rotation, facts.rotation_source, facts.mirrored) == (0, None, False)
    if facts.pixel_aspect == 1:
        assert_upright(path, pictures)


def test_an_angle_within_some_degrees_of_a_quarter_turn_is_that_turn() -> None:
    for degrees, rotation in ((87, 90), (93, 90), (178, 180), (-92, 270), (2, 0)):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        terms = [round(ONE * term) for term in (cosine, sine, -sine, cosine)]
        assert orientation_of_matrix(matrix_of(*terms)) == Orientation(rotation)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flip", "rotation", "mirrored"), [("", 270, False), (":flip=horizontal", 90, True)], ids=["turned", "mirrored"]
)
def test_an_orientation_in_the_keyframes_alone_holds_for_all_frames(
    tmp_path: Path, flip: str, rotation: int, mirrored: bool
) -> None:
    """H.264's display orientation message stands in keyframes; the frames between have no matrix.

    A picture is flipped first and rotated afterwards (ITU-T H.264, D.2.27).
    """
    pictures = scene()
    turned = [np.rot90(picture, -1) for picture in pictures]
    stored = map(np.fliplr, turned) if mirrored else turned
    plain = written(tmp_path / "plain.mp4", stored, encoding={"g": "15"})
    path = filtered(plain, tmp_path / "clip.mp4", "h264_metadata=display_orientation=insert:rotate=90", flip)
    _, facts = decoded(path)
    assert (facts.rotation, facts.rotation_source) == (rotation, RotationSource.METADATA)
    assert facts.mirrored is mirrored
    assert facts.size_changes == 0
    assert_upright(path, pictures)


def test_an_orientation_in_the_keyframes_of_hevc_holds_for_all_frames(tmp_path: Path) -> None:
    # A prefix SEI with payload 47 of three bytes: 90 degrees anticlockwise, persistent (ITU-T H.265, D.2.17).
    message = bytes([0x4E, 0x01, 47, 3, 0x08, 0x00, 0x18, 0x80])
    pictures = scene()
    plain = written(tmp_path / "plain.mp4", [np.rot90(picture, -1) for picture in pictures], "libx265")
    path = edited(plain, tmp_path / "clip.mp4", lambda frame: len(message).to_bytes(4, "big") + message + frame)
    assert decoded(path)[1].rotation == 270
    assert_upright(path, pictures)


def test_the_container_overrides_the_stream(tmp_path: Path) -> None:
    pictures = scene()
    plain = written(tmp_path / "plain.mp4", [np.rot90(picture) for picture in pictures])
    path = filtered(plain, tmp_path / "clip.mp4", "h264_metadata=display_orientation=insert:rotate=180")
    with_matrix(path, matrix_of(0, ONE, -ONE, 0))
    assert decoded(path)[1].rotation == 90
    assert_upright(path, pictures)


def test_a_device_that_is_turned_while_it_records_keeps_the_shape(tmp_path: Path) -> None:
    parts = []
    for index, degrees in enumerate((90, 180)):
        plain = written(tmp_path / f"plain{index}.mp4", scene(30))
        name = f"h264_metadata=display_orientation=insert:rotate={degrees}"
        parts.append(filtered(plain, tmp_path / f"{index}.mp4", name))
    frames, facts = decoded(joined(tmp_path / "clip.mp4", *parts))
    assert len(frames) == 60
    assert {frame.rgb.shape for frame in frames} == {(160, 120, 3)}
    assert (facts.rotation, facts.width, facts.height) == (270, 120, 160)


@pytest.mark.parametrize(("codec", "name"), [("libvpx", "clip.webm"), ("libx264", "clip.mkv")])
def test_the_roll_of_a_matroska_projection_is_applied(tmp_path: Path, codec: str, name: str) -> None:
    pictures = scene()
    path = written(tmp_path / name, [np.rot90(picture) for picture in pictures], codec, rotation=-90)
    assert decoded(path)[1].rotation == 90
    assert_upright(path, pictures)
    content = path.read_bytes()
    roll = content.index(b"\x76\x75\x88") + 3
    path.write_bytes(content[:roll] + np.array(45.0, ">f8").tobytes() + content[roll + 8 :])
    assert decoded(path)[1].rotation == 0
