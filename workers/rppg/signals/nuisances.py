"""Removal of what is not a pulse from the colours of the skin: the head's motion, and light on clothes and background.

The logarithm of a colour is a sum: of the skin's own, of the light that falls on it, and of what the head's motion
changes in that light. Light is seen on the clothes and on the background too, and the motion in every frame
(`workers.face.head_motion`). How much of each is in a colour is found by least squares in the pulse band, within bounds
that physics sets (Stark & Parker 1995, "Bounded-variable least squares", Computational Statistics 10:129): light does
not change skin far more than it changes clothes, and light fields change by about their own strength over the width of
a face. Clothes that vary less than the skin then explain little of it: those of a person whose pulse the encoder has
spread to them, a background that hardly varies, a head that recoils from its own heart.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from workers.rppg.signals.filters import band_pass, detrend
from workers.rppg.signals.traces import FINE, Traces, scale_of

#: Largest relative change of skin over that of clothes or background in the same light, in the same colour.
MAX_LIGHT_GAIN: Final = 1.5
#: Largest relative change of skin for a motion of one width of the face's crop, or a turn or growth of 1.
MAX_MOTION_GAIN: Final = 1.0
#: Band in which they are found, Hz: somewhat wider than the pulse band, whose neighbourhood is looked at as well.
BAND_HZ: Final = (0.5, 4.0)
#: Exponent that turns linear light into the pixels' values, nearly.
_GAMMA: Final = 1 / 2.2
#: Band of the slow motion that no living head is without, Hz: breath and balance.
SWAY_HZ: Final = (0.15, 1.0)


@dataclass(frozen=True)
class Nuisances:
    """What else than a pulse can change the colours of the skin, in the band.

    Attributes:
        light: (l, 3, n) relative changes of the colours of clothes and background. Each changes its own colour of skin.
        motion: (k, n) of the head, which changes every colour.
        fs: sampling rate, Hz.
    """

    light: NDArray[np.float64]
    motion: NDArray[np.float64]
    fs: float

    def explained(self, changes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the nuisances explain (3, n) of relative changes (3, n) of a region's colours, in the band."""
        found = _in_band(changes, self.fs)
        if not len(self.light) + len(self.motion):
            return np.zeros_like(found)
        low = np.repeat((0.0, -MAX_MOTION_GAIN), (len(self.light), len(self.motion)))
        high = np.repeat((MAX_LIGHT_GAIN, MAX_MOTION_GAIN), (len(self.light), len(self.motion)))
        explained = np.empty_like(found)
        for colour, change in enumerate(found):
            curves = np.concatenate((self.light[:, colour], self.motion)).T
            # The triangle has the same solution as all samples, at a fraction of the cost.
            q, triangle = np.linalg.qr(curves)
            explained[colour] = curves @ lsq_linear(triangle, q.T @ change, (low, high), method="bvls").x
        return explained


def nuisances_of(traces: Traces) -> Nuisances:
    """Return the nuisances of traces: light on clothes and background, where they are seen, and the head's motion."""
    light = [
        _in_band(np.log(other), traces.fs)
        for other in (traces.clothes, traces.background)
        if other is not None and np.isfinite(other).all() and other.min() > 0
    ]
    samples = len(traces.times_s)
    motion = np.zeros((0, samples)) if traces.head is None else _in_band(traces.head, traces.fs)
    return Nuisances(np.array(light).reshape(len(light), 3, samples), motion, traces.fs)


def _in_band(curves: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    return band_pass(detrend(curves, fs), fs, BAND_HZ)


def sway_of(traces: Traces) -> float | None:
    """Standard deviation of the head's slow translation, widths of the face's crop; None where it is not measured."""
    if traces.head is None:
        return None
    return float(np.linalg.norm(band_pass(traces.head[:2], traces.fs, SWAY_HZ, order=2).std(axis=1)))


def without_nuisances(traces: Traces) -> Traces:
    """Return traces whose regions are without what the nuisances explain of their colours."""
    nuisances = nuisances_of(traces)
    regions = traces.regions.copy()
    for index, region in enumerate(regions):
        if np.isfinite(region).all() and region.min() > 0:
            regions[index] = region * np.exp(-nuisances.explained(np.log(region)))
    return replace(traces, regions=regions)


def in_even_light(traces: Traces, cleaned: Traces) -> Traces:
    """Return `cleaned` traces with crops whose light changes as that of its face does, in place of that of `traces`.

    Light changes the whole crop by one factor. What motion changes differs from place to place, and remains.
    """
    factor = (cleaned.face / np.maximum(traces.face, 1e-9)).T[:, None, None, :] ** _GAMMA
    crops = np.empty(traces.crops.shape, np.uint16)
    scale = FINE / scale_of(traces.crops)
    for index, crop in enumerate(traces.crops):
        crops[index] = np.clip(np.rint(crop * (scale * factor[index])), 0, 255 * FINE)
    return replace(cleaned, crops=crops)
