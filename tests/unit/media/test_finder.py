"""The face finder gives MediaPipe's mesh and boxes, follows one face, and shares its networks with other finders."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.media.conftest import Scene
from workers.face.detector import FaceDetector
from workers.face.mesh import FaceFinder
from workers.models.build import ModelNotInstalled
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.manifest import models_named
from workers.models.tflite_file import TfliteFile

Picture = NDArray[np.uint8]

#: Points of the mesh of scikit-image's astronaut, pixels, as MediaPipe 0.10.21 gives them on Linux x86-64: nose,
#: forehead, chin, corners of the eyes, lips, lids, both irises, ears.
MEDIAPIPE = {
    1: (223.45, 130.02), 10: (226.26, 71.69), 152: (221.27, 177.44), 33: (195.21, 100.92), 133: (213.35, 103.71),
    362: (237.03, 104.94), 263: (255.76, 104.28), 61: (201.81, 139.22), 291: (244.99, 140.99), 13: (223.48, 143.24),
    14: (222.96, 150.08), 159: (202.83, 97.60), 145: (203.43, 104.32), 386: (248.31, 99.74), 374: (246.61, 106.65),
    468: (203.48, 101.10), 473: (246.59, 103.47), 234: (179.37, 109.95), 454: (270.22, 115.46),
}  # fmt: skip
WIDTH = 91.0


@pytest.fixture
def finder() -> FaceFinder:
    return FaceFinder()


def mesh_of(finder: FaceFinder, picture: Picture) -> NDArray[np.float32]:
    mesh = finder.mesh(np.ascontiguousarray(picture))
    assert mesh is not None
    return mesh


def apart(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Median distance of two meshes, pixels."""
    return float(np.median(np.hypot(*(first - second).T)))


def test_the_mesh_is_that_of_mediapipe(finder: FaceFinder, astronaut: Picture) -> None:
    mesh = mesh_of(finder, astronaut)
    assert mesh.shape == (478, 2)
    assert mesh.dtype == np.float32
    for index, expected in MEDIAPIPE.items():
        assert mesh[index] == pytest.approx(expected, abs=0.1), index


def test_the_boxes_are_those_of_mediapipe(finder: FaceFinder, astronaut: Picture) -> None:
    (near,), (far,) = finder.faces(astronaut), finder.distant_faces(astronaut)
    assert (near.left, near.top, near.right, near.bottom) == pytest.approx((177.57, 82.87, 272.91, 178.22), abs=0.1)
    assert (near.score, near.roll) == pytest.approx((0.9217, 5.41), abs=0.01)
    assert (far.left, far.top, far.right, far.bottom) == pytest.approx((173.66, 67.78, 277.59, 171.70), abs=0.1)
    assert (far.score, far.roll) == pytest.approx((0.9121, 3.02), abs=0.01)


def test_a_larger_picture_gives_the_same_face(finder: FaceFinder, astronaut: Picture) -> None:
    """Pictures above 640 pixels are scaled down for the networks, and what they find is scaled up."""
    large = np.asarray(cv2.resize(astronaut, (1536, 1536), interpolation=cv2.INTER_LINEAR), np.uint8)
    expected = mesh_of(finder, astronaut)
    finder.reset()
    assert apart(mesh_of(finder, large) / 3, expected) < 0.01 * WIDTH
    (box,), (small,) = finder.faces(large), finder.faces(astronaut)
    assert box.height / 3 == pytest.approx(small.height, rel=0.05)
    assert np.array(box.centre) / 3 == pytest.approx(small.centre, abs=3)


def test_a_wide_and_a_high_picture_give_the_same_face(finder: FaceFinder, astronaut: Picture) -> None:
    face = astronaut[:230, 110:340]
    for top, left in ((0, 150), (150, 0)):
        framed = np.asarray(cv2.copyMakeBorder(face, top, top, left, left, cv2.BORDER_REPLICATE), np.uint8)
        finder.reset()
        assert apart(mesh_of(finder, framed) - (left, top) + (110, 0), mesh_of(FaceFinder(), astronaut)) < 0.02 * WIDTH
        (box,) = finder.faces(framed)
        assert (box.centre[0] - left + 110, box.centre[1] - top) == pytest.approx((225, 130), abs=6)


@pytest.mark.parametrize("degrees", [-40, -15, 20, 45])
def test_a_tilted_face_is_followed_in_its_own_axes(finder: FaceFinder, astronaut: Picture, degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((225, 115), -degrees, 1.0)
    tilted = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512), borderMode=cv2.BORDER_REFLECT), np.uint8)
    mesh_of(finder, tilted)
    expected = mesh_of(FaceFinder(), astronaut) @ turn[:, :2].T + turn[:, 2]
    assert apart(mesh_of(finder, tilted), expected) < 0.02 * WIDTH
    roll = finder.faces(tilted)[0].roll - FaceFinder().faces(astronaut)[0].roll
    assert roll == pytest.approx(degrees, abs=10)


def test_a_lost_face_is_found_again(finder: FaceFinder, scene: Scene) -> None:
    frames = [frame.rgb for frame in scene(0.2)]
    black = np.zeros_like(frames[0])
    before = mesh_of(finder, frames[0])
    assert finder.mesh(black) is None
    assert finder.mesh(black) is None
    assert finder.faces(black) == finder.distant_faces(black) == ()
    assert apart(mesh_of(finder, frames[0]), before) < 1e-4


def test_finders_follow_clips_of_their_own_at_once(scene: Scene) -> None:
    """Two recordings in two threads, with the same networks, give what they give alone."""
    clips = [
        [frame.rgb for frame in scene(1.0, at=lambda t: (140 + 20 * t, 110.0))],
        [frame.rgb for frame in scene(1.0, at=lambda t: (180.0, 120 - 10 * t), scale=1.2)],
    ]

    def followed(clip: list[Picture]) -> NDArray[np.float32]:
        finder = FaceFinder()
        return np.array([mesh_of(finder, picture) for picture in clip])

    alone = [followed(clip) for clip in clips]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(followed, clips))
    assert all(np.array_equal(first, second) for first, second in zip(alone, together, strict=True))
    first, second = FaceFinder(), FaceFinder()
    assert all(first.networks[name] is second.networks[name] for name in first.networks)


def test_missing_networks_name_the_command_that_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.models.manifest.environment_folder", lambda: tmp_path)
    with pytest.raises(ModelNotInstalled, match="facevitals models fetch mediapipe"):
        FaceFinder(tmp_path)
    assert len(models_named("mediapipe")) == 4


def test_a_file_of_another_format_is_refused() -> None:
    with pytest.raises(CheckpointUnreadable, match="TensorFlow Lite"):
        TfliteFile(b"\x1c\x00\x00\x00ONNX" + bytes(100))


def detector(*faces: tuple[int, float, float, float]) -> FaceDetector:
    """A detector whose network gives these faces: number of the anchor, x and y of its box's middle, logit."""
    values = np.full((1, 16, 17), 0, np.float32)
    values[..., 16] = -20
    for anchor, x, y, logit in faces:
        values[0, anchor, :4] = (x, y, 8, 12)
        values[0, anchor, 4:8] = (x - 2, y, x + 2, y)
        values[0, anchor, 16] = logit
    return FaceDetector(lambda _: values, 32, ((8, 1),), 0.6)


WIDE = np.zeros((120, 320, 3), np.uint8)


def test_a_box_is_placed_by_its_anchor_in_the_letterboxed_picture() -> None:
    """Anchor 5 is at (12, 12) of 32 x 32 pixels, of which each is 10 of the picture; 100 rows above it are black."""
    (face,) = detector((5, 1.0, 2.0, 4.0)).faces(WIDE)
    assert (face.left, face.top, face.right, face.bottom) == pytest.approx((90, -20, 170, 100))
    assert face.score == pytest.approx(1 / (1 + np.exp(-4.0)))
    assert face.roll == pytest.approx(0)


def test_overlapping_boxes_are_one_face_at_their_mean_weighted_by_score() -> None:
    faces = detector((5, 0.0, 0.0, 1.0), (6, -7.0, 0.0, 3.0), (15, 0.0, 0.0, 2.0)).faces(WIDE)
    scores = 1 / (1 + np.exp(-np.array([1.0, 3.0, 2.0])))
    assert [face.score for face in faces] == pytest.approx([scores[1], scores[2]])
    middle = 10 * (12 * scores[0] + 13 * scores[1]) / (scores[0] + scores[1])
    assert faces[0].centre == pytest.approx((middle, 20))
    assert faces[1].centre == pytest.approx((280, 180))


def test_an_unlikely_face_is_left_out() -> None:
    assert detector((5, 0.0, 0.0, 0.3)).faces(WIDE) == ()
    assert len(detector((5, 0.0, 0.0, 0.5)).faces(WIDE)) == 1
