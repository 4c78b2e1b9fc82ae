"""Pictures as the squares that the workers' network sees, and varied copies of them."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.data.labelled_portraits import find_portrait
from lab.train.bmi.people import Face
from workers.face.mesh import FaceFinder
from workers.vision.alignment import crop_square

Picture = NDArray[np.uint8]

#: Ranges of the variations, as in the original's training: degrees, shear, and factors.
_TURN_DEG: Final = 5.0
_SHEAR: Final = 0.14
_BRIGHTNESS: Final = (0.6, 1.4)
_CONTRAST: Final = (0.8, 1.2)
_SATURATION: Final = (0.8, 1.2)


def face_squares(faces: Iterable[Face], side: int, around: float, cache: Path) -> Iterator[tuple[Face, Path | None]]:
    """Each face with the file of its square (side, side, 3) uint8 RGB as the workers cut it; None without a face.

    `around` is the square's side in sides of the mesh's box. Squares are kept in `cache` under the picture's hash.

    Raises:
        SystemExit: a file is not a picture.
    """
    cache.mkdir(parents=True, exist_ok=True)
    finder = FaceFinder()
    for face in faces:
        digest = hashlib.sha256(face.picture.read_bytes()).hexdigest()[:24]
        kept = cache / f"{digest}-{side}-{around:g}.npy"
        portrait = None if kept.is_file() else find_portrait(finder, face.picture)
        if portrait is not None:
            np.save(kept, crop_square(portrait, around, side))
        yield face, kept if kept.is_file() else None


def varied(face: Picture, rng: np.random.Generator) -> Picture:
    """A copy (side, side, 3) with random mirroring, rotation, shear, brightness, contrast and saturation."""
    side = face.shape[0]
    if rng.random() < 0.5:
        face = face[:, ::-1]
    place = cv2.getRotationMatrix2D(((side - 1) / 2,) * 2, rng.uniform(-_TURN_DEG, _TURN_DEG), 1.0)
    if rng.random() < 0.25:
        place[0, 1] += rng.uniform(-_SHEAR, _SHEAR)
        place[0, 2] -= place[0, 1] * (side - 1) / 2
    turned = cv2.warpAffine(np.ascontiguousarray(face), place, (side, side), borderMode=cv2.BORDER_REPLICATE)
    light = turned.astype(np.float32) * rng.uniform(*_BRIGHTNESS)
    light = light.mean() + rng.uniform(*_CONTRAST) * (light - light.mean())
    grey = light.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(grey + rng.uniform(*_SATURATION) * (light - grey), 0, 255), np.uint8)
