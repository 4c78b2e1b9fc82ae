"""Rates over time: what a long clip's rate did while it lasted."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.spectrum import snr_db, spectrum_of

Array = NDArray[np.float64]

#: A rate needs this long, and a new one is told this often; clips shorter than two windows have nothing to roll.
WINDOW_S: Final = 10.0
STEP_S: Final = 1.0
#: A rate is looked for within this factor of the clip's own, and left out where it stands out by less than this.
FACTOR: Final = 1.35
LEAST_SNR_DB: Final = 0.0


def rolling_rates(wave: Array, fs: float, rate_per_min: float, start_s: float = 0.0) -> tuple[Array, Array]:
    """Times (k,) of windows and rates (k,) in /min of a pulse wave (n,) that beats at about `rate_per_min`.

    Windows in which no rate stands out are left out.
    """
    length = round(WINDOW_S * fs)
    if len(wave) < 2 * length:
        return np.zeros(0), np.zeros(0)
    band = (rate_per_min / 60 / FACTOR, rate_per_min / 60 * FACTOR)
    times, rates = [], []
    for start in range(0, len(wave) - length + 1, round(STEP_S * fs)):
        part = wave[start : start + length]
        rate_hz = spectrum_of(part, fs, band).peak_hz()
        if snr_db(spectrum_of(part, fs), rate_hz) >= LEAST_SNR_DB:
            times.append(start_s + (start + length / 2) / fs)
            rates.append(60 * rate_hz)
    return np.array(times), np.array(rates)
