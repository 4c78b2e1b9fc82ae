"""The warp that moves a portrait: head, torso and breath, as one smooth map from the frame to the portrait."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate import face_regions
from lab.simulate.optics import Image
from lab.simulate.portrait import PortraitLayers
from lab.simulate.posture import BREATH_RISE, Moment

#: The warp is computed on every eighth pixel and interpolated: it is smooth.
_COARSE = 8

#: `cv2.remap` takes x and y from one map, and an empty second map.
_NO_MAP = np.empty(0, dtype=np.float32)

#: Reach of a rise of the brows, in face heights: across and down from the middle of both.
_BROW_REACH = (0.36, 0.09)


@dataclass(frozen=True)
class Placed:
    """Something drawn into some rows and columns of the frame.

    colour  (h, w, 3) linear light;  matte  (h, w) 1 where it hides what is behind
    """

    rows: slice
    columns: slice
    colour: Image
    matte: Image


class Warp:
    """Draws a portrait into a frame of `size` (w, h), the middle of its face at pixel `place` (x, y)."""

    def __init__(self, portrait: PortraitLayers, size: tuple[int, int], place: tuple[float, float]) -> None:
        self._portrait = portrait
        self._size = size
        self._origin = np.array(place) - portrait.centre
        width, height = size
        x = (np.arange(-(-width // _COARSE)) + 0.5) * _COARSE - 0.5
        y = (np.arange(-(-height // _COARSE)) + 0.5) * _COARSE - 0.5
        self._grid = np.dstack(np.meshgrid(x, y)).astype(np.float32)
        across, down = (np.arange(len(side) * _COARSE, dtype=np.float32) for side in (x, y))
        self._identity = np.dstack(np.meshgrid(across, down))
        ys, xs = np.nonzero(portrait.matte > 1 / 512)
        self._box = np.array([(xs.min(), ys.min()), (xs.max(), ys.max())]) if len(xs) else np.zeros((2, 2))
        brows = portrait.landmarks[[point for brow in face_regions.BROWS for point in brow]]
        self._brows = brows.mean(axis=0)
        self._kept: tuple[tuple[float, float], tuple[NDArray[np.float32], NDArray[np.float32], Image]] | None = None

    def draw(self, canvas: Image, moment: Moment) -> Placed:
        """The portrait's `canvas` (h, w, 4), linear light and matte, as the frame shows it at `moment`."""
        moved = self._moved(moment)
        # Cells of the grid that show some of the person, and one more on each side.
        source = self._grid - moved
        inside = ((source > self._box[0] - _COARSE) & (source < self._box[1] + _COARSE)).all(axis=-1)
        top, bottom = _range(inside.any(axis=1))
        left, right = _range(inside.any(axis=0))
        cells = moved[top:bottom, left:right]
        size = ((right - left) * _COARSE, (bottom - top) * _COARSE)
        block = np.s_[top * _COARSE : bottom * _COARSE, left * _COARSE : right * _COARSE]
        fine = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
        np.subtract(self._identity[block], fine, out=fine)
        width, height = self._size
        rows = slice(top * _COARSE, min(bottom * _COARSE, height))
        columns = slice(left * _COARSE, min(right * _COARSE, width))
        fine = fine[: rows.stop - rows.start, : columns.stop - columns.start]
        drawn = cv2.remap(canvas, fine, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        matte = np.asarray(cv2.extractChannel(drawn, 3), dtype=np.float32)
        # Drops the matte; the order of colours stays.
        return Placed(rows, columns, np.asarray(cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR), dtype=np.float32), matte)

    def _moved(self, moment: Moment) -> NDArray[np.float32]:
        """(h, w, 2): displacement of the portrait, which includes its place, at each cell of the grid."""
        portrait, unit = self._portrait, self._portrait.face_height
        shift = np.array([moment.shift_across, moment.shift_down]) * unit
        chin = portrait.landmarks[face_regions.CHIN].tolist()
        point, torso, relief = self._at_rest(float(shift[0]), float(shift[1]))
        x, y = point[..., 0], point[..., 1]
        pivot = chin[0], chin[1] + 0.35 * unit
        dx, dy = x - pivot[0] - moment.across * unit, y - pivot[1] - moment.down * unit
        cos = float(np.cos(-moment.roll)) / (1 + moment.nearer)
        sin = float(np.sin(-moment.roll)) / (1 + moment.nearer)
        head_x = x - (pivot[0] + cos * dx - sin * dy)
        head_y = y - (pivot[1] + sin * dx + cos * dy)
        head_x = head_x + moment.yaw * relief
        head_y = head_y + moment.pitch * relief
        if moment.brows:
            away = (point - self._brows.astype(np.float32)) / (np.array(_BROW_REACH, dtype=np.float32) * unit)
            head_y = head_y - moment.brows * unit * np.exp(-0.5 * (away[..., 0] ** 4 + away[..., 1] ** 2))
        rise = 0.5 * BREATH_RISE * unit * moment.breath
        body_x = 0.3 * moment.across * unit + 0.004 * moment.breath * (x - chin[0])
        body_y = 0.3 * moment.down * unit - rise
        moved = np.stack(((1 - torso) * head_x + torso * body_x, (1 - torso) * head_y + torso * body_y), axis=-1)
        return moved.astype(np.float32) + (self._origin + shift).astype(np.float32)

    def _at_rest(self, across: float, down: float) -> tuple[NDArray[np.float32], NDArray[np.float32], Image]:
        """The portrait's pixel (h, w, 2), the share of the torso (h, w) and the head's relief (h, w) of each cell.

        They belong to a person who is shifted by `across` and `down` pixels, and are kept until the shift changes.
        """
        if self._kept is not None and self._kept[0] == (across, down):
            return self._kept[1]
        portrait, unit = self._portrait, self._portrait.face_height
        point = self._grid - (self._origin + np.array([across, down])).astype(np.float32)
        x, y = point[..., 0], point[..., 1]
        chin, middle = portrait.landmarks[face_regions.CHIN].tolist(), portrait.centre.tolist()
        # 1 on the shoulders, 0 on the head, in between along the neck.
        torso = np.clip((y - (chin[1] - 0.05 * unit)) / (0.75 * unit), 0, 1)
        torso = torso * torso * (3 - 2 * torso)
        # Parts nearer to the camera move further when the head turns.
        radius = ((x - middle[0]) / (0.62 * unit)) ** 2 + ((y - middle[1]) / (0.8 * unit)) ** 2
        relief = 0.55 * unit * np.clip(1 - radius / 1.6, 0, 1) ** 1.5
        self._kept = (across, down), (point, torso, relief)
        return self._kept[1]


def _range(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last + 1 of the cells that are set, widened by one; the first cell alone where none is."""
    found = np.flatnonzero(flags)
    return (max(int(found[0]) - 1, 0), min(int(found[-1]) + 2, len(flags))) if len(found) else (0, 1)
