"""Face tracking: rows for every frame, and no values without a face."""

import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from shared.schemas import CheckStatus
from shared.vitals import CHECKS, Branch
from workers.face.skin_regions import LINEAR_LIGHT
from workers.face.tracker import MAX_WAITING_BYTES, REGIONS, STRIDE_S, FaceTrack, FaceTracker
from workers.media.clip import Frame

from .conftest import Picture, Scene


def wall(_: float, picture: Picture) -> Picture:
    return np.full_like(picture, 110)


def same(one: FaceTrack, other: FaceTrack) -> bool:
    arrays = ("times_s", "landmarks", "regions", "background", "crops", "faces")
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in arrays)


def test_every_frame_has_a_row(scene: Scene, tracker: FaceTracker) -> None:
    track = tracker.track(scene())
    assert track.times_s.tolist() == [index / 30 for index in range(90)]
    assert track.landmarks.shape == (90, 478, 2)
    assert track.regions.shape == (90, len(REGIONS), 3)
    assert track.background.shape == (90, 3)
    assert track.crops.shape == (90, 72, 72, 3)
    assert track.faces.tolist() == [1] * 90
    assert track.size == (320, 240)
    assert set(track.checks) == set(CHECKS)
    assert np.isfinite(track.regions).all()


def test_only_frames_that_wait_for_their_mesh_are_held(scene: Scene, tracker: FaceTracker) -> None:
    frames = scene(2.0)
    held: list[weakref.ref[Picture]] = []
    alive = 0

    def watched() -> Iterator[Frame]:
        nonlocal alive
        for frame in frames:
            copy = frame.rgb.copy()
            held.append(weakref.ref(copy))
            alive = max(alive, sum(reference() is not None for reference in held))
            yield Frame(frame.index, frame.time_s, copy)
            del copy

    tracker.track(watched())
    assert alive <= round(STRIDE_S * 30) + 3


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (3840, 2160)])
def test_frames_that_wait_for_their_mesh_are_bounded_in_bytes(tracker: FaceTracker, size: tuple[int, int]) -> None:
    """The bound holds at any frame rate."""
    largest = waiting = 0

    def given(count: int) -> Iterator[Frame]:
        nonlocal largest, waiting

        def let_go(nbytes: int) -> None:
            nonlocal waiting
            waiting -= nbytes

        for index in range(count):
            rgb = np.full((size[1], size[0], 3), 110, np.uint8)
            weakref.finalize(rgb, let_go, rgb.nbytes)
            waiting += rgb.nbytes
            largest = max(largest, waiting)
            yield Frame(index, index / 120, rgb)
            del rgb

    assert len(tracker.track(given(60)).times_s) == 60
    # Plus the frame being passed, and the tracker's loop variable.
    assert largest <= MAX_WAITING_BYTES + 2 * size[0] * size[1] * 3


def test_no_state_is_kept_between_clips(scene: Scene, tracker: FaceTracker) -> None:
    small = scene(1.5, scale=0.7)
    fresh = FaceTracker()
    expected = fresh.track(small)
    tracker.track(scene(1.5, at=lambda _: (120.0, 140.0), scale=1.3))
    assert same(tracker.track(small), expected)
    assert same(tracker.track(small), expected)


def test_regions_are_proportional_to_linear_light(scene: Scene, tracker: FaceTracker) -> None:
    def downsample(_: float, picture: Picture) -> Picture:
        return np.asarray(np.rint(np.interp(LINEAR_LIGHT[picture] / 2, LINEAR_LIGHT, np.arange(256))), np.uint8)

    full = tracker.track(scene(1.0)).regions.mean(axis=0)
    half = tracker.track(scene(1.0, change=downsample)).regions.mean(axis=0)
    assert half / full == pytest.approx(np.full((len(REGIONS), 3), 0.5), rel=0.05)
    red, green, blue = full[0]
    assert red > green > blue


def test_regions_are_averaged_in_linear_light(scene: Scene, tracker: FaceTracker) -> None:
    colour = np.array([205, 150, 130])
    corners = np.array([[112, 95], [165, 108], [160, 155], [128, 160], [112, 130]])  # over the cheek on the left

    def painted(_: float, picture: Picture) -> Picture:
        return np.asarray(cv2.fillConvexPoly(picture, corners, colour.tolist()), np.uint8)

    track = tracker.track(scene(1.0, change=painted))
    cheek = track.regions[:, REGIONS.index("right_cheek")].mean(axis=0)
    assert cheek == pytest.approx(LINEAR_LIGHT[colour], rel=0.03)
    red, green, blue = track.regions[:, REGIONS.index("forehead")].mean(axis=0)
    assert red > green > blue


@pytest.mark.parametrize("share", [0.004, 0.02])
def test_a_change_of_the_light_is_measured_at_its_strength(scene: Scene, tracker: FaceTracker, share: float) -> None:
    """A pulse is such a change; neither sRGB's curve nor the regions' outlines may distort it."""

    def dithered(picture: Picture, gain: float, time_s: float) -> Picture:
        code = np.interp(LINEAR_LIGHT[picture] * gain, LINEAR_LIGHT, np.arange(256))
        noise = np.random.default_rng(round(time_s * 30)).random(picture.shape)
        return np.asarray(np.clip(np.floor(code + noise), 0, 255), np.uint8)

    def wave(time_s: float) -> float:
        return float(np.sin(2 * np.pi * 1.3 * time_s))

    steady = tracker.track(scene(2.0, change=lambda t, picture: dithered(picture, 1.0, t)))
    beating = tracker.track(scene(2.0, change=lambda t, picture: dithered(picture, 1 + share * wave(t), t)))
    expected = np.array([wave(time_s) for time_s in beating.times_s])
    for region in range(len(REGIONS)):
        ratio = beating.regions[:, region, 1] / steady.regions[:, region, 1] - 1
        # A fringe covers part of the forehead, and the excluded area depends slightly on the light.
        tolerance = 0.2 if REGIONS[region] == "forehead" else 0.15
        assert float(ratio @ expected / (expected @ expected)) == pytest.approx(share, rel=tolerance), REGIONS[region]


def test_the_colour_does_not_change_when_the_head_moves(scene: Scene, tracker: FaceTracker) -> None:
    sway = tracker.track(scene(4.0, at=lambda t: (160 + 12 * np.sin(2 * np.pi * 0.4 * t), 110 + 5 * np.sin(2 * t))))
    moved = float(np.ptp(sway.landmarks[:, 1, 0]))
    assert moved == pytest.approx(24, abs=4)
    face = sway.regions[:, 0]
    assert (face.std(axis=0) / face.mean(axis=0)).max() < 0.01


def test_meshes_are_interpolated_linearly(scene: Scene, tracker: FaceTracker) -> None:
    frames = scene(2.0, at=lambda t: (150 + 8 * np.sin(2 * np.pi * 0.3 * t), 110.0))
    every = FaceTracker(stride_s=0)
    difference = tracker.track(frames).landmarks - every.track(frames).landmarks
    width = 75.0
    assert float(np.sqrt((difference**2).sum(axis=2).mean())) / width < 0.02
    assert STRIDE_S > 1 / 30


@pytest.mark.parametrize(
    "picture",
    [
        np.full((240, 320, 3), 120, np.uint8),
        np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8),
    ],
    ids=["wall", "noise"],
)
def test_without_a_face_there_is_no_mesh_skin_or_portrait(tracker: FaceTracker, picture: Picture) -> None:
    track = tracker.track([Frame(index, index / 30, picture) for index in range(45)])
    assert not track.faces.any()
    assert np.isnan(track.landmarks).all()
    assert np.isnan(track.regions).all()
    assert np.isfinite(track.background).all()
    assert track.portraits == ()
    assert track.checks["face"].status is CheckStatus.FAIL


def test_without_frames_the_face_check_fails(tracker: FaceTracker) -> None:
    track = tracker.track([])
    assert len(track.times_s) == 0
    assert track.checks["face"].status is CheckStatus.FAIL


def test_rows_are_nan_while_the_face_is_away(scene: Scene, tracker: FaceTracker) -> None:
    frames = scene(3.0, change=lambda t, picture: wall(t, picture) if 1 <= t < 2 else picture)
    track = tracker.track(frames)
    away = (track.times_s >= 1) & (track.times_s < 2)
    assert not track.faces[away].any()
    assert np.isnan(track.regions[away]).all()
    assert (track.faces[track.times_s < 0.6] == 1).all()
    assert (track.faces[track.times_s >= 2.4] == 1).all()
    assert all(not 1 <= portrait.time_s < 2 for portrait in track.portraits)


def test_the_background_excludes_the_person(scene: Scene, tracker: FaceTracker) -> None:
    def brighter_beside(time_s: float, picture: Picture) -> Picture:
        lit = picture.copy()
        lit[:90, :70] = lit[:90, 250:] = 90 if time_s < 0.5 else 180
        return lit

    track = tracker.track(scene(1.0, change=brighter_beside))
    dark, lit = track.background[:15].mean(axis=0), track.background[15:].mean(axis=0)
    assert (lit / dark > 1.5).all()
    assert (track.regions[15:, 0].mean(axis=0) / track.regions[:15, 0].mean(axis=0)) == pytest.approx(
        [1, 1, 1], abs=0.02
    )


def test_crops_show_the_face_and_do_not_jitter(scene: Scene, tracker: FaceTracker) -> None:
    track = tracker.track(scene(2.0))
    steps = np.abs(np.diff(track.crops.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    assert steps.max() < 1.5
    red, green, blue = track.crops[10, 30:50, 20:52].mean(axis=(0, 1))
    assert red > green > blue


def test_a_large_picture_gives_the_same_colours(scene: Scene, tracker: FaceTracker) -> None:
    frames = scene(1.0)
    twice = [
        Frame(frame.index, frame.time_s, np.asarray(cv2.resize(frame.rgb, (1920, 1440)), np.uint8)) for frame in frames
    ]
    small, large = tracker.track(frames), tracker.track(twice)
    assert large.size == (1920, 1440)
    assert large.regions.mean(axis=0) == pytest.approx(small.regions.mean(axis=0), rel=0.05)
    assert large.landmarks.mean(axis=0) / 6 == pytest.approx(small.landmarks.mean(axis=0), abs=2.0)


def test_nine_portraits_are_taken_at_the_original_moments(scene: Scene, tracker: FaceTracker) -> None:
    track = tracker.track(scene(10.5, fps=10))
    assert [portrait.time_s for portrait in track.portraits] == pytest.approx(list(range(1, 10)), abs=0.25)
    for portrait in track.portraits:
        height, width = portrait.rgb.shape[:2]
        inside = (portrait.landmarks >= 0) & (portrait.landmarks <= (width, height))
        assert inside.all()
        assert np.ptp(portrait.landmarks[:, 1]) > height / 3
        assert 0.3 < portrait.quality <= 1


def test_portraits_show_a_face_that_appears_late(scene: Scene, tracker: FaceTracker) -> None:
    def late(time_s: float, picture: Picture) -> Picture:
        return picture if time_s >= 10.2 else wall(time_s, picture)

    track = tracker.track(scene(22.0, fps=10, change=late))
    assert [portrait.time_s for portrait in track.portraits] == pytest.approx(
        [10.2 + second for second in range(1, 10)], abs=0.45
    )
    assert track.checks["obstruction"].status is CheckStatus.PASS


def test_portraits_are_spread_over_all_stretches_with_the_face(scene: Scene, tracker: FaceTracker) -> None:
    def twice(time_s: float, picture: Picture) -> Picture:
        return picture if time_s < 2 or time_s >= 12 else wall(time_s, picture)

    times_s = np.array([portrait.time_s for portrait in tracker.track(scene(15.0, fps=10, change=twice)).portraits])
    assert len(times_s) == 9
    assert ((times_s < 2) | (times_s >= 12)).all()
    assert 3 <= np.sum(times_s < 2) <= 5


def test_data_that_no_branch_needs_is_left_empty(scene: Scene, tracker: FaceTracker) -> None:
    frames = list(scene(1.0))
    looks, pulse = tracker.track(frames, (Branch.VISION,)), tracker.track(frames, (Branch.RPPG,))
    assert [len(part.times_s) > 0 for part in (looks.eyes, looks.thumbnails, looks.torso)] == [True, True, False]
    assert [len(part.times_s) > 0 for part in (pulse.eyes, pulse.thumbnails, pulse.torso)] == [False, False, True]
    assert np.array_equal(looks.regions, pulse.regions)


def test_shorter_clips_spread_their_portraits_evenly(scene: Scene, tracker: FaceTracker) -> None:
    times_s = [portrait.time_s for portrait in tracker.track(scene(5.0)).portraits]
    assert len(times_s) == 9
    assert np.diff(times_s) == pytest.approx([0.5] * 8, abs=0.35)


def test_a_blurred_portrait_has_a_lower_quality(scene: Scene, tracker: FaceTracker, astronaut: Picture) -> None:
    blurred = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), 3), np.uint8)
    good = tracker.track(scene(1.0)).portraits[0]
    bad = tracker.track(scene(1.0, face=blurred)).portraits[0]
    assert bad.sharpness < 0.7 * good.sharpness
    assert bad.quality < good.quality
