"""Neck, shoulders and clothes below the head."""

from dataclasses import dataclass

import cv2
import numpy as np

from lab.arrays import Floats, Floats32
from lab.head3d.projection import View
from lab.head3d.surface import BARE, Relief
from lab.world.conditions import Conditions


@dataclass(frozen=True)
class Body:
    """The body as a layer (h, w) of the picture from `left` and `top` pixels on.

    layer  (h, w, 4) albedo times cover, with a cylinder's shade in it, and cover
    """

    layer: Floats32
    left: int
    top: int

    def moved(self, shift: Floats, face_px: float) -> Floats32:
        """The layer after a shift (2,) across and down, face heights."""
        height, width = self.layer.shape[:2]
        matrix = np.array([[1, 0, shift[0] * face_px], [0, 1, shift[1] * face_px]], np.float64)
        moved = cv2.warpAffine(self.layer, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.float32)


def body_of(conditions: Conditions, relief: Relief, view: View, gradient: Floats) -> Body:
    """Draw the body of a person whose head is `relief`; `gradient` (2,) is the light's, a share per face height."""
    width, height = conditions.size
    rng = conditions.rng("head3d/body")
    top = int(np.clip(view.centre[1] + 0.2 * view.face_px, 0, height - 2))
    x = ((np.arange(width, dtype=np.float32) + 0.5 - view.centre[0]) / view.face_px)[None]
    y = ((np.arange(top, height, dtype=np.float32) + 0.5 - view.centre[1]) / view.face_px)[:, None]
    edge = 0.6 / view.face_px  # half a pixel and a bit: soft edges
    neck_half = 0.22 + 0.05 * np.maximum(y - 0.6, 0)
    neck = _inside(neck_half - np.abs(x), edge) * _inside(y - 0.3, edge)
    slope, breadth = float(rng.uniform(0.22, 0.32)), float(rng.uniform(0.85, 1.1))
    line = 0.74 + slope * np.maximum(np.abs(x) - 0.2, 0) ** 1.3 + 2.5 * np.maximum(np.abs(x) - breadth, 0) ** 2
    cloth = _inside(y - line, edge)
    collar = float(rng.uniform(0.05, 0.2))
    opening = _inside((0.22 - np.abs(x)) * collar / 0.22 - (y - line), edge) * _inside(0.22 - np.abs(x), edge)
    cloth = cloth * (1 - opening)
    neck_shade = np.sqrt(np.clip(1 - (x / 0.3) ** 2, 0.15, 1)) * np.clip(0.5 + 1.4 * (y - 0.5), 0.4, 0.95)
    cloth_shade = np.sqrt(np.clip(1 - (x / (breadth + 0.25)) ** 2, 0.12, 1))
    noise = cv2.GaussianBlur(rng.standard_normal((64, 64)).astype(np.float32), (0, 0), 3.0)
    folds = cv2.resize(noise, (width, height - top), interpolation=cv2.INTER_CUBIC)
    folds = np.asarray(folds, np.float32) / max(float(np.std(folds)), 1e-6)
    dye = rng.uniform(0.03, 0.5) * rng.uniform(0.5, 1.2, 3)
    stripes = 1 + rng.choice([0.0, 0.0, 0.25]) * np.sign(np.sin((y if rng.random() < 0.5 else x) * rng.uniform(20, 60)))
    skin = _neck_colour(relief)
    bare = (neck * (1 - cloth))[..., None]
    worn = (cloth * np.ones_like(x))[..., None]
    albedo = bare * neck_shade[..., None] * skin + worn * (cloth_shade * stripes * (1 + 0.07 * folds))[..., None] * dye
    albedo *= np.clip(1 + gradient[0] * x + gradient[1] * y, 0.3, 2.0)[..., None]
    cover = np.clip(bare + worn, 0, 1)[..., 0]
    filled = np.flatnonzero(cover.max(axis=0) > 0)
    left, right = max(0, int(filled[0]) - round(0.3 * view.face_px)), int(filled[-1]) + round(0.3 * view.face_px)
    layer = np.dstack([albedo, cover])[:, left:right]
    return Body(np.ascontiguousarray(layer, np.float32), left, top)


def _inside(distance: Floats32, edge: float) -> Floats32:
    return np.asarray(np.clip(0.5 + distance / (2 * edge), 0, 1), np.float32)


def _neck_colour(relief: Relief) -> Floats:
    """Colour (3,) of the neck's skin: that of cheeks and forehead."""
    x, y = np.round(relief.mesh[list(BARE)] * relief.face_px + relief.origin).astype(int).T
    height, width = relief.alpha.shape
    colours = relief.albedo[y.clip(0, height - 1), x.clip(0, width - 1)]
    return np.asarray(np.median(colours, axis=0), np.float64)
