"""Portraits that clips are made from: a folder of pictures, or scikit-image's astronaut alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.mesh import FaceFinder

#: Smallest individual typology angle of each type I-V, degrees; type VI is below (Del Bino & Bernerd 2013).
TYPE_FROM_DEG: Final = (55.0, 41.0, 28.0, 10.0, -30.0)
#: Points of the mesh on either cheek and on the forehead, where skin is bare.
_SKIN_POINTS: Final = (50, 205, 101, 280, 425, 330, 151, 108, 337)
_NOSE, _LEFT_SIDE, _RIGHT_SIDE, _FOREHEAD, _CHIN = 1, 234, 454, 10, 152
#: Largest asymmetry of the distances from the nose to both sides of a face that looks at the camera.
_MAX_TURN: Final = 0.5
#: Smallest face, forehead to chin, pixels: smaller ones are blurred at a webcam's size.
_MIN_FACE_PX: Final = 60.0
#: Least lightness (CIE L*) of the skin. A webcam exposes its picture for what is in it. The darkest skin has about 34
#: (Del Bino & Bernerd 2013); less than this is a picture taken in the dark.
_MIN_LIGHTNESS: Final = 27.0
#: Suffixes of the pictures that are looked for.
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")

#: Name of the portrait that scikit-image ships.
ASTRONAUT: Final = "astronaut"


@dataclass(frozen=True)
class Portrait:
    """A picture of a person who faces the camera.

    name       of its file
    skin_type  Fitzpatrick type by the individual typology angle of cheeks and forehead, 1 to 6: light and camera of the
               picture move it by about one type
    path       None for scikit-image's astronaut
    """

    name: str
    skin_type: int
    path: Path | None

    def picture(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB."""
        return read_picture(self.path)


def find_portraits(folder: Path | None, cache: Path | None = None) -> list[Portrait]:
    """Portraits of a folder that show one face from the front, by name; without a folder the astronaut alone.

    `cache` is a JSON file that keeps what was found.

    Raises:
        ValueError: the folder holds no such picture.
    """
    if folder is None:
        return [Portrait(ASTRONAUT, 2, None)]
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    known: dict[str, int | None] = json.loads(cache.read_text("utf-8")) if cache and cache.is_file() else {}
    if missing := [name for name in names if name not in known]:
        finder = FaceFinder()
        known |= {name: _skin_type(read_picture(folder / name), finder) for name in missing}
        if cache is not None:
            cache.write_text(json.dumps(known, indent=0), encoding="utf-8")
    found = [Portrait(name, skin_type, folder / name) for name in names if (skin_type := known[name]) is not None]
    if not found:
        raise ValueError(f"{folder} holds no picture of a person who faces the camera")
    return found


def read_picture(path: Path | None) -> NDArray[np.uint8]:
    """A portrait as (h, w, 3) uint8 RGB: a file, or None for scikit-image's astronaut.

    Raises:
        ValueError: the file is not a picture.
    """
    if path is None:
        import skimage.data

        return np.asarray(skimage.data.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if stored is None:
        raise ValueError(f"the portrait {path} is no picture that can be read")
    return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _skin_type(picture: NDArray[np.uint8], finder: FaceFinder) -> int | None:
    """Fitzpatrick type of the person, or None where the picture is unsuitable."""
    mesh = finder.mesh(picture)
    if mesh is None or len(finder.faces(picture)) > 1:
        return None
    left, right = (abs(float(mesh[_NOSE, 0] - mesh[side, 0])) for side in (_LEFT_SIDE, _RIGHT_SIDE))
    turned = abs(left - right) / max(left + right, 1.0)
    if turned > _MAX_TURN or float(np.linalg.norm(mesh[_FOREHEAD] - mesh[_CHIN])) < _MIN_FACE_PX:
        return None
    height, width = picture.shape[:2]
    reach = max(1, round(0.02 * height))
    patches = []
    for x, y in np.round(mesh[list(_SKIN_POINTS)]).astype(int):
        if reach <= x < width - reach and reach <= y < height - reach:
            patches.append(picture[y - reach : y + reach, x - reach : x + reach].reshape(-1, 3))
    if len(patches) < 5:
        return None
    colour = np.median(np.concatenate(patches), axis=0).astype(np.float32) / 255
    lightness, _, yellow = cv2.cvtColor(colour[None, None], cv2.COLOR_RGB2Lab)[0, 0]
    if abs(float(yellow)) < 1.5 or lightness < _MIN_LIGHTNESS:
        return None  # a grey picture, whose angle is that of no skin, or one taken in the dark
    angle = float(np.degrees(np.arctan2(lightness - 50, yellow)))
    return next((kind for kind, least in enumerate(TYPE_FROM_DEG, 1) if angle > least), 6)
