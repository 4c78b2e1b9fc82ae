"""Age and gender by DeepFace's clients, on our own crops of the face: what its `detector_backend="skip"` is for."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.portraits import Portrait
from workers.media.downscale import downsample, octaves
from workers.models.session import Runner
from workers.models.vggface import SIDE

Floats = NDArray[np.float32]

# Both corners of either eye, right and left of the subject.
_EYES: Final = ((33, 133), (263, 362))
# A probability nearer to 0 or 1 than this says no more than this does.
_LEAST: Final = 1e-4


def ages(portraits: Sequence[Portrait], network: Runner) -> Floats:
    """The apparent age in years (n,) of each of n portraits: the mean of the client's distribution over 0 to 100."""
    return np.asarray(network(faces(portraits))[:, 0], np.float32)


def log_odds_male(portraits: Sequence[Portrait], network: Runner) -> Floats:
    """The logarithm (n,) of the odds of man against woman for each of n portraits."""
    woman, man = np.clip(network(faces(portraits)), _LEAST, 1.0).T
    return np.asarray(np.log(man / woman), np.float32)


def faces(portraits: Sequence[Portrait]) -> Floats:
    """(n, 224, 224, 3) BGR from 0 to 1: as DeepFace's own preparation leaves a face that a detector has boxed."""
    return np.stack([_face(portrait) for portrait in portraits])


def _face(portrait: Portrait) -> Floats:
    """The box of the face's mesh with the eyes level, as large as fits, and black beside it."""
    rgb, points = portrait.rgb, portrait.landmarks.astype(np.float64)
    right, left = (points[list(eye)].mean(axis=0) for eye in _EYES)
    across = (left - right) / max(float(np.hypot(*(left - right))), 1e-6)
    level = np.array([[across[0], across[1]], [-across[1], across[0]]])
    upright = points @ level.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    size = np.maximum(high - low, 1.0)
    times = octaves(float(size.max()) / SIDE, 2.0)
    if times:
        rgb = downsample(rgb, times)
    # A pixel's centre, not its corner, is what shrinks onto the smaller picture.
    step = 1 << times
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
