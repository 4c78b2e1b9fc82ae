"""A portrait drawn into the scene.

Pulse, shading and eyelids are applied to the portrait, then one smooth warp moves head, torso and breath.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate.optics import Image, pulsation
from lab.simulate.portrait import PortraitLayers, region
from lab.simulate.posture import BREATH_RISE, Moment

#: The warp is computed on every eighth pixel and interpolated: it is smooth.
_COARSE = 8

#: `cv2.remap` takes x and y from one map, and an empty second map.
_NO_MAP = np.empty(0, dtype=np.float32)

#: Direction of the main light: right, up, towards the viewer (y down).
LIGHT_FROM = (0.35, -0.45, 0.82)

#: How much later the pulse arrives at the chin than at the forehead.
TRANSIT_S = 0.025


class Person:
    """A portrait in a frame of `size` (w, h), the middle of its face at pixel `place` (x, y).

    The pulse lowers the diffuse light of perfused skin. A turn of the head changes the shading of a rounded face (the
    intensity term of the skin-reflection model), which makes motion hard to distinguish from a pulse.

    skin_tone  Fitzpatrick type, 1 to 6;  strength  factor on the pulse of that type
    """

    def __init__(
        self,
        portrait: PortraitLayers,
        size: tuple[int, int],
        place: tuple[float, float],
        skin_tone: int,
        strength: float,
    ) -> None:
        self._portrait = portrait
        self._size = size
        self._origin = np.array(place) - portrait.centre
        rows, columns = region(portrait.face)
        self._base = np.ascontiguousarray(portrait.linear[rows, columns])
        perfusion = portrait.perfusion[rows, columns]
        blood = strength * pulsation(self._base, perfusion, skin_tone)
        middle = float(portrait.centre[1])
        y = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None, None] - middle) / portrait.face_height
        self._blood, self._late_blood = blood, blood * y * np.float32(TRANSIT_S)
        self._turned = self._shading(rows, columns)
        self._canvas = np.dstack([portrait.linear, portrait.matte]).astype(np.float32)
        self._grid = self._coarse_grid()
        width, height = size
        self._identity = np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))

    def paint(self, behind: Image, moment: Moment) -> Image:
        """The scene (h, w, 3) linear light: the person at `moment` in front of `behind`."""
        rows, columns = region(self._portrait.face)
        face: cv2.typing.MatLike = self._base
        closure = next((blink for blink in self._portrait.blinks if blink.closure >= moment.lids), None)
        if moment.lids > 0.12 and closure is not None:
            face = face.copy()
            x, y, w, h = self._portrait.eyes
            face[y - rows.start : y - rows.start + h, x - columns.start : x - columns.start + w] = closure.patch
        face = cv2.scaleAdd(self._blood, -moment.pulse, face)
        face = cv2.scaleAdd(self._late_blood, moment.pulse_speed, face)
        face = cv2.scaleAdd(self._turned[0], moment.yaw, face)
        face = cv2.scaleAdd(self._turned[1], moment.pitch, face)
        self._canvas[rows, columns, :3] = face
        drawn = cv2.remap(self._canvas, self._warp(moment), _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        matte = cv2.extractChannel(drawn, 3)
        person = cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR)  # drops the matte; the order of colours stays
        return np.asarray(cv2.blendLinear(person, behind, matte, np.subtract(1, matte)), dtype=np.float32)

    def _shading(self, rows: slice, columns: slice) -> tuple[Image, Image]:
        """Change of light (h, w, 3) per radian of yaw and of pitch, for an ellipsoidal face under `LIGHT_FROM`."""
        portrait = self._portrait
        x = (np.arange(columns.start, columns.stop) - portrait.centre[0])[None, :] / (0.62 * portrait.face_height)
        y = (np.arange(rows.start, rows.stop) - portrait.centre[1])[:, None] / (0.75 * portrait.face_height)
        near = np.sqrt(np.maximum(1 - x**2 - y**2, 0.15))
        length = np.sqrt(x**2 + y**2 + near**2)
        nx, ny, nz = x / length, y / length, near / length
        lx, ly, lz = LIGHT_FROM
        lit = np.maximum(nx * lx + ny * ly + nz * lz, 0.25) + 0.6  # 0.6: light from all around
        fade = np.exp(-0.5 * (x**2 + y**2) ** 4)
        yaw = fade * (nz * lx - nx * lz) / lit
        pitch = fade * (nz * ly - ny * lz) / lit
        return (self._base * yaw[..., None]).astype(np.float32), (self._base * pitch[..., None]).astype(np.float32)

    def _coarse_grid(self) -> NDArray[np.float32]:
        width, height = self._size
        x = (np.arange(-(-width // _COARSE)) + 0.5) * (width / -(-width // _COARSE)) - 0.5
        y = (np.arange(-(-height // _COARSE)) + 0.5) * (height / -(-height // _COARSE)) - 0.5
        return np.dstack(np.meshgrid(x, y)).astype(np.float32)

    def _warp(self, moment: Moment) -> NDArray[np.float32]:
        """(h, w, 2): the portrait's pixel that each pixel of the frame shows."""
        portrait, unit = self._portrait, self._portrait.face_height
        shift = np.array([moment.shift_across, moment.shift_down]) * unit
        point = self._grid - (self._origin + shift).astype(np.float32)
        x, y = point[..., 0], point[..., 1]
        chin = portrait.landmarks[152].tolist()
        middle = portrait.centre.tolist()
        # 1 on the head, 0 on the shoulders, in between along the neck.
        torso = np.clip((y - (chin[1] - 0.05 * unit)) / (0.75 * unit), 0, 1)
        torso = torso * torso * (3 - 2 * torso)
        pivot = chin[0], chin[1] + 0.35 * unit
        dx, dy = x - pivot[0] - moment.across * unit, y - pivot[1] - moment.down * unit
        cos = float(np.cos(-moment.roll)) / (1 + moment.nearer)
        sin = float(np.sin(-moment.roll)) / (1 + moment.nearer)
        head_x = x - (pivot[0] + cos * dx - sin * dy)
        head_y = y - (pivot[1] + sin * dx + cos * dy)
        # Parts nearer to the camera move further when the head turns.
        radius = ((x - middle[0]) / (0.62 * unit)) ** 2 + ((y - middle[1]) / (0.8 * unit)) ** 2
        relief = 0.55 * unit * np.clip(1 - radius / 1.6, 0, 1) ** 1.5
        head_x = head_x + moment.yaw * relief
        head_y = head_y + moment.pitch * relief
        rise = 0.5 * BREATH_RISE * unit * moment.breath
        body_x = 0.3 * moment.across * unit + 0.004 * moment.breath * (x - chin[0])
        body_y = 0.3 * moment.down * unit - rise
        moved = np.stack(((1 - torso) * head_x + torso * body_x, (1 - torso) * head_y + torso * body_y), axis=-1)
        moved = moved.astype(np.float32) + (self._origin + shift).astype(np.float32)
        warp = cv2.resize(moved, self._size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.subtract(self._identity, warp, out=warp), dtype=np.float32)
