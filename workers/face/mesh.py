"""The mesh of one face, and the faces in a picture: MediaPipe's networks on ONNX Runtime.

The face is detected once, then followed: each mesh gives the region in which the next one is measured. Values follow
MediaPipe's published graphs (`modules/face_landmark`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self
from weakref import WeakValueDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.settings import models_folder
from workers.face.detector import FaceBox, FaceDetector, cut
from workers.models.build import model_file
from workers.models.session import Network, open_network

#: Number of points in the mesh: 468 of the surface, and five of each iris.
POINTS: Final = 478

#: Models of the mesh and of the detectors.
_MODELS: Final = ("mediapipe.mesh", "mediapipe.near", "mediapipe.far")
#: Longest side in pixels of the image that faces are looked for in. The networks see 192 and 128 pixels of it, so a
#: larger image only costs copies.
_MAX_SIDE: Final = 640
#: Side of the mesh's input in pixels.
_MESH_SIDE: Final = 192
#: Side of the region that the mesh is measured in, in longer sides of the box around the face.
_REGION: Final = 1.5
#: Outer corners of the subject's right and left eye.
_EYES: Final = (33, 263)


@dataclass(frozen=True)
class _Region:
    """A square in a picture: its centre (x, y) and side in pixels, and its roll in radians, clockwise."""

    x: float
    y: float
    side: float
    roll: float

    @classmethod
    def around(cls, left: float, top: float, right: float, bottom: float, roll: float) -> Self:
        """Return the region of a face with this box."""
        return cls((left + right) / 2, (top + bottom) / 2, _REGION * max(right - left, bottom - top), roll)

    @classmethod
    def of_mesh(cls, mesh: NDArray[np.float64]) -> Self:
        """Return the region of a face with this mesh (478, 2)."""
        (left, top), (right, bottom) = mesh.min(axis=0).tolist(), mesh.max(axis=0).tolist()
        across = mesh[_EYES[1]] - mesh[_EYES[0]]
        return cls.around(left, top, right, bottom, math.atan2(float(across[1]), float(across[0])))

    def to_picture(self) -> NDArray[np.float64]:
        """Return the matrix (2, 3) that takes positions in the mesh's input to those in the picture."""
        scale = self.side / _MESH_SIDE
        right, down = scale * math.cos(self.roll), scale * math.sin(self.roll)
        turn = np.array([[right, -down], [down, right]])
        corner = np.array([self.x, self.y]) - turn @ np.full(2, _MESH_SIDE / 2)
        return np.column_stack([turn, corner])


class Finder(Protocol):
    """What finds faces in the frames of a clip. Frames must come in order; call `reset` before each clip."""

    @property
    def networks(self) -> Mapping[str, Network]:
        """The networks by the names of their models."""

    def reset(self) -> None:
        """Discard the tracking state of the previous clip."""

    def mesh(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the mesh (478, 2) in pixels of `rgb` (h, w, 3), or None where no face is detected."""

    def faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about two metres."""

    def distant_faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about five metres."""


#: Networks in use, by their files.
_loaded: Final[WeakValueDictionary[Path, Network]] = WeakValueDictionary()


class FaceFinder:
    """Find the mesh of one face and detect faces. Frames must come in order; call `reset` before each clip.

    Several finders share their networks: a further one takes next to no memory, and may run in a thread of its own.
    `models_dir` is the folder of model files; where it is None, that which the environment names. `min_score` is the
    smallest score of a face within two metres.

    Raises:
        ModelNotInstalled: the networks are missing; the message names the command that gets them.
    """

    def __init__(self, models_dir: Path | None = None, min_score: float = 0.5) -> None:
        folder = models_dir or models_folder()
        #: The networks by the names of their models.
        self.networks = {name: _network(model_file(name, folder)) for name in _MODELS}
        self._mesh, near, far = self.networks.values()
        self._near = FaceDetector(near, 128, ((8, 2), (16, 6)), min_score)
        # The other detector has a range of two metres, this one of five: it separates "too far away" from "no face"
        # where there is no mesh.
        self._far = FaceDetector(far, 192, ((4, 1),), 0.6)
        self._region: _Region | None = None

    def reset(self) -> None:
        """Discard the tracking state of the previous clip."""
        self._region = None

    def mesh(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the mesh (478, 2) in pixels of `rgb` (h, w, 3), or None where no face is detected."""
        picture, scale = shrink(rgb)
        region = self._region or self._detected(picture)
        self._region = None
        if region is None:
            return None
        to_picture = region.to_picture()
        values = self._mesh(cut(picture, to_picture, _MESH_SIDE, (0, 1), extend=True))
        if values[-1] <= 0:  # less likely a face than not
            return None
        found = values[:-1].reshape(POINTS, 2) @ to_picture[:, :2].T + to_picture[:, 2]
        self._region = _Region.of_mesh(found)
        return np.asarray(found * scale, np.float32)

    def faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about two metres."""
        return _boxes(self._near, rgb)

    def distant_faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about five metres."""
        return _boxes(self._far, rgb)

    def _detected(self, picture: NDArray[np.uint8]) -> _Region | None:
        faces = self._near.faces(picture)
        if not faces:
            return None
        best = faces[0]
        return _Region.around(best.left, best.top, best.right, best.bottom, math.radians(best.roll))


def _network(path: Path) -> Network:
    """Load a network, or return the one that another finder of this process has loaded."""
    network = _loaded.get(path)
    if network is None:
        network = _loaded[path] = open_network(path, 1, required=True)
    return network


def _boxes(detector: FaceDetector, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
    picture, scale = shrink(rgb)
    return tuple(face.scaled(scale) for face in detector.faces(picture))


def shrink(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture of at most `_MAX_SIDE`, and the factors (x, y) from its pixels to those of `rgb`."""
    height, width = rgb.shape[:2]
    ratio = _MAX_SIDE / max(height, width)
    if ratio >= 1:
        return rgb, np.ones(2, np.float32)
    size = (round(width * ratio), round(height * ratio))
    picture = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return picture, np.array([width / size[0], height / size[1]], np.float32)
