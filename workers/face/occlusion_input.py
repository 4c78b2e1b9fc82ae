"""Input of the occlusion network: the face flattened by its mesh.

The network takes a face of 64 x 64 pixels and outputs, for each cell of a grid of 16 x 16, the log-odds that something
covers the face there. It is trained by `python -m lab.train.obstruction` on portraits with objects drawn over them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.media.downscale import downsample, octaves

#: Side of the flattened face in pixels.
SIDE: Final = 64
#: Side of the output grid in cells.
GRID: Final = 16
#: Weights of this project, trained on 131 FairFace portraits with objects drawn over them.
WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "obstruction.onnx"

#: Mesh points by which a face is flattened.
POINTS: Final = [33, 133, 362, 263, 4, 61, 291, 152, 10, 234, 454, 168, 17]
#: Their mean positions (13, 2) over 262 faces, in face heights from the centre of the face.
_MEAN: Final = np.array(
    [
        [-0.266, -0.182], [-0.106, -0.171], [0.103, -0.17], [0.263, -0.18], [0.002, 0.023], [-0.153, 0.227],
        [0.153, 0.228], [0.0, 0.5], [0.0, -0.5], [-0.417, -0.075], [0.408, -0.073], [0.0, -0.203], [0.001, 0.311],
    ]
)  # fmt: skip
#: Side of the flattened face in face heights.
_HEIGHTS: Final = 1 / 0.86
#: The mean positions (13, 2) in pixels of the flattened face.
POSITIONS: Final = (_MEAN / _HEIGHTS + 0.5) * SIDE - 0.5


def flatten(rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the face (64, 64, 3) of an image `rgb` (h, w, 3) with `mesh` (478, 2), flattened by an affine map."""
    points = mesh[POINTS].astype(np.float64)
    size = float(np.hypot(*np.ptp(points, axis=0)))
    n_octaves = octaves(size / SIDE, 1.6)
    if n_octaves:
        rgb = downsample(rgb, n_octaves)
        points = (points + 0.5) / (1 << n_octaves) - 0.5
    return np.asarray(cv2.warpAffine(rgb, fit_affine(points), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def fit_affine(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the affine map (2, 3) from `points` (13, 2) of a mesh onto their mean positions, by least squares."""
    design = np.column_stack([points, np.ones(len(points))])
    return np.asarray(np.linalg.lstsq(design, POSITIONS, rcond=None)[0].T)


def network_input(faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Normalise n flattened faces (64, 64, 3) to (n, 3, 64, 64): each channel less its mean, over the face's spread."""
    pixels = np.stack(faces).astype(np.float32)
    inner = pixels[:, 12:56, 12:52]
    mean = inner.mean(axis=(1, 2), keepdims=True)
    spread = inner.std(axis=(1, 2, 3), keepdims=True) + 4.0
    return np.ascontiguousarray(((pixels - mean) / spread).transpose(0, 3, 1, 2))
