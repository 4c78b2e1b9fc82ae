"""Rhythm of a pulse: whether beats come at uneven intervals, or strong and weak ones alternate.

A rate misleads in both cases. Where strong and weak beats alternate, the spectrum has lines at one, two and three times
the rate of the cycle of two beats, and any of them may be the highest: half the rate of the beats, the rate itself, or
3/2 of it. Amplitudes and phases of the three distinguish such a cycle from a regular beat with its harmonics. Where
intervals are uneven there is no line, as in noise; but noise differs between estimators, and beats do not.

`python -m lab.bench.rhythm` measures how often that is right (docs/rhythm.md).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, find_peaks, hilbert, sosfiltfilt

from workers.rppg.signals.filters import band_pass, standardise
from workers.rppg.signals.spectrum import SIGNAL_HALF_WIDTH_HZ, spectrum_of

#: Shortest wave whose rhythm is measured, and length of the parts of a longer one, seconds.
MIN_S: Final = 10.0
PART_S: Final = 15.0

#: Harmonics 1 to 3 of a cycle of two beats, one strong and one early and weak, relative to the first: medians of such
#: waves in the pulse band; and those of a regular beat, medians of patients' photoplethysmograms (BIDMC).
ALTERNATING: Final = (1.0, 0.6 * np.exp(2.1j), 0.5 * np.exp(2.85j))
REGULAR: Final = (1.0, 0.35 * np.exp(1.0j), 0.08 * np.exp(1.8j))
#: The rate found may be that of the cycle, of its beats, or 3/2 of theirs: once, twice or three times the cycle's.
MULTIPLES: Final = (1, 2, 3)
#: Beats alternate if the alternating shape explains this much more of the three harmonics' power than the regular one.
#: On the clips that it was chosen on, 1 % of regular hearts whose rate is reported have more, and two in five of the
#: alternating ones.
MIN_ALTERNATION: Final = 0.05

#: Beats are uneven if two estimators agree on this share of them, if successive intervals differ by this share of their
#: mean (root mean square; atrial fibrillation: about 0.3), and if less than this share of the power is in a line. A
#: regular heart whose beats two estimators agree on had 0.72 to 0.95 of its power there in the clips of the fit, but
#: 0.49 to 0.67 in three clips of the simulated portrait, one of which is refused as uneven.
MIN_AGREEMENT: Final = 0.9
MIN_UNEVENNESS: Final = 0.2
MAX_LINE_SHARE: Final = 0.6

#: Half-width of the band in which a rate's phase is tracked, Hz, and that band's lowest edge.
_TRACKED_HZ: Final = 0.25
_MIN_HZ: Final = 0.3
#: Band in which single beats are located, as multiples of the rate: it excludes second peaks of a beat.
_BEAT_BAND: Final = (0.45, 1.7)
_BEAT_EDGES_HZ: Final = (0.4, 4.0)
#: Least prominence of a beat, standard deviations of the wave, and least distance of two, as a share of the interval.
_PROMINENCE: Final = 0.7
_DISTANCE: Final = 0.45
#: Beats of two waves within this share of the interval are the same beat.
_SAME_BEAT: Final = 0.15
#: Samples between two of the wave at which beats are located.
_FINER: Final = 4
#: Fewest beats of which intervals are compared.
_MIN_BEATS: Final = 6
#: Factor within which the rate of a part is searched around that of the whole wave.
_FACTOR: Final = 1.35
_TURNS: Final = np.exp(-1j * np.outer((1, 2, 3), np.linspace(0, 2 * np.pi, 180, endpoint=False)))


@dataclass(frozen=True)
class Rhythm:
    """What is measured of a rhythm; the median over the parts of a long wave.

    Attributes:
        alternation: for each of `MULTIPLES` the share of power that the alternating shape explains less that which the
            regular one does; -1 where it was not measured.
        agreement: share of the beats that both waves have at the same time, in [0, 1].
        unevenness: root mean square of the differences of successive intervals, over the mean interval.
        line_share: share of the power within ±6 /min of the rate, in the band in which beats are located.
    """

    alternation: tuple[float, float, float]
    agreement: float
    unevenness: float
    line_share: float

    @property
    def cycle_multiple(self) -> int | None:
        """Multiple of the cycle's rate that was found, or None if beats do not alternate."""
        best = int(np.argmax(self.alternation))
        return MULTIPLES[best] if self.alternation[best] > MIN_ALTERNATION else None

    @property
    def is_uneven(self) -> bool:
        """Whether beats come at uneven intervals, which noise does not explain."""
        return self.agreement >= MIN_AGREEMENT and self.unevenness > MIN_UNEVENNESS and self.line_share < MAX_LINE_SHARE


#: The rhythm of a wave that is too short.
UNKNOWN: Final = Rhythm((-1.0, -1.0, -1.0), 0.0, 0.0, 1.0)


def rhythm_of(
    wave: NDArray[np.float64],
    other: NDArray[np.float64],
    slow: NDArray[np.float64],
    fs: float,
    rate_per_min: float,
) -> Rhythm:
    """Measure the rhythm of a pulse whose rate was found.

    Args:
        wave: (n,) pulse wave.
        other: (n,) wave of another estimator, whose noise differs.
        slow: (n,) pulse wave that contains rates down to 20 /min.
        fs: sampling rate, Hz.
        rate_per_min: the rate found.
    """
    n = len(wave)
    if n < MIN_S * fs:
        return UNKNOWN
    count = max(1, round(n / fs / PART_S))
    edges = np.linspace(0, n, count + 1).astype(int)
    parts = [slice(start, stop) for start, stop in pairwise(edges.tolist())]
    rates = [rate_per_min if count == 1 else _rate_near(wave[part], fs, rate_per_min) for part in parts]
    found = [_of_part(wave[part], other[part], slow[part], fs, rate) for part, rate in zip(parts, rates, strict=True)]
    one, two, three = np.median([part.alternation for part in found], axis=0).tolist()
    agreement, unevenness, line_share = np.median(
        [(part.agreement, part.unevenness, part.line_share) for part in found], axis=0
    ).tolist()
    return Rhythm((one, two, three), agreement, unevenness, line_share)


def _of_part(
    wave: NDArray[np.float64], other: NDArray[np.float64], slow: NDArray[np.float64], fs: float, rate_per_min: float
) -> Rhythm:
    both = standardise(wave) + standardise(other)
    # A cycle at half or a third of the rate is outside the pulse band.
    one, two, three = (
        _alternation(given, fs, rate_per_min, multiple)
        for given, multiple in zip((both, slow, slow), MULTIPLES, strict=True)
    )
    first, second = (_around(given, fs, rate_per_min) for given in (wave, other))
    interval_s = 60 / rate_per_min
    agreement = _agreement(_beat_times(first, fs, interval_s), _beat_times(second, fs, interval_s), interval_s)
    together = first + second
    intervals = np.diff(_beat_times(standardise(together), fs, interval_s))
    if len(intervals) + 1 < _MIN_BEATS:
        return Rhythm((one, two, three), 0.0, 0.0, 1.0)
    unevenness = float(np.sqrt(np.mean(np.diff(intervals) ** 2)) / intervals.mean())
    return Rhythm((one, two, three), agreement, unevenness, _line_share(together, fs, rate_per_min))


def _rate_near(wave: NDArray[np.float64], fs: float, rate_per_min: float) -> float:
    """Return the rate of a part of a wave, /min, near that of the whole."""
    rate_hz = rate_per_min / 60
    return 60 * spectrum_of(wave, fs, (rate_hz / _FACTOR, rate_hz * _FACTOR)).peak_hz()


def _alternation(wave: NDArray[np.float64], fs: float, rate_per_min: float, multiple: int) -> float:
    """Return by how much the alternating shape explains more of a cycle than the regular one.

    The cycle's phase is that of the rate found, of which it is the `multiple`-th part: the harmonics are those of the
    folded wave, whatever its rate did.
    """
    rate_hz = rate_per_min / 60
    band = (max(_MIN_HZ, rate_hz - _TRACKED_HZ), rate_hz + _TRACKED_HZ)
    sos = butter(2, band, btype="bandpass", fs=fs, output="sos")
    narrow = sosfiltfilt(sos, wave, padlen=min(len(wave) - 1, round(2 * fs / rate_hz)))
    phase = np.unwrap(np.angle(hilbert(narrow))) / multiple
    weights = np.hanning(len(wave)) * wave
    harmonics = np.array([np.sum(weights * np.exp(-1j * order * phase)) for order in (1, 2, 3)])
    power = float(np.sum(np.abs(harmonics) ** 2))
    if power <= 0:
        return -1.0
    # Half or a third of a regular rate is empty but for its second or third harmonic.
    regular = REGULAR if multiple == 1 else tuple(float(order == multiple) for order in (1, 2, 3))
    alternating, plain = (_explained(harmonics, shape) / power for shape in (ALTERNATING, regular))
    return alternating - plain


def _explained(harmonics: NDArray[np.complex128], shape: tuple[complex, ...]) -> float:
    """Return the power of harmonics (3,) that a shape explains at the best of all phases."""
    unit = np.array(shape) / np.linalg.norm(shape)
    return float(np.max(np.real((np.conj(unit) * harmonics) @ _TURNS).clip(0)) ** 2)


def _around(wave: NDArray[np.float64], fs: float, rate_per_min: float) -> NDArray[np.float64]:
    """Return a wave (n,) in the band in which beats are located, standardised."""
    low, high = (rate_per_min / 60 * factor for factor in _BEAT_BAND)
    return standardise(band_pass(wave, fs, (max(low, _BEAT_EDGES_HZ[0]), min(high, _BEAT_EDGES_HZ[1])), order=2))


def _beat_times(wave: NDArray[np.float64], fs: float, interval_s: float) -> NDArray[np.float64]:
    """Return the times (k,) of the peaks of a standardised wave (n,) of about this interval, seconds."""
    grid = np.arange(0, len(wave) - 1, 1 / _FINER)
    finer = CubicSpline(np.arange(len(wave)), wave)(grid)
    distance = max(1, round(_DISTANCE * interval_s * fs * _FINER))
    peaks, _ = find_peaks(finer, prominence=_PROMINENCE, distance=distance)
    return np.asarray(grid[peaks] / fs, np.float64)


def _agreement(first_s: NDArray[np.float64], second_s: NDArray[np.float64], interval_s: float) -> float:
    """Return the share of beats (k,) and (m,) that are the same, whatever constant delay is between the two waves."""
    if min(len(first_s), len(second_s)) < _MIN_BEATS:
        return 0.0
    delays = second_s[np.abs(first_s[:, None] - second_s).argmin(axis=1)] - first_s
    same = np.abs(delays - np.median(delays)) < _SAME_BEAT * interval_s
    return 2 * float(same.sum()) / (len(first_s) + len(second_s))


def _line_share(wave: NDArray[np.float64], fs: float, rate_per_min: float) -> float:
    """Return the share of the power of a wave (n,) within ±6 /min of its rate."""
    spectrum = spectrum_of(wave, fs, (_MIN_HZ, 0.45 * fs))
    near = np.abs(spectrum.frequencies_hz - rate_per_min / 60) <= SIGNAL_HALF_WIDTH_HZ
    return float(spectrum.power[near].sum() / max(float(spectrum.power.sum()), 1e-30))
