"""Portraits with age band and gender: a folder of pictures and `labels.json`.

`labels.json` is a list of `{"file": "1.jpg", "age_band": "20-29", "gender": "male"}`; the last band is "70+".
"""

import json
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from workers.face.mesh import FaceFinder
from workers.face.portraits import Portrait, portrait_from_frame

#: End of the open band "70+", years.
OLDEST: Final = 85.0
#: Margin in pixels around a picture in which no face was found at first: a face that fills its picture needs one.
_BORDER: Final = 60


def load_portraits(folder: Path) -> tuple[list[Portrait], list[dict[str, str]], int]:
    """The portraits in which a face is found, their labels, and the number of pictures without a face.

    Raises:
        SystemExit: a file of `labels.json` is not a picture.
    """
    labels: list[dict[str, str]] = json.loads((folder / "labels.json").read_text("utf-8"))
    finder = FaceFinder()
    found = [(portrait, label) for label in labels if (portrait := find_portrait(finder, folder / label["file"]))]
    return [portrait for portrait, _ in found], [label for _, label in found], len(labels) - len(found)


def find_portrait(finder: FaceFinder, path: Path) -> Portrait | None:
    """The portrait of a picture, or None where no face is found in it.

    Raises:
        SystemExit: the file is not a picture.
    """
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"{path} is not a picture")
    for border in (0, _BORDER):
        framed = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_REPLICATE)
        rgb = np.ascontiguousarray(np.asarray(framed, np.uint8)[..., ::-1])
        finder.reset()
        if finder.mesh(rgb) is not None:
            # As in a clip, the second mesh starts from the first.
            mesh = finder.mesh(rgb)
            return None if mesh is None else portrait_from_frame(0.0, rgb, mesh)
    return None


def age_band(name: str) -> tuple[float, float]:
    """First year of the band `name` ("20-29", "70+"), and the year after its last."""
    if name.endswith("+"):
        return float(name[:-1]), OLDEST
    low, _, high = name.partition("-")
    return float(low), float(high) + 1.0
