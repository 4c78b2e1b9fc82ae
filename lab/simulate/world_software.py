"""Software between the camera and the encoder: skin smoothing, and a replaced or blurred background."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.simulate import rooms
from lab.simulate.optics import Image, to_srgb
from lab.simulate.physiology import wander
from lab.simulate.warp import Placed
from lab.world.conditions import Conditions

Picture = NDArray[np.uint8]

#: Side of the cells, pixels, at which the mask's errors are drawn, and the step of the pixels of a mask.
_MASK_STEP: Final = 2
#: Places across and down at which the mask's error is drawn, and the rates of its changes, Hz.
_KNOTS: Final = (9, 7)
_WOBBLE_HZ: Final = (0.2, 3.0)
#: Share of the last mask that software keeps, so that its edge does not flicker.
_MASK_KEPT: Final = 0.45
#: Softness of the mask's edge, face heights.
_EDGE: Final = 0.02
#: Standard deviation of a background's blur, face heights.
_BLUR: Final = 0.12
#: Differences of colour that a skin filter keeps, of 255, and its radius in face heights.
_SKIN_RANGE, _SKIN_RADIUS = 28.0, 0.035


class Software:
    """Changes the frames of one clip, in order.

    unit  height of the face in pixels
    """

    def __init__(self, conditions: Conditions, times: Floats, unit: float) -> None:
        self._conditions = conditions
        self._unit = unit
        rng = conditions.rng("software")
        width, height = conditions.size
        self._halo = bool(rng.uniform() < 0.5)
        self._virtual = _virtual(conditions.size, rng) if conditions.background == "virtual" else None
        across, down = _KNOTS
        curves = [wander(times, *_WOBBLE_HZ, rng, 8) for _ in range(2 * across * down)]
        bias = rng.standard_normal((down, across, 2)) * 0.6
        wobble = np.stack(curves, axis=1).reshape(len(times), down, across, 2)
        self._wobble = (conditions.mask_error * unit * (bias + 0.8 * wobble)).astype(np.float32)
        small = (-(-width // _MASK_STEP), -(-height // _MASK_STEP))
        self._small = small
        self._identity = np.dstack(
            np.meshgrid(np.arange(small[0], dtype=np.float32), np.arange(small[1], dtype=np.float32))
        )
        self._mask: cv2.typing.MatLike | None = None
        self._skin = _ellipse(unit)

    def change(self, picture: Picture, placed: Placed, face: tuple[float, float], index: int) -> Picture:
        """`picture` (h, w, 3) uint8 sRGB as the software hands it on.

        placed  the person in it;  face  pixel (x, y) of the middle of the face
        """
        if self._conditions.beauty:
            picture = self._smooth_skin(picture, face)
        if self._conditions.background != "room":
            picture = self._replace_background(picture, placed, index)
        return picture

    def _smooth_skin(self, picture: Picture, place: tuple[float, float]) -> Picture:
        height, width = picture.shape[:2]
        tall, wide = self._skin.shape
        left, top = round(place[0] - wide / 2), round(place[1] - tall / 2)
        rows, columns = slice(max(top, 0), min(top + tall, height)), slice(max(left, 0), min(left + wide, width))
        if rows.stop - rows.start < 8 or columns.stop - columns.start < 8:
            return picture
        face = picture[rows, columns]
        weight = self._skin[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        step = max(1, round(self._unit / 90))
        size = (face.shape[1], face.shape[0])
        small = cv2.resize(face, (max(size[0] // step, 4), max(size[1] // step, 4)), interpolation=cv2.INTER_AREA)
        across = max(3, 2 * round(_SKIN_RADIUS * self._unit / step) + 1)
        smooth = cv2.resize(cv2.bilateralFilter(small, across, _SKIN_RANGE, across), size)
        share = self._conditions.beauty * weight
        changed = picture.copy()
        changed[rows, columns] = cv2.blendLinear(smooth, face, share, np.subtract(1, share))
        return changed

    def _replace_background(self, picture: Picture, placed: Placed, index: int) -> Picture:
        mask = self._mask_of(placed, index)
        if self._virtual is not None:
            behind: cv2.typing.MatLike = self._virtual
        else:
            behind = self._blurred(picture, mask)
        height, width = picture.shape[:2]
        large = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.blendLinear(picture, behind, large, np.subtract(1, large)), dtype=np.uint8)

    def _mask_of(self, placed: Placed, index: int) -> cv2.typing.MatLike:
        """The software's mask of the person, at half the size: displaced, late and soft."""
        height, width = self._conditions.size[::-1]
        matte = np.zeros((height, width), np.float32)
        matte[placed.rows, placed.columns] = placed.matte
        small = cv2.resize(matte, self._small, interpolation=cv2.INTER_AREA)
        moved = cv2.resize(self._wobble[index], self._small, interpolation=cv2.INTER_CUBIC)
        source = self._identity + moved / _MASK_STEP
        mask = cv2.remap(small, source, np.empty(0, np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.GaussianBlur(mask, (0, 0), max(_EDGE * self._unit / _MASK_STEP, 0.6))
        if self._mask is not None:
            mask = cv2.addWeighted(mask, 1 - _MASK_KEPT, self._mask, _MASK_KEPT, 0)
        self._mask = mask
        return mask

    def _blurred(self, picture: Picture, mask: cv2.typing.MatLike) -> Picture:
        """The background of `picture`, blurred; simple software lets the person's light spread into it."""
        height, width = picture.shape[:2]
        step = max(2, round(_BLUR * self._unit / 3))
        size = (max(width // step, 4), max(height // step, 4))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        spread = _BLUR * self._unit / step
        if self._halo:
            return np.asarray(cv2.resize(cv2.GaussianBlur(small, (0, 0), spread), (width, height)), dtype=np.uint8)
        free = np.subtract(1.001, cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
        weighted = cv2.GaussianBlur(small * free[..., None], (0, 0), spread)
        result = weighted / cv2.GaussianBlur(free, (0, 0), spread)[..., None]
        codes = np.clip(np.rint(result), 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(codes, (width, height)), dtype=np.uint8)


def _virtual(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """A picture (h, w, 3) uint8 sRGB in place of the room: another room, or a plain gradient."""
    if rng.uniform() < 0.6:
        return _codes(rooms.room(*size, rng))
    first, second = rng.uniform(0.02, 0.8, (2, 3))
    part = np.linspace(0, 1, size[1])[:, None, None]
    return _codes(np.broadcast_to(first + part * (second - first), (size[1], size[0], 3)).astype(np.float32))


def _codes(linear: Image) -> Picture:
    return np.asarray(np.round(to_srgb(linear) * 255), dtype=np.uint8)


def _ellipse(unit: float) -> Image:
    """Weight (h, w) of a face of `unit` pixels, in its middle."""
    tall, wide = round(1.5 * unit), round(1.2 * unit)
    y, x = np.mgrid[-1 : 1 : tall * 1j, -1 : 1 : wide * 1j]
    return np.asarray(np.clip((1 - x**2 - y**2) / 0.3, 0, 1), dtype=np.float32)
