"""DeepPhys: motion between face crops, gated by where skin is.

Chen, McDuff 2018, "DeepPhys: video-based physiological measurement using convolutional attention networks", ECCV.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.models.session import Network
from workers.rppg.filters import pulse_wave
from workers.rppg.traces import Traces

#: Frames a run: few enough that the network's maps stay small.
CHUNK: Final = 128


def estimate(traces: Traces, network: Network) -> NDArray[np.float64]:
    """(n,) pulse wave of the face crops, rising with blood volume: the sum of the derivative that the network gives.

    Motion is (c₁ - c₀)/(c₁ + c₀) over the clip's deviation of it; appearance the crops, standardised over the clip.
    """
    side = network_side(network)
    crops = [cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in traces.crops]
    frames = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
    motion = np.zeros_like(frames)
    motion[:-1] = (frames[1:] - frames[:-1]) / (frames[1:] + frames[:-1] + np.float32(1e-7))
    motion /= max(float(motion.std()), 1e-7)
    frames -= frames.mean()
    frames /= max(float(frames.std()), 1e-7)
    derivative = np.concatenate(
        [
            network(motion[start : start + CHUNK], frames[start : start + CHUNK])
            for start in range(0, len(frames), CHUNK)
        ]
    )
    return pulse_wave(np.cumsum(derivative.astype(np.float64)), traces.fs)


def network_side(network: Network) -> int:
    """The side of the pictures that a network was trained on, in pixels."""
    return int(network.shapes[0][-1])
