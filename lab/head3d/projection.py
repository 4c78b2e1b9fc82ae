"""Where a turned relief appears in the picture: a backward map on a coarse grid."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from lab.arrays import Floats, Floats32
from lab.head3d.surface import Relief

#: Pixels of the picture between nodes of the map.
STEP: Final = 8
#: Pivot of the neck's turns, canonical (x, y, z).
_PIVOT: Final = np.array([0.0, 0.55, -0.2])
#: Most rounds of the search for the point that is seen at a node.
_ROUNDS: Final = 5


@dataclass(frozen=True)
class View:
    """The camera: pixels per face height at the face, the pixel (x, y) of its middle, and its distance."""

    face_px: float
    centre: tuple[float, float]
    distance: float


def turn_of(pose: Floats) -> Floats:
    """Rotation matrix (3, 3) of a pose (6,): roll, then pitch, then yaw. Positive pitch lowers the face."""
    (sp, sy, sr), (cp, cy, cr) = np.sin(pose[:3]), np.cos(pose[:3])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(yaw @ pitch @ roll, np.float64)


class Projector:
    """Maps of the texture of a relief for the poses of successive frames."""

    def __init__(self, view: View, relief: Relief, size: tuple[int, int], pivot: Floats = _PIVOT) -> None:
        self._view, self._relief, self._size, self._pivot = view, relief, size, pivot.astype(np.float32)

    def window(self, pose: Floats) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in pixels of the part of the picture that the relief can cover, within it."""
        left, top, right, bottom = self._relief.bounds
        corners = np.array([[x, y] for x in (left, right) for y in (top, bottom)], np.float32)
        # At depth 0 and at the surface's nearest: the relief is between both.
        ends = [
            self._appear(corners, np.full(4, depth, np.float32), pose)
            for depth in (0.0, float(self._relief.depth.max()))
        ]
        seen = np.concatenate(ends) * self._view.face_px + self._view.centre
        low, high = np.floor(seen.min(axis=0)) - 1, np.ceil(seen.max(axis=0)) + 2
        width, height = self._size
        return (
            int(np.clip(low[0], 0, width)), int(np.clip(low[1], 0, height)),
            int(np.clip(high[0], 0, width)), int(np.clip(high[1], 0, height)),
        )  # fmt: skip

    def maps(self, pose: Floats, window: tuple[int, int, int, int]) -> Floats32:
        """Texture positions (h, w, 2) that are seen at the pixels of a window."""
        left, top, right, bottom = window
        columns, rows = -(-(right - left) // STEP) + 1, -(-(bottom - top) // STEP) + 1
        # `resize` puts the nodes half a step later: half a pixel less here and half a step more below.
        u = (left - 0.5 + STEP * np.arange(columns, dtype=np.float32))[None]
        v = (top - 0.5 + STEP * np.arange(rows, dtype=np.float32))[:, None]
        px, (cx, cy) = self._view.face_px, self._view.centre
        goal = np.stack(np.broadcast_arrays((u - cx) / px, (v - cy) / px), axis=-1).reshape(-1, 2).astype(np.float32)
        guess = goal - pose[3:5].astype(np.float32)
        for _ in range(_ROUNDS):
            miss = goal - self._appear(guess, self._depth(guess), pose)
            guess = guess + miss
            if float(np.abs(miss).max()) * px < 0.05:
                break
        texture = guess * np.float32(self._relief.face_px) + (
            np.array(self._relief.origin, np.float32) - np.float32(0.5)
        )
        fine = cv2.resize(
            texture.reshape(rows, columns, 2), (columns * STEP, rows * STEP), interpolation=cv2.INTER_LINEAR
        )
        half = STEP // 2
        return np.ascontiguousarray(fine[half : half + bottom - top, half : half + right - left], np.float32)

    def _appear(self, points: Floats32, depth: Floats32, pose: Floats) -> Floats32:
        """Where canonical points (k, 2) at these depths (k,) appear, in face heights from the view's centre."""
        distance = np.float32(self._view.distance)
        space = np.empty((len(points), 3), np.float32)
        space[:, :2] = points * (1 - depth / distance)[:, None]  # the portrait itself was seen in perspective
        space[:, 2] = depth
        moved = (space - self._pivot) @ turn_of(pose).T.astype(np.float32) + self._pivot + pose[3:].astype(np.float32)
        return np.asarray(
            moved[:, :2] * (distance / np.maximum(distance - moved[:, 2], 0.3 * distance))[:, None], np.float32
        )

    def _depth(self, points: Floats32) -> Floats32:
        """Depth (k,) of the relief at canonical points (k, 2)."""
        depth, (left, top, right, bottom) = self._relief.depth, self._relief.bounds
        rows, columns = depth.shape
        x = (points[:, 0] - np.float32(left)) * np.float32(columns / (right - left)) - np.float32(0.5)
        y = (points[:, 1] - np.float32(top)) * np.float32(rows / (bottom - top)) - np.float32(0.5)
        seen = cv2.remap(depth, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen[0], np.float32)
