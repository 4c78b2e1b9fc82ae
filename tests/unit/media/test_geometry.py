"""Pixels that are not square, and pictures whose size changes during the recording."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.clips.warnings import warnings_of
from shared.schemas import WarningCode
from workers.media.clip import ClipBudget, open_clip
from workers.media.geometry import pixel_aspect_of

from .files import Picture, decoded, filtered, joined, scene, written


def resized(pictures: list[Picture], width: int, height: int) -> list[Picture]:
    return [np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)) for picture in pictures]


def assert_like(rgb: Picture, picture: Picture) -> None:
    assert rgb.shape == picture.shape
    assert np.abs(rgb.astype(float) - picture).mean() < 12


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(2, 3), Fraction(16, 15)])
def test_anamorphic_pictures_are_scaled_to_square_pixels(tmp_path: Path, name: str, aspect: Fraction) -> None:
    """The shorter side of a pixel is stretched, so that no detail is lost."""
    width, height = (round(120 * aspect), 120) if aspect > 1 else (120, round(120 / aspect))
    pictures = scene(width=width, height=height)
    path = written(tmp_path / name, resized(pictures, 120, 120), pixel_aspect=aspect)
    frames, facts = decoded(path)
    assert (facts.width, facts.height) == (width, height)
    assert facts.pixel_aspect == pytest.approx(float(aspect), abs=1e-4)
    assert facts.size_changes == 0
    assert [warning.code for warning in warnings_of(facts)] == [WarningCode.PIXELS_NOT_SQUARE]
    for frame, picture in zip(frames, pictures, strict=True):
        assert_like(frame.rgb, picture)


def test_pixels_are_scaled_before_the_picture_is_turned(tmp_path: Path) -> None:
    pictures = scene(width=120, height=160)
    stored = resized([np.rot90(picture) for picture in pictures], 120, 120)
    path = written(tmp_path / "clip.mp4", stored, pixel_aspect=Fraction(4, 3), rotation=-90)
    frames, facts = decoded(path)
    assert (facts.width, facts.height, facts.rotation) == (120, 160, 90)
    assert_like(frames[20].rgb, pictures[20])


def test_an_aspect_in_the_stream_alone_is_found(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain.mp4", resized(scene(), 120, 120))
    path = filtered(plain, tmp_path / "clip.mkv", "h264_metadata=sample_aspect_ratio=4/3")
    facts = decoded(path)[1]
    assert (facts.width, facts.height, facts.pixel_aspect) == (160, 120, 1.3333)


def test_scaling_to_square_pixels_keeps_the_budget(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.mp4", scene(), pixel_aspect=Fraction(2, 1))
    budget = ClipBudget(pixels=160 * 120 * 3 // 2)
    with open_clip(path, budget) as clip:
        frame = list(clip.frames())[-1]
        facts = clip.facts
    assert frame.rgb.shape == (facts.height, facts.width, 3)
    assert 0.95 * budget.pixels < facts.width * facts.height <= budget.pixels
    assert facts.width / facts.height == pytest.approx(320 / 120, rel=0.02)


@pytest.mark.parametrize("aspect", [Fraction(1, 1000), Fraction(1000, 1), Fraction(5, 1), Fraction(160, 161)])
def test_an_implausible_aspect_is_ignored(tmp_path: Path, aspect: Fraction) -> None:
    pictures = scene()
    frames, facts = decoded(written(tmp_path / "clip.mp4", pictures, pixel_aspect=aspect))
    assert (facts.width, facts.height, facts.pixel_aspect) == (160, 120, 1.0)
    assert_like(frames[20].rgb, pictures[20])


def test_an_aspect_that_is_not_given_is_that_of_a_square() -> None:
    assert pixel_aspect_of(None) == pixel_aspect_of(Fraction(0)) == pixel_aspect_of(Fraction(-1)) == 1
    assert pixel_aspect_of(Fraction(12, 11)) == Fraction(12, 11)


def test_an_aspect_that_would_make_a_strip_is_ignored(tmp_path: Path) -> None:
    facts = decoded(written(tmp_path / "clip.mp4", scene(width=480, height=48), pixel_aspect=Fraction(3)))[1]
    assert (facts.width, facts.height, facts.pixel_aspect) == (480, 48, 1.0)


@pytest.mark.parametrize("sizes", [((160, 120), (120, 160)), ((120, 160), (160, 120)), ((160, 120), (320, 80))])
def test_a_picture_of_another_shape_is_fitted_between_bars(
    tmp_path: Path, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """Browsers change the size of VP8 when the phone is turned or a captured window is resized."""
    (width, height), (other_width, other_height) = sizes
    parts = [written(tmp_path / f"{index}.webm", scene(30, *size), "libvpx") for index, size in enumerate(sizes)]
    frames, facts = decoded(joined(tmp_path / "clip.webm", *parts, parts[0]))
    assert len(frames) == 90
    assert {frame.rgb.shape for frame in frames} == {(height, width, 3)}
    assert facts.size_changes == 2
    assert (facts.width, facts.height) == (width, height)
    assert WarningCode.SIZE_CHANGED in {warning.code for warning in warnings_of(facts)}
    scale = min(width / other_width, height / other_height)
    fitted = resized(scene(30, other_width, other_height), round(other_width * scale), round(other_height * scale))[20]
    expected = np.zeros((height, width, 3), np.uint8)
    top, left = (height - fitted.shape[0]) // 2, (width - fitted.shape[1]) // 2
    expected[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    assert_like(frames[50].rgb, expected)
    assert_like(frames[80].rgb, scene(30, width, height)[20])


def test_a_changed_pixel_aspect_counts_as_a_changed_size(tmp_path: Path) -> None:
    pictures = scene(30)
    headers = {"x264-params": "repeat-headers=1:bframes=0"}
    parts = [
        written(tmp_path / "0.mp4", pictures, encoding=headers),
        written(tmp_path / "1.mp4", resized(pictures, 160, 120), pixel_aspect=Fraction(2), encoding=headers),
    ]
    frames, facts = decoded(joined(tmp_path / "clip.mp4", *parts))
    assert len(frames) == 60
    assert facts.size_changes == 1
    assert (facts.width, facts.height, facts.pixel_aspect) == (160, 120, 1.0)
    assert frames[50].rgb[:25].max() < 10
    assert frames[50].rgb[40, 10, 0] > 190
