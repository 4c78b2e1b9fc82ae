"""The BIDMC PPG and respiration dataset as one file, `bidmc_01_26.npz`: 26 patients, 8 minutes each, at 125 Hz.

Pimentel et al. 2017, "Toward a robust estimation of respiratory rate from pulse oximeters", IEEE Transactions on
Biomedical Engineering 64(8):1914. Two annotators marked the breaths by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy.signal import resample_poly

from lab.arrays import Floats
from lab.contact_ppg import BIDMC_HZ, patients_in, steepest_rises
from shared.schemas import Interval
from workers.rppg.signals.beats import Beats, beats_at, beats_of, mean_rate_per_min
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import GRID_HZ
from workers.rppg.vitals.heart_rate_variability import MEASURES, VARIABILITY_MODEL, interval_of

#: A window counts where the two annotators differ by at most this many breaths a minute.
MAX_ANNOTATOR_DIFFERENCE_PER_MIN: Final = 2.0
#: Fewest beats in a window at 125 Hz and at 30 Hz, and least share of regular beats at 125 Hz, for it to be compared.
MIN_BEATS: Final = 8
MIN_REGULAR_SHARE: Final = 0.97


@dataclass(frozen=True)
class Window:
    """Part of one patient's recording: PPG (n,) at 125 Hz."""

    patient: str
    ppg: Floats


@dataclass(frozen=True)
class WindowBeats:
    """Beats of a window as found at a webcam's 30 Hz (`beats`) and at 125 Hz (`truth`); SNR in dB of the 30 Hz wave."""

    patient: str
    beats: Beats
    truth: Beats
    snr_db: float

    def measured(self, name: str) -> tuple[float, float, Interval]:
        """Value, true value and interval of the measure `name`, in its unit."""
        value = MEASURES[name](self.beats)
        return value, MEASURES[name](self.truth), interval_of(name, value, self.beats, self.snr_db)


def recordings(path: Path) -> Iterator[tuple[str, Floats]]:
    """Each patient's name and PPG (n,) at 125 Hz."""
    with np.load(path) as data:
        for patient in patients_in(data):
            yield patient, data[f"{patient}_ppg"].astype(np.float64)


def windows(path: Path, length_s: int, step_s: int = 16) -> Iterator[Window]:
    """Windows of `length_s` seconds, one every `step_s` seconds, in which the annotators agree."""
    with np.load(path) as data:
        for patient in patients_in(data):
            ppg = data[f"{patient}_ppg"].astype(np.float64)
            marks = [column[column >= 0] / BIDMC_HZ for column in data[f"{patient}_breaths"].T]
            for start in range(0, len(ppg) // BIDMC_HZ - length_s, step_s):
                counted = [_breaths_per_min(mark[(mark >= start) & (mark <= start + length_s)]) for mark in marks]
                if min(counted) > 0 and abs(counted[0] - counted[1]) <= MAX_ANNOTATOR_DIFFERENCE_PER_MIN:
                    part = ppg[start * BIDMC_HZ : (start + length_s) * BIDMC_HZ]
                    yield Window(patient, part)


def window_beats(path: Path, length_s: int) -> Iterator[WindowBeats]:
    """Beats of each window of `length_s` seconds whose rhythm is regular enough to compare.

    The truth is the moments of the steepest rise at 125 Hz.
    """
    for window in windows(path, length_s, length_s):
        truth = beats_at(steepest_rises(window.ppg))
        if len(truth.kept) < MIN_BEATS or truth.kept_share < MIN_REGULAR_SHARE:
            continue
        beats, snr = beats_at_30_hz(window.ppg)
        if beats.kept.sum() >= MIN_BEATS:
            yield WindowBeats(window.patient, beats, truth, snr)


def beats_at_30_hz(ppg: Floats) -> tuple[Beats, float]:
    """Beats of a PPG (n,) at 125 Hz after resampling to the traces' 30 Hz, and the SNR in dB of its wave there."""
    wave = to_pulse_wave(at_30_hz(ppg), GRID_HZ)
    spectrum = spectrum_of(wave, GRID_HZ)
    rate = mean_rate_per_min(wave, GRID_HZ, 60 * spectrum.peak_hz())
    snr = snr_db(spectrum, rate / 60)
    return beats_of(wave, GRID_HZ, rate, half_band_hz=VARIABILITY_MODEL.half_band_hz(snr)), snr


def at_30_hz(ppg: Floats) -> Floats:
    """A PPG (n,) at 125 Hz, resampled to the traces' 30 Hz."""
    return np.asarray(resample_poly(ppg, 6, 25), np.float64)


def _breaths_per_min(marks_s: Floats) -> float:
    """Breaths a minute between the first and the last of the marks (k,) in seconds; 0 for fewer than three."""
    return 60 * (len(marks_s) - 1) / float(marks_s[-1] - marks_s[0]) if len(marks_s) > 2 else 0.0
