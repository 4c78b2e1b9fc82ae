"""PhysNet: a 3-D convolutional encoder and decoder in time on crops of the face.

Yu, Li, Zhao 2019, "Remote photoplethysmograph signal measurement from facial videos using spatio-temporal
networks", BMVC.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.models.session import Network
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Traces

#: Side of the network's input, pixels.
SIDE: Final = 32
#: The number of frames is a multiple of this: the network halves time twice and doubles it again.
STEP: Final = 4
#: Samples of the wave that one run gives, and frames before and after them that it reads: the receptive field reaches
#: 26 frames to each side.
CHUNK: Final = 256
HALO: Final = 28


def estimate(traces: Traces, network: Network) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the face crops, standardised, rising with blood volume."""
    n = len(traces.crops)
    small = np.stack([cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for crop in traces.crops])
    frames = small.astype(np.float32)
    frames -= frames.mean(axis=(0, 1, 2))
    frames /= frames.std(axis=(0, 1, 2)) + np.float32(1e-4)
    frames = np.concatenate((frames, np.repeat(frames[-1:], -n % STEP, axis=0)))
    tensor = np.ascontiguousarray(frames.transpose(3, 0, 1, 2))[None]
    parts = []
    # In chunks: the first layers keep sixteen feature maps of every frame.
    for start in range(0, len(frames), CHUNK):
        low, high = max(0, start - HALO), min(len(frames), start + CHUNK + HALO)
        answer = network(tensor[:, :, low:high])
        parts.append(answer[start - low : start - low + CHUNK])
    wave = np.concatenate(parts)[:n].astype(np.float64)
    return to_pulse_wave(wave, traces.fs)
