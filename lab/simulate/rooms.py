"""Rooms behind the person, drawn and blurred."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate.optics import Image, to_linear, to_srgb


def wall(width: int, height: int, rng: np.random.Generator) -> Image:
    """A painted wall, (h, w, 3) linear light: lit from one side, slightly rough."""
    tint = np.array([0.70, 0.66, 0.60]) + rng.uniform(-0.06, 0.06, 3)
    side = rng.choice([-1.0, 1.0])
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    shade = 1 + 0.13 * side * x - 0.10 * y - 0.06 * (x**2 + y**2)
    rough = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 1.5) * 0.02
    picture = np.clip(tint * (shade + rough)[..., None] * 255, 0, 255)
    return to_linear(picture.astype(np.uint8))


def room(width: int, height: int, rng: np.random.Generator) -> Image:
    """A room, (h, w, 3) linear light: wall, window or picture, a shelf of books, a plant.

    It is blurred as by a lens that is focused on the person.
    """
    canvas = np.ascontiguousarray(_srgb(wall(width, height, rng)))
    unit = height / 480
    left = bool(rng.integers(2))
    shelf_x = int(width * (0.02 if left else 0.72))
    shelf = (shelf_x, int(0.10 * height), int(0.26 * width), int(0.62 * height))
    _shelf(canvas, shelf, rng)
    frame = (int(width * (0.74 if left else 0.05)), int(0.08 * height), int(0.2 * width), int(0.3 * height))
    _frame(canvas, frame, rng)
    _plant(canvas, int(width * (0.88 if left else 0.13)), int(0.95 * height), unit, rng)
    blurred = cv2.GaussianBlur(canvas, (0, 0), 3.2 * unit)
    return to_linear(np.asarray(blurred, dtype=np.uint8))


def _srgb(linear: Image) -> NDArray[np.uint8]:
    return np.asarray(np.round(to_srgb(linear) * 255), dtype=np.uint8)


def _shelf(canvas: NDArray[np.uint8], box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    x, y, w, h = box
    wood = np.array([118, 88, 62]) + rng.integers(-15, 16, 3)
    cv2.rectangle(canvas, (x, y), (x + w, y + h), tuple(int(v) for v in wood * 0.55), -1)
    boards = 4
    for board in range(boards):
        top, bottom = y + board * h // boards, y + (board + 1) * h // boards
        left = x + 4
        while left < x + w - 10:
            thick = int(rng.integers(max(5, w // 22), max(8, w // 9)))
            tall = int((bottom - top) * rng.uniform(0.55, 0.88))
            colour = rng.choice(
                [[150, 60, 50], [60, 80, 120], [190, 180, 160], [70, 100, 75], [200, 160, 90], [50, 50, 55]]
            )
            colour = np.clip(colour + rng.integers(-20, 21, 3), 0, 255)
            cv2.rectangle(
                canvas, (left, bottom - tall), (min(left + thick, x + w - 4), bottom), tuple(int(v) for v in colour), -1
            )
            left += thick + int(rng.integers(0, 3)) + (thick * 2 if rng.uniform() < 0.12 else 0)
        cv2.rectangle(canvas, (x, bottom - 5), (x + w, bottom), tuple(int(v) for v in wood), -1)


def _frame(canvas: NDArray[np.uint8], box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    x, y, w, h = box
    cv2.rectangle(canvas, (x, y), (x + w, y + h), (92, 74, 58), -1)
    edge = max(4, w // 16)
    inner = canvas[y + edge : y + h - edge, x + edge : x + w - edge]
    sky = np.linspace([150, 180, 205], [215, 205, 185], inner.shape[0])[:, None]
    inner[:] = np.clip(sky + rng.integers(-12, 13, 3), 0, 255)
    hills = inner.shape[0] * (
        0.62 + 0.1 * np.sin(np.linspace(0, rng.uniform(4, 7), inner.shape[1]) + rng.uniform(0, 6))
    )
    inner[np.arange(inner.shape[0])[:, None] > hills] = (84, 112, 82)


def _plant(canvas: NDArray[np.uint8], x: int, y: int, unit: float, rng: np.random.Generator) -> None:
    pot = np.array(
        [[x - 26 * unit, y - 60 * unit], [x + 26 * unit, y - 60 * unit], [x + 19 * unit, y], [x - 19 * unit, y]]
    )
    for _ in range(26):
        angle = rng.uniform(-1.25, 1.25)
        reach = rng.uniform(50, 120) * unit
        tip = (int(x + np.sin(angle) * reach), int(y - 60 * unit - np.cos(angle) * reach))
        green = (int(rng.integers(40, 80)), int(rng.integers(90, 140)), int(rng.integers(45, 75)))
        middle = ((x + tip[0]) // 2, int((y - 60 * unit + tip[1]) / 2))
        axes = (int(reach / 2), int(7 * unit))
        cv2.ellipse(canvas, middle, axes, float(np.degrees(angle)) - 90, 0, 360, green, -1)
    cv2.fillPoly(canvas, [pot.astype(np.int32)], (165, 105, 80))
