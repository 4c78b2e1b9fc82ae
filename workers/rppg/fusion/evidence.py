"""Is there a pulse at all? What the traces say about it apart from the estimators' rates.

An estimator answers a wall, too: each turns whatever varies into a wave with a highest peak. A pulse is what all of the
skin does at once and nothing else in the picture does, at one rate, in the colours of blood.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import NEURAL, pos
from workers.rppg.signals.filters import detrend, pulse_wave
from workers.rppg.signals.spectrum import SIGNAL_HALF_WIDTH_HZ, PowerSpectrum, spectrum_of, transform
from workers.rppg.signals.spectrum import snr_db as snr_of
from workers.rppg.signals.traces import Traces

Array = NDArray[np.float64]

#: What lies near half of a rate, and how far what surrounds it reaches, in Hz.
_NEAR_HALF_HZ = 0.05
_AROUND_HALF_HZ = 0.25

#: Mean speed of a still sitter's landmarks, face widths per second: 0.006 to 0.015 on three real clips, 0.012 to 0.018
#: on simulated ones that hold still or sit naturally.
STILL = 0.012

#: Neighbourhood of a line in a spectrum, in Hz from its middle.
_AROUND_HZ = (0.18, 0.7)


@dataclass(frozen=True)
class Evidence:
    """What speaks for a pulse at one rate, and what against. Ratios are in decibels.

    snr_db              fused wave: power at the rate and its double against the rest of the band
    signal_snr_db       the same of the mean of the signal estimators, which can't imagine a pulse
    neural_snr_db       the same of the clearest of the networks; None where none ran
    chrominance_snr_db  the same of POS and CHROM, which light of any level cancels out of
    green_snr_db        the same of GREEN, which follows light and blood alike
    line_db             signal estimators: power at the rate against that of the rates around it
    region_coherence    in [-1, 1]: forehead's and cheeks' POS waves against each other, near the rate; noise: about 0
    region_correlation  in [-1, 1]: the same over the whole pulse band
    background_snr_db   the background's green, as snr_db; None without a background
    background_share    modulation of the background over that of the face, near the rate; None without a background
    motion_coherence    in [0, 1]: the fused wave against the head's position, near the rate
    movement            mean speed of the landmarks over that of a still sitter
    modulation          relative amplitude (AC/DC) of the face's green near the rate
    duration_s          length of the traces
    half_line_db        patches of the crops, or else signal estimators: the highest power near half the rate against
                        what surrounds it
    half_share          the same against the highest power near the rate
    halves_coherence    in [-1, 1]: what a network hears in the left part of the face against what it hears in the
                        right, near the rate; None where none was asked so
    patches_snr_db      what patches of the crops say (MRC), as snr_db; None where they were not asked
    patches_coherence   the same as halves_coherence, of patches
    greenness           of patches, as in `workers.rppg.fusion.blood_signature.Tint`; None where enough estimators speak
                        for the rate
    greenness_error     its standard error
    coded               relative amplitude of what keyframes did to the face's green, and was taken away
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
    coded: float = 0.0
    halves_coherence: float | None = None
    patches_snr_db: float | None = None
    patches_coherence: float | None = None
    greenness: float | None = None
    greenness_error: float | None = None


def gather(
    traces: Traces,
    waves: Mapping[str, Array],
    fused: Array,
    rate_hz: float,
    parts_of: Mapping[str, Mapping[str, Array]] = MappingProxyType({}),
) -> Evidence:
    """Evidence about a pulse of `rate_hz`: `waves` (n,) by estimator, and the one that is fused from them (n,).

    `parts_of`: the waves (n,) that an estimator hears in parts of the face that share no noise, for those that do.
    """
    fs = traces.fs
    signal = _mean([wave for name, wave in waves.items() if name not in NEURAL])
    neural = [wave for name, wave in waves.items() if name in NEURAL]
    chrominance = _mean([wave for name, wave in waves.items() if name in {"pos", "chrom"}])
    face = relative(traces.face[1])
    parts = [region for region in traces.regions[1:] if np.isfinite(region).all()]
    regions = [pulse_wave(pos.project(region, fs), fs) for region in parts]
    background_snr_db = background_share = None
    if np.isfinite(traces.background).all():
        background = relative(traces.background[1])
        background_snr_db = snr_of(spectrum_of(detrend(background, fs), fs), rate_hz)
        background_share = amplitude(background, fs, rate_hz) / max(amplitude(face, fs, rate_hz), 1e-12)

    def snr_db(wave: Array | None) -> float:
        return -60.0 if wave is None else snr_of(spectrum_of(wave, fs), rate_hz)

    def halves_coherence(names: Collection[str]) -> float | None:
        heard = next((list(heard.values()) for name, heard in parts_of.items() if heard and name in names), None)
        return None if heard is None else _in_step(heard, fs, rate_hz)

    patches = waves.get("mrc")
    # Where a pulse is weak the mean of all holds the drift that some of them fall to.
    clearest = signal if patches is None else patches
    half_line_db, half_share = (-60.0, 0.0) if clearest is None else half_rate(spectrum_of(clearest, fs), rate_hz)
    return Evidence(
        snr_db=snr_db(fused),
        signal_snr_db=snr_db(signal),
        neural_snr_db=max((snr_db(wave) for wave in neural), default=None),
        chrominance_snr_db=snr_db(chrominance),
        green_snr_db=snr_db(pulse_wave(-face, fs)),
        line_db=-60.0 if signal is None else line_db(spectrum_of(signal, fs), rate_hz),
        region_coherence=_in_step(regions, fs, rate_hz),
        region_correlation=_in_step(regions, fs),
        background_snr_db=background_snr_db,
        background_share=background_share,
        motion_coherence=max(coherence(fused, axis, fs, rate_hz) for axis in traces.position),
        movement=float(traces.motion.mean()) / STILL,
        modulation=amplitude(face, fs, rate_hz),
        duration_s=traces.duration_s,
        half_line_db=half_line_db,
        half_share=half_share,
        coded=traces.coded,
        halves_coherence=halves_coherence(NEURAL),
        patches_snr_db=None if patches is None else snr_db(patches),
        patches_coherence=halves_coherence({"mrc"}),
    )


def relative(channel: Array) -> Array:
    """A colour channel over its mean, less one."""
    return channel / max(float(channel.mean()), 1e-9) - 1.0


def line_db(spectrum: PowerSpectrum, rate_hz: float) -> float:
    """Mean power at a rate against that around it, its harmonic left out, in decibels; of a 1-D spectrum."""
    f = spectrum.frequencies_hz
    away = np.abs(f - rate_hz)
    around = (away > _AROUND_HZ[0]) & (away <= _AROUND_HZ[1]) & (np.abs(f - 2 * rate_hz) > _AROUND_HZ[0])
    at = away <= SIGNAL_HALF_WIDTH_HZ
    if not at.any() or not around.any():
        return -60.0
    ratio = float(spectrum.power[at].mean()) / max(float(spectrum.power[around].mean()), 1e-300)
    return float(np.clip(10 * np.log10(max(ratio, 1e-6)), -60, 60))


def half_rate(spectrum: PowerSpectrum, rate_hz: float) -> tuple[float, float]:
    """How far half of a rate stands out, in decibels, and its power over that of the rate; of a 1-D spectrum.

    A wave with a strong second harmonic beats at twice its rate; nothing that beats at a rate beats at half of it too.
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


def coherence(a: Array, b: Array, fs: float, rate_hz: float) -> float:
    """Magnitude of the correlation of two signals (n,) near a rate, whatever their phase difference, in [0, 1]."""
    frequencies, (x, y) = transform(detrend(np.stack((a, b)), fs), fs)
    near = np.abs(frequencies - rate_hz) <= SIGNAL_HALF_WIDTH_HZ
    power = float(np.sqrt((np.abs(x[near]) ** 2).sum() * (np.abs(y[near]) ** 2).sum()))
    return float(abs((x[near] * y[near].conj()).sum())) / power if power > 0 else 0.0


def amplitude(signal: Array, fs: float, rate_hz: float) -> float:
    """Amplitude of the sine that holds the signal's power within ±6 /min of a rate."""
    n = len(signal)
    frequencies, x = transform(detrend(signal, fs), fs)
    near = np.abs(frequencies - rate_hz) <= SIGNAL_HALF_WIDTH_HZ
    # A sine of amplitude 1 puts n²/16 at its peak under a Hann window, over a main lobe of 1.5 bins of 1/duration.
    step = frequencies[1] - frequencies[0]
    return float(np.sqrt((np.abs(x[near]) ** 2).sum() * step * (n / fs) / 1.5 * 16 / n**2))


def _mean(waves: list[Array]) -> Array | None:
    return np.asarray(np.mean(waves, axis=0), np.float64) if waves else None


def _in_step(waves: Sequence[Array], fs: float, rate_hz: float | None = None) -> float:
    """Mean correlation in phase of waves (n,), over all pairs, near a rate or over the whole pulse band; 0 for fewer
    than two.
    """
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
