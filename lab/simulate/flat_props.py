"""Flat props before the camera: a printed photograph, a clipboard."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.simulate.optics import Image, to_linear
from lab.simulate.physiology import wander
from lab.simulate.portrait import PortraitLayers

#: Linear light of white paper in the room.
PAPER = 0.80


class FlatProp:
    """A flat picture, (h, w, 3) linear light, that hides what is behind it."""

    def __init__(self, picture: Image) -> None:
        opaque = np.ones((*picture.shape[:2], 1), dtype=np.float32)
        self._picture = np.ascontiguousarray(np.concatenate([picture, opaque], axis=2), dtype=np.float32)
        height, width = picture.shape[:2]
        self._corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)

    @property
    def picture(self) -> Image:
        """The picture with its matte, (h, w, 4)."""
        return self._picture

    def paint(self, behind: Image, corners: Floats) -> Image:
        """The scene (h, w, 3) with the prop's `corners` (4, 2) at these pixels, clockwise from top left."""
        height, width = behind.shape[:2]
        left, top = np.clip(np.floor(corners.min(axis=0)) - 1, 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, (width, height)).astype(int)
        picture = behind.copy()
        if right <= left or bottom <= top:
            return picture
        warp = cv2.getPerspectiveTransform(self._corners, (corners - (left, top)).astype(np.float32))
        drawn = np.asarray(cv2.warpPerspective(self._picture, warp, (int(right - left), int(bottom - top))))
        part = picture[top:bottom, left:right]
        part *= 1 - drawn[..., 3:]
        part += drawn[..., :3]
        return picture

    def paint_bent(
        self, behind: Image, centre: Floats, size: tuple[float, float], turn: tuple[float, float], bend: float
    ) -> Image:
        """The scene (h, w, 3) with the sheet bent about its vertical middle line, and shaded by the bend.

        centre  (2,) pixels;  size  (w, h) pixels
        turn    (roll, yaw) in radians;  bend  angle of the edges, in units of 2.2 radians
        """
        roll, yaw = turn
        height, width = behind.shape[:2]
        columns = 16
        along = np.linspace(-1, 1, columns + 1)
        angle = 2.2 * max(bend, 1e-4) * along
        across = np.sin(angle) / (2.2 * max(bend, 1e-4))
        depth = (1 - np.cos(angle)) / (2.2 * max(bend, 1e-4))
        rotation = np.array([(np.cos(roll), np.sin(roll)), (-np.sin(roll), np.cos(roll))])
        far = 1 + 0.4 * (np.sin(yaw) * across + 0.5 * depth)
        edges = []
        for side in (-1.0, 1.0):
            flat = np.stack([across * np.cos(yaw) * size[0] / 2, np.full_like(across, side * size[1] / 2)], axis=1)
            edges.append(centre + (flat / far[:, None]) @ rotation)
        picture = behind.copy()
        own_height, own_width = self._picture.shape[:2]
        for strip in range(columns):
            left, right = strip * own_width / columns, (strip + 1) * own_width / columns
            source = np.array([(left, 0), (right, 0), (right, own_height), (left, own_height)], dtype=np.float32)
            place = np.array([edges[0][strip], edges[0][strip + 1], edges[1][strip + 1], edges[1][strip]])
            low = np.clip(np.floor(place.min(axis=0)) - 1, 0, (width, height)).astype(int)
            high = np.clip(np.ceil(place.max(axis=0)) + 2, 0, (width, height)).astype(int)
            if (high <= low).any():
                continue
            room = (int(high[0] - low[0]), int(high[1] - low[1]))
            warp = cv2.getPerspectiveTransform(source, (place - low).astype(np.float32))
            drawn = np.asarray(cv2.warpPerspective(self._picture, warp, room, borderMode=cv2.BORDER_REPLICATE))
            mask = np.zeros(room[::-1], dtype=np.float32)
            cv2.fillConvexPoly(mask, np.rint((place - low) * 16).astype(np.int32), (1.0,), cv2.LINE_8, 4)
            slope = float(angle[strip] + angle[strip + 1]) / 2
            part = picture[low[1] : high[1], low[0] : high[0]]
            part += mask[..., None] * (drawn[..., :3] * np.float32(1 + 0.35 * np.sin(slope)) - part)
        return picture


def corners_of(centre: Floats, size: tuple[float, float], roll: float, yaw: float) -> Floats:
    """Corners (4, 2) in pixels of a rectangle of `size` (w, h) around `centre`.

    `roll` turns it in the picture plane, `yaw` out of it, both in radians.
    """
    half_w, half_h = size[0] / 2, size[1] / 2
    flat = np.array([(-half_w, -half_h), (half_w, -half_h), (half_w, half_h), (-half_w, half_h)])
    depth = 1 + 0.4 * np.sin(yaw) * flat[:, :1] / half_w
    flat = flat * (np.cos(yaw), 1.0) / depth
    turn = np.array([(np.cos(roll), np.sin(roll)), (-np.sin(roll), np.cos(roll))])
    return np.asarray(centre + flat @ turn, dtype=np.float64)


def photo_print(portrait: PortraitLayers) -> FlatProp:
    """A photographic print of the portrait with a white border."""
    edge = round(0.06 * portrait.face_height)
    # Prints reach neither the black nor the white of the scene.
    ink = 0.03 + 0.85 * PAPER * portrait.photo
    whole = cv2.copyMakeBorder(ink, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(PAPER, PAPER, PAPER))
    return FlatProp(np.asarray(whole, dtype=np.float32))


def clipboard(width: int, height: int) -> FlatProp:
    """A brown clipboard with a sheet of text."""
    picture = np.full((height, width, 3), (124, 86, 54), dtype=np.uint8)
    edge = max(3, width // 20)
    picture[2 * edge : height - edge, edge : width - edge] = (224, 222, 214)
    rng = np.random.default_rng(7)
    for line in range(4 * edge, height - 2 * edge, max(4, height // 16)):
        end = int(width * rng.uniform(0.6, 0.85))
        cv2.line(picture, (3 * edge, line), (end, line), (70, 70, 78), max(1, height // 110))
    middle = width // 2
    cv2.rectangle(picture, (middle - 3 * edge, 0), (middle + 3 * edge, 2 * edge), (150, 152, 156), -1)
    blurred: NDArray[np.uint8] = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), dtype=np.uint8)
    return FlatProp(to_linear(blurred))


def hand_motion(times_s: Floats, spread: float, low_hz: float, high_hz: float, rng: np.random.Generator) -> Floats:
    """Across, down, roll and yaw (n, 4) of a prop in a hand.

    `spread` scales the motion, whose frequencies are between `low_hz` and `high_hz`.
    """
    across, down, roll, yaw = (wander(times_s, low_hz, high_hz, rng) for _ in range(4))
    return np.stack([spread * across, 0.4 * spread * down, 0.8 * spread * roll, 2.5 * spread * yaw], axis=1)
