"""Texture of skin against paper and screens, by MiniFASNet (Silent-Face-Anti-Spoofing, as DeepFace uses it)."""

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.portraits import Portrait
from workers.models.fasnet_network import SIDE
from workers.models.memory import OutOfMemory
from workers.models.session import Runner

#: Sides of MiniFASNet's crops in sides of the face's box, by the name of the weights.
FASNET: Final = {"fasnet.v2": 2.7, "fasnet.v1se": 4.0}


def texture_log_odds(portraits: Sequence[Portrait], networks: Mapping[str, Runner]) -> float | None:
    """Return the log-odds of a living face, from the median probability over the portraits.

    None where a network is not installed, or runs out of memory.
    """
    if not portraits or any(name not in networks for name in FASNET):
        return None
    try:
        live = float(np.median([live_probability(one.rgb, face_box(one.landmarks), networks) for one in portraits]))
    except OutOfMemory:
        return None
    return float(np.log(max(live, 1e-6) / max(1 - live, 1e-6)))


def live_probability(
    rgb: NDArray[np.uint8], box: tuple[float, float, float, float], networks: Mapping[str, Runner]
) -> float:
    """Return the probability of a living face in `box` (x, y, w, h) of an image `rgb` (h, w, 3)."""
    total = 0.0
    for name, scale in FASNET.items():
        crop = _crop_around(rgb, box, scale)[..., ::-1].astype(np.float32)
        logits = networks[name](np.ascontiguousarray(crop.transpose(2, 0, 1)[None]))[0]
        powers = np.exp(logits - logits.max())
        total += float(powers[1] / powers.sum()) / len(FASNET)
    return total


def face_box(landmarks: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return the box (x, y, w, h) of a mesh `landmarks` (478, 2) as detectors draw it: square, mid-forehead to chin."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    side = 0.9 * float((high - low).max())
    middle = (low + high) / 2
    return float(middle[0]) - side / 2, float(high[1]) - side, side, side


def _crop_around(rgb: NDArray[np.uint8], box: tuple[float, float, float, float], scale: float) -> NDArray[np.uint8]:
    """Return the crop (80, 80, 3) of `scale` times the box, moved and shrunk into the image as in the training."""
    height, width = rgb.shape[:2]
    x, y, w, h = box
    scale = min((height - 1) / h, (width - 1) / w, scale)
    size = np.array([w, h]) * scale
    corner = np.array([x + w / 2, y + h / 2]) - size / 2
    corner = np.clip(corner, 0, np.maximum(np.array([width - 1, height - 1]) - size, 0)).astype(int)
    end = np.minimum(corner + size.astype(int) + 1, (width, height))
    return np.asarray(cv2.resize(rgb[corner[1] : end[1], corner[0] : end[0]], (SIDE, SIDE)), np.uint8)
