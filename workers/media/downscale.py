"""Downscaling by powers of two: OpenCV averages 2x2 pixels ten times faster than it resamples at other ratios."""

import cv2
import numpy as np
from numpy.typing import NDArray


def octaves(length: float, max_length: float) -> int:
    """Return how often `length` pixels must be halved to be no more than `max_length`; at least 0."""
    return max(0, int(np.ceil(np.log2(max(length, 1.0) / max_length))))


def downsample(rgb: NDArray[np.uint8], n_octaves: int) -> NDArray[np.uint8]:
    """Average `rgb` (h, w, 3) over squares of 2**n_octaves pixels. An odd last row or column is dropped."""
    for _ in range(n_octaves):
        height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
        even = rgb[: 2 * height, : 2 * width]
        rgb = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return rgb
