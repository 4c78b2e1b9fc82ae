"""Age and gender by DeepFace's models, on this project's crops of the face (`detector_backend="skip"`)."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.portraits import Portrait
from workers.media.downscale import downsample, octaves
from workers.models.session import Runner
from workers.models.vggface import SIDE

#: Mesh points at both corners of the subject's right and left eye.
_EYES: Final = ((33, 133), (263, 362))
#: Probabilities are clipped to at least this before the logarithm.
_MIN_PROBABILITY: Final = 1e-4


def predict_ages(portraits: Sequence[Portrait], network: Runner) -> NDArray[np.float32]:
    """Return the apparent age (n,) in years of n portraits: the mean of the distribution over 0 to 100."""
    return np.asarray(network(network_input(portraits))[:, 0], np.float32)


def predict_log_odds_male(portraits: Sequence[Portrait], network: Runner) -> NDArray[np.float32]:
    """Return the log-odds (n,) of man against woman for n portraits."""
    woman, man = np.clip(network(network_input(portraits)), _MIN_PROBABILITY, 1.0).T
    return np.asarray(np.log(man / woman), np.float32)


def network_input(portraits: Sequence[Portrait]) -> NDArray[np.float32]:
    """Return (n, 224, 224, 3) BGR in [0, 1], as DeepFace prepares the box of a detected face."""
    return np.stack([_face(portrait) for portrait in portraits])


def _face(portrait: Portrait) -> NDArray[np.float32]:
    """Crop the box of the mesh with the eyes level, scaled to fit, on black."""
    rgb, points = portrait.rgb, portrait.landmarks.astype(np.float64)
    right, left = (points[list(eye)].mean(axis=0) for eye in _EYES)
    across = (left - right) / max(float(np.hypot(*(left - right))), 1e-6)
    level = np.array([[across[0], across[1]], [-across[1], across[0]]])
    upright = points @ level.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    size = np.maximum(high - low, 1.0)
    n_octaves = octaves(float(size.max()) / SIDE, 2.0)
    if n_octaves:
        rgb = downsample(rgb, n_octaves)
    # Coordinates refer to pixel centres, hence the half pixel.
    step = 1 << n_octaves
    scale = SIDE / float(size.max())
    turned = scale * step * level
    middle = (level.T @ ((low + high) / 2) + 0.5) / step - 0.5
    place = np.column_stack([turned, (SIDE - 1) / 2 - turned @ middle])
    face = cv2.warpAffine(rgb, place, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    margin = np.rint((SIDE - scale * size) / 2).astype(int)
    black = np.zeros_like(face)
    inside = np.s_[margin[1] : SIDE - margin[1], margin[0] : SIDE - margin[0]]
    black[inside] = face[inside]
    return np.asarray(black[..., ::-1] / np.float32(255.0), np.float32)
