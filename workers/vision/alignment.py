"""Portraits cut out upright and at one size, as the age and gender networks were trained on them."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.portraits import Portrait
from workers.media.downscale import downsample, octaves

# dlib's mean face of five points, in a unit square: outer and inner corner of the left eye, of the right eye, base of
# the nose (`get_face_chip_details` in dlib/image_transforms/interpolation.h), and the mesh's points at the same places.
_MEAN_FACE: Final = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
_MESH_POINTS: Final = [263, 362, 33, 133, 2]
_PADDING: Final = 0.2


def chips(portraits: Sequence[Portrait], side: int) -> NDArray[np.uint8]:
    """The faces (n, side, side, 3) RGB, laid onto dlib's mean face by a similarity transform."""
    return np.stack([chip(portrait.rgb, portrait.landmarks, side) for portrait in portraits])


def chip(
    rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], side: int, padding: float = _PADDING
) -> NDArray[np.uint8]:
    """One face (side, side, 3) of a picture (h, w, 3) with a mesh (478, 2); `padding` in mean-face sides."""
    place = (_MEAN_FACE + padding) / (1 + 2 * padding) * side
    points = landmarks[_MESH_POINTS].astype(np.float64)
    transform = similarity(points, place)
    # As dlib does, the face is halved until little is left to the sampling; smoother chips read worse:
    # 6.4 in place of 5.8 years off the age band on 173 adults at a limit of 2 in place of 3.
    times = octaves(1.0 / float(np.hypot(*transform[:, 0])), 3.0)
    if times:
        rgb = downsample(rgb, times)
        transform = similarity((points + 0.5) / (1 << times) - 0.5, place)
    return np.asarray(cv2.warpAffine(rgb, transform, (side, side), flags=cv2.INTER_LINEAR), np.uint8)


def square(portrait: Portrait, scale: float, side: int, *, mirrored: bool = False) -> NDArray[np.uint8]:
    """The face (side, side, 3), upright as the camera saw it, amid a square `scale` times the mesh's box."""
    rgb, points = portrait.rgb, portrait.landmarks.astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    wide = max(float((high - low).max()) * scale, 1.0)
    times = octaves(wide / side, 2.0)
    if times:
        rgb = downsample(rgb, times)
    corner = ((low + high) / 2 - wide / 2 + 0.5) / (1 << times) - 0.5
    ratio = side / (wide / (1 << times))
    place = np.array([[ratio, 0.0, -ratio * corner[0]], [0.0, ratio, -ratio * corner[1]]])
    cut = cv2.warpAffine(rgb, place, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut[:, ::-1] if mirrored else cut, np.uint8)


def similarity(points: NDArray[np.float64], onto: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation, scaling and shift (2, 3) that lays `points` (n, 2) onto others with least squares.

    Umeyama 1991, IEEE Trans. Pattern Anal. Mach. Intell. 13(4):376.
    """
    centre, target = points.mean(axis=0), onto.mean(axis=0)
    spread, aim = points - centre, onto - target
    left, sizes, right = np.linalg.svd(aim.T @ spread)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * signs) @ right
    scale = float((sizes * signs).sum() / max(float((spread**2).sum()), 1e-12))
    turned = scale * rotation
    return np.column_stack([turned, target - turned @ centre])
