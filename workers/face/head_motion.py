"""Motion of the head in every frame, in six degrees of freedom, from the crops of the face.

The mesh is measured a few times a second, too seldom for a nod at the rate of a pulse. The flow between two successive
crops is fitted instead (Lucas & Kanade 1981, IJCAI) as the motion of a rounded face: translation, growth, roll, and a
turn in yaw or pitch, which moves the near middle of the face and leaves its outline. Level and gradient of the light
are fitted beside it, so that neither a pulse nor a lamp is taken for motion.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Order of the rows of `head_motion`.
AXES: Final = ("across", "down", "nearer", "roll", "yaw", "pitch")
#: Crops are averaged over squares of this many pixels: the flow is then a fraction of a pixel, and noise averages out.
_POOL: Final = 4
#: Half-axes of the oval that holds the face, over those of the crop.
_OVAL: Final = (0.66, 0.85)
#: Share of the mean squared gradient that is added to each axis: one without texture to show it does not move.
_RIDGE: Final = 0.02
#: Crops whose flow is fitted at a time.
_CHUNK: Final = 256
#: A step this many times the median one is the crop that was placed anew.
_JUMP: Final = 12.0


def head_motion(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the head's motion (n, 6) by `AXES` in crops (n, h, h, 3).

    In widths of the crop, as a share of the size, or in radians; the first is 0.
    """
    if len(crops) < 2:
        return np.zeros((len(crops), len(AXES)))
    # In chunks that share a frame: the columns of a long clip are a gigabyte.
    starts = range(0, len(crops) - 1, _CHUNK)
    steps = np.concatenate([_steps(crops[start : start + _CHUNK + 1]) for start in starts], axis=1)
    size = np.abs(steps).max(axis=0)
    jumped = size > _JUMP * max(float(np.median(size)), 1e-6)
    steps[:, jumped] = 0.0
    return np.asarray(np.concatenate((np.zeros((1, len(AXES))), np.cumsum(steps, axis=1).T)), np.float64)


def _steps(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Motion (6, n-1) between successive crops."""
    grey = _pooled(crops)
    middle = (grey[1:] + grey[:-1]) / 2
    change = grey[1:] - grey[:-1]
    down, across = (np.gradient(middle, axis=axis) for axis in (1, 2))
    inside, x, y, near = _face(grey.shape[1])
    middle, change, across, down = (part[:, inside] for part in (middle, change, across, down))
    level = middle / np.maximum(middle.mean(axis=1, keepdims=True), 1e-6)
    columns = np.stack(
        (
            -across,
            -down,
            -(across * x + down * y),
            across * y - down * x,
            -across * near,
            -down * near,
            level,
            level * x,
            level * y,
            np.ones_like(level),
        ),
        axis=1,
    )
    gram = columns @ columns.transpose(0, 2, 1)
    # Light is fitted freely, motion only where there is texture.
    scale = np.trace(gram[:, : len(AXES), : len(AXES)], axis1=1, axis2=2) / len(AXES)
    ridge = np.zeros((gram.shape[1],) * 2)
    ridge[range(len(AXES)), range(len(AXES))] = _RIDGE
    gram = gram + scale[:, None, None] * ridge + 1e-9 * np.eye(gram.shape[1])
    found = np.linalg.solve(gram, columns @ change[..., None])[:, : len(AXES), 0]
    # Pixels of the pooled crop as widths of the crop; growth and turns are free of units.
    found[:, [0, 1]] /= grey.shape[1]
    found[:, 2:] /= grey.shape[1] / 2
    return np.asarray(found.T, np.float64)


def _pooled(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Green of the crops (n, h, h, 3), averaged over squares, 0 to 255: it carries most of the luminance."""
    side = crops.shape[1] // _POOL
    green = crops[:, : side * _POOL, : side * _POOL, 1].reshape(len(crops), side, _POOL, side, _POOL)
    return np.asarray(green.sum(axis=(2, 4), dtype=np.uint32) / _POOL**2, np.float64)


@lru_cache(maxsize=2)
def _face(side: int) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pixels (side, side) of the face, and of each such pixel its place in [-1, 1] and its nearness in [0, 1]."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(axis, axis)
    distance = (x / _OVAL[0]) ** 2 + (y / _OVAL[1]) ** 2
    inside = distance < 1
    return inside, x[inside], y[inside], np.sqrt(1 - distance[inside])
