"""Evidence: for each rate that a heart can have, what in a clip speaks for a pulse of that rate, and what against it.

Estimators output a rate for a wall, too. A pulse differs from noise, light and motion at its own rate: without what
motion and light explain there is a line in the chrominance of the face, and in the patches of skin that are least
noisy; forehead and cheeks vary at the rate and at its double alike, in blood's colours, as they do at no other rate.
Each of these is a curve over the rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter, uniform_filter1d

from workers.rppg.estimators import chrom, pos, whole_face_wave
from workers.rppg.fusion.beside_skin import beside_skin
from workers.rppg.fusion.matched_filter import BAND_HZ as MATCHED_BAND_HZ
from workers.rppg.fusion.matched_filter import matched_power
from workers.rppg.signals.filters import PULSE_BAND_HZ, detrend, standardise
from workers.rppg.signals.spectrum import SIGNAL_HALF_WIDTH_HZ, PowerSpectrum, spectrum_of, transform
from workers.rppg.signals.traces import Traces

#: Rates that are weighed, beats a minute: those of the pulse band.
RATES_PER_MIN: Final = np.arange(60 * PULSE_BAND_HZ[0], 60 * PULSE_BAND_HZ[1] + 0.5, 1.0)
#: The curves, in the order of `Evidence.curves`; the verdict has a weight for each.
CURVES: Final = (
    "chrominance",
    "regions",
    "patches",
    "harmonic",
    # Not measured: how usual a rate is.
    "rate",
    "rate_squared",
)

_RATES_HZ: Final = RATES_PER_MIN / 60
#: Standard deviation, Hz, by which spectra are smoothed: 2 /min, the spread of a heart's rate over a clip.
_SMOOTHING_HZ: Final = 0.035
#: Smallest resolution of rates, beats a minute.
_MIN_RESOLUTION_PER_MIN: Final = 3.0
#: Power, over the band's mean, below which a rate is as empty as any: it bounds the logarithm.
_FLOOR: Final = 0.02
#: The same of the matched filter's power, whose mean is 1.
_FLOOR_MATCHED: Final = 0.05
#: Smallest linear light of a region whose logarithm is taken.
_MIN_LIGHT: Final = 1e-6
#: Band in which lines of the surroundings are looked for, and width of what they are compared with, Hz.
_SURROUNDINGS_HZ: Final = (0.3, 4.5)
_NEIGHBOURHOOD_HZ: Final = 0.9
#: Rate whose logarithm is 0 in the curves of the rate itself, beats a minute.
_USUAL_RATE_PER_MIN: Final = 75.0


@dataclass(frozen=True)
class Evidence:
    """Evidence of a clip.

    Attributes:
        curves: (6, g) of `CURVES`, at `RATES_PER_MIN`. Spectra are natural logarithms of the power over its mean in the
            pulse band.

            - chrominance: mean spectrum of POS, CHROM, PBV and OMIT, without what motion and light explain;
            - regions: blood in forehead and cheeks over what varies at other rates
              (`workers.rppg.fusion.matched_filter`);
            - patches: MRC in even light;
            - harmonic: as regions, at twice the rate; 0 where that is outside the band;
            - rate, rate_squared: natural logarithm of the rate over 75 /min, and its square.
        uncleaned: (g,) as `chrominance`, of POS and CHROM in the colours as they are. It is not weighed: it shows what
            motion and light would be taken for.
        skin: (g,) amplitude of the skin's green, without nuisances: AC/DC.
        lit: (g,) amplitude in clothes or background over that in the skin, whichever is larger.
        lit_line: (g,) by how much the clothes' or the background's power at a rate exceeds that around it, natural
            logarithm.
        motion_line: (g,) the same of the head's motion.
        beside_skin: (g,) how much of the wave is beside the skin over how much is in it
            (`workers.rppg.fusion.beside_skin`).
        wave: (n,) mean of the waves of POS, CHROM, PBV and OMIT, standardised, rising with blood volume.
        spectrum: power spectrum of the wave.
        duration_s: its length, seconds.
    """

    curves: NDArray[np.float64]
    uncleaned: NDArray[np.float64]
    skin: NDArray[np.float64]
    lit: NDArray[np.float64]
    lit_line: NDArray[np.float64]
    motion_line: NDArray[np.float64]
    beside_skin: NDArray[np.float64]
    wave: NDArray[np.float64]
    spectrum: PowerSpectrum
    duration_s: float

    @property
    def resolution_per_min(self) -> float:
        """Beats a minute by which rates must differ to be distinguished: one over the duration, and at least 3 /min.

        A heart's own rate varies by that much over a clip.
        """
        return max(_MIN_RESOLUTION_PER_MIN, 60 / self.duration_s)

    @property
    def measured(self) -> NDArray[np.float64]:
        """All that is measured at each rate, (10, g): the curves but those of the rate itself, and the rest."""
        rest = (self.uncleaned, self.skin, self.lit, self.lit_line, self.motion_line, self.beside_skin)
        return np.vstack((self.curves[:-2], *rest))

    def curve(self, name: str) -> NDArray[np.float64]:
        """Return one of the curves (g,)."""
        return np.asarray(self.curves[CURVES.index(name)])


def gather(
    traces: Traces, cleaned: Traces, waves: Mapping[str, NDArray[np.float64]], patches: NDArray[np.float64]
) -> Evidence:
    """Gather the evidence in traces without gaps.

    Args:
        traces: as they are.
        cleaned: without nuisances (`workers.rppg.signals.nuisances`).
        waves: (n,) wave of each estimator by colour in the cleaned traces.
        patches: (n,) or (k, n) output of MRC in the cleaned traces.
    """
    fs = traces.fs
    wave = standardise(np.mean(list(waves.values()), axis=0))
    mean = _mean_spectrum([spectrum_of(each, fs) for each in waves.values()])
    uncleaned = _mean_spectrum([spectrum_of(method.estimate(traces), fs) for method in (pos, chrom)])
    chrominance = _curve(mean)
    regions, harmonic = _in_regions(cleaned)
    in_patches = spectrum_of(whole_face_wave(patches), fs)
    skin = _amplitudes(np.log(cleaned.face[1:2]), fs)
    lit, lit_line = _surroundings(traces, skin)
    motion_line = np.zeros(len(RATES_PER_MIN)) if traces.head is None else _line(traces.head, fs)
    measured = (
        chrominance,
        regions,
        # What is not seen speaks neither for nor against: it is as the whole face is.
        _curve(in_patches) if in_patches.power.any() else chrominance,
        harmonic,
        _curve(uncleaned),
        skin,
        lit,
        lit_line,
        motion_line,
        beside_skin(traces.crops, wave, fs, _RATES_HZ),
    )
    return of_measured(np.array(measured), wave, fs)


def of_measured(measured: NDArray[np.float64], wave: NDArray[np.float64], fs: float) -> Evidence:
    """Return the evidence of `Evidence.measured` (10, g), and the mean wave (n,) at `fs` Hz."""
    log_rate = np.log(RATES_PER_MIN / _USUAL_RATE_PER_MIN)
    curves = np.vstack((measured[:-6], log_rate, log_rate**2))
    uncleaned, skin, lit, lit_line, motion_line, beside = measured[-6:]
    return Evidence(
        curves, uncleaned, skin, lit, lit_line, motion_line, beside, wave, spectrum_of(wave, fs), len(wave) / fs
    )


def _mean_spectrum(spectra: Sequence[PowerSpectrum]) -> PowerSpectrum:
    """Return the mean of spectra, each of power 1."""
    shares = [spectrum.power / max(float(spectrum.power.sum()), 1e-30) for spectrum in spectra]
    return PowerSpectrum(spectra[0].frequencies_hz, np.mean(shares, axis=0))


def _curve(spectrum: PowerSpectrum) -> NDArray[np.float64]:
    """Return the logarithm of a smoothed 1-D spectrum over its mean, at `RATES_PER_MIN`."""
    hz = spectrum.frequencies_hz
    share = spectrum.power / max(float(spectrum.power.mean()), 1e-30)
    smooth = gaussian_filter1d(share, _SMOOTHING_HZ / float(hz[1] - hz[0]), mode="nearest")
    return np.asarray(np.log(np.interp(_RATES_HZ, hz, smooth) + _FLOOR))


def _in_regions(cleaned: Traces) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the curves `regions` and `harmonic`, (g,) each: of the whole face where no region of it is seen."""
    seen = [region for region in cleaned.regions[1:] if np.isfinite(region).all() and region.min() > 0]
    changes = np.log(np.maximum(seen or [cleaned.face], _MIN_LIGHT))
    doubled = 2 * _RATES_HZ
    has_double = doubled < MATCHED_BAND_HZ[1]
    power = matched_power(changes, cleaned.fs, np.concatenate((_RATES_HZ, doubled[has_double])))
    harmonic = np.zeros(len(_RATES_HZ))
    harmonic[has_double] = np.log(power[len(_RATES_HZ) :] + _FLOOR_MATCHED)
    return np.log(power[: len(_RATES_HZ)] + _FLOOR_MATCHED), harmonic


def _surroundings(traces: Traces, skin: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `Evidence.lit` and `Evidence.lit_line`, (g,) each: of clothes or background, for `Evidence.skin`."""
    fs = traces.fs
    nothing = np.zeros(len(RATES_PER_MIN))
    shares, lines = [nothing], [nothing]
    for other in (traces.clothes, traces.background):
        if other is not None and np.isfinite(other).all() and other.min() > 0:
            shares.append(_amplitudes(np.log(other), fs) / skin)
            lines.append(_line(np.log(other), fs))
    return np.max(shares, axis=0), np.max(lines, axis=0)


def _amplitudes(changes: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Return the largest of the amplitudes of signals (k, n) near each rate (g,), as `amplitude` does for one."""
    hz, found = transform(detrend(changes, fs), fs)
    n, step = changes.shape[1], float(hz[1] - hz[0])
    width = round(2 * SIGNAL_HALF_WIDTH_HZ / step) | 1
    power = width * uniform_filter1d(np.abs(found) ** 2, width, mode="nearest").max(axis=0)
    return np.asarray(np.sqrt(np.interp(_RATES_HZ, hz, power) * step * (n / fs) / 1.5 * 16 / n**2) + 1e-12)


def _line(changes: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Return by how much the power of signals (k, n) exceeds that around each rate (g,): the largest logarithm."""
    hz, found = transform(detrend(changes, fs, _SURROUNDINGS_HZ[0]), fs, _SURROUNDINGS_HZ)
    power, step = np.abs(found) ** 2, float(hz[1] - hz[0])
    smooth = gaussian_filter1d(power, _SMOOTHING_HZ / step, mode="nearest")
    around = median_filter(power, (1, round(_NEIGHBOURHOOD_HZ / step) | 1), mode="nearest")
    return np.asarray(np.interp(_RATES_HZ, hz, np.log((smooth + 1e-30) / (around + 1e-30)).max(axis=0)))
