"""Is there a pulse at all? What the traces say about it apart from the estimators' rates.

An estimator answers a wall, too: each turns whatever varies into a wave with a highest peak. A pulse is what all of
the skin
does at once and nothing else in the picture does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import pos
from workers.rppg.filters import detrend, pulse_wave
from workers.rppg.spectrum import SIGNAL_HALF_WIDTH_HZ, spectrum_of, transform
from workers.rppg.spectrum import snr_db as snr_db_at
from workers.rppg.traces import Traces

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What speaks for a pulse at one rate, and what against.

    snr_db                  of the fused wave
    region_coherence        in [-1, 1]: forehead's and cheeks' POS waves against each other, near the rate; noise
                            gives about 0
    region_correlation      in [-1, 1]: the same over the whole pulse band
    background_snr_db       of the background's green at the rate; None without a background
    background_share        modulation of the background over that of the face, near the rate; None without a background
    motion_coherence        in [0, 1]: the fused wave against the head's position, near the rate
    modulation              relative amplitude (AC/DC) of the face's green near the rate
    """

    snr_db: float
    region_coherence: float
    region_correlation: float
    background_snr_db: float | None
    background_share: float | None
    motion_coherence: float
    modulation: float


def gather(traces: Traces, wave: Array, rate_hz: float, snr_db: float) -> Evidence:
    """Evidence about a pulse of `rate_hz` in the traces, `wave` (n,) being the fused one."""
    parts = [region for region in traces.regions[1:] if np.isfinite(region).all()]
    waves = np.array([pulse_wave(pos.project(region, traces.fs), traces.fs) for region in parts])
    frequencies, transforms = transform(waves, traces.fs) if len(waves) else (np.zeros(0), np.zeros((0, 0), complex))
    near = np.abs(frequencies - rate_hz) <= SIGNAL_HALF_WIDTH_HZ
    face = relative(traces.face[1])
    background_snr_db = background_share = None
    if np.isfinite(traces.background).all():
        background = relative(traces.background[1])
        background_snr_db = snr_db_at(spectrum_of(detrend(background, traces.fs), traces.fs), rate_hz)
        background_share = amplitude(background, traces.fs, rate_hz) / max(amplitude(face, traces.fs, rate_hz), 1e-12)
    return Evidence(
        snr_db=snr_db,
        region_coherence=_mutual(transforms[:, near]),
        region_correlation=_mutual(transforms),
        background_snr_db=background_snr_db,
        background_share=background_share,
        motion_coherence=max(coherence(wave, axis, traces.fs, rate_hz) for axis in traces.position),
        modulation=amplitude(face, traces.fs, rate_hz),
    )


def relative(channel: Array) -> Array:
    """A colour channel over its mean, less one."""
    return channel / max(float(channel.mean()), 1e-9) - 1.0


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
    # A sine of amplitude 1 puts n²/16 at its peak under a Hann window, over a main lobe whose area is 1.5 bins of
    # 1/duration.
    step = frequencies[1] - frequencies[0]
    return float(np.sqrt((np.abs(x[near]) ** 2).sum() * step * (n / fs) / 1.5 * 16 / n**2))


def _mutual(transforms: NDArray[np.complex128]) -> float:
    """Mean correlation in phase between the rows of (m, k), over all pairs; 0 for fewer than two rows."""
    rows = len(transforms)
    if rows < 2 or transforms.shape[1] == 0:
        return 0.0
    spread = np.sqrt((np.abs(transforms) ** 2).sum(axis=1, keepdims=True))
    unit = np.divide(transforms, spread, out=np.zeros_like(transforms), where=spread > 0)
    gram = (unit @ unit.conj().T).real
    return float((gram.sum() - np.trace(gram)) / (rows * (rows - 1)))
