"""TS-CAN: two-branch attention network with temporal shifts, on differences of face crops.

Liu, Fromm, Patel, McDuff 2020, "Multi-task temporal shift attention networks for on-device contactless vitals
measurement", NeurIPS 33.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.models.session import Network
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Traces, scale_of

#: Side of the network's input, pixels.
SIDE: Final = 36
#: Frames of one run: a multiple of `SEGMENT`, few enough that the network's feature maps stay small.
CHUNK: Final = 160
#: Frames within which the network shifts features in time.
SEGMENT: Final = 20


def estimate(traces: Traces, network: Network) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the face crops, rising with blood volume: the integral of the network's output."""
    n = len(traces.crops)
    small = np.stack([cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for crop in traces.crops])
    frames = small.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255 * scale_of(traces.crops))
    appearance = frames.mean(axis=0, keepdims=True)
    motion = np.diff(frames, axis=0, append=frames[-1:])
    motion[-1] = motion[-2] if n > 1 else 0
    motion -= motion.mean(axis=(2, 3), keepdims=True)
    motion /= motion.std(axis=(2, 3), keepdims=True) + np.float32(1e-6)
    motion = np.concatenate((motion, np.repeat(motion[-1:], -n % SEGMENT, axis=0)))
    derivative = np.concatenate(
        [network(motion[start : start + CHUNK], appearance) for start in range(0, len(motion), CHUNK)]
    )
    return to_pulse_wave(np.cumsum(derivative[:n].astype(np.float64)), traces.fs)
