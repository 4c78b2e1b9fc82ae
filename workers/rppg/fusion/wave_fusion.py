"""Traces become a pulse: one wave, one rate, and what speaks for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import BY_COLOUR, NEURAL, by_part, whole
from workers.rppg.fusion.agreement import MEMBER_PER_MIN, Agreement, Estimate, agree
from workers.rppg.fusion.blood_signature import tint
from workers.rppg.fusion.calibration import CALIBRATION
from workers.rppg.fusion.evidence import Evidence, gather
from workers.rppg.signals.beats import mean_rate_per_min
from workers.rppg.signals.filters import standardise
from workers.rppg.signals.spectrum import PowerSpectrum, snr_db, spectrum_of
from workers.rppg.signals.traces import Traces


@dataclass(frozen=True)
class Pulse:
    """The fused pulse wave (n,) on its grid of times, its spectrum, the estimates behind it, and the evidence.

    `rate_per_min` is the mean rate over the clip, counted in the fused wave near the rate that the estimators agree on.
    `between_keyframes` is what the colours of the regions say where the change across keyframes is held for unknown
    (`Traces.bridged`); None where keyframes leave no doubt, or beat at this rate.
    """

    rate_per_min: float
    fs: float
    times_s: NDArray[np.float64]
    wave: NDArray[np.float64]
    spectrum: PowerSpectrum
    estimates: tuple[Estimate, ...]
    agreement: Agreement
    evidence: Evidence
    frames: int
    between_keyframes: "Pulse | None" = None

    @property
    def duration_s(self) -> float:
        """Length of the wave in seconds."""
        return len(self.wave) / self.fs


def fused_pulse(traces: Traces, answers: Mapping[str, NDArray[np.float64]]) -> Pulse:
    """What the waves, (n,) or (k, n), that estimators, by name, made of the traces say together."""
    waves = {name: whole(answer) for name, answer in answers.items()}
    estimates = [_estimate(name, wave, traces.fs) for name, wave in waves.items()]
    parts = {name: by_part(answer) for name, answer in answers.items()}
    estimates += [
        _estimate(name, wave, traces.fs, part) for name, heard in parts.items() for part, wave in heard.items()
    ]
    agreement = agree(estimates, CALIBRATION.fusion)
    behind = agreement.members or tuple(waves)
    fused = fuse({name: waves[name] for name in behind}, traces.fs, agreement.rate_per_min / 60)
    rate_per_min = mean_rate_per_min(fused, traces.fs, agreement.rate_per_min)
    evidence = gather(traces, waves, fused, agreement.rate_per_min / 60, parts)
    if evidence.patches_snr_db is not None and CALIBRATION.gate.few_witnesses(agreement):
        seen = tint(traces, agreement.rate_per_min / 60)
        if seen is not None:
            evidence = replace(evidence, greenness=seen.greenness, greenness_error=seen.error)
    # Nobody asks for it where keyframes leave no doubt.
    doubtful = CALIBRATION.gate.keyframes_stronger(evidence)
    return Pulse(
        rate_per_min=rate_per_min,
        fs=traces.fs,
        times_s=traces.times_s,
        wave=fused,
        spectrum=spectrum_of(fused, traces.fs),
        estimates=tuple(estimates),
        agreement=agreement,
        evidence=evidence,
        frames=traces.frames,
        between_keyframes=_between_keyframes(traces, rate_per_min) if doubtful else None,
    )


def _between_keyframes(traces: Traces, rate_per_min: float) -> Pulse | None:
    """What the regions' colours say where the change across keyframes is unknown.

    None as well at a multiple of the keyframes' rate: with their pattern most of a pulse there is gone from the traces,
    and what is left of it lies beside.
    """
    if traces.bridged is None or traces.bridged[0].min() <= 0:
        return None
    beats_per_keyframe = rate_per_min / traces.keyframes_per_min
    if abs(beats_per_keyframe - max(1, round(beats_per_keyframe))) * traces.keyframes_per_min <= MEMBER_PER_MIN:
        return None
    bridged = replace(traces, regions=traces.bridged, bridged=None, coded=0.0)
    return fused_pulse(bridged, {name: run(bridged) for name, run in BY_COLOUR.items()})


def _estimate(name: str, wave: NDArray[np.float64], fs: float, part: str | None = None) -> Estimate:
    spectrum = spectrum_of(wave, fs)
    peak_hz = spectrum.peak_hz()
    return Estimate(name, 60 * peak_hz, snr_db(spectrum, peak_hz), neural=name in NEURAL, part=part)


def fuse(waves: Mapping[str, NDArray[np.float64]], fs: float, rate_hz: float) -> NDArray[np.float64]:
    """Mean of the waves (n,), each weighted by the share of its power that lies at the rate; standardised."""
    total = np.zeros(len(next(iter(waves.values()))))
    for wave in waves.values():
        ratio = 10 ** (snr_db(spectrum_of(wave, fs), rate_hz) / 10)
        total += wave * ratio / (1 + ratio)
    return standardise(total)
