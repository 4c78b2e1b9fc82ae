"""ME-rPPG: a state-space network on crops of the face, in windows of about five seconds.

Wang, Tang, Fan, Ji, Shi, Wang 2025, "Memory-efficient low-latency remote photoplethysmography through temporal-spatial
state space duality", arXiv 2504.01774.
"""

from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.models.session import Network
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Crops, Traces, scale_of

#: Side of the network's input, pixels.
SIDE: Final = 36
#: Frames of a window in training; a clip is divided into equal windows of about this length.
WINDOW: Final = 160
#: Rows and columns of a crop that the network sees, as shares of its side: the box of the mesh, which the network was
#: trained on, and a margin (docs/models/me_rppg.md).
ROWS: Final = (0.06, 0.94)
COLUMNS: Final = (0.11, 0.89)


def estimate(traces: Traces, network: Network) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the face crops, standardised, rising with blood volume."""
    frames = inputs_of(traces.crops)
    edges = np.linspace(0, len(frames), max(1, round(len(frames) / WINDOW)) + 1).astype(int)
    state = np.zeros(int(network.shapes[-1][0]), np.float32)
    parts = []
    for start, stop in pairwise(edges):
        wave, state = np.split(network(frames[start:stop], state), [stop - start])
        parts.append(wave)
    return to_pulse_wave(np.concatenate(parts).astype(np.float64), traces.fs)


def inputs_of(crops: Crops) -> NDArray[np.float32]:
    """Return the network's frames (n, 3, 36, 36), RGB in [0, 1], of face crops (n, h, h, 3)."""
    side = crops.shape[1]
    (top, bottom), (left, right) = ((round(share * side) for share in shares) for shares in (ROWS, COLUMNS))
    faces = crops[:, top:bottom, left:right]
    small = np.stack([cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for face in faces])
    return small.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255 * scale_of(crops))
