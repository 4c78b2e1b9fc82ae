"""Crops around the box of the face, from the whole frame."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.vitals import Branch
from workers.face.box_crops import BOX_SCALES, SIDE, box_crops, crop_around
from workers.face.tracker import FaceTracker

from .conftest import Scene


def coordinates(width: int, height: int) -> NDArray[np.uint8]:
    """Return a frame whose red and green are a pixel's x and y, over 4."""
    y, x = np.mgrid[:height, :width] // 4
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


def extent(crop: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest pixel (x, y) of `coordinates` that a crop shows."""
    pixels = 4.0 * crop[..., :2].reshape(-1, 2)
    return pixels.min(axis=0), pixels.max(axis=0)


@pytest.mark.parametrize("scale", BOX_SCALES)
def test_a_crop_is_a_multiple_of_the_box_around_its_centre(scale: float) -> None:
    left, top, side = 500.0, 300.0, 100.0
    low, high = extent(crop_around(coordinates(1000, 800), (left, top, side, side), scale))
    assert high - low == pytest.approx([scale * side] * 2, rel=0.03)
    assert (low + high) / 2 == pytest.approx([left + side / 2, top + side / 2], abs=3)


def test_a_crop_is_moved_into_the_frame() -> None:
    low, high = extent(crop_around(coordinates(1000, 800), (20.0, 690.0, 100.0, 100.0), 4.0))
    assert low == pytest.approx([0, 400], abs=5)
    assert high == pytest.approx([400, 800], abs=5)


def test_a_crop_is_not_larger_than_the_frame() -> None:
    frame = coordinates(640, 480)
    low, high = extent(crop_around(frame, (250.0, 150.0, 200.0, 200.0), 4.0))
    assert low == pytest.approx([350 - 240, 0], abs=8)
    assert high == pytest.approx([350 + 240, 480], abs=8)


@pytest.mark.parametrize("box", [(-60.0, -60.0, 100.0, 100.0), (630.0, 470.0, 90.0, 90.0), (0.0, 0.0, 900.0, 900.0)])
def test_a_box_across_the_frames_edge_has_crops(box: tuple[float, float, float, float]) -> None:
    for scale in BOX_SCALES:
        assert crop_around(coordinates(640, 480), box, scale).shape == (SIDE, SIDE, 3)


def test_portraits_have_the_crops_of_their_frames(scene: Scene, tracker: FaceTracker) -> None:
    frames = scene(2.0, at=lambda time_s: (150.0 + 10 * time_s, 110.0))
    track = tracker.track(frames, (Branch.VISION,))
    pictures = {frame.time_s: frame.rgb for frame in frames}
    for portrait in track.portraits:
        mesh = track.landmarks[track.times_s == portrait.time_s][0]
        assert portrait.box_crops is not None
        assert np.array_equal(portrait.box_crops, box_crops(pictures[portrait.time_s], mesh))


def test_without_the_vision_branch_portraits_have_no_box_crops(scene: Scene, tracker: FaceTracker) -> None:
    track = tracker.track(scene(1.0), (Branch.RPPG,))
    assert track.portraits
    assert all(portrait.box_crops is None for portrait in track.portraits)
