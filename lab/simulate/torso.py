"""Shoulders for a portrait that ends at the neck: a plain garment below the picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate import face_regions
from lab.simulate.optics import Image

#: How far below and beside the face's middle a portrait must reach, in face heights, to fill a webcam's picture.
BELOW, BESIDE = 1.75, 1.7

#: Linear RGB of a navy sweater, for a picture that shows too little of the person's own clothes.
GARMENT = (0.035, 0.06, 0.12)


def with_shoulders(
    linear: Image, matte: Image, landmarks: NDArray[np.float64], unit: float, below: float = BELOW
) -> tuple[Image, Image, NDArray[np.float64]]:
    """Picture (h, w, 3), matte (h, w) and mesh (478, 2), with shoulders added where the picture is too short.

    unit   height of the face in pixels
    below  how far below the face's middle the picture must reach, in face heights
    """
    middle = (landmarks[face_regions.FOREHEAD] + landmarks[face_regions.CHIN]) / 2
    height, width = matte.shape
    missing = int(np.ceil(middle[1] + below * unit)) - height
    if missing <= 0:
        return linear, matte, landmarks
    left = max(0, int(np.ceil(BESIDE * unit - middle[0])))
    right = max(0, int(np.ceil(middle[0] + BESIDE * unit)) - width)
    shift = np.array([left, 0.0])

    def padded(image: Image) -> Image:
        return np.asarray(cv2.copyMakeBorder(image, 0, missing, left, right, cv2.BORDER_REPLICATE), dtype=np.float32)

    inside = np.zeros((height, width), dtype=np.float32)
    edge = max(2, round(0.05 * unit))
    inside[:-edge, edge:-edge] = 1
    inside[: round(landmarks[face_regions.CHIN, 1]), :] = 1
    inside = np.asarray(
        cv2.copyMakeBorder(inside, 0, missing, left, right, cv2.BORDER_CONSTANT, value=(0,)), dtype=np.float32
    )
    inside = np.asarray(cv2.GaussianBlur(inside, (0, 0), 0.03 * unit), dtype=np.float32)
    points = landmarks + shift
    body, cover = _shoulders(
        (width + left + right, height + missing), points, unit, _garment(linear, matte, landmarks, unit)
    )
    upper = padded(matte) * inside
    picture = body + upper[..., None] * (padded(linear) - body)
    return picture.astype(np.float32), np.maximum(upper, cover), points


def _garment(linear: Image, matte: Image, landmarks: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    """Linear RGB (3,) of the clothes at the picture's lower edge, away from the neck; `GARMENT` if too few show."""
    height, width = matte.shape
    rows = slice(max(0, height - round(0.15 * unit)), height)
    x = np.arange(width)[None, :]
    away = np.abs(x - landmarks[face_regions.CHIN, 0]) > 0.35 * unit
    clothes = linear[rows][(matte[rows] > 0.9) & away]
    enough = len(clothes) > 0.05 * unit**2
    return np.asarray(np.median(clothes, axis=0) if enough else GARMENT, dtype=np.float64)


def _shoulders(
    size: tuple[int, int], landmarks: NDArray[np.float64], unit: float, colour: NDArray[np.float64]
) -> tuple[Image, Image]:
    """Picture (h, w, 3) and matte (h, w) of a torso."""
    chin_x, chin_y = landmarks[face_regions.CHIN].tolist()
    half = np.array(
        [(0.30, 0.10), (0.34, 0.34), (0.62, 0.46), (0.98, 0.62), (1.14, 0.86), (1.20, 1.3), (1.22, 3.0), (1.22, 9.0)]
    )
    outline = np.concatenate([half, half[::-1] * (-1, 1)]) * unit + (chin_x, chin_y)
    cover = face_regions.polygon(outline, size, 0.02 * unit)
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    across, down = (x - chin_x) / (1.2 * unit), (y - chin_y) / unit
    rng = np.random.default_rng(11)
    folds = cv2.GaussianBlur(rng.standard_normal((size[1], size[0])), (0, 0), 0.09 * unit) * 0.09 * unit
    weave = cv2.GaussianBlur(rng.standard_normal((size[1], size[0])), (0, 0), 0.8)
    shade = (1.1 - 0.45 * across**2 - 0.1 * down) * (1 + 0.35 * folds + 0.06 * weave)
    return (np.clip(shade, 0.15, 2)[..., None] * colour).astype(np.float32), cover
