"""A portrait drawn into the scene.

Pulse, shading and eyelids are applied to the portrait, then one smooth warp moves head, torso and breath.
"""

import cv2
import numpy as np

from lab.simulate.optics import Image, pulsation
from lab.simulate.portrait import PortraitLayers, region, with_lids
from lab.simulate.posture import Moment
from lab.simulate.shading import shading
from lab.simulate.warp import Warp

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
        rows, columns = region(portrait.face)
        self._base = np.ascontiguousarray(portrait.linear[rows, columns])
        perfusion = portrait.perfusion[rows, columns]
        blood = strength * pulsation(self._base, perfusion, skin_tone)
        middle = float(portrait.centre[1])
        y = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None, None] - middle) / portrait.face_height
        self._blood, self._late_blood = blood, blood * y * np.float32(TRANSIT_S)
        self._turned = shading(portrait, LIGHT_FROM)
        self._canvas = np.dstack([portrait.linear, portrait.matte]).astype(np.float32)
        self._warp = Warp(portrait, size, place)

    def paint(self, behind: Image, moment: Moment) -> Image:
        """The scene (h, w, 3) linear light: the person at `moment` in front of `behind`."""
        rows, columns = region(self._portrait.face)
        face: cv2.typing.MatLike = with_lids(self._base, self._portrait, moment.lids)
        face = cv2.scaleAdd(self._blood, -moment.pulse, face)
        face = cv2.scaleAdd(self._late_blood, moment.pulse_speed, face)
        face = cv2.scaleAdd(self._turned.yaw, moment.yaw, face)
        face = cv2.scaleAdd(self._turned.pitch, moment.pitch, face)
        self._canvas[rows, columns, :3] = face
        placed = self._warp.draw(self._canvas, moment)
        picture = behind.copy()
        part = picture[placed.rows, placed.columns]
        part[:] = cv2.blendLinear(placed.colour, part, placed.matte, np.subtract(1, placed.matte))
        return picture
