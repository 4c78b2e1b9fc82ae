"""Change of a face's shading with a turn of the head."""

from dataclasses import dataclass

import numpy as np

from lab.simulate.optics import Image
from lab.simulate.portrait import PortraitLayers, region

#: Light from all around beside a directed light of 1.
AMBIENT = 0.6


@dataclass(frozen=True)
class Shading:
    """Change of light of the pixels `PortraitLayers.face`, (h, w, 3) linear light, per radian of each turn."""

    yaw: Image
    pitch: Image
    roll: Image


def shading(portrait: PortraitLayers, light_from: tuple[float, float, float], ambient: float = AMBIENT) -> Shading:
    """Shading of an ellipsoidal face of Lambertian skin.

    light_from  direction of the main light, of length 1: right, down, towards the viewer
    ambient     light from all around, relative to the main light
    """
    rows, columns = region(portrait.face)
    base = portrait.linear[rows, columns]
    x = (np.arange(columns.start, columns.stop) - portrait.centre[0])[None, :] / (0.62 * portrait.face_height)
    y = (np.arange(rows.start, rows.stop) - portrait.centre[1])[:, None] / (0.75 * portrait.face_height)
    near = np.sqrt(np.maximum(1 - x**2 - y**2, 0.15))
    length = np.sqrt(x**2 + y**2 + near**2)
    nx, ny, nz = x / length, y / length, near / length
    lx, ly, lz = light_from
    lit = np.maximum(nx * lx + ny * ly + nz * lz, 0.25) + ambient
    fade = np.exp(-0.5 * (x**2 + y**2) ** 4) / lit
    turns = (nz * lx - nx * lz, nz * ly - ny * lz, nx * ly - ny * lx)
    return Shading(*((base * (fade * turn)[..., None]).astype(np.float32) for turn in turns))
