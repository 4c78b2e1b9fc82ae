"""A face on its side or upside down is turned upright, once a clip, and an upright face is left as it is."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from shared.clips.warnings import warnings_of
from shared.schemas import ClipFacts, RotationSource, WarningCode
from workers.face.detector import FaceBox
from workers.face.mesh import FaceFinder
from workers.face.roll import RollCorrector, upright_facts
from workers.face.tracker import FaceTracker
from workers.media.clip import Frame, open_clip

from .conftest import DATA, Picture, Scene, filmed
from .test_face import same


def turned(frames: Sequence[Frame], rotation: int) -> list[Frame]:
    """Return `frames` as a camera records them that must be turned by `rotation` degrees clockwise."""
    return [replace(frame, rgb=np.ascontiguousarray(np.rot90(frame.rgb, rotation // 90))) for frame in frames]


def tilted(frames: Sequence[Frame], degrees: float) -> list[Frame]:
    """Return `frames` with a head tilted by `degrees` clockwise about the middle of the face."""
    place = cv2.getRotationMatrix2D((160, 120), -degrees, 1.0)

    def tilt(picture: Picture) -> Picture:
        return np.asarray(cv2.warpAffine(picture, place, (320, 240), borderValue=(110, 110, 110)), np.uint8)

    return [replace(frame, rgb=tilt(frame.rgb)) for frame in frames]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_face_has_the_track_of_the_upright_one(scene: Scene, tracker: FaceTracker, rotation: int) -> None:
    upright = scene(2.0)
    expected, track = tracker.track(upright), tracker.track(turned(upright, rotation))
    assert expected.rotation == 0
    assert track.rotation == rotation
    assert track.size == expected.size == (320, 240)
    assert same(track, expected)
    assert track.checks == expected.checks
    assert np.array_equal(track.torso.patches, expected.torso.patches)


def test_frames_of_an_upright_face_are_passed_as_they_are(scene: Scene) -> None:
    frames = scene(1.0)
    corrector = RollCorrector(FaceFinder())
    passed = [upright for frame in frames for upright in corrector.add(frame)] + list(corrector.finish())
    assert all(one is other for one, other in zip(passed, frames, strict=True))


def test_a_face_that_appears_later_is_turned(scene: Scene, tracker: FaceTracker) -> None:
    def late(time_s: float, picture: Picture) -> Picture:
        return picture if time_s >= 1 else np.full_like(picture, 110)

    frames = scene(2.0, change=late)
    expected, track = tracker.track(frames), tracker.track(turned(frames, 90))
    assert track.rotation == 90
    assert track.size == (320, 240)
    seen = np.isfinite(track.landmarks[:, 0, 0])
    assert not seen[:30].any()
    assert seen[45:].all()
    assert track.landmarks[45:] == pytest.approx(expected.landmarks[45:], abs=3)


@pytest.mark.parametrize("degrees", [-45, -30, 30, 45])
def test_a_tilted_head_is_not_turned(scene: Scene, tracker: FaceTracker, degrees: float) -> None:
    assert tracker.track(tilted(scene(1.0, scale=1.3), degrees)).rotation == 0


def test_the_direction_is_decided_once(scene: Scene, tracker: FaceTracker) -> None:
    frames = scene(2.0)
    track = tracker.track(frames[:30] + turned(frames[30:], 180))
    assert track.rotation == 0


@pytest.mark.parametrize("rotation", [0, 180])
def test_two_faces_are_turned_and_counted(tracker: FaceTracker, astronaut: Picture, rotation: int) -> None:
    two = np.hstack([filmed(astronaut, (200, 200), 1.5, (400, 480))] * 2)
    frames = [Frame(index, index / 30, two) for index in range(45)]
    track = tracker.track(turned(frames, rotation))
    assert track.rotation == rotation
    assert track.faces[-1] == 2


def test_only_a_second_of_frames_waits_for_the_decision(scene: Scene) -> None:
    class Uncertain(FaceFinder):
        """A finder that detects no face after the first look at all four views."""

        views = 0

        def faces(self, rgb: Picture) -> tuple[FaceBox, ...]:
            self.views += 1
            return super().faces(rgb) if self.views <= 4 else ()

    corrector = RollCorrector(Uncertain())
    waiting = largest = 0
    for frame in turned(scene(2.0), 90):
        waiting += 1
        waiting -= len(list(corrector.add(frame)))
        largest = max(largest, waiting)
    assert largest <= 31


@pytest.mark.parametrize(("size", "most"), [((1920, 1080), 13), ((3840, 2160), 3)])
def test_frames_that_wait_for_the_decision_are_bounded_in_bytes(
    astronaut: Picture, size: tuple[int, int], most: int
) -> None:
    rgb = np.ascontiguousarray(np.rot90(filmed(astronaut, (size[0] / 2, size[1] / 2), size[1] / 300, size), 2))
    corrector = RollCorrector(FaceFinder())
    waiting = largest = 0
    for index in range(most + 2):
        waiting += 1 - len(list(corrector.add(Frame(index, index / 120, rgb))))
        largest = max(largest, waiting)
    assert corrector.rotation == 180
    assert largest <= most


FACTS = ClipFacts(
    duration_s=15, frames=450, fps=30, width=480, height=640, container="mp4", codec="h264", bytes=1, sha256="0"
)


@pytest.mark.parametrize(
    ("rotation", "mirrored", "added", "expected"),
    [(0, False, 90, 90), (90, False, 270, 0), (90, False, 180, 270), (270, False, 180, 90), (90, True, 90, 0)],
)
def test_facts_hold_the_sum_of_both_rotations(rotation: int, mirrored: bool, added: int, expected: int) -> None:
    before = FACTS.model_copy(
        update={"rotation": rotation, "mirrored": mirrored, "rotation_source": RotationSource.METADATA}
    )
    facts = upright_facts(before, (640, 480), added)
    assert (facts.rotation, facts.rotation_source) == (expected, RotationSource.FACE)
    assert (facts.width, facts.height) == (640, 480)
    warning = warnings_of(facts)[0]
    assert warning.code is WarningCode.ROTATED_BY_FACE
    assert ("were not turned" in warning.detail) == (expected == 0)
    assert upright_facts(before, (480, 640), 0) == before


def test_a_real_face_upside_down_is_turned(tracker: FaceTracker) -> None:
    path = DATA / "clips" / "evm_face.mp4"
    if not path.is_file():
        pytest.skip(f"{path} is not here: development data is stored beside the checkout")
    with open_clip(path) as clip:
        frames = [frame for frame in clip.frames() if frame.index < 60]
    expected, track = tracker.track(frames), tracker.track(turned(frames, 180))
    assert (expected.rotation, track.rotation) == (0, 180)
    assert same(track, expected)
