"""Regions of MediaPipe's face mesh by the indices of their points, and masks of them."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate.optics import Image

# fmt: off
#: Outline of the face.
OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
#: Upper and lower lid of either eye, from one corner to the other.
LIDS: Final = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
LIPS: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
#: Outline of the opening between the lips.
MOUTH: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
IRISES: Final = ((469, 470, 471, 472), (474, 475, 476, 477))
BROWS: Final = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (336, 296, 334, 293, 300, 276, 283, 282, 295, 285))
#: Outline of a surgical mask: over the nose, below the eyes, around the jaw.
SURGICAL_MASK: Final = (
    197, 118, 117, 123, 137, 132, 58, 172, 136, 150, 149, 176, 148, 152,
    377, 400, 378, 379, 365, 397, 288, 361, 366, 352, 346, 347,
)
# fmt: on
#: Outline of either eye.
EYES: Final = tuple(upper + lower[::-1] for upper, lower in LIDS)
#: Two points on either cheek.
CHEEKS: Final = ((50, 205), (280, 425))
FOREHEAD, BETWEEN_BROWS, NOSE_BRIDGE, CHIN = 10, 9, 197, 152


def area(landmarks: NDArray[np.float64], points: tuple[int, ...], size: tuple[int, int], soften: float) -> Image:
    """Mask (h, w) in [0, 1] inside the outline through `points`; its edge is blurred by `soften` pixels (Gaussian)."""
    return polygon(landmarks[list(points)], size, soften)


def polygon(outline: NDArray[np.float64], size: tuple[int, int], soften: float) -> Image:
    """Mask (h, w) in [0, 1] inside `outline` (n, 2); its edge is blurred by a Gaussian of `soften` pixels."""
    mask = np.zeros((size[1], size[0]), dtype=np.float32)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], (1.0,))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soften), dtype=np.float32)


def widened(outline: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """`outline` (n, 2) scaled by `factor` about its mean."""
    middle = outline.mean(axis=0)
    return np.asarray(middle + factor * (outline - middle), dtype=np.float64)
