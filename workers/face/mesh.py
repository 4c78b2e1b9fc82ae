"""MediaPipe's face mesh and face detectors, loaded once per process and reset between clips."""

import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

#: Number of points in the mesh.
POINTS: Final = 478

#: Longest side in pixels of the image given to MediaPipe. It scales faces to 192 px and images to 128 px itself, so a
#: larger image only costs copies.
_MAX_SIDE: Final = 640
#: Packages that MediaPipe imports where they are installed, without need for its face solutions. TensorFlow alone costs
#: 3 s and 600 MB.
_NOT_NEEDED: Final = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class FaceBox:
    """One detected face: its box in pixels, the detector's score in [0, 1], and the roll in degrees.

    `roll` is the angle of the line through the eyes, clockwise from upright, in [-180, 180].
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float
    roll: float = 0.0

    @property
    def height(self) -> float:
        """Height in pixels. The detector's box reaches from mid-forehead to chin."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """Centre (x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


class FaceFinder:
    """Find the mesh of one face and detect faces. Frames must come in order; call `reset` before each clip."""

    def __init__(self) -> None:
        solutions = _solutions()
        # With max_num_faces=2, MediaPipe runs its detector on every frame with one face (4.8 ms a frame instead of 3.3
        # ms); faces are counted by the detector below, far less often. The refined mesh has the eyelids, which blinks
        # need, and costs 0.6 ms more than the plain one.
        self._mesh = solutions.face_mesh.FaceMesh(
            static_image_mode=False, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.5
        )
        self._detector = solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
        # The detector above and the mesh's own have a range of two metres. This one has five: it separates "too far
        # away" from "no face" where there is no mesh.
        self._far = solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
        self._used = False

    def reset(self) -> None:
        """Discard the tracking state of the previous clip."""
        if self._used:
            self._mesh.reset()
        self._used = False

    def close(self) -> None:
        """Free MediaPipe's graphs."""
        self._mesh.close()
        self._detector.close()
        self._far.close()

    def mesh(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the mesh (478, 2) in pixels of `rgb` (h, w, 3), or None where no face is detected."""
        self._used = True
        faces = self._mesh.process(_shrink(rgb)).multi_face_landmarks
        if not faces:
            return None
        points = np.array([(point.x, point.y) for point in faces[0].landmark], np.float32)
        return points * np.array([rgb.shape[1], rgb.shape[0]], np.float32)

    def faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about two metres."""
        return _boxes(self._detector, rgb)

    def distant_faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about five metres."""
        return _boxes(self._far, rgb)


def _boxes(detector: Any, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:  # noqa: ANN401  (MediaPipe carries no types)
    height, width = rgb.shape[:2]
    boxes = []
    for detection in detector.process(_shrink(rgb)).detections or ():
        box = detection.location_data.relative_bounding_box
        left, top = box.xmin * width, box.ymin * height
        right_eye, left_eye = detection.location_data.relative_keypoints[:2]
        roll = math.degrees(math.atan2((left_eye.y - right_eye.y) * height, (left_eye.x - right_eye.x) * width))
        right, bottom = left + box.width * width, top + box.height * height
        boxes.append(FaceBox(left, top, right, bottom, float(detection.score[0]), roll))
    return tuple(boxes)


def _shrink(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    ratio = _MAX_SIDE / max(height, width)
    if ratio >= 1:
        return rgb
    size = (round(width * ratio), round(height * ratio))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _solutions() -> Any:  # noqa: ANN401  (MediaPipe carries no types)
    os.environ.setdefault("GLOG_minloglevel", "2")  # MediaPipe logs its start to stderr
    with warnings.catch_warnings(), _hidden(*_NOT_NEEDED):
        warnings.simplefilter("ignore")  # MediaPipe uses deprecated protobuf functions
        import mediapipe

        return mediapipe.solutions


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Make imports of `packages` fail as if they were not installed. Packages that are already loaded stay."""
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None makes the import fail
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]
