"""Heart-rate variability from beats: each measure with its own minimum length, status and interval.

Definitions: Task Force of the ESC and NASPE 1996, Circulation 93:1043, tables 1 and 2.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend
from scipy.stats import chi2

from shared.schemas import Measure, VitalStatus
from shared.vitals import VARIABILITY, Reason, VariabilitySpec
from workers.rppg.beats import Beats

Array = NDArray[np.float64]

LEVEL: Final = 0.9
#: Bands in Hz, and the rate at which intervals are resampled for their spectrum.
LOW_BAND_HZ: Final = (0.04, 0.15)
HIGH_BAND_HZ: Final = (0.15, 0.40)
TACHOGRAM_HZ: Final = 4.0

#: Fewer intervals than this, or a smaller share kept, carry no variability.
FEWEST_INTERVALS: Final = 6
SMALLEST_KEPT_SHARE: Final = 0.8


def sdnn_ms(beats: Beats) -> float:
    """Standard deviation of the kept intervals, milliseconds."""
    return float(1000 * beats.intervals_s[beats.kept].std(ddof=1))


def successive_ms(beats: Beats) -> Array:
    """Differences of neighbouring kept intervals, milliseconds."""
    both = beats.kept[1:] & beats.kept[:-1]
    differences: Array = 1000 * np.diff(beats.intervals_s)[both]
    return differences


def rmssd_ms(beats: Beats) -> float:
    """Root mean square of successive differences, milliseconds."""
    return float(np.sqrt(np.mean(successive_ms(beats) ** 2)))


def pnn50(beats: Beats) -> float:
    """Share of successive differences above 50 ms, per cent."""
    return float(100 * np.mean(np.abs(successive_ms(beats)) > 50))


def lf_hf(beats: Beats) -> float:
    """Power of the intervals in 0.04-0.15 Hz over that in 0.15-0.40 Hz."""
    times = beats.times_s[1:][beats.kept]
    grid = np.arange(times[0], times[-1], 1 / TACHOGRAM_HZ)
    tachogram = detrend(np.interp(grid, times, beats.intervals_s[beats.kept]))
    power = np.abs(np.fft.rfft(tachogram * np.hanning(len(grid)), 4096)) ** 2
    frequencies = np.fft.rfftfreq(4096, 1 / TACHOGRAM_HZ)
    low, high = (
        float(power[(frequencies >= band[0]) & (frequencies < band[1])].sum()) for band in (LOW_BAND_HZ, HIGH_BAND_HZ)
    )
    return low / high if high > 0 else float("inf")
