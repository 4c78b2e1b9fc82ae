"""Orientation of pictures by the display matrix of the file.

FFmpeg gives the rotation of an MP4's track header, of Matroska's projection and of a stream's display orientation
message in one form: a display matrix beside the decoded picture.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

#: Display matrix: nine integers in the byte order of the machine.
_MATRIX: Final = struct.Struct("=9i")
#: Largest deviation from a multiple of 90 degrees. Recorders write exact multiples; any other angle is an effect of an
#: editor or damage, and turning by the nearest multiple would be a guess.
_MAX_DEVIATION_DEG: Final = 5.0
#: Largest ratio of the matrix's two scales. A matrix beyond it maps the picture to a line.
_MAX_SCALE_RATIO: Final = 16.0


@dataclass(frozen=True)
class Orientation:
    """How a stored picture becomes upright: it is rotated first and mirrored afterwards.

    rotation  Degrees clockwise
    mirrored  Whether left and right are exchanged
    """

    rotation: Literal[0, 90, 180, 270] = 0
    mirrored: bool = False

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `rgb` (h, w, 3) upright; for a rotation by 90 or 270 degrees the shape is (w, h, 3)."""
        if not self.rotation and not self.mirrored:
            return rgb
        turned = np.rot90(rgb, -(self.rotation // 90))
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)


def orientation_of(picture: VideoFrame) -> Orientation:
    """Return the orientation that the metadata of `picture` requires.

    The container's matrix takes precedence over that of the video stream, as in players. FFmpeg lists it first.
    """
    side_data: Any = picture.side_data  # PyAV's stub gives it keys, but it iterates over values
    for data in side_data:
        if data.type is Type.DISPLAYMATRIX:
            content = bytes(data)
            if len(content) >= _MATRIX.size:
                return orientation_of_matrix(_MATRIX.unpack_from(content))
    return Orientation()


def orientation_of_matrix(matrix: Sequence[int]) -> Orientation:
    """Return the orientation in a display matrix of nine integers; a matrix that is none is ignored.

    The matrix (a, b, u, c, d, v, x, y, w) maps a point to (a x + c y, b x + d y), with y downwards (ISO/IEC 14496-12,
    6.2.2). Its unit cancels out. A matrix is ignored if its angle is no multiple of 90 degrees, if its axes are not
    perpendicular, or if it maps the picture to a line or a point.
    """
    a, b, _, c, d = matrix[:5]
    across, down = math.hypot(a, b), math.hypot(c, d)
    if not 0 < max(across, down) <= _MAX_SCALE_RATIO * min(across, down):
        return Orientation()
    mirrored = a * d < b * c
    quarters = _quarters(b, -a if mirrored else a)
    # A rotation by `quarters` takes (0, 1) to this axis; mirroring changes the sign of its x alone.
    if quarters is None or quarters != _quarters(c if mirrored else -c, d):
        return Orientation()
    rotation: tuple[Literal[0, 90, 180, 270], ...] = (0, 90, 180, 270)
    return Orientation(rotation[quarters], mirrored)


def _quarters(sine: float, cosine: float) -> int | None:
    angle = math.degrees(math.atan2(sine, cosine))
    quarters = round(angle / 90)
    return quarters % 4 if abs(angle - 90 * quarters) <= _MAX_DEVIATION_DEG else None
