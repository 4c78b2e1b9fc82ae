"""Orientation of pictures by the metadata of the file."""

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


def upright(rgb: NDArray[np.uint8], picture: VideoFrame) -> NDArray[np.uint8]:
    """Return `rgb` (h, w, 3) rotated as the metadata of its `picture` requires."""
    quarters = round(picture.rotation / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(rgb, quarters)) if quarters else rgb
