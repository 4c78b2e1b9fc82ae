"""The colour signature of what varies at a rate: is it blood, or light?

Light varies in red, green and blue alike. Blood absorbs green: relative to each colour's mean it moves green about
twice as much as red, and blue between (de Haan & van Leest 2014, "Improved motion robustness of remote-PPG by using the
blood volume pulse signature", Physiol. Meas. 35(9):1913). POS and CHROM remove light by that and search the rest for a
rate; of a pulse near an encoder's noise too little is left. Here the rate is known, and only the colours are measured.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import mrc
from workers.rppg.signals.spectrum import SIGNAL_HALF_WIDTH_HZ, transform
from workers.rppg.signals.traces import Traces

#: Weights of red, green and blue in the contrast; they sum to 0, so that light of any level leaves nothing. Blood moves
#: red least, and cameras and encoders carry blue worst: of 0.5 to 0.9 for red, 0.7 to 0.8 separates the calibration's
#: lamps and hearts best.
_CONTRAST: Final = np.array([-0.7, 1.0, -0.3])
#: A Hann window's main lobe is this many times as wide as one over the duration.
_LOBE: Final = 1.5


@dataclass(frozen=True)
class ColorSignature:
    """Colours of what varies at a rate.

    Attributes:
        pbv_contrast: relative modulation of green less that of red and blue, over the norm of all three: 0 for light of
            any level and if the halves of the face do not correlate; blood: about 0.3.
        error: its standard error, from what varies in the halves at other rates.
    """

    pbv_contrast: float
    error: float


def color_signature(traces: Traces, rate_hz: float) -> ColorSignature | None:
    """Measure the colours of what varies at a rate; None if a half of the face shows no skin.

    Each half is projected on the wave of the other: the noise that they do not share averages out.
    """
    halves = _halves(traces)
    if halves is None:
        return None
    frequencies, found = transform(halves, traces.fs)
    away = np.abs(frequencies - rate_hz)
    near = away <= SIGNAL_HALF_WIDTH_HZ
    beside = (away > 2 * SIGNAL_HALF_WIDTH_HZ) & (np.abs(frequencies - 2 * rate_hz) > 2 * SIGNAL_HALF_WIDTH_HZ)
    if not near.any() or not beside.any():
        return None
    signature = mrc.SIGNATURE / np.linalg.norm(mrc.SIGNATURE)
    independent = max(2 * SIGNAL_HALF_WIDTH_HZ * traces.duration_s / _LOBE, 1.0)
    colours, noise = np.zeros(3), np.zeros((3, 3))
    for one, other in (found, found[::-1]):
        beat = signature @ one[:, near]
        colours += (other[:, near] @ beat.conj()).real
        quiet = (other[:, beside] @ other[:, beside].conj().T).real / beside.sum()
        # Only the real part enters, which has half of the power.
        noise += quiet * near.sum() * float(np.square(np.abs(beat)).sum()) / independent / 2
    length = float(np.linalg.norm(colours))
    if signature @ colours <= 0:
        return ColorSignature(0.0, 1.0)
    return ColorSignature(float(_CONTRAST @ colours) / length, float(np.sqrt(_CONTRAST @ noise @ _CONTRAST)) / length)


def _halves(traces: Traces) -> NDArray[np.float64] | None:
    """Relative change (2, 3, n) of the colours of both halves of the face, rising with blood volume.

    None if one of them has no skin. A patch has one weight for all of its colours, so that light stays grey.
    """
    patches = mrc.skin(traces)
    weights = patches.likeness / patches.noise.sum(axis=1)
    if not all(weights[half].sum() > 0 for half in patches.halves):
        return None
    means = [
        np.einsum("k,kcn->cn", weights[half] / weights[half].sum(), patches.change[half]) for half in patches.halves
    ]
    return np.asarray(means, np.float64)
