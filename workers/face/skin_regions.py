"""Skin regions of the face mesh, and their mean colour in linear light."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.media.downscale import downsample, octaves

#: Order of the second axis of `FaceTrack.regions`. Left and right are the subject's.
REGIONS: Final = ("face", "forehead", "left_cheek", "right_cheek")

#: Outline of the mesh, clockwise from the middle of the forehead.
OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

#: The uppermost mesh points, on the hairline, and the row of points below it. The upper edge of the skin is placed
#: between them, this part of the way down.
_HAIRLINE: Final = [10, 338, 297, 332, 284, 54, 103, 67, 109]
_BELOW_HAIRLINE: Final = [151, 337, 299, 333, 298, 68, 104, 69, 108]
_HAIRLINE_SHIFT: Final = 0.4

#: The other points of each region, of which the convex hull is drawn. Large regions give a better signal: cheeks down
#: to the jaw instead of the cheekbones alone gave POS 1.3 to 1.9 dB more on three real and four simulated clips.
SKIN: Final = [
    301, 368, 264, 447, 366, 401, 435, 367, 364, 394, 395, 369, 396,
    175, 171, 140, 170, 169, 135, 138, 215, 177, 137, 227, 34, 139, 71,
]  # fmt: skip
_FOREHEAD: Final = [293, 334, 296, 336, 9, 107, 66, 105, 63]
_LEFT_CHEEK: Final = [345, 346, 347, 348, 329, 371, 423, 426, 436, 432, 434, 416, 367, 435, 401, 366, 447]
_RIGHT_CHEEK: Final = [116, 117, 118, 119, 100, 142, 203, 206, 216, 212, 214, 192, 138, 215, 177, 137, 227]
#: Areas without skin: both eyes with the brows, the mouth, the nostrils.
_NOT_SKIN: Final = (
    [276, 283, 282, 295, 285, 300, 293, 334, 296, 336, 463, 341, 256, 252, 253, 254, 339, 255, 359, 446, 342],
    [46, 53, 52, 65, 55, 70, 63, 105, 66, 107, 243, 112, 26, 22, 23, 24, 110, 25, 130, 226, 113],
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185],
    [98, 97, 2, 326, 327],
)

_OVAL: Final = list(OVAL)

#: Fractional bits of polygon corners: 1/16 pixel.
_SHIFT: Final = 4

#: sRGB value from which on a channel counts as clipped.
_CLIPPED: Final = 250
#: sRGB value of the brightest channel up to which a pixel is too dark to use.
_DARK: Final = 16
#: Pixels darker than this part of the face's median, in linear light, are hair, beard or the frame of glasses. With 0.3
#: a fringe is included and makes the forehead of a resting head vary by 1.2 % (0.7 % with 0.4); larger values cost area
#: and 0.1 dB of POS.
_MIN_RELATIVE_LIGHT: Final = 0.4
#: Smallest part of a region that must be usable skin for it to have a colour.
_MIN_SKIN: Final = 0.15

#: Largest side of a skin map in pixels. Larger faces are averaged over 2x2 pixels (or 4x4, …) before the conversion to
#: linear light: means of neighbours in sRGB differ from those in linear light by less than the sensor's noise, and a
#: face in 4K costs no more than a webcam's.
_MAX_SIDE: Final = 256


def _linear_light() -> NDArray[np.float32]:
    """Return the inverse of the sRGB transfer curve (IEC 61966-2-1) for 0 to 255, in [0, 1]."""
    srgb = np.arange(256) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


#: Linear light (256,) of each 8-bit sRGB value.
LINEAR_LIGHT: Final = _linear_light()


def linear(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert `rgb` (h, w, 3) uint8 sRGB to linear light in [0, 1], float32."""
    return np.asarray(cv2.LUT(rgb, LINEAR_LIGHT), np.float32)


@dataclass(frozen=True)
class SkinMap:
    """The pixels of a square around the face that belong to each region, for one measured mesh.

    side     side of the square in pixels of the map
    octaves  each pixel of the map covers 2**octaves x 2**octaves pixels of the frame
    weights  (4, side * side); they sum to 1 for each region, or are NaN where too little of it is usable skin
    skin     (4,) usable part of each region
    """

    side: int
    octaves: int
    weights: NDArray[np.float32]
    skin: NDArray[np.float32]

    @property
    def length(self) -> int:
        """Side of the square in pixels of the frame."""
        return self.side << self.octaves


class SkinMapper:
    """Draw skin maps, on squares of one size for as long as the face keeps its size."""

    def __init__(self) -> None:
        self._side = 0
        self._octaves = 0

    def map(self, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> SkinMap:
        """Return the skin map of `mesh` (478, 2) in the frame `rgb` (h, w, 3) in which it was measured."""
        outline = mesh[_OVAL]
        extent = float(np.max(outline.max(axis=0) - outline.min(axis=0)))
        length = self._side << self._octaves
        if not 0.7 * length < extent <= 0.95 * length:
            self._octaves = octaves(extent * 1.15, _MAX_SIDE)
            self._side = int(np.ceil(extent * 1.15)) >> self._octaves
        side = self._side
        corner = _corner(mesh, side << self._octaves)
        square = _square(rgb, corner, side, self._octaves)
        points = ((mesh - corner + 0.5) / (1 << self._octaves) - 0.5).astype(np.float32)
        drawn = np.zeros((4, side, side), np.uint8)
        top = (1 - _HAIRLINE_SHIFT) * points[_HAIRLINE] + _HAIRLINE_SHIFT * points[_BELOW_HAIRLINE]
        _draw(drawn[0], np.concatenate([points[SKIN], top]), 255)
        _draw(drawn[1], np.concatenate([points[_FOREHEAD], top]), 255)
        _draw(drawn[2], points[_LEFT_CHEEK], 255)
        _draw(drawn[3], points[_RIGHT_CHEEK], 255)
        for hole in _NOT_SKIN:
            _draw(drawn[0], points[hole], 0)
        usable = _usable(square, drawn[0])
        usable *= _inside((rgb.shape[1], rgb.shape[0]), corner, side, self._octaves)
        area = drawn.sum(axis=(1, 2), dtype=np.float32)
        weights = (drawn * usable).reshape(4, -1)
        total = weights.sum(axis=1)
        skin = total / np.maximum(area, 1.0)
        weights /= np.where(skin < _MIN_SKIN, np.nan, total)[:, None]
        return SkinMap(side, self._octaves, weights, np.asarray(skin, np.float32))


def region_colours(
    rgb: NDArray[np.uint8], mesh: NDArray[np.float32], maps: Sequence[tuple[SkinMap, float]]
) -> NDArray[np.float32]:
    """Return the mean linear-light RGB (4, 3) of each region in the frame `rgb` (h, w, 3).

    `mesh` (478, 2) is the mesh in this frame, `maps` are skin maps with weights that sum to 1. Between two measured
    meshes the maps of both are placed on the face and blended by time, so that neither a region's outline nor its
    excluded pixels jump.
    """
    mean = np.zeros((4, 3), np.float32)
    light: NDArray[np.float32] | None = None
    sampled = (0, 0)
    for skin, weight in maps:
        if light is None or sampled != (skin.side, skin.octaves):
            sampled = (skin.side, skin.octaves)
            square = _square(rgb, _corner(mesh, skin.length), skin.side, skin.octaves)
            light = linear(square).reshape(-1, 3)
        mean += np.float32(weight) * (skin.weights @ light)
    return mean


def _corner(mesh: NDArray[np.float32], length: int) -> NDArray[np.float64]:
    """Return the upper left corner (x, y) of the square around the mesh, with subpixel precision."""
    return np.asarray(mesh[_OVAL].mean(axis=0) - (length - 1) / 2, np.float64)


def _square(rgb: NDArray[np.uint8], corner: NDArray[np.float64], side: int, n_octaves: int) -> NDArray[np.uint8]:
    """Return the square (side, side, 3) at `corner`, downsampled; the frame's edge is replicated beyond it.

    Pixels are interpolated: following the head in whole pixels makes steps in the colour (POS loses 0.5 dB).
    """
    whole = np.floor(corner)
    right, down = ((corner - whole) / (1 << n_octaves)).tolist()
    left, top = int(whole[0]), int(whole[1])
    length = (side + 1) << n_octaves
    square = rgb[max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)]
    if min(square.shape[:2]) < 1:
        return np.zeros((side, side, 3), np.uint8)
    if square.shape[:2] != (length, length):
        above, before = max(-top, 0), max(-left, 0)
        below, after = length - square.shape[0] - above, length - square.shape[1] - before
        square = np.asarray(cv2.copyMakeBorder(square, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8)
    square = downsample(square, n_octaves)
    across = cv2.addWeighted(square[:, :-1], 1 - right, square[:, 1:], right, 0)
    return np.asarray(cv2.addWeighted(across[:-1], 1 - down, across[1:], down, 0), np.uint8)


def _inside(size: tuple[int, int], corner: NDArray[np.float64], side: int, n_octaves: int) -> NDArray[np.float32]:
    """Return a mask (side, side): 1 where the square is inside the frame of `size` (w, h), 0 beyond."""
    centres = (np.arange(side) + 0.5) * (1 << n_octaves) - 0.5
    x, y = corner[0] + centres, corner[1] + centres
    within = ((y >= 0) & (y <= size[1] - 1))[:, None] & ((x >= 0) & (x <= size[0] - 1))[None, :]
    return np.asarray(within, np.float32)


def _draw(canvas: NDArray[np.uint8], points: NDArray[np.float32], value: int) -> None:
    """Fill the convex hull of `points` on `canvas` (side, side), with antialiased edges."""
    corners = np.rint(cv2.convexHull(points) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(canvas, corners, (value,), cv2.LINE_AA, _SHIFT)


def _usable(square: NDArray[np.uint8], face: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the weight (side, side) in [0, 1] of each pixel of `square` as skin.

    Excluded are pixels that are clipped, dark, or far darker than the rest of the `face` (side, side). Both the image
    and the mask are blurred, so that noise does not move pixels in and out.
    """
    blurred = np.asarray(cv2.blur(square, (5, 5)), np.uint8)
    red, green, blue = cv2.split(blurred)
    brightest = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    # Green makes up 72 % of the luminance.
    inside = green[face > 127]
    darkest = 0 if inside.size == 0 else _srgb(_MIN_RELATIVE_LIGHT * float(LINEAR_LIGHT[int(np.median(inside))]))
    good = (brightest < _CLIPPED) & (brightest > _DARK) & (green > darkest)
    return np.asarray(cv2.blur(good.astype(np.float32), (5, 5)), np.float32)


def _srgb(light: float) -> int:
    """Return the 8-bit sRGB value of linear light."""
    return int(np.searchsorted(LINEAR_LIGHT, light))
