"""Size and orientation of a clip's frames: every picture becomes an upright frame of one size with square pixels."""

import math
from fractions import Fraction
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from workers.media.container import MAX_ASPECT_RATIO
from workers.media.orientation import Orientation, orientation_of

#: Largest ratio of a pixel's sides. The widest pixels of the standards are those of 4CIF at 16:9, 32:11 (ITU-T H.264,
#: table E-1).
_MAX_PIXEL_ASPECT: Final = 4
#: Deviation from square pixels that is ignored: containers store the displayed size in whole pixels.
_SQUARE_TOLERANCE: Final = Fraction(2, 100)
#: Difference of two aspect ratios that is not visible, as of 854x480 and 1280x720.
_SAME_ASPECT: Final = 0.01


def pixel_aspect_of(ratio: Fraction | None) -> Fraction:
    """Return the width of a pixel over its height for a declared `ratio`; 1 if it is not given or not plausible."""
    if not ratio or not Fraction(1, _MAX_PIXEL_ASPECT) <= ratio <= _MAX_PIXEL_ASPECT:
        return Fraction(1)
    return Fraction(1) if abs(ratio - 1) < _SQUARE_TOLERANCE else ratio


class Geometry:
    """Geometry of one clip. Its first picture decides the orientation and the size of all frames.

    Encoders repeat the orientation in keyframes only, and a browser changes the size when the device is turned. Later
    pictures of another size are fitted into the first, between black bars if their aspect ratio differs.

    orientation   How the frames are turned upright
    pixel_aspect  Width of a stored pixel over its height, in the first picture
    size_changes  How often the size of the pictures or of their pixels has changed
    """

    def __init__(self, stream: VideoStream, max_pixels: int) -> None:
        self._stream = stream
        self._max_pixels = max_pixels
        #: Width, height and pixel aspect of the picture before.
        self._stored: tuple[int, int, Fraction] | None = None
        #: The pixel aspect that the decoder reports for the first picture.
        self._first_coded: Fraction | None = None
        #: Width and height of the frames before rotation.
        self._size = (0, 0)
        self.orientation = Orientation()
        self.pixel_aspect = Fraction(1)
        self.size_changes = 0

    def fitted_size(self, picture: VideoFrame) -> tuple[int, int]:
        """Return the size (w, h) to which `picture` is scaled before `upright`. Call it once for each picture."""
        width, height = picture.width, picture.height
        if self._stored is None:
            self._first_coded = self._stream.codec_context.sample_aspect_ratio
            self.orientation = orientation_of(picture)
            aspect = pixel_aspect_of(self._stream.sample_aspect_ratio or self._first_coded)
            size = _square_size(width, height, aspect, self._max_pixels)
            if max(size) > MAX_ASPECT_RATIO * min(size):
                aspect, size = Fraction(1), (width, height)
            self.pixel_aspect, self._size = aspect, size
        else:
            aspect = self._aspect()
            self.size_changes += (width, height, aspect) != self._stored
        self._stored = (width, height, aspect)
        return self._fit(width * float(aspect) / height)

    def upright(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the upright frame (h, w, 3) of a picture that was scaled to its `fitted_size`."""
        width, height = self._size
        if rgb.shape[:2] != (height, width):
            top, left = (height - rgb.shape[0]) // 2, (width - rgb.shape[1]) // 2
            frame = np.zeros((height, width, 3), np.uint8)
            frame[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
            rgb = frame
        return self.orientation.apply(rgb)

    def _aspect(self) -> Fraction:
        # PyAV gives the decoder's pixel aspect, not the picture's. The container's overrides it until it changes.
        coded = self._stream.codec_context.sample_aspect_ratio
        return self.pixel_aspect if coded == self._first_coded else pixel_aspect_of(coded)

    def _fit(self, aspect_ratio: float) -> tuple[int, int]:
        width, height = self._size
        if abs(aspect_ratio * height / width - 1) < _SAME_ASPECT:
            return self._size
        if aspect_ratio * height > width:
            return width, max(1, round(width / aspect_ratio))
        return max(1, round(height * aspect_ratio)), height


def _square_size(width: int, height: int, aspect: Fraction, max_pixels: int) -> tuple[int, int]:
    """Return the size in square pixels. The shorter side of a pixel is stretched, so that no detail is lost."""
    wide, high = (width * aspect, height) if aspect > 1 else (width, height / aspect)
    if wide * high <= max_pixels:
        return round(wide), round(high)
    shrink = math.sqrt(max_pixels / (wide * high))
    return max(1, math.floor(wide * shrink)), max(1, math.floor(high * shrink))
