"""Beats in a photoplethysmogram of a contact sensor, at the sampling rate of the BIDMC data (`lab.data.bidmc`)."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from scipy.signal import find_peaks

from lab.arrays import Floats
from workers.rppg.signals.filters import band_pass

#: Sampling rate of the photoplethysmograms (PPG).
BIDMC_HZ: Final = 125


def patients_in(names: Iterable[str]) -> list[str]:
    """Patients of the BIDMC file by the names of its arrays, `PATIENT_SIGNAL`."""
    return sorted({name.split("_", maxsplit=1)[0] for name in names})


def steepest_rises(ppg: Floats) -> Floats:
    """Times (k,) in seconds of the steepest rise of each beat of a PPG (n,) at 125 Hz.

    A parabola through three samples places each between samples.
    """
    slope = np.gradient(band_pass(ppg, BIDMC_HZ, (0.5, 8.0)))
    peaks, _ = find_peaks(slope, distance=round(0.3 * BIDMC_HZ), height=0.35 * float(np.percentile(slope, 97)))
    peaks = peaks[(peaks > 0) & (peaks < len(slope) - 1)]
    left, middle, right = slope[peaks - 1], slope[peaks], slope[peaks + 1]
    return np.asarray((peaks + 0.5 * (left - right) / (left - 2 * middle + right)) / BIDMC_HZ, np.float64)
