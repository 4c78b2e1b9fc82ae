"""DeepPhys: motion between face crops, gated by attention to skin.

Chen, McDuff 2018, "DeepPhys: video-based physiological measurement using convolutional attention networks", ECCV.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.models.session import Network
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Crops, Traces

#: Frames of one run: few enough that the network's feature maps stay small.
CHUNK: Final = 128


def estimate(traces: Traces, network: Network) -> NDArray[np.float64]:
    """Return pulse waves (3, n), rising with blood volume: of the whole face, its left and its right part."""
    return waves_of(traces.crops, traces.fs, network)


def waves_of(crops: Crops, fs: float, network: Network) -> NDArray[np.float64]:
    """Return pulse waves (3, n) of crops (n, h, h, 3) at `fs` Hz: the integrals of the network's derivatives."""
    motion, appearance = inputs_of(crops, network_side(network))
    derivative = np.concatenate(
        [
            network(motion[start : start + CHUNK], _appearance_for(appearance[start : start + CHUNK], network))
            for start in range(0, len(motion), CHUNK)
        ]
    )
    return to_pulse_wave(np.cumsum(derivative.reshape(len(derivative), -1).T.astype(np.float64), axis=1), fs)


def inputs_of(crops: Crops, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return motion and appearance, both (n, 3, side, side), of crops (n, h, h, 3).

    Motion is (c₁ - c₀)/(c₁ + c₀) over its standard deviation in the clip, 0 after the last frame; appearance the crops,
    standardised over the clip.
    """
    # As floats: rounding to integers again would add noise of the amplitude of a pulse in dark skin.
    small = [cv2.resize(crop.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) for crop in crops]
    frames = np.stack(small).transpose(0, 3, 1, 2)
    motion = np.zeros_like(frames)
    motion[:-1] = (frames[1:] - frames[:-1]) / (frames[1:] + frames[:-1] + np.float32(1e-7))
    motion /= max(float(motion.std()), 1e-7)
    frames = (frames - frames.mean()) / max(float(frames.std()), 1e-7)
    return motion, frames


def _appearance_for(appearance: NDArray[np.float32], network: Network) -> NDArray[np.float32]:
    """One appearance for each frame, or the middle one for all, whichever the network takes."""
    return appearance[len(appearance) // 2][None] if network.shapes[1][0] == 1 else appearance


def network_side(network: Network) -> int:
    """Side of the network's input, pixels."""
    return int(network.shapes[0][-1])
