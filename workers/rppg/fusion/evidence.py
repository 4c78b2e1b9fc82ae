"""Evidence for a pulse at one rate: what the traces show about it apart from the estimators' rates.

An estimator outputs a wave with a highest peak for a wall, too. A pulse is seen in all of the skin at once and nowhere
else in the picture, at one rate, and with the colour signature of blood.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import NEURAL, chrom, pbv, pos
from workers.rppg.signals.filters import PULSE_BAND_HZ, band_pass, detrend, to_pulse_wave
from workers.rppg.signals.nuisances import sway_of, without_nuisances
from workers.rppg.signals.spectrum import SIGNAL_HALF_WIDTH_HZ, PowerSpectrum, spectrum_of, transform
from workers.rppg.signals.spectrum import snr_db as snr_of
from workers.rppg.signals.traces import Traces

#: Half-widths of the band near half of a rate, and of the band around that, Hz.
_NEAR_HALF_HZ = 0.05
_AROUND_HALF_HZ = 0.25

#: Mean speed of a still sitter's landmarks, face widths per second: 0.006 to 0.015 on three real clips, 0.012 to 0.018
#: on simulated ones that hold still or sit naturally.
STILL = 0.012

#: Band in which rates below the pulse band are looked for, Hz: from 20 beats a minute.
_LOW_BAND_HZ = (0.33, PULSE_BAND_HZ[1])

#: Neighbourhood of a line in a spectrum, in Hz from its middle.
_AROUND_HZ = (0.18, 0.7)


@dataclass(frozen=True)
class Evidence:
    """Quantities for and against a pulse at one rate. Ratios are in decibels.

    Attributes:
        snr_db: fused wave: power at the rate and its double against the rest of the band.
        signal_snr_db: the same of the mean of the signal estimators, which output no pulse that is not in the clip.
        neural_snr_db: the same of the clearest of the networks; None if none ran.
        chrominance_snr_db: the same of POS and CHROM, which light of any level cancels out of.
        green_snr_db: the same of GREEN, which follows light and blood alike.
        line_db: signal estimators: power at the rate against that of the rates around it.
        region_coherence: in [-1, 1]: mean correlation of the POS waves of forehead and cheeks near the rate; noise: 0.
        region_correlation: in [-1, 1]: the same over the whole pulse band.
        background_snr_db: `snr_db` of the background's green; None without a background.
        background_share: modulation of the background over that of the face, near the rate; None without a background.
        motion_coherence: in [0, 1]: coherence of the fused wave with the head's position, near the rate.
        movement: mean speed of the landmarks over that of a still sitter.
        modulation: relative amplitude (AC/DC) of the face's green near the rate.
        duration_s: length of the traces, seconds.
        half_line_db: of patches of the crops, or else of the signal estimators: the highest power near half the rate
            against the power around it.
        half_share: the same power over the highest near the rate.
        keyframe_modulation: relative amplitude of the pattern that keyframes left in the face's green, and that was
            removed.
        halves_correlation: in [-1, 1]: correlation of a network's waves of the left and right half of the face, near
            the rate; None if no network looked at halves.
        patches_snr_db: `snr_db` of patches of the crops (MRC); None if they were not used.
        patches_coherence: `halves_correlation` of patches.
        pbv_contrast: of patches, as in `workers.rppg.fusion.blood_signature.ColorSignature`; None if enough estimators
            agree on the rate without it.
        pbv_contrast_error: its standard error.
        sway: slow translation of the head, widths of the face's crop; None where it was not measured.
        below_db: POS: power at half the rate over that at the rate, where half the rate is below the pulse band; None
            where it is inside.
        cleaned_rates_per_min: rates of POS, CHROM and PBV without what motion of the head and light on clothes and
            background explain (`workers.rppg.signals.nuisances`); none if they were not run.
    """

    snr_db: float
    signal_snr_db: float
    neural_snr_db: float | None
    chrominance_snr_db: float
    green_snr_db: float
    line_db: float
    region_coherence: float
    region_correlation: float
    background_snr_db: float | None
    background_share: float | None
    motion_coherence: float
    movement: float
    modulation: float
    duration_s: float
    half_line_db: float
    half_share: float
    keyframe_modulation: float = 0.0
    halves_correlation: float | None = None
    patches_snr_db: float | None = None
    patches_coherence: float | None = None
    pbv_contrast: float | None = None
    pbv_contrast_error: float | None = None
    sway: float | None = None
    below_db: float | None = None
    cleaned_rates_per_min: tuple[float, ...] = ()


def gather(
    traces: Traces,
    waves: Mapping[str, NDArray[np.float64]],
    fused: NDArray[np.float64],
    rate_hz: float,
    parts_of: Mapping[str, Mapping[str, NDArray[np.float64]]] = MappingProxyType({}),
) -> Evidence:
    """Gather the evidence for a pulse of `rate_hz`.

    Args:
        traces: the traces, without gaps.
        waves: (n,) wave of each estimator, by name.
        fused: (n,) wave that is fused from them.
        rate_hz: the rate, Hz.
        parts_of: for estimators that look at parts of the face that share no noise, the wave (n,) of each part.
    """
    fs = traces.fs
    signal = _mean([wave for name, wave in waves.items() if name not in NEURAL])
    neural = [wave for name, wave in waves.items() if name in NEURAL]
    chrominance = _mean([wave for name, wave in waves.items() if name in {"pos", "chrom"}])
    face = relative(traces.face[1])
    seen = [region for region in traces.regions[1:] if np.isfinite(region).all()]
    regions = [to_pulse_wave(pos.project(region, fs), fs) for region in seen]
    background_snr_db = background_share = None
    if np.isfinite(traces.background).all():
        background = relative(traces.background[1])
        background_snr_db = snr_of(spectrum_of(detrend(background, fs), fs), rate_hz)
        background_share = amplitude(background, fs, rate_hz) / max(amplitude(face, fs, rate_hz), 1e-12)

    def snr_db(wave: NDArray[np.float64] | None) -> float:
        return -60.0 if wave is None else snr_of(spectrum_of(wave, fs), rate_hz)

    def halves_correlation(names: Collection[str]) -> float | None:
        parts = next((list(found.values()) for name, found in parts_of.items() if found and name in names), None)
        return None if parts is None else _mean_correlation(parts, fs, rate_hz)

    patches = waves.get("mrc")
    # For a weak pulse, the mean of all contains the drift that some of them follow.
    clearest = signal if patches is None else patches
    half_line_db, half_share = (-60.0, 0.0) if clearest is None else half_rate(spectrum_of(clearest, fs), rate_hz)
    return Evidence(
        snr_db=snr_db(fused),
        signal_snr_db=snr_db(signal),
        neural_snr_db=max((snr_db(wave) for wave in neural), default=None),
        chrominance_snr_db=snr_db(chrominance),
        green_snr_db=snr_db(to_pulse_wave(-face, fs)),
        line_db=-60.0 if signal is None else line_db(spectrum_of(signal, fs), rate_hz),
        region_coherence=_mean_correlation(regions, fs, rate_hz),
        region_correlation=_mean_correlation(regions, fs),
        background_snr_db=background_snr_db,
        background_share=background_share,
        motion_coherence=max(coherence(fused, axis, fs, rate_hz) for axis in traces.position),
        movement=float(traces.motion.mean()) / STILL,
        modulation=amplitude(face, fs, rate_hz),
        duration_s=traces.duration_s,
        half_line_db=half_line_db,
        half_share=half_share,
        keyframe_modulation=traces.keyframe_modulation,
        halves_correlation=halves_correlation(NEURAL),
        patches_snr_db=None if patches is None else snr_db(patches),
        patches_coherence=halves_correlation({"mrc"}),
        sway=sway_of(traces),
        below_db=below_db(traces, rate_hz),
    )


def below_db(traces: Traces, rate_hz: float) -> float | None:
    """Power of POS at half of a rate over that at the rate, decibels; None if half of it is inside the pulse band.

    The wave is filtered for a band that begins lower, as that of the estimators passes little of such a rate.
    """
    if rate_hz / 2 >= PULSE_BAND_HZ[0]:
        return None
    fs = traces.fs
    wave = band_pass(detrend(pos.project(traces.face, fs), fs, _LOW_BAND_HZ[0]), fs, _LOW_BAND_HZ)
    spectrum = spectrum_of(wave, fs, _LOW_BAND_HZ)
    half, whole = (
        float(spectrum.power[np.abs(spectrum.frequencies_hz - hz) <= _NEAR_HALF_HZ].max(initial=1e-12))
        for hz in (rate_hz / 2, rate_hz)
    )
    return float(np.clip(10 * np.log10(half / whole), -60, 60))


def cleaned_rates(traces: Traces) -> tuple[float, ...]:
    """Rates of POS, CHROM and PBV in the colours without nuisances, beats a minute."""
    cleaned = without_nuisances(traces)
    return tuple(60 * spectrum_of(method.estimate(cleaned), traces.fs).peak_hz() for method in (pos, chrom, pbv))


def relative(channel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative change (n,) of a colour channel (n,): over its mean, less one."""
    return channel / max(float(channel.mean()), 1e-9) - 1.0


def line_db(spectrum: PowerSpectrum, rate_hz: float) -> float:
    """Mean power near a rate against that around it, without its harmonic, of a 1-D spectrum, in decibels."""
    f = spectrum.frequencies_hz
    away = np.abs(f - rate_hz)
    around = (away > _AROUND_HZ[0]) & (away <= _AROUND_HZ[1]) & (np.abs(f - 2 * rate_hz) > _AROUND_HZ[0])
    at = away <= SIGNAL_HALF_WIDTH_HZ
    if not at.any() or not around.any():
        return -60.0
    ratio = float(spectrum.power[at].mean()) / max(float(spectrum.power[around].mean()), 1e-300)
    return float(np.clip(10 * np.log10(max(ratio, 1e-6)), -60, 60))


def half_rate(spectrum: PowerSpectrum, rate_hz: float) -> tuple[float, float]:
    """Return how far half of a rate stands out, in decibels, and its power over that of the rate, of a 1-D spectrum.

    A wave with a strong second harmonic has a peak at twice its rate; a wave has none at half of its rate.
    """
    f, power = spectrum.frequencies_hz, spectrum.power
    away = np.abs(f - rate_hz / 2)
    half, around = away <= _NEAR_HALF_HZ, (away > 2 * _NEAR_HALF_HZ) & (away <= _AROUND_HALF_HZ)
    whole = np.abs(f - rate_hz) <= _NEAR_HALF_HZ
    if not half.any() or not around.any() or not whole.any():
        return -60.0, 0.0
    peak = float(power[half].max())
    line = peak / max(float(np.median(power[around])), 1e-300)
    return float(np.clip(10 * np.log10(max(line, 1e-6)), -60, 60)), peak / max(float(power[whole].max()), 1e-300)


def coherence(a: NDArray[np.float64], b: NDArray[np.float64], fs: float, rate_hz: float) -> float:
    """Coherence in [0, 1] of two signals (n,) near a rate: their correlation whatever their phase difference."""
    frequencies, (x, y) = transform(detrend(np.stack((a, b)), fs), fs)
    near = np.abs(frequencies - rate_hz) <= SIGNAL_HALF_WIDTH_HZ
    power = float(np.sqrt((np.abs(x[near]) ** 2).sum() * (np.abs(y[near]) ** 2).sum()))
    return float(abs((x[near] * y[near].conj()).sum())) / power if power > 0 else 0.0


def amplitude(signal: NDArray[np.float64], fs: float, rate_hz: float) -> float:
    """Amplitude of a sine with the power that the signal (n,) has within ±6 /min of a rate."""
    n = len(signal)
    frequencies, x = transform(detrend(signal, fs), fs)
    near = np.abs(frequencies - rate_hz) <= SIGNAL_HALF_WIDTH_HZ
    # A sine of amplitude 1 puts n²/16 at its peak under a Hann window, over a main lobe of 1.5 bins of 1/duration.
    step = frequencies[1] - frequencies[0]
    return float(np.sqrt((np.abs(x[near]) ** 2).sum() * step * (n / fs) / 1.5 * 16 / n**2))


def _mean(waves: list[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    return np.asarray(np.mean(waves, axis=0), np.float64) if waves else None


def _mean_correlation(waves: Sequence[NDArray[np.float64]], fs: float, rate_hz: float | None = None) -> float:
    """Mean correlation of waves (n,) over all pairs, near a rate or over the whole pulse band; 0 for fewer than two."""
    rows = len(waves)
    if rows < 2:
        return 0.0
    frequencies, transforms = transform(np.array(waves), fs)
    if rate_hz is not None:
        transforms = transforms[:, np.abs(frequencies - rate_hz) <= SIGNAL_HALF_WIDTH_HZ]
    spread = np.sqrt((np.abs(transforms) ** 2).sum(axis=1, keepdims=True))
    unit = np.divide(transforms, spread, out=np.zeros_like(transforms), where=spread > 0)
    gram = (unit @ unit.conj().T).real
    return float((gram.sum() - np.trace(gram)) / (rows * (rows - 1)))
