"""Face detectors of MediaPipe: their anchors, and what they find (Bazarevsky et al. 2019, arXiv 1907.05047).

Values follow MediaPipe's published graphs (`modules/face_detection`).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

#: Overlap, intersection over union, from which on two boxes are of one face.
_OVERLAP: Final = 0.3
#: Score's logit beyond which its exponential is not needed.
_MAX_LOGIT: Final = 100.0

#: A loaded network: float32 pixels (1, 3, side, side) in, one float32 array out.
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


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
    def width(self) -> float:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in pixels. The detector's box reaches from mid-forehead to chin."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """Centre (x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def scaled(self, factors: NDArray[np.float32]) -> "FaceBox":
        """Return the face in a picture that is larger by these factors (x, y)."""
        x, y = factors.tolist()
        return replace(self, left=self.left * x, top=self.top * y, right=self.right * x, bottom=self.bottom * y)


class FaceDetector:
    """Detect faces in pictures with a network of MediaPipe.

    `side` is that of the network's input in pixels. `anchors` are its grids: pixels of the input between two anchors,
    and the number of anchors at each place. `min_score` is the smallest score of a face.
    """

    def __init__(self, run: Run, side: int, anchors: tuple[tuple[int, int], ...], min_score: float) -> None:
        self._run = run
        self._side = side
        self._min_logit = math.log(min_score / (1 - min_score))
        self._anchors = np.concatenate([_grid(side, stride, count) for stride, count in anchors])

    def faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3), highest score first."""
        height, width = rgb.shape[:2]
        longest = max(height, width)
        scale = longest / self._side
        # The picture is in the middle of a black square. A position times `scale` is one in the square.
        corner = np.array([longest - width, longest - height]) / 2
        to_picture = np.array([[scale, 0, -corner[0]], [0, scale, -corner[1]]])
        values = self._run(cut(rgb, to_picture, self._side, (-1, 1)))[0]
        logits = np.clip(values[:, 16], -_MAX_LOGIT, _MAX_LOGIT)
        likely = logits >= self._min_logit
        middles = (values[likely, :2] + self._anchors[likely]) * scale - corner
        halves = values[likely, 2:4] * scale / 2
        eyes = values[likely, 4:8].reshape(-1, 2, 2) + self._anchors[likely][:, None]
        found = np.concatenate([middles - halves, middles + halves, (eyes * scale).reshape(-1, 4)], axis=1)
        return tuple(_merged(found, 1 / (1 + np.exp(-logits[likely]))))


def cut(
    rgb: NDArray[np.uint8],
    to_picture: NDArray[np.float64],
    side: int,
    values: tuple[float, float],
    *,
    extend: bool = False,
) -> NDArray[np.float32]:
    """Cut a square out of a picture (h, w, 3) as a network's input (1, 3, side, side).

    `to_picture` (2, 3) takes positions in the square to those in the picture. `values` are those of black and white.
    The outside is black, or with `extend` the picture's edge.
    """
    border = cv2.BORDER_REPLICATE if extend else cv2.BORDER_CONSTANT
    # Not warpAffine, which rounds positions in another way than MediaPipe does.
    place = np.vstack([to_picture, [0, 0, 1]])
    square = cv2.warpPerspective(
        rgb, place, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border
    )
    pixels = np.ascontiguousarray(square.transpose(2, 0, 1), np.float32)
    pixels *= (values[1] - values[0]) / 255
    pixels += values[0]
    return pixels[None]


def _grid(side: int, stride: int, count: int) -> NDArray[np.float32]:
    """Return the anchors (n, 2) of one grid in pixels of the input: x, y, row by row."""
    middles = np.arange(stride / 2, side, stride, dtype=np.float32)
    y, x = np.meshgrid(middles, middles, indexing="ij")
    return np.asarray(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(count, axis=0), np.float32)


def _merged(found: NDArray[np.float32], scores: NDArray[np.float32]) -> Iterator[FaceBox]:
    """Yield one face for each group of overlapping boxes, at their mean weighted by score.

    `found` (n, 8) is left, top, right, bottom, and x and y of both eyes, the subject's right one first.
    """
    order = np.argsort(-scores, kind="stable")
    rest, scores = found[order].astype(np.float64), scores[order]
    while len(rest):
        same = _overlaps(rest[0], rest) > _OVERLAP
        same[0] = True
        left, top, right, bottom, *eyes = np.average(rest[same], axis=0, weights=scores[same]).tolist()
        roll = math.degrees(math.atan2(eyes[3] - eyes[1], eyes[2] - eyes[0]))
        yield FaceBox(left, top, right, bottom, float(scores[0]), roll)
        rest, scores = rest[~same], scores[~same]


def _overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union (n,) of a box with each of `boxes`."""
    sides = np.clip(np.minimum(box[2:4], boxes[:, 2:4]) - np.maximum(box[:2], boxes[:, :2]), 0, None)
    shared = sides.prod(axis=1)
    areas = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1)
    return np.asarray(shared / np.maximum(areas + (box[2:4] - box[:2]).prod() - shared, 1e-9))
