"""What camera and call software do with the pictures: denoising over time, smooth skin, other backgrounds."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats32
from lab.head3d.courses import grid_for, ornstein_uhlenbeck
from lab.head3d.room import scenery_of
from lab.head3d.stage import Sight, view_of
from lab.head3d.tone import GAMMA
from lab.world.shot import Shot

#: Size of the mask of a person in call software (MediaPipe's selfie segmentation has 256x144).
_MASK_SIZE: Final = (160, 90)
#: Pixels of a block of the denoiser.
_BLOCK: Final = 8


class Denoiser:
    """Keep a share of the last picture in blocks where little moves; `noise` is that of a pixel in values."""

    def __init__(self, share: float, noise: float) -> None:
        self._share, self._threshold = share, 1.0 + 0.5 * noise
        self._last: Floats32 | None = None

    def frame(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The next picture (h, w, 3)."""
        if self._share <= 0:
            return picture
        current = picture.astype(np.float32)
        if self._last is None:
            self._last = current
            return picture
        height, width = picture.shape[:2]
        blocks = (-(-width // _BLOCK), -(-height // _BLOCK))
        now, before = (cv2.resize(one[..., 1], blocks, interpolation=cv2.INTER_AREA) for one in (current, self._last))
        change = np.asarray(cv2.absdiff(now, before), np.float32)
        keep = np.asarray(self._share / (1 + (change / self._threshold) ** 4), np.float32)
        kept = cv2.resize(keep, (width, height), interpolation=cv2.INTER_NEAREST)
        self._last = np.asarray(cv2.blendLinear(current, self._last, 1 - kept, kept), np.float32)
        return np.asarray(cv2.convertScaleAbs(self._last), np.uint8)


class CallSoftware:
    """Smooth skin and replace what is behind the person."""

    def __init__(self, shot: Shot) -> None:
        conditions = shot.conditions
        self._conditions = conditions
        rng = conditions.rng("head3d/mask")
        self._lag = int(rng.integers(1, 3))
        self._masks: list[Floats32] = []
        grid = grid_for(shot.times_s)
        self._face = view_of(conditions)
        error = conditions.mask_error * self._face.face_px
        #: Shift across and down, tilt and growth of the mask, (4, n) pixels.
        self._wobble = [
            np.interp(shot.times_s, grid, error * ornstein_uhlenbeck(rng, len(grid), tau))
            for tau in (0.4, 0.4, 1.5, 1.5)
        ]
        self._scenery = _values(scenery_of(conditions)) if conditions.background == "virtual" else None

    def frame(self, index: int, picture: NDArray[np.uint8], sight: Sight) -> NDArray[np.uint8]:
        """The picture (h, w, 3) after the software."""
        if self._conditions.beauty > 0:
            picture = self._smoothed(picture)
        if self._conditions.background == "room":
            return picture
        height, width = picture.shape[:2]
        behind = self._scenery
        if behind is None:
            small = cv2.resize(picture, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), 0.02 * height / 2)
            behind = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        person = np.zeros((height, width), np.float32) if sight.person is None else sight.person
        mask = self._mask(index, person, width, height)
        return np.asarray(cv2.blendLinear(picture, behind, mask, 1 - mask), np.uint8)

    def _mask(self, index: int, person: Floats32, width: int, height: int) -> Floats32:
        """The software's mask (h, w): coarse, late and unsteady."""
        small = np.asarray(cv2.resize(person, _MASK_SIZE, interpolation=cv2.INTER_AREA), np.float32)
        self._masks = [*self._masks, small][-self._lag - 1 :]
        late = cv2.GaussianBlur(self._masks[0], (0, 0), 0.8)
        across, down, tilt, grow = (course[index] for course in self._wobble)
        zoom, skew = 1 + grow / width, tilt / height
        step_x, step_y = _MASK_SIZE[0] / width, _MASK_SIZE[1] / height
        cx, cy = _MASK_SIZE[0] / 2, _MASK_SIZE[1] / 2
        to_x, to_y = across * step_x + cx * (1 - zoom) - cy * skew, down * step_y + cy * (1 - zoom)
        matrix = np.array([[zoom, skew, to_x], [0, zoom, to_y]])
        moved = cv2.warpAffine(late, matrix, _MASK_SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        sharp = np.clip((moved - 0.5) * 1.8 + 0.5, 0, 1)
        return np.asarray(cv2.resize(sharp, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def _smoothed(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture with skin smoothed at half the resolution, edges kept (Tomasi & Manduchi 1998)."""
        height, width = picture.shape[:2]
        (x, y), px = self._face.centre, self._face.face_px
        left, right = max(0, int(x - 0.7 * px)) // 2 * 2, min(width, int(x + 0.7 * px)) // 2 * 2
        top, bottom = max(0, int(y - 0.8 * px)) // 2 * 2, min(height, int(y + 0.7 * px)) // 2 * 2
        part = picture[top:bottom, left:right]
        half = cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        smooth = cv2.bilateralFilter(half, 7, 28, 0.02 * px + 1)
        ycc = cv2.cvtColor(half, cv2.COLOR_RGB2YCrCb)
        skin = cv2.inRange(ycc, (30, 132, 70), (255, 185, 135)).astype(np.float32) / 255
        share = np.asarray(cv2.GaussianBlur(skin, (0, 0), 1.5) * np.float32(self._conditions.beauty), np.float32)
        whole = cv2.resize(smooth, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        share = np.asarray(cv2.resize(share, part.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        changed = picture.copy()
        changed[top:bottom, left:right] = cv2.blendLinear(whole, np.ascontiguousarray(part), share, 1 - share)
        return changed


def _values(light: Floats32) -> NDArray[np.uint8]:
    return np.asarray(255 * np.clip(light, 0, 1) ** (1 / GAMMA), np.uint8)
