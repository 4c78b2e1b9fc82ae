"""Training pictures for the obstruction network: flat faces with objects drawn over them, and where they are hidden."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.simulate.occluders import draw
from workers.face.occlusion_input import GRID, POINTS, SIDE, fit_affine
from workers.face.portraits import Portrait

#: Pictures made of each portrait, by what is drawn over it; `free` draws nothing.
DRAWN: Final = {"hand": 5, "mask": 2, "phone": 2, "scarf": 2, "hair": 2, "glasses": 1, "beard": 1, "free": 3}
#: Side in pixels of the picture on which objects are drawn.
_DRAWN_SIDE: Final = 112
#: Side of that picture, in sides of the flat face: how much of the surroundings it shows.
_AROUND: Final = 1.35


def is_held_out(index: int) -> bool:
    """Whether the portrait of this number is held out of training: two of every four are."""
    return index // 2 % 2 == 0


def occluded(
    portraits: Sequence[tuple[int, Portrait]],
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """Draw objects over numbered portraits, `sum(DRAWN.values())` pictures of each; the same number gives the same.

    Returns flat faces (64, 64, 3) uint8 RGB, and for each the hidden share of its places (16, 16) in [0, 1].
    """
    pictures: list[NDArray[np.uint8]] = []
    masks: list[NDArray[np.float32]] = []
    for index, portrait in portraits:
        small, mesh = _surroundings(portrait)
        jobs = [kind for kind, count in DRAWN.items() for _ in range(count)]
        for number, kind in enumerate(jobs):
            rng = np.random.default_rng([index, number, 99])
            rgb, mask = small, np.zeros(small.shape[:2], np.float32)
            if kind != "free":
                covered = draw(kind, small, mesh, rng)
                rgb, mask = covered.rgb, covered.mask
            move = _jittered_placement(rng)
            rgb = np.asarray(cv2.warpAffine(rgb, move, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            mask = np.asarray(cv2.warpAffine(mask, move, (SIDE, SIDE)), np.float32)
            pictures.append(camera_noise(rgb, rng))
            masks.append(np.asarray(cv2.resize(mask, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32))
    return pictures, masks


def camera_noise(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """`rgb` (h, w, 3) in other light, softened, with sensor noise; three pictures in ten are returned unchanged."""
    if rng.random() >= 0.7:
        return rgb
    light = np.clip((rgb / 255.0) ** rng.uniform(0.6, 1.6) * rng.uniform(0.75, 1.25) * rng.uniform(0.88, 1.12, 3), 0, 1)
    if rng.random() < 0.5:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(0.3, 1.0)))
    return np.asarray(np.clip(255 * light + rng.normal(0, rng.uniform(0, 5), light.shape), 0, 255), np.uint8)


def _surroundings(portrait: Portrait) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The face with its surroundings (112, 112, 3), and its mesh (478, 2) in that picture."""
    flat = fit_affine(portrait.landmarks[POINTS].astype(np.float64))
    scale = _DRAWN_SIDE / (SIDE * _AROUND)
    shift = np.array([[_DRAWN_SIDE / 2], [_DRAWN_SIDE / 2]]) - scale * SIDE / 2
    place = np.column_stack([scale * flat[:, :2], scale * flat[:, 2:] + shift])
    size = float(np.sqrt(abs(np.linalg.det(place[:, :2]))))
    rgb = portrait.rgb if size >= 0.6 else np.asarray(cv2.GaussianBlur(portrait.rgb, (0, 0), 0.4 / size), np.uint8)
    small = cv2.warpAffine(rgb, place, (_DRAWN_SIDE, _DRAWN_SIDE), borderMode=cv2.BORDER_REPLICATE)
    mesh = np.column_stack([portrait.landmarks, np.ones(len(portrait.landmarks))]) @ place.T
    return np.asarray(small, np.uint8), mesh.astype(np.float32)


def _jittered_placement(rng: np.random.Generator) -> Floats:
    """(2, 3) affine map onto the flat face, off by about as much as a mesh that is fitted to a covered face."""
    angle, size = rng.normal(0, 0.05), np.exp(rng.normal(0, 0.05)) * _AROUND * SIDE / _DRAWN_SIDE
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[:, 1] *= np.exp(rng.normal(0, 0.05))
    centre = np.full(2, _DRAWN_SIDE / 2)
    return np.column_stack([turn, SIDE / 2 + rng.normal(0, 1.6, 2) - turn @ centre])
