"""Removal of what is not a pulse from the colours of the skin: the head's motion, and light on clothes and background.

The logarithm of a colour is a sum: of the skin's own, of the light that falls on it, and of what the head's motion
changes in that light. Light is seen on the clothes and on the background too, and the motion in every frame
(`workers.face.head_motion`). How much of each is in a colour is found by Bayesian linear regression in the
pulse band (Bishop 2006, "Pattern Recognition and Machine Learning", 3.3), with priors in physical units: light changes
skin about as much as it changes clothes, and light fields change by about their own strength over the width of a face.
So clothes that vary less than the skin explain next to nothing of it, and their noise removes no pulse; a background
that hardly varies at all, such as a virtual one, has no effect.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import band_pass, detrend
from workers.rppg.signals.traces import FINE, Traces, scale_of

#: Standard deviations of the priors: of the relative change of skin over that of clothes or background, and of that for
#: a motion of one width of the face's crop, or a turn or growth of 1.
LIGHT_GAIN: Final = 2.0
MOTION_GAIN: Final = 0.5
#: Band in which they are found, Hz: somewhat wider than the pulse band, whose neighbourhood is looked at as well.
BAND_HZ: Final = (0.5, 4.0)
#: Band of the slow motion that no living head is without, Hz: breath and balance.
SWAY_HZ: Final = (0.15, 1.0)
#: Rounds of estimating the variance of what is not explained.
_ROUNDS: Final = 3
_MIN_VARIANCE: Final = 1e-12
#: Exponent that turns linear light into the pixels' values, nearly.
_GAMMA: Final = 1 / 2.2


@dataclass(frozen=True)
class Nuisances:
    """What else than a pulse can change the colours of the skin.

    Attributes:
        fs: sampling rate, Hz.
        curves: (k, n) each with the size of the change of skin that it causes, as far as is known beforehand.
    """

    fs: float
    curves: NDArray[np.float64]

    def explained(self, changes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the nuisances explain (m, n) of changes (m, n), in the band."""
        return _explained(band_pass(detrend(changes, self.fs), self.fs, BAND_HZ), self.curves, self.fs)


def nuisances_of(traces: Traces) -> Nuisances:
    """Return the nuisances of traces: light on clothes and background, where they are seen, and the head's motion."""
    light = [
        LIGHT_GAIN * np.log(other)
        for other in (traces.clothes, traces.background)
        if other is not None and np.isfinite(other).all() and other.min() > 0
    ]
    motion = [] if traces.head is None else [MOTION_GAIN * traces.head]
    curves = np.concatenate([*light, *motion]) if light or motion else np.zeros((0, len(traces.times_s)))
    return Nuisances(traces.fs, band_pass(detrend(curves, traces.fs), traces.fs, BAND_HZ))


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


def with_even_light(traces: Traces, cleaned: Traces) -> Traces:
    """Return `cleaned` traces with crops whose light changes as that of its face does, in place of that of `traces`.

    Light changes the whole crop by one factor. What motion changes differs from place to place, and remains.
    """
    factor = (cleaned.face / np.maximum(traces.face, 1e-9)).T[:, None, None, :] ** _GAMMA
    crops = np.empty(traces.crops.shape, np.uint16)
    scale = FINE / scale_of(traces.crops)
    for index, crop in enumerate(traces.crops):
        crops[index] = np.clip(np.rint(crop * (scale * factor[index])), 0, 255 * FINE)
    return replace(cleaned, crops=crops)


def _explained(changes: NDArray[np.float64], curves: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """The part of changes (m, n) that curves (k, n) explain, each with a gain whose prior has a deviation of 1.

    The variance of the rest is one for all changes: the median of theirs.
    """
    # Samples of a band-passed signal are not independent: as many are as the band has Fourier coefficients.
    share = min(2 * (BAND_HZ[1] - BAND_HZ[0]) / fs, 1.0)
    gram = share * curves @ curves.T
    towards = share * curves @ changes.T
    rest = changes
    explained = np.zeros_like(changes)
    for _ in range(_ROUNDS):
        variance = max(float(np.median(rest.var(axis=1))), _MIN_VARIANCE)
        gains = np.linalg.solve(gram + variance * np.eye(len(gram)), towards)
        explained = gains.T @ curves
        rest = changes - explained
    return np.asarray(explained, np.float64)
