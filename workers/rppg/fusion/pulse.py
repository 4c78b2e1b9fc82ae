"""The pulse of a clip: one wave, its rate, and the verdict on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import BY_COLOUR, mrc, pos, whole_face_wave
from workers.rppg.fusion.evidence import Evidence, gather
from workers.rppg.fusion.verdict import MODEL, Verdict
from workers.rppg.signals.beats import mean_rate_per_min
from workers.rppg.signals.filters import PULSE_BAND_HZ, band_pass, detrend
from workers.rppg.signals.nuisances import in_even_light, sway_of, without_nuisances
from workers.rppg.signals.rhythm import Rhythm, rhythm_of
from workers.rppg.signals.spectrum import PowerSpectrum, snr_db, spectrum_of
from workers.rppg.signals.traces import Traces

#: Half-width of the band near half of a rate, Hz.
_NEAR_HALF_HZ: Final = 0.05
#: Band in which half of a rate, and a cycle of two beats, are looked for, Hz: from 20 /min.
_SLOW_BAND_HZ: Final = (0.33, PULSE_BAND_HZ[1])


@dataclass(frozen=True)
class Pulse:
    """The pulse wave with its rate, and what speaks for it.

    Attributes:
        rate_per_min: mean rate over the clip, counted in the wave near the likeliest rate.
        fs: sampling rate, Hz.
        times_s: (n,) times of the samples, seconds since the clip's first frame.
        snr_db: power at the likeliest rate and its double against the rest of the band, of the wave, decibels.
        estimates: highest peak of each estimator's spectrum, beats a minute, by name.
        evidence: for and against a pulse at each rate.
        verdict: what the evidence amounts to.
        sway: slow motion of the head, face widths; None where it was not measured.
        half_db: POS without nuisances: power at half the rate over that at the rate, decibels.
        rhythm: whether beats come at uneven intervals, or alternate.
        frames: video frames in which the face was measured.
    """

    rate_per_min: float
    fs: float
    times_s: NDArray[np.float64]
    snr_db: float
    estimates: Mapping[str, float]
    evidence: Evidence
    verdict: Verdict
    sway: float | None
    half_db: float
    rhythm: Rhythm
    frames: int

    @property
    def wave(self) -> NDArray[np.float64]:
        """Pulse wave (n,), standardised, rising with blood volume."""
        return self.evidence.wave

    @property
    def spectrum(self) -> PowerSpectrum:
        """Power spectrum of the wave."""
        return self.evidence.spectrum

    @property
    def duration_s(self) -> float:
        """Length of the wave in seconds."""
        return len(self.wave) / self.fs


def estimate_pulse(traces: Traces) -> Pulse:
    """Estimate the pulse in traces without gaps, whether or not there is one."""
    cleaned = in_even_light(traces, without_nuisances(traces))
    return pulse_of(traces, cleaned, mrc.estimate(cleaned))


def pulse_of(traces: Traces, cleaned: Traces, patches: NDArray[np.float64]) -> Pulse:
    """Return the pulse of traces, of which `cleaned` are without nuisances, and `patches` is the output of MRC."""
    fs = traces.fs
    waves = {name: run(cleaned) for name, run in BY_COLOUR.items()}
    evidence = gather(traces, cleaned, waves, patches)
    verdict = MODEL.judge(evidence)
    rate_hz = verdict.rate_per_min / 60
    every = {**waves, "mrc": whole_face_wave(patches)}
    slow = _slow_wave(cleaned)
    rate_per_min = mean_rate_per_min(evidence.wave, fs, verdict.rate_per_min)
    return Pulse(
        rate_per_min=rate_per_min,
        fs=fs,
        times_s=traces.times_s,
        snr_db=snr_db(evidence.spectrum, rate_hz),
        estimates={name: 60 * spectrum_of(found, fs).peak_hz() for name, found in every.items()},
        evidence=evidence,
        verdict=verdict,
        sway=sway_of(traces),
        half_db=_half_db(slow, fs, rate_hz),
        rhythm=rhythm_of(evidence.wave, every["mrc"], slow, fs, rate_per_min),
        frames=traces.frames,
    )


def _half_db(slow: NDArray[np.float64], fs: float, rate_hz: float) -> float:
    """Return the power of a wave (n,) at half of a rate over that at the rate, decibels."""
    spectrum = spectrum_of(slow, fs, _SLOW_BAND_HZ)
    half, whole = (
        float(spectrum.power[np.abs(spectrum.frequencies_hz - hz) <= _NEAR_HALF_HZ].max(initial=1e-12))
        for hz in (rate_hz / 2, rate_hz)
    )
    return float(np.clip(10 * np.log10(half / whole), -60, 60))


def _slow_wave(cleaned: Traces) -> NDArray[np.float64]:
    """Return the wave (n,) of POS from 20 /min on: that of the estimator passes little of a slow heart's rate."""
    fs = cleaned.fs
    return band_pass(detrend(pos.project(cleaned.face, fs), fs, _SLOW_BAND_HZ[0]), fs, _SLOW_BAND_HZ)
