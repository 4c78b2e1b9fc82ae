"""Heart rate over time, for clips long enough to have several windows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.spectrum import snr_db, spectrum_of

#: Length of a window and distance between windows, seconds; a clip shorter than two windows has no rates over time.
WINDOW_S: Final = 10.0
STEP_S: Final = 1.0
#: A window's rate is searched within this factor of the clip's own.
FACTOR: Final = 1.35
#: Signal-to-noise ratio that a window needs, decibels; others are left out.
MIN_SNR_DB: Final = 0.0


def rolling_rates(
    wave: NDArray[np.float64], fs: float, rate_per_min: float, start_s: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (k,), seconds, of windows and their rates (k,), /min, of a pulse wave (n,) of about `rate_per_min`.

    Windows in which no rate stands out are left out, and those whose highest power is at an edge of the search range.
    """
    length = round(WINDOW_S * fs)
    if len(wave) < 2 * length:
        return np.zeros(0), np.zeros(0)
    band = (rate_per_min / 60 / FACTOR, rate_per_min / 60 * FACTOR)
    times, rates = [], []
    for start in range(0, len(wave) - length + 1, round(STEP_S * fs)):
        part = wave[start : start + length]
        searched = spectrum_of(part, fs, band)
        rate_hz = searched.peak_hz()
        if searched.has_peak and snr_db(spectrum_of(part, fs), rate_hz) >= MIN_SNR_DB:
            times.append(start_s + (start + length / 2) / fs)
            rates.append(60 * rate_hz)
    return np.array(times), np.array(rates)
