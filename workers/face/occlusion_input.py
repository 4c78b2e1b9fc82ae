"""Where on a face something covers it: a small network of our own, on the face laid flat.

The mesh is drawn over hands and masks as if they were a face, so that the picture must tell. The network sees the
face at 64 x 64 pixels and says for each of 16 x 16 places whether something that is no part of the face lies before it.
It was trained by `python -m lab.train.obstruction` on portraits with things drawn over them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.media.downscale import halved, halvings

SIDE: Final = 64
PLACES: Final = 16
#: Ours, and in the repository: trained on 131 FairFace portraits with things drawn over them.
WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "obstruction.onnx"

#: Mesh points by which a face is laid flat, and where they lie, in face heights from its middle: the mean of 262 faces.
POINTS: Final = [33, 133, 362, 263, 4, 61, 291, 152, 10, 234, 454, 168, 17]
_MEAN: Final = np.array(
    [
        [-0.266, -0.182], [-0.106, -0.171], [0.103, -0.17], [0.263, -0.18], [0.002, 0.023], [-0.153, 0.227],
        [0.153, 0.228], [0.0, 0.5], [0.0, -0.5], [-0.417, -0.075], [0.408, -0.073], [0.0, -0.203], [0.001, 0.311],
    ]
)  # fmt: skip
# Side of the flat picture in face heights.
_HEIGHTS: Final = 1 / 0.86
PLACE: Final = (_MEAN / _HEIGHTS + 0.5) * SIDE - 0.5


def flatten(rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The face (64, 64, 3) of a picture (h, w, 3) with a mesh (478, 2), laid flat by an affine map."""
    points = mesh[POINTS].astype(np.float64)
    size = float(np.hypot(*np.ptp(points, axis=0)))
    times = halvings(size / SIDE, 1.6)
    if times:
        rgb = halved(rgb, times)
        points = (points + 0.5) / (1 << times) - 0.5
    return np.asarray(cv2.warpAffine(rgb, onto(points), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def onto(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine map (2, 3) that lays the mesh's points (13, 2) onto their mean places with least squares."""
    design = np.column_stack([points, np.ones(len(points))])
    return np.asarray(np.linalg.lstsq(design, PLACE, rcond=None)[0].T)


def network_input(faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(n, 3, 64, 64) of flat faces: each less its own mean, over its own spread, so that light and skin matter less."""
    pixels = np.stack(faces).astype(np.float32)
    inner = pixels[:, 12:56, 12:52]
    mean = inner.mean(axis=(1, 2), keepdims=True)
    spread = inner.std(axis=(1, 2, 3), keepdims=True) + 4.0
    return np.ascontiguousarray(((pixels - mean) / spread).transpose(0, 3, 1, 2))
