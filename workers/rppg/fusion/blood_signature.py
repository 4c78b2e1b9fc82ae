"""Is it blood that varies at a rate, or light? What patches of the face say by colour.

Light varies in red, green and blue alike. Blood absorbs green: relative to each colour's mean it moves green about
twice as much as red, and blue between (de Haan & van Leest 2014, "Improved motion robustness of remote-PPG by using the
blood volume pulse signature", Physiol. Meas. 35(9):1913). POS and CHROM take light out by that, and hear what is left;
of a pulse near an encoder's noise that is too little. Here the rate is known, and only the colours are asked for.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import mrc
from workers.rppg.signals.spectrum import SIGNAL_HALF_WIDTH_HZ, transform
from workers.rppg.signals.traces import Traces

Array = NDArray[np.float64]

#: What is taken off green: shares of red and blue, one together, so that light of any level leaves nothing. Blood moves
#: red least, and blue is what cameras and encoders carry worst: of 0.5 to 0.9, 0.7 to 0.8 part the calibration's lamps
#: and hearts best.
_LESS: Final = np.array([-0.7, 1.0, -0.3])
#: A Hann window's main lobe is this many times as wide as one over the duration.
_LOBE: Final = 1.5


@dataclass(frozen=True)
class Tint:
    """What beats at a rate, by colour.

    greenness  relative modulation of green less that of red and blue, over the length of all three: 0 for light of any
               level and where the halves of the face do not beat in step; blood: about 0.3
    error      its standard error, by what varies in the halves at other rates
    """

    greenness: float
    error: float


def tint(traces: Traces, rate_hz: float) -> Tint | None:
    """How green what beats at a rate is; None where a half of the face shows no skin.

    What one half says is weighed by the beat of the other: their noise is not shared, and drops out.
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
        # The real part alone is looked at, which has half of the power.
        noise += quiet * near.sum() * float(np.square(np.abs(beat)).sum()) / independent / 2
    length = float(np.linalg.norm(colours))
    if signature @ colours <= 0:
        return Tint(0.0, 1.0)
    return Tint(float(_LESS @ colours) / length, float(np.sqrt(_LESS @ noise @ _LESS)) / length)


def _halves(traces: Traces) -> Array | None:
    """(2, 3, n) relative change of the colours of both halves of the face, rising with blood volume; None without skin
    in one of them.

    A patch has one weight for all of its colours, so that light stays grey.
    """
    patches = mrc.skin(traces)
    weights = patches.likeness / patches.noise.sum(axis=1)
    if not all(weights[half].sum() > 0 for half in patches.halves):
        return None
    means = [
        np.einsum("k,kcn->cn", weights[half] / weights[half].sum(), patches.change[half]) for half in patches.halves
    ]
    return np.asarray(means, np.float64)
