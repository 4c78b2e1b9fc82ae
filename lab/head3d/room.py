"""The room behind the person, drawn from nothing: walls, windows, shelves, plants and pictures."""

import cv2
import numpy as np

from lab.arrays import Floats32
from lab.world.conditions import Conditions


def room_of(conditions: Conditions) -> Floats32:
    """Light (h, w, 3) that a room reflects to the camera in its usual light."""
    width, height = conditions.size
    rng = conditions.rng("head3d/room")
    canvas = _wall(rng, width, height)
    for paint, chance in ((_window, 0.3), (_shelves, 0.35), (_frames, 0.4), (_plant, 0.3), (_door, 0.2)):
        if rng.random() < chance:
            paint(rng, canvas)
    # Webcams focus on the person.
    blurred = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.002, 0.012)) * height + 0.3)
    grain = rng.standard_normal((height // 2, width // 2)).astype(np.float32)
    texture = cv2.resize(cv2.GaussianBlur(grain, (0, 0), 1.0), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(blurred * (1 + 0.04 * texture[..., None]), 0.002, 1.2), np.float32)


def scenery_of(conditions: Conditions) -> Floats32:
    """A virtual background (h, w, 3) in linear light: sky, hills and a lawn, or a plain studio's gradient."""
    width, height = conditions.size
    rng = conditions.rng("head3d/scenery")
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    top, bottom = rng.uniform(0.1, 0.9, 3), rng.uniform(0.05, 0.7, 3)
    canvas = np.ascontiguousarray((top * (1 - down) + bottom * down + np.zeros((1, width, 1))).astype(np.float32))
    across = np.arange(width)
    for layer in range(int(rng.integers(0, 4))):
        ridge = height * (0.4 + 0.15 * layer) + 0.06 * height * np.sin(
            across / width * rng.uniform(3, 14) + rng.uniform(0, 6)
        )
        outline = np.concatenate([np.stack([across, ridge], axis=1), [[width, height], [0, height]]])
        cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], (rng.uniform(0.03, 0.5, 3)).tolist())
    return canvas


def _wall(rng: np.random.Generator, width: int, height: int) -> Floats32:
    colour = rng.uniform(0.12, 0.6) * (1 + 0.12 * rng.standard_normal(3))
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lamp = rng.uniform(-1.6, 1.6, 2)
    near = 1 / (1 + 0.25 * ((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2))
    return np.ascontiguousarray((near / near.mean())[..., None] * np.clip(colour, 0.03, 0.9), np.float32)


def _colour(rng: np.random.Generator, low: float = 0.02, high: float = 0.5) -> list[float]:
    return [float(value) for value in rng.uniform(low, high) * rng.uniform(0.4, 1.3, 3)]


def _box(rng: np.random.Generator, canvas: Floats32, smallest: float, largest: float) -> tuple[int, int, int, int]:
    height, width = canvas.shape[:2]
    side_x, side_y = (int(rng.uniform(smallest, largest) * side) for side in (width, height))
    return int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(-0.1, 0.5) * height), side_x, side_y


def _window(rng: np.random.Generator, canvas: Floats32) -> None:
    x, y, across, down = _box(rng, canvas, 0.15, 0.4)
    bright = rng.uniform(0.6, 1.1)
    cv2.rectangle(canvas, (x, y), (x + across, y + down), [0.9 * bright, 0.97 * bright, bright], -1)
    for part in (x, x + across // 2, x + across):
        cv2.line(canvas, (part, y), (part, y + down), [0.35, 0.35, 0.33], max(2, across // 30))
    for part in (y, y + down // 2, y + down):
        cv2.line(canvas, (x, part), (x + across, part), [0.35, 0.35, 0.33], max(2, across // 30))


def _shelves(rng: np.random.Generator, canvas: Floats32) -> None:
    x, y, across, down = _box(rng, canvas, 0.25, 0.6)
    wood = _colour(rng, 0.08, 0.35)
    for row in range(3):
        base = y + (row + 1) * down // 3
        place = x
        while place < x + across:
            thick, tall = int(rng.uniform(0.02, 0.06) * across) + 2, int(rng.uniform(0.5, 0.9) * down / 3)
            cv2.rectangle(canvas, (place, base - tall), (place + thick, base), _colour(rng), -1)
            place += thick + int(rng.random() < 0.15) * thick
        cv2.rectangle(canvas, (x, base), (x + across, base + max(2, down // 40)), wood, -1)


def _frames(rng: np.random.Generator, canvas: Floats32) -> None:
    for _ in range(int(rng.integers(1, 4))):
        x, y, across, down = _box(rng, canvas, 0.08, 0.2)
        cv2.rectangle(canvas, (x, y), (x + across, y + down), _colour(rng, 0.02, 0.2), -1)
        inset = max(2, across // 12)
        cv2.rectangle(
            canvas, (x + inset, y + inset), (x + across - inset, y + down - inset), _colour(rng, 0.2, 0.6), -1
        )


def _plant(rng: np.random.Generator, canvas: Floats32) -> None:
    height, width = canvas.shape[:2]
    foot = np.array([rng.uniform(0, 1) * width, rng.uniform(0.6, 1.0) * height])
    for _ in range(30):
        leaf = foot + rng.standard_normal(2) * [0.06 * width, 0.12 * height] - [0, 0.15 * height]
        axes = (int(rng.uniform(0.01, 0.03) * width) + 2, int(rng.uniform(0.03, 0.07) * height) + 2)
        green = [0.03 + 0.06 * rng.random(), 0.1 + 0.2 * rng.random(), 0.02 + 0.05 * rng.random()]
        centre = (round(float(leaf[0])), round(float(leaf[1])))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(-60, 60)), 0, 360, green, -1)


def _door(rng: np.random.Generator, canvas: Floats32) -> None:
    height, width = canvas.shape[:2]
    x, across = int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(0.15, 0.25) * width)
    cv2.rectangle(canvas, (x, int(0.08 * height)), (x + across, height), _colour(rng, 0.1, 0.6), -1)
