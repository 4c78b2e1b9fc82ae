"""Blinks and speech in a relief's texture, drawn before the first frame in steps."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from lab.arrays import Floats32
from lab.head3d.surface import Relief
from lab.world.conditions import Conditions

#: Upper and lower lid of both eyes, from the outer corner to the inner one.
_EYES: Final = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
)
#: Inner edges of the lips, from one corner of the mouth to the other.
_UPPER_LIP: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER_LIP: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
#: Steps from open to closed eyes, and from a closed to a wide open mouth.
_LID_STEPS, _JAW_STEPS = 8, 20
#: Drop of the lower lip of a wide open mouth, face heights.
_DROP: Final = 0.085
_MOUTH, _TEETH = (0.035, 0.008, 0.008), (0.34, 0.31, 0.25)


@dataclass(frozen=True)
class _Patches:
    """A part of the texture, at `left` and `top`, in steps of its change."""

    left: int
    top: int
    steps: tuple[Floats32, ...]

    def paste(self, texture: Floats32, share: float) -> None:
        patch = self.steps[round(share * (len(self.steps) - 1))]
        texture[self.top : self.top + patch.shape[0], self.left : self.left + patch.shape[1], :3] = patch


class Expression:
    """The texture of a face that blinks and talks."""

    def __init__(self, relief: Relief, conditions: Conditions) -> None:
        self._texture = np.dstack([relief.albedo, relief.alpha])
        self._eyes = [_lids(relief, upper, lower) for upper, lower in _EYES]
        self._mouth = _lips(relief) if conditions.talking > 0 else None
        self._shown = (0, 0)

    def albedo(self, jaw: float, lids: float) -> Floats32:
        """Albedo and cover (h, w, 4) with the mouth open by `jaw` and the eyes closed by `lids`, both in [0, 1]."""
        shown = round(jaw * _JAW_STEPS), round(lids * _LID_STEPS)
        if shown != self._shown:
            if self._mouth is not None:
                self._mouth.paste(self._texture, jaw)
            for eye in self._eyes:
                eye.paste(self._texture, lids)
            self._shown = shown
        return self._texture


def _points(relief: Relief, landmarks: tuple[int, ...]) -> Floats32:
    return np.asarray(relief.mesh[list(landmarks)] * relief.face_px + relief.origin, np.float32)


def _lids(relief: Relief, upper_points: tuple[int, ...], lower_points: tuple[int, ...]) -> _Patches:
    """Lids of skin that come down over an eye."""
    upper, lower = _points(relief, upper_points), _points(relief, lower_points)
    margin = 0.02 * relief.face_px + 1
    both = np.concatenate([upper, lower])
    left, top = np.floor(both.min(axis=0) - margin).astype(int).clip(0)
    right, bottom = np.ceil(both.max(axis=0) + margin).astype(int)
    open_eye = relief.albedo[top:bottom, left:right].copy()
    middle = upper[len(upper) // 2]
    above = round(float(middle[1]) - 0.03 * relief.face_px)
    reach = max(1, round(0.012 * relief.face_px))
    patch = relief.albedo[
        max(above - reach, 0) : above + reach, max(int(middle[0]) - 2 * reach, 0) : int(middle[0]) + 2 * reach
    ]
    skin = np.median(patch.reshape(-1, 3), axis=0) * 0.93
    corner, fine = np.array([left, top]), 16.0
    steps = [open_eye]
    for step in range(1, _LID_STEPS + 1):
        edge = upper + (lower - upper) * (step / _LID_STEPS)
        outline = np.concatenate([upper - (0, 0.3 * margin), edge[::-1]]) - corner
        cover = np.zeros(open_eye.shape[:2], np.uint8)
        cv2.fillPoly(cover, [np.round(outline * fine).astype(np.int32)], (255,), cv2.LINE_AA, 4)
        lashes = np.zeros_like(cover)
        thick = max(1, round(0.008 * relief.face_px))
        cv2.polylines(lashes, [np.round((edge - corner) * fine).astype(np.int32)], False, (150,), thick, cv2.LINE_AA, 4)
        share = cv2.GaussianBlur(cover, (0, 0), 0.5)[..., None] / np.float32(255)
        lid = open_eye * (1 - share) + skin.astype(np.float32) * share
        steps.append(np.asarray(lid * (1 - 0.8 * lashes[..., None] / np.float32(255)), np.float32))
    return _Patches(int(left), int(top), tuple(steps))


def _lips(relief: Relief) -> _Patches:
    """The lower face with a jaw that drops: lips part, teeth and the dark mouth appear, the chin follows."""
    px = relief.face_px
    upper, lower = _points(relief, _UPPER_LIP), _points(relief, _LOWER_LIP)
    height, width = relief.alpha.shape
    middle, corner_left, corner_right = float(upper[5, 0]), float(upper[0, 0]), float(upper[-1, 0])
    line_points = (upper + lower) / 2
    left, right = max(0, int(middle - 0.36 * px)), min(width, int(middle + 0.36 * px))
    top, bottom = (
        max(0, int(line_points[:, 1].min() - 0.02 * px)),
        min(height, int(line_points[:, 1].max() + 0.45 * px)),
    )
    x = np.arange(left, right, dtype=np.float32)[None] + np.zeros((bottom - top, 1), np.float32)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.zeros((1, right - left), np.float32)
    order = np.argsort(line_points[:, 0])
    line = np.interp(x[0], line_points[order, 0], line_points[order, 1]).astype(np.float32)[None]
    half = max((corner_right - corner_left) / 2, 1.0)
    gap = np.clip(1 - ((x - (corner_left + corner_right) / 2) / half) ** 2, 0, 1) ** 0.7
    wide = np.clip(1 - ((x - middle) / (0.36 * px)) ** 2, 0, 1)
    steps = [relief.albedo[top:bottom, left:right].copy()]
    for step in range(1, _JAW_STEPS + 1):
        drop = _DROP * px * step / _JAW_STEPS
        source = y - drop * gap
        for _ in range(5):
            below = np.clip((source - line) / (0.14 * px), 0, 1)
            fade = np.clip((bottom - source) / (0.2 * px), 0, 1)
            source = y - drop * (gap * (1 - below) + wide * below) * fade
        inside = np.clip(line - source + 0.5, 0, 1) * np.clip(y - line + 0.5, 0, 1) * (gap > 0.05)
        seen = np.where(y < line, y, np.maximum(source, line))
        moved = cv2.remap(relief.albedo, x, seen.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        teeth = np.clip(1 - np.abs(y - line - 0.2 * drop) / (0.22 * drop + 0.3), 0, 1)[..., None]
        mouth = (1 - teeth) * np.array(_MOUTH) + teeth * np.array(_TEETH)
        steps.append(np.asarray(moved * (1 - inside[..., None]) + mouth * inside[..., None], np.float32))
    return _Patches(left, top, tuple(steps))
