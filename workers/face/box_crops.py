"""Crops of the frame around the box of the face, the input of MiniFASNet.

They are cut from the whole frame: portraits do not reach far enough.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

#: Sides of the crops in sides of the face's box: those with which the two networks were trained.
BOX_SCALES: Final = (2.7, 4.0)
#: Side of a crop in pixels.
SIDE: Final = 80


def box_crops(rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return crops (2, 80, 80, 3) of a frame `rgb` (h, w, 3) at `BOX_SCALES` times the box of the `mesh` (478, 2)."""
    box = face_box(mesh)
    return np.stack([crop_around(rgb, box, scale) for scale in BOX_SCALES])


def face_box(mesh: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return the box (x, y, w, h) of a `mesh` (478, 2) as detectors draw it: square, from mid-forehead to chin."""
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    side = 0.9 * max(float((high - low).max()), 1.0)
    middle = (low + high) / 2
    return float(middle[0]) - side / 2, float(high[1]) - side, side, side


def crop_around(rgb: NDArray[np.uint8], box: tuple[float, float, float, float], scale: float) -> NDArray[np.uint8]:
    """Return the crop (80, 80, 3) of `scale` times the `box` (x, y, w, h) of a frame `rgb` (h, w, 3).

    As in Silent-Face-Anti-Spoofing, the crop is within the frame: it is shrunk to the frame's size where it is
    larger, and moved inside where it crosses an edge.
    """
    height, width = rgb.shape[:2]
    x, y, w, h = box
    scale = min((height - 1) / h, (width - 1) / w, scale)
    size = np.array([w, h]) * scale
    largest = np.maximum(np.array([width - 1, height - 1]) - size, 0)
    corner = np.clip(np.array([x + w / 2, y + h / 2]) - size / 2, 0, largest)
    left, top = corner.astype(int)
    right, bottom = (corner + size).astype(int) + 1
    return np.asarray(cv2.resize(rgb[top:bottom, left:right], (SIDE, SIDE)), np.uint8)
