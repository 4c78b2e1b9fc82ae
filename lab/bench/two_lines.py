"""The rival of every verdict: POS, where CHROM is within 3 /min of it and its signal-to-noise ratio is above -1 dB.

It is frozen: filters, spectrum and both estimators are its own, as they were when the rule was found to do as well
as 389 fitted numbers, so that a change of the product's never moves it. Nothing in it is fitted but the -1 dB, of which
`threshold_db` may be another value where coverages are compared at as many wrong answers.

Wang et al. 2017, IEEE Trans. Biomed. Eng. 64(7):1479 (POS); de Haan & Jeanne 2013, IEEE Trans. Biomed. Eng. 60(10):2878
(CHROM, and the ratio); Tarvainen et al. 2002, IEEE Trans. Biomed. Eng. 49(2):172 (the trend).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.fft import next_fast_len, rfft
from scipy.linalg import solveh_banded
from scipy.signal import butter, sosfiltfilt
from scipy.signal.windows import hann

from lab.arrays import Floats

#: Largest distance of CHROM from POS, /min, and least signal-to-noise ratio of POS, dB.
AGREEMENT_PER_MIN: Final = 3.0
THRESHOLD_DB: Final = -1.0

_BAND_HZ: Final = (0.65, 3.5)
_WINDOW_S: Final = 1.6
_STEP_HZ: Final = 0.005
_NEAR_HZ: Final = 0.1


@dataclass(frozen=True)
class TwoLines:
    """Rates of POS and CHROM, /min, and the signal-to-noise ratio of POS, dB."""

    pos_per_min: float
    chrom_per_min: float
    snr_db: float

    @property
    def agree(self) -> bool:
        """Whether CHROM confirms POS."""
        return abs(self.pos_per_min - self.chrom_per_min) <= AGREEMENT_PER_MIN

    @property
    def score(self) -> float:
        """Signal-to-noise ratio where both agree, dB; else minus infinity. Clips are reported from a threshold on."""
        return self.snr_db if self.agree else -np.inf

    def rate_per_min(self, threshold_db: float = THRESHOLD_DB) -> float | None:
        """The rate, or None where the rule abstains."""
        return self.pos_per_min if self.score > threshold_db else None


def two_lines(face: Floats, fs: float) -> TwoLines:
    """Apply the rule to the linear RGB (3, n) of the whole face at `fs` Hz."""
    pos = _spectrum(_pulse_wave(_pos(face, fs), fs), fs)
    chrom = _spectrum(_pulse_wave(_chrom(face, fs), fs), fs)
    rate_hz = _peak_hz(*pos)
    return TwoLines(60 * rate_hz, 60 * _peak_hz(*chrom), _snr_db(*pos, rate_hz))


def _pos(rgb: Floats, fs: float) -> Floats:
    n = rgb.shape[1]
    length = min(round(_WINDOW_S * fs), n)
    wave = np.zeros(n)
    for start in range(n - length + 1):
        part = rgb[:, start : start + length]
        red, green, blue = part / part.mean(axis=1, keepdims=True)
        first, second = green - blue, green + blue - 2 * red
        spread = second.std()
        h = first + (first.std() / spread if spread > 1e-12 else 0.0) * second
        wave[start : start + length] -= h - h.mean()
    return wave


def _chrom(rgb: Floats, fs: float) -> Floats:
    n = rgb.shape[1]
    red, green, blue = rgb / rgb.mean(axis=1, keepdims=True)
    x, y = _band_pass(np.stack((3 * red - 2 * green, 1.5 * red + green - 1.5 * blue)), fs)
    length = min(round(_WINDOW_S * fs / 2) * 2, n)
    hop = max(length // 2, 1)
    tail = hop + (-n) % hop
    x, y = (np.pad(signal, (hop, tail)) for signal in (x, y))
    wave = np.zeros(len(x))
    for start in range(0, len(x) - length + 1, hop):
        xs, ys = x[start : start + length], y[start : start + length]
        spread = ys.std()
        wave[start : start + length] += (xs - (xs.std() / spread if spread > 1e-12 else 0.0) * ys) * hann(length, False)
    return np.asarray(wave[hop : hop + n], np.float64)


def _pulse_wave(wave: Floats, fs: float) -> Floats:
    return _band_pass(_detrend(wave, fs), fs)


def _detrend(wave: Floats, fs: float) -> Floats:
    n = len(wave)
    bands = np.zeros((3, n))
    bands[0, 2:], bands[1, 1:], bands[2] = 1.0, -4.0, 6.0
    bands[1, [1, -1]], bands[2, [0, -1]], bands[2, [1, -2]] = -2.0, 1.0, 5.0
    bands *= (0.075 * (fs / _BAND_HZ[0]) ** 2) ** 2
    bands[2] += 1.0
    return np.asarray(wave - solveh_banded(bands, wave), np.float64)


def _band_pass(waves: Floats, fs: float) -> Floats:
    sections = butter(3, _BAND_HZ, btype="bandpass", fs=fs, output="sos")
    pad = min(waves.shape[-1] - 1, round(fs / _BAND_HZ[0]))
    return np.asarray(sosfiltfilt(sections, waves, axis=-1, padlen=pad), np.float64)


def _spectrum(wave: Floats, fs: float) -> tuple[Floats, Floats]:
    length = next_fast_len(max(round(fs / _STEP_HZ), len(wave)), real=True)
    power = np.abs(rfft(wave * hann(len(wave), False), length)) ** 2
    hz = np.arange(len(power)) * fs / length
    inside = (hz >= _BAND_HZ[0]) & (hz <= _BAND_HZ[1])
    return hz[inside], power[inside]


def _peak_hz(hz: Floats, power: Floats) -> float:
    at = int(np.argmax(power))
    if not 0 < at < len(power) - 1 or power[at - 1 : at + 2].min() <= 0:
        return float(hz[at])
    left, middle, right = np.log(power[at - 1 : at + 2])
    bend = left - 2 * middle + right
    return float(hz[at] + (0.5 * (left - right) / bend if bend < 0 else 0.0) * (hz[1] - hz[0]))


def _snr_db(hz: Floats, power: Floats, rate_hz: float) -> float:
    near = (np.abs(hz - rate_hz) <= _NEAR_HZ) | (np.abs(hz - 2 * rate_hz) <= _NEAR_HZ)
    signal, rest = float(power[near].sum()), float(power[~near].sum())
    return float(np.clip(10 * np.log10(signal / max(rest, signal * 1e-6)), -60, 60)) if signal > 0 else -60.0
