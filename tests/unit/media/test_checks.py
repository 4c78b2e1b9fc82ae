"""Checks on the quality of a clip: good clips pass, others get a reason."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lab.simulate.occluders import draw
from shared.schemas import Check, CheckStatus
from shared.vitals import Reason
from workers.face.obstruction_check import ObstructionDetector
from workers.face.portraits import Portrait
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import Frame, open_clip

from .conftest import DATA, Picture, Scene, filmed

MASK = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 6]


def verdict(track: FaceTrack, name: str) -> tuple[CheckStatus, Reason | None]:
    check: Check = track.checks[name]
    if check.status is not CheckStatus.PASS:
        assert check.detail is not None
        assert len(check.detail) > 30
        assert check.detail.endswith(".")
    if check.status in {CheckStatus.WARN, CheckStatus.FAIL}:
        assert check.score is not None
        assert 0 <= check.score < 1
    return check.status, check.reason


def test_a_good_clip_passes_every_check(scene: Scene, tracker: FaceTracker) -> None:
    track = tracker.track(scene(2.0))
    statuses = {name: check.status for name, check in track.checks.items()}
    assert statuses.pop("liveness") is CheckStatus.UNKNOWN
    assert set(statuses.values()) == {CheckStatus.PASS}
    assert min(track.checks[name].score or 0 for name in statuses) > 0.5


@pytest.mark.parametrize("name", ["evm_face", "evm_face2", "naber"])
def test_real_clips_pass(tracker: FaceTracker, name: str) -> None:
    path = DATA / "clips" / f"{name}.mp4"
    if not path.is_file():
        pytest.skip("development data (../shared/data) is not here")
    with open_clip(path) as clip:
        track = tracker.track(frame for frame in clip.frames() if frame.time_s < 8)
    for check in ("face", "lighting", "motion", "timing"):
        assert verdict(track, check) == (CheckStatus.PASS, None)
    assert track.checks["obstruction"].status is not CheckStatus.FAIL


def test_frames_without_a_face_fail(tracker: FaceTracker) -> None:
    wall = np.full((240, 320, 3), 120, np.uint8)
    track = tracker.track(Frame(index, index / 30, wall) for index in range(30))
    assert verdict(track, "face") == (CheckStatus.FAIL, Reason.NO_FACE)
    assert {track.checks[name].status for name in ("lighting", "motion", "obstruction")} == {CheckStatus.UNKNOWN}


@pytest.mark.parametrize(
    ("away_s", "expected"),
    [(1.0, CheckStatus.WARN), (3.5, CheckStatus.FAIL)],
)
def test_a_face_that_leaves_is_lost(scene: Scene, tracker: FaceTracker, away_s: float, expected: CheckStatus) -> None:
    wall = np.full((240, 320, 3), 120, np.uint8)
    frames = scene(5.0, change=lambda t, picture: wall if t >= 5 - away_s else picture)
    assert verdict(tracker.track(frames), "face") == (expected, Reason.FACE_LOST)


def two(astronaut: Picture, time_s: float, picture: Picture) -> Picture:
    both = np.full_like(picture, 110)
    both[:, :160] = filmed(astronaut, (80, 110))[:, :160]
    both[:, 160:] = filmed(astronaut[:, ::-1], (178 + 2 * np.sin(time_s), 110))[:, 160:]
    return both


def test_two_people_fail_and_a_passer_by_warns(scene: Scene, tracker: FaceTracker, astronaut: Picture) -> None:
    always = tracker.track(scene(3.0, change=lambda t, picture: two(astronaut, t, picture)))
    assert verdict(always, "face") == (CheckStatus.FAIL, Reason.MULTIPLE_FACES)
    once = scene(
        8.0, fps=15.5, at=lambda _: (80.0, 110.0), change=lambda t, p: two(astronaut, t, p) if 3 <= t < 4.2 else p
    )
    assert verdict(tracker.track(once), "face") == (CheckStatus.WARN, Reason.MULTIPLE_FACES)


def test_a_distant_face_is_too_small(scene: Scene, tracker: FaceTracker, astronaut: Picture) -> None:
    track = tracker.track(scene(1.5, scale=0.5))
    assert verdict(track, "face") == (CheckStatus.FAIL, Reason.FACE_TOO_SMALL)
    room = [Frame(index, index / 30, filmed(astronaut, (330, 260), 0.55, size=(640, 480))) for index in range(40)]
    assert verdict(tracker.track(room), "face") == (CheckStatus.FAIL, Reason.FACE_TOO_SMALL)


@pytest.mark.parametrize(("light", "expected"), [(0.18, CheckStatus.WARN), (0.1, CheckStatus.FAIL)])
def test_a_dark_face_is_low_light(scene: Scene, tracker: FaceTracker, light: float, expected: CheckStatus) -> None:
    track = tracker.track(scene(1.5, light=lambda _: light))
    assert track.faces.any()
    assert verdict(track, "lighting") == (expected, Reason.LOW_LIGHT)


@pytest.mark.parametrize(("change", "expected"), [(0.9, CheckStatus.WARN), (0.6, CheckStatus.FAIL)])
def test_light_that_changes_is_unstable(
    scene: Scene, tracker: FaceTracker, change: float, expected: CheckStatus
) -> None:
    track = tracker.track(scene(4.0, light=lambda t: change if t >= 2 else 1.0))
    assert verdict(track, "lighting") == (expected, Reason.LIGHTING_UNSTABLE)


@pytest.mark.parametrize(
    ("reach", "expected"),
    [(2, (CheckStatus.PASS, None)), (9, (CheckStatus.WARN, Reason.MOTION)), (60, (CheckStatus.FAIL, Reason.MOTION))],
)
def test_a_head_that_moves_is_motion(
    scene: Scene, tracker: FaceTracker, reach: float, expected: tuple[CheckStatus, Reason | None]
) -> None:
    track = tracker.track(scene(4.0, at=lambda t: (160 + reach * np.sin(2 * np.pi * 0.7 * t), 110.0)))
    assert verdict(track, "motion") == expected


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (5, (CheckStatus.FAIL, Reason.FRAME_RATE_LOW)),
        (8.5, (CheckStatus.FAIL, Reason.FRAME_RATE_LOW)),
        (10, (CheckStatus.WARN, Reason.FRAME_RATE_LOW)),
        (17, (CheckStatus.WARN, Reason.FRAME_RATE_LOW)),
        (27.3, (CheckStatus.PASS, None)),
        (60, (CheckStatus.PASS, None)),
    ],
)
def test_a_low_frame_rate_warns_or_fails(
    scene: Scene, tracker: FaceTracker, fps: float, expected: tuple[CheckStatus, Reason | None]
) -> None:
    assert verdict(tracker.track(scene(2.0, fps=fps)), "timing") == expected


@pytest.mark.parametrize(("gap_s", "expected"), [(0.3, CheckStatus.WARN), (0.7, CheckStatus.FAIL)])
def test_missing_and_frozen_frames_both_count_as_gaps(
    scene: Scene, tracker: FaceTracker, gap_s: float, expected: CheckStatus
) -> None:
    frames = scene(3.0)
    missing = [frame for frame in frames if not 1 <= frame.time_s < 1 + gap_s]
    assert verdict(tracker.track(missing), "timing") == (expected, Reason.TIMING_GAPS)
    frozen = [replace(frame, rgb=frames[30].rgb) if 1 <= frame.time_s < 1.07 + gap_s else frame for frame in frames]
    assert verdict(tracker.track(frozen), "timing") == (expected, Reason.TIMING_GAPS)


def covered(portrait: Portrait, colour: tuple[int, int, int]) -> Portrait:
    hull = np.rint(cv2.convexHull(portrait.landmarks[MASK])).astype(np.int32)
    rgb = np.asarray(cv2.fillConvexPoly(portrait.rgb.copy(), hull, colour, cv2.LINE_AA), np.uint8)
    return replace(portrait, rgb=np.asarray(cv2.GaussianBlur(rgb, (3, 3), 0), np.uint8))


@pytest.mark.parametrize("colour", [(225, 235, 245), (120, 170, 215), (30, 30, 34), (130, 190, 150)])
def test_a_mask_over_mouth_and_chin_is_an_obstruction(
    scene: Scene, tracker: FaceTracker, colour: tuple[int, int, int]
) -> None:
    portraits = tracker.track(scene(1.0)).portraits
    meter = ObstructionDetector()
    assert meter.check(portraits).status is CheckStatus.PASS
    check = meter.check([covered(portrait, colour) for portrait in portraits])
    assert (check.status, check.reason) == (CheckStatus.FAIL, Reason.FACE_OBSTRUCTED)


@pytest.mark.parametrize("kind", ["hand", "mask", "phone", "scarf", "hair"])
def test_objects_over_the_face_fail_and_glasses_do_not(scene: Scene, tracker: FaceTracker, kind: str) -> None:
    portrait = max(tracker.track(scene(1.0)).portraits, key=lambda one: one.quality)
    meter = ObstructionDetector()

    def statuses(name: str) -> list[CheckStatus]:
        drawn = (draw(name, portrait.rgb, portrait.landmarks, np.random.default_rng(seed)) for seed in range(6))
        return [meter.check([replace(portrait, rgb=one.rgb)]).status for one in drawn]

    assert statuses(kind).count(CheckStatus.FAIL) >= 4
    for harmless in ("glasses", "beard", "darker"):
        assert statuses(harmless).count(CheckStatus.FAIL) == 0


def test_a_grey_face_is_judged_as_well(scene: Scene, tracker: FaceTracker) -> None:
    def grey(_: float, picture: Picture) -> Picture:
        return np.repeat(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)[..., None], 3, axis=2)

    track = tracker.track(scene(1.0, change=grey))
    assert track.portraits
    assert track.checks["obstruction"].status in {CheckStatus.PASS, CheckStatus.WARN}


def test_without_a_portrait_obstruction_is_unknown() -> None:
    assert ObstructionDetector().check([]).status is CheckStatus.UNKNOWN
