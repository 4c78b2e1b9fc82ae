"""Skin regions of the face mesh, and their mean colour in linear light."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.media.downscale import halved, halvings

#: Order of the second axis of `FaceTrack.regions`. Left and right are the subject's.
REGIONS: Final = ("face", "forehead", "left_cheek", "right_cheek")

#: Outline of the mesh, clockwise from the middle of the forehead.
OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

# The mesh's uppermost points lie on the hairline: skin ends a little below them, towards the row of points underneath.
_HAIRLINE: Final = [10, 338, 297, 332, 284, 54, 103, 67, 109]
_BELOW_HAIRLINE: Final = [151, 337, 299, 333, 298, 68, 104, 69, 108]
_BELOW: Final = 0.4

# The rest of each region's outline; the hull of its points is drawn. Large regions read better: cheeks up to the jaw in
# place of the cheekbones alone gave POS 1.3 to 1.9 dB more on three real and four simulated clips.
_SKIN: Final = [
    301, 368, 264, 447, 366, 401, 435, 367, 364, 394, 395, 369, 396,
    175, 171, 140, 170, 169, 135, 138, 215, 177, 137, 227, 34, 139, 71,
]  # fmt: skip
_FOREHEAD: Final = [293, 334, 296, 336, 9, 107, 66, 105, 63]
_LEFT_CHEEK: Final = [345, 346, 347, 348, 329, 371, 423, 426, 436, 432, 434, 416, 367, 435, 401, 366, 447]
_RIGHT_CHEEK: Final = [116, 117, 118, 119, 100, 142, 203, 206, 216, 212, 214, 192, 138, 215, 177, 137, 227]
_NOT_SKIN: Final = (
    [276, 283, 282, 295, 285, 300, 293, 334, 296, 336, 463, 341, 256, 252, 253, 254, 339, 255, 359, 446, 342],
    [46, 53, 52, 65, 55, 70, 63, 105, 66, 107, 243, 112, 26, 22, 23, 24, 110, 25, 130, 226, 113],
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185],
    [98, 97, 2, 326, 327],
)

_OVAL: Final = list(OVAL)

# Polygons are drawn with 1/16 pixel.
_SHIFT: Final = 4

# A channel from here up is clipped; a pixel whose brightest channel is not above this is too dark to carry colour.
_CLIPPED: Final = 250
_DARK: Final = 16
# Hair, beard and glasses' frames: darker than this part of the face's median, in linear light. With 0.3 a fringe gets
# in and makes the forehead of a resting head vary by 1.2 % (0.7 % with 0.4); more costs area and 0.1 dB of POS.
_SHADE: Final = 0.4
# A region of which less than this part is usable skin has no colour.
_LEAST_SKIN: Final = 0.15

# A face larger than this is averaged over 2x2 pixels (or 4x4, …) before its light is made linear: means of neighbours
# in sRGB differ from those in linear light by less than a sensor's noise, and a 4K face costs no more than a webcam's.
_SIDE: Final = 256


def _linear_light() -> NDArray[np.float32]:
    """The inverse of sRGB's transfer curve (IEC 61966-2-1) for 0..255, in [0, 1]."""
    srgb = np.arange(256) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


Floats = NDArray[np.float64]

LINEAR_LIGHT: Final = _linear_light()


def linear(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`rgb` (h, w, 3) uint8 sRGB as linear light in [0, 1], float32."""
    return np.asarray(cv2.LUT(rgb, LINEAR_LIGHT), np.float32)


@dataclass(frozen=True)
class SkinMap:
    """The weights (4, side * side) of the pixels of a square around the face, for one measured mesh.

    They sum to 1 for each region, or are NaN where too little of it is usable skin. Each pixel of the square stands for
    2**halvings of the frame's; `skin` (4,) is the usable part of each region.
    """

    side: int
    halvings: int
    weights: NDArray[np.float32]
    skin: NDArray[np.float32]

    @property
    def length(self) -> int:
        """Side of the square in pixels of the frame."""
        return self.side << self.halvings


class SkinMapper:
    """Draws skin maps, on squares of one size for as long as the face keeps its size."""

    def __init__(self) -> None:
        self._side = 0
        self._halvings = 0

    def map(self, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> SkinMap:
        """The skin of `mesh` (478, 2) in the frame `rgb` in which it was measured."""
        outline = mesh[_OVAL]
        extent = float(np.max(outline.max(axis=0) - outline.min(axis=0)))
        length = self._side << self._halvings
        if not 0.7 * length < extent <= 0.95 * length:
            self._halvings = halvings(extent * 1.15, _SIDE)
            self._side = int(np.ceil(extent * 1.15)) >> self._halvings
        side = self._side
        corner = _corner(mesh, side << self._halvings)
        square = _square(rgb, corner, side, self._halvings)
        points = ((mesh - corner + 0.5) / (1 << self._halvings) - 0.5).astype(np.float32)
        drawn = np.zeros((4, side, side), np.uint8)
        top = (1 - _BELOW) * points[_HAIRLINE] + _BELOW * points[_BELOW_HAIRLINE]
        _draw(drawn[0], np.concatenate([points[_SKIN], top]), 255)
        _draw(drawn[1], np.concatenate([points[_FOREHEAD], top]), 255)
        _draw(drawn[2], points[_LEFT_CHEEK], 255)
        _draw(drawn[3], points[_RIGHT_CHEEK], 255)
        for hole in _NOT_SKIN:
            _draw(drawn[0], points[hole], 0)
        usable = _usable(square, drawn[0])
        usable *= _inside((rgb.shape[1], rgb.shape[0]), corner, side, self._halvings)
        area = drawn.sum(axis=(1, 2), dtype=np.float32)
        weights = (drawn * usable).reshape(4, -1)
        total = weights.sum(axis=1)
        skin = total / np.maximum(area, 1.0)
        weights /= np.where(skin < _LEAST_SKIN, np.nan, total)[:, None]
        return SkinMap(side, self._halvings, weights, np.asarray(skin, np.float32))


def colours(
    rgb: NDArray[np.uint8], mesh: NDArray[np.float32], maps: Sequence[tuple[SkinMap, float]]
) -> NDArray[np.float32]:
    """Mean linear-light RGB (4, 3) of each region where `mesh` lies, averaged over `maps` by their shares.

    Between two measured meshes the maps of both are laid onto the face and blended by the time between them, so that
    neither a region's outline nor its exclusions ever jump.
    """
    mixed = np.zeros((4, 3), np.float32)
    light: NDArray[np.float32] | None = None
    seen = (0, 0)
    for skin, share in maps:
        if light is None or seen != (skin.side, skin.halvings):
            seen = (skin.side, skin.halvings)
            square = _square(rgb, _corner(mesh, skin.length), skin.side, skin.halvings)
            light = linear(square).reshape(-1, 3)
        mixed += np.float32(share) * (skin.weights @ light)
    return mixed


def _corner(mesh: NDArray[np.float32], length: int) -> Floats:
    """Upper left corner (x, y) of the square around the mesh, in fractions of a pixel."""
    return np.asarray(mesh[_OVAL].mean(axis=0) - (length - 1) / 2, np.float64)


def _square(rgb: NDArray[np.uint8], corner: Floats, side: int, times: int) -> NDArray[np.uint8]:
    """The square (side, side, 3) at `corner`, halved `times`; the frame's edge goes on beyond it.

    Taken between the pixels: to follow the head in steps of whole pixels makes steps in the colour (POS loses 0.5 dB).
    """
    whole = np.floor(corner)
    right, down = ((corner - whole) / (1 << times)).tolist()
    left, top = int(whole[0]), int(whole[1])
    length = (side + 1) << times
    square = rgb[max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)]
    if min(square.shape[:2]) < 1:
        return np.zeros((side, side, 3), np.uint8)
    if square.shape[:2] != (length, length):
        above, before = max(-top, 0), max(-left, 0)
        below, after = length - square.shape[0] - above, length - square.shape[1] - before
        square = np.asarray(cv2.copyMakeBorder(square, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8)
    square = halved(square, times)
    across = cv2.addWeighted(square[:, :-1], 1 - right, square[:, 1:], right, 0)
    return np.asarray(cv2.addWeighted(across[:-1], 1 - down, across[1:], down, 0), np.uint8)


def _inside(size: tuple[int, int], corner: Floats, side: int, times: int) -> NDArray[np.float32]:
    """1 where the square's pixels (side, side) lie in the frame of `size` (w, h), 0 beyond."""
    centres = (np.arange(side) + 0.5) * (1 << times) - 0.5
    x, y = corner[0] + centres, corner[1] + centres
    within = ((y >= 0) & (y <= size[1] - 1))[:, None] & ((x >= 0) & (x <= size[0] - 1))[None, :]
    return np.asarray(within, np.float32)


def _draw(canvas: NDArray[np.uint8], points: NDArray[np.float32], value: int) -> None:
    """Fills the points' hull on `canvas` (side, side), with smooth edges."""
    corners = np.rint(cv2.convexHull(points) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(canvas, corners, (value,), cv2.LINE_AA, _SHIFT)


def _usable(square: NDArray[np.uint8], face: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Which pixels carry the skin's colour, (side, side) in [0, 1].

    Not those that are clipped, dark, or far darker than the rest of the face. Judged on a blurred picture and blurred
    again: noise must not move pixels in and out.
    """
    calm = np.asarray(cv2.blur(square, (5, 5)), np.uint8)
    red, green, blue = cv2.split(calm)
    brightest = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    # Green stands for luminance, of which it makes up 72 %.
    inside = green[face > 127]
    darkest = 0 if inside.size == 0 else _srgb(_SHADE * float(LINEAR_LIGHT[int(np.median(inside))]))
    good = (brightest < _CLIPPED) & (brightest > _DARK) & (green > darkest)
    return np.asarray(cv2.blur(good.astype(np.float32), (5, 5)), np.float32)


def _srgb(light: float) -> int:
    """The 8-bit sRGB value of linear light."""
    return int(np.searchsorted(LINEAR_LIGHT, light))
