"""Conversion of decoded pictures to sRGB."""

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


def rgb_of(picture: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Convert `picture` to RGB (h, w, 3) at `size` (w, h)."""
    # swscale's default splits a webcam frame over all cores and loses time (0.54 s with one thread against 0.78 s for
    # 450 frames of 640x480).
    if (picture.width, picture.height) == size:
        return picture.to_ndarray(format="rgb24", threads=1)  # type: ignore[return-value]
    return picture.to_ndarray(format="rgb24", threads=1, width=size[0], height=size[1])  # type: ignore[return-value]
