"""The rppg branch: a tracked face becomes every vital that the pulse carries, each with its own status."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.schemas import VITAL_TYPES, CheckStatus, Spectrum, Vital, VitalStatus, Wave, Waveforms
from shared.vitals import (
    HEART_RATE,
    HEART_RATE_VARIABILITY,
    OXYGEN_SATURATION,
    RESPIRATION_RATE,
    STRESS,
    VITALS,
    Branch,
    Reason,
    VitalSpec,
)
from workers.branch.result import BranchResult, Progress
from workers.face.tracker import FaceTrack
from workers.rppg.fusion.cascade import pulse_of
from workers.rppg.fusion.evidence import relative
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.loaded_models import RppgModels
from workers.rppg.signals.traces import NoTraces, Traces, traces_of
from workers.rppg.vitals.heart_rate import heart_rate
from workers.rppg.vitals.hrv import variability
from workers.rppg.vitals.respiration_rate import (
    RATES_PER_MIN,
    Breathing,
    chest_alone,
    fuse,
    modulations,
    respiration_rate,
    slow_down,
)
from workers.rppg.vitals.rolling import rolling_rates
from workers.rppg.vitals.spo2 import OxygenCalibration, oxygen_saturation
from workers.rppg.vitals.stress import StressThresholds, stress

#: Checks that end the matter when they fail; the others warn, and the pulse's own evidence decides. What moves about
#: that fast is lit anew with every move, all of it in step: of 22 pictures waved one would be told a pulse.
_DECISIVE = ("face", "obstruction", "timing", "motion")

#: No pulse was heard, and nothing says that there is none to be heard.
_UNHEARD = frozenset({Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE})


@dataclass(frozen=True)
class RppgOptions:
    """What a user may set about the branch's vitals."""

    oxygen: OxygenCalibration = field(default_factory=OxygenCalibration)
    stress: StressThresholds = field(default_factory=StressThresholds)


@dataclass(frozen=True)
class Examined:
    """What all vitals rest on: the stretch in which the face was seen, and its pulse."""

    traces: Traces
    pulse: Pulse


def measure_rppg(
    track: FaceTrack,
    models: RppgModels,
    wanted: frozenset[str] | None = None,
    progress: Progress | None = None,
    *,
    options: RppgOptions | None = None,
    examined: Examined | None = None,
) -> BranchResult:
    """Every vital of the rppg branch, and the waves behind them. `wanted` names the vitals asked for; default: all.

    `examined` is what `examine` gave for the same track, where that is known already.
    """
    vitals = _Vitals(progress or Progress())
    duration_s = duration_of(track)
    refused = _refusal(track)
    for spec in VITALS.values():
        if spec.branch is not Branch.RPPG:
            continue
        if wanted is not None and spec.name not in wanted:
            vitals.tell(spec, _silent(spec, Reason.NOT_REQUESTED, "not asked for"))
        elif duration_s < spec.minimum_s:
            detail = f"needs {spec.minimum_s:g} s, the clip has {duration_s:.1f} s"
            vitals.tell(spec, _silent(spec, Reason.CLIP_TOO_SHORT, detail))
        elif refused:
            vitals.tell(spec, _silent(spec, *refused))
        else:
            vitals.open(spec)
    if not vitals.any_open:
        return BranchResult(vitals=vitals.in_order())
    (progress or Progress()).stage("estimating")
    measured = examined or examine(track, models)
    if not isinstance(measured, Examined):
        for spec in vitals.still_open():
            vitals.tell(spec, _silent(spec, *measured))
        return BranchResult(vitals=vitals.in_order())
    asked = {estimate.name for estimate in measured.pulse.estimates}
    weights = sorted(weight for name, weight in models.weights.items() if name in asked)
    return _answer(track, measured, vitals, weights, options or RppgOptions())


def duration_of(track: FaceTrack) -> float:
    """Seconds that the frames cover, the last one lasting as long as its like."""
    if len(track.times_s) < 2:
        return 0.0
    return float(track.times_s[-1] - track.times_s[0] + np.median(np.diff(track.times_s)))


class _Vitals:
    """Vitals as they become known, each told once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._known: dict[str, Vital] = {}
        self._open: dict[str, VitalSpec] = {}

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def open(self, spec: VitalSpec) -> None:
        self._open[spec.name] = spec

    def still_open(self) -> list[VitalSpec]:
        return list(self._open.values())

    def tell(self, spec: VitalSpec, vital: Vital) -> None:
        self._open.pop(spec.name, None)
        self._known[spec.name] = vital
        self._progress.vital(spec.name, vital)

    def settle(self, spec: VitalSpec, make: Callable[[], Vital]) -> None:
        """Tell a vital that is still open; what is not asked for is not computed."""
        if spec.name in self._open:
            self.tell(spec, make())

    def in_order(self) -> dict[str, Vital]:
        return {name: self._known[name] for name in VITALS if name in self._known}


def _answer(
    track: FaceTrack, measured: Examined, vitals: _Vitals, weights: list[str], options: RppgOptions
) -> BranchResult:
    traces, pulse = measured.traces, measured.pulse
    rate = _explained(heart_rate(pulse, weights), track)
    vitals.settle(HEART_RATE, lambda: rate)
    waves = {"heart_rate": _wave(pulse.times_s, pulse.wave)}
    spectra = {"heart_rate": _spectrum(60 * pulse.spectrum.frequencies_hz, pulse.spectrum.power)}
    if rate.status is not VitalStatus.OK:
        if RESPIRATION_RATE in vitals.still_open() and rate.reason in _UNHEARD and traces.chest is not None:
            # A chest that rises and falls needs no pulse to be seen.
            breathing = chest_alone(traces.chest, traces.position[1], traces.fs)
            if breathing is not None:
                vitals.tell(RESPIRATION_RATE, respiration_rate(breathing, [], pulse.frames))
                _tell_breathing(waves, spectra, breathing, float(traces.times_s[0]))
        # Whatever else is read from a pulse is no better than the pulse.
        for spec in vitals.still_open():
            vitals.tell(spec, _silent(spec, rate.reason or Reason.NO_PULSE, rate.detail))
        return BranchResult(vitals=vitals.in_order(), waveforms=Waveforms(waves=waves, spectra=spectra))
    times_s, rates = rolling_rates(pulse.wave, pulse.fs, pulse.rate_per_min, float(pulse.times_s[0]))
    if len(rates):
        waves["heart_rate_over_time"] = Wave(
            times_s=np.round(times_s, 2).tolist(), values=np.round(rates, 1).tolist(), unit=HEART_RATE.unit
        )
    if RESPIRATION_RATE in vitals.still_open():
        breathing = breathing_of(traces, pulse)
        vitals.tell(RESPIRATION_RATE, respiration_rate(breathing, weights, pulse.frames))
        _tell_breathing(waves, spectra, breathing, float(traces.times_s[0]))
    if {HEART_RATE_VARIABILITY, STRESS} & set(vitals.still_open()):
        beats = variability(pulse, weights)
        vitals.settle(HEART_RATE_VARIABILITY, lambda: beats)
        vitals.settle(STRESS, lambda: stress(beats, options.stress, weights, pulse.frames, pulse.duration_s))
    vitals.settle(OXYGEN_SATURATION, lambda: oxygen_saturation(traces, pulse, options.oxygen, weights))
    return BranchResult(vitals=vitals.in_order(), waveforms=Waveforms(waves=waves, spectra=spectra))


def _tell_breathing(waves: dict[str, Wave], spectra: dict[str, Spectrum], breathing: Breathing, start_s: float) -> None:
    waves["respiration_rate"] = _wave(start_s + np.arange(len(breathing.wave)) / breathing.fs, breathing.wave)
    spectra["respiration_rate"] = _spectrum(RATES_PER_MIN, breathing.belief)


def breathing_of(traces: Traces, pulse: Pulse) -> Breathing:
    """Everything in the traces that breathing moves, fused."""
    signals = modulations(pulse.wave, relative(traces.face[1]), traces.fs, pulse.rate_per_min)
    signals["head"] = slow_down(traces.position[1], traces.fs)
    if traces.chest is not None:
        signals["chest"] = slow_down(traces.chest, traces.fs)
    fs = traces.fs / max(1, round(traces.fs / 7.5))
    return fuse({name: (signal, fs) for name, signal in signals.items()})


def _refusal(track: FaceTrack) -> tuple[Reason, str | None] | None:
    """Why nothing can be measured in this track at all."""
    for name in _DECISIVE:
        check = track.checks.get(name)
        if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
            return check.reason, check.detail
    return None


def examine(track: FaceTrack, models: RppgModels, *, thorough: bool = False) -> Examined | tuple[Reason, str]:
    """The pulse of the longest stretch in which the face was seen, or why there is none."""
    try:
        traces = traces_of(track)
    except NoTraces as none:
        return Reason.NO_FACE, str(none)
    seen = traces.longest_seen()
    if seen.duration_s < HEART_RATE.minimum_s:
        detail = f"the face was seen for {seen.duration_s:.1f} s at a stretch, {HEART_RATE.minimum_s:g} s are needed"
        return Reason.FACE_LOST, detail
    if not np.isfinite(seen.face).all() or seen.face.min() <= 0:
        return Reason.FACE_OBSTRUCTED, "too little skin was seen"
    return Examined(seen, pulse_of(seen, models.estimators, thorough=thorough))


def _explained(vital: Vital, track: FaceTrack) -> Vital:
    """Where no pulse was found and a check says what disturbed it, the check's reason is the truer one."""
    if vital.status is not VitalStatus.ABSTAINED or vital.reason not in {Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE}:
        return vital
    check = track.checks.get("lighting")
    if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
        return vital.model_copy(update={"reason": check.reason, "detail": check.detail})
    return vital


def _silent(spec: VitalSpec, reason: Reason, detail: str | None) -> Vital:
    return VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason, detail)


def _wave(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> Wave:
    scale = float(np.abs(values - values.mean()).max()) or 1.0
    standard = (values - values.mean()) / scale
    return Wave(times_s=np.round(times_s, 4).tolist(), values=np.round(standard, 4).tolist())


def _spectrum(rates_per_min: NDArray[np.float64], power: NDArray[np.float64]) -> Spectrum:
    highest = float(power.max()) or 1.0
    return Spectrum(rates_per_min=np.round(rates_per_min, 2).tolist(), power=np.round(power / highest, 6).tolist())
