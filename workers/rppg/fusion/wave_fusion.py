"""Fuse the estimators' waves into one pulse: one wave, one rate, and the evidence for them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import BY_COLOUR, NEURAL, waves_by_part, whole_face_wave
from workers.rppg.fusion.agreement import FUSION, MEMBER_PER_MIN, Estimate, agree, voting
from workers.rppg.fusion.blood_signature import color_signature
from workers.rppg.fusion.evidence import gather
from workers.rppg.fusion.gate import GATE
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.signals.beats import mean_rate_per_min
from workers.rppg.signals.filters import standardise
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces


def fused_pulse(
    traces: Traces, outputs: Mapping[str, NDArray[np.float64]], cleaned_rates_per_min: tuple[float, ...] = ()
) -> Pulse:
    """Fuse the outputs of estimators, by name: each (n,) or (k, n) as `workers.rppg.estimators.Estimator` returns it.

    `cleaned_rates_per_min` are those of `workers.rppg.fusion.evidence.cleaned_rates`, for the gate to compare. An
    estimator without calibration has no vote, and its wave is no evidence; its estimate is listed all the same.

    Raises:
        ValueError: there is no output.
    """
    waves = {name: whole_face_wave(output) for name, output in outputs.items()}
    estimates = [_estimate(name, wave, traces.fs) for name, wave in waves.items()]
    parts = {name: waves_by_part(output) for name, output in outputs.items()}
    estimates += [
        _estimate(name, wave, traces.fs, part) for name, found in parts.items() for part, wave in found.items()
    ]
    agreement = agree(estimates, FUSION)
    votes = {estimate.name for estimate in voting(estimates, FUSION)} or waves.keys()
    waves = {name: wave for name, wave in waves.items() if name in votes}
    parts = {name: found for name, found in parts.items() if name in votes}
    behind = agreement.members or tuple(waves)
    fused = fuse({name: waves[name] for name in behind}, traces.fs, agreement.rate_per_min / 60)
    rate_per_min = mean_rate_per_min(fused, traces.fs, agreement.rate_per_min)
    evidence = gather(traces, waves, fused, agreement.rate_per_min / 60, parts)
    evidence = replace(evidence, cleaned_rates_per_min=cleaned_rates_per_min)
    if evidence.patches_snr_db is not None and GATE.too_few_signal_estimators(agreement):
        signature = color_signature(traces, agreement.rate_per_min / 60)
        if signature is not None:
            evidence = replace(evidence, pbv_contrast=signature.pbv_contrast, pbv_contrast_error=signature.error)
    # Expensive, and needed only if keyframes make the rate doubtful.
    doubtful = GATE.keyframes_stronger(evidence)
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
    """The pulse of the regions' colours with the change across keyframes interpolated.

    None at a multiple of the keyframes' rate as well: with their pattern most of a pulse there is removed from the
    traces, and what is left of it is at other rates.
    """
    if traces.keyframes_interpolated is None or traces.keyframes_interpolated[0].min() <= 0:
        return None
    beats_per_keyframe = rate_per_min / traces.keyframes_per_min
    if abs(beats_per_keyframe - max(1, round(beats_per_keyframe))) * traces.keyframes_per_min <= MEMBER_PER_MIN:
        return None
    interpolated = replace(
        traces, regions=traces.keyframes_interpolated, keyframes_interpolated=None, keyframe_modulation=0.0
    )
    return fused_pulse(interpolated, {name: run(interpolated) for name, run in BY_COLOUR.items()})


def _estimate(name: str, wave: NDArray[np.float64], fs: float, part: str | None = None) -> Estimate:
    spectrum = spectrum_of(wave, fs)
    peak_hz = spectrum.peak_hz()
    return Estimate(name, 60 * peak_hz, snr_db(spectrum, peak_hz), neural=name in NEURAL, part=part)


def fuse(waves: Mapping[str, NDArray[np.float64]], fs: float, rate_hz: float) -> NDArray[np.float64]:
    """Return the mean (n,) of the waves (n,), each weighted by the share of its power near the rate; standardised."""
    total = np.zeros(len(next(iter(waves.values()))))
    for wave in waves.values():
        ratio = 10 ** (snr_db(spectrum_of(wave, fs), rate_hz) / 10)
        total += wave * ratio / (1 + ratio)
    return standardise(total)
