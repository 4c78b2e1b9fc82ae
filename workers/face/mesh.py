"""MediaPipe's face mesh and face detector, loaded once per process and reset between clips."""

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

POINTS: Final = 478

#: Longest side of the picture that MediaPipe sees. It scales faces to 192 px and pictures to 128 px itself; larger
#: frames cost it copies alone.
_LONGEST_SIDE: Final = 640


# MediaPipe imports these wherever they are installed, and its face solutions need none of them: TensorFlow alone costs
# 3 s and 600 MB.
_NOT_NEEDED: Final = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class FaceBox:
    """One detected face: (left, top, right, bottom) in pixels, and the detector's score in [0, 1]."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def height(self) -> float:
        """Height in pixels; from mid-forehead to chin, as the detector draws it."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle (x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


class FaceFinder:
    """Finds the mesh of one face and counts faces. Frames must come in order; `reset()` before each clip."""

    def __init__(self) -> None:
        solutions = _solutions()
        # One face in the mesh: asked for two, MediaPipe runs its detector on every frame that shows only one
        # (4.8 ms a frame in place of 3.3 ms). Faces are counted by the detector, far less often. The refined mesh
        # (eyelids and irises, which blinks need) costs 0.6 ms more than the plain one.
        self._mesh = solutions.face_mesh.FaceMesh(
            static_image_mode=False, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.5
        )
        self._detector = solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
        # The detector above, as well as the mesh's own, sees faces within two metres; this one looks further, for a
        # reason where there is no mesh.
        self._far = solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
        self._used = False

    def reset(self) -> None:
        """Forgets the clip before."""
        if self._used:
            self._mesh.reset()
        self._used = False

    def close(self) -> None:
        """Frees MediaPipe's graphs."""
        self._mesh.close()
        self._detector.close()
        self._far.close()

    def mesh(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The mesh (478, 2) in pixels of `rgb` (h, w, 3), or None where no face is seen."""
        self._used = True
        faces = self._mesh.process(_reduced(rgb)).multi_face_landmarks
        if not faces:
            return None
        points = np.array([(point.x, point.y) for point in faces[0].landmark], np.float32)
        return points * np.array([rgb.shape[1], rgb.shape[0]], np.float32)

    def faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Every face that the detector sees in `rgb`."""
        return _boxes(self._detector, rgb)

    def distant_faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Every face in `rgb` up to about five metres away."""
        return _boxes(self._far, rgb)


def _boxes(detector: Any, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:  # noqa: ANN401  (MediaPipe carries no types)
    height, width = rgb.shape[:2]
    boxes = []
    for found in detector.process(_reduced(rgb)).detections or ():
        box = found.location_data.relative_bounding_box
        left, top = box.xmin * width, box.ymin * height
        boxes.append(FaceBox(left, top, left + box.width * width, top + box.height * height, float(found.score[0])))
    return tuple(boxes)


def _reduced(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    ratio = _LONGEST_SIDE / max(height, width)
    if ratio >= 1:
        return rgb
    size = (round(width * ratio), round(height * ratio))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _solutions() -> Any:  # noqa: ANN401  (MediaPipe carries no types)
    os.environ.setdefault("GLOG_minloglevel", "2")  # MediaPipe reports its start on stderr
    with warnings.catch_warnings(), _hidden(*_NOT_NEEDED):
        warnings.simplefilter("ignore")  # protobuf's deprecations inside of MediaPipe
        import mediapipe

        return mediapipe.solutions


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Whoever imports one of these packages is told that it is not installed; one that is loaded already stays."""
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # Python's own sign for it is None
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]
