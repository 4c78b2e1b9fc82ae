"""The rppg branch: every vital of the pulse of a tracked face, each with its own status."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from shared.schemas import VITAL_TYPES, CheckStatus, Vital, VitalStatus, Waveforms
from shared.vitals import HEART_RATE, VITALS, Branch, Reason, Stage, VitalSpec
from workers.branch.result import BranchResult, Progress
from workers.face.tracker import FaceTrack
from workers.rppg.fusion.pulse import Pulse, estimate_pulse
from workers.rppg.fusion.recalibration import Recalibration
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.traces import NoTraces, Traces, traces_of
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, measure_without_pulse, module_of
from workers.rppg.vitals.oxygen_saturation import OxygenCalibration
from workers.rppg.vitals.raw_heart_rate import measure_raw
from workers.rppg.vitals.stress import StressThresholds

#: The vitals of this branch, in the order of the table, and their modules.
_SPECS: Final = tuple(spec for spec in VITALS.values() if spec.branch is Branch.RPPG)
_MODULES: Final = {spec.name: module_of(spec) for spec in _SPECS}

#: Checks whose failure refuses every vital. The others warn, and the evidence for the pulse decides. Motion is included
#: because the light on a fast-moving face changes with each movement, everywhere at once: without the check, a pulse
#: would be reported for one of 22 waved pictures.
_DECISIVE: Final = ("face", "obstruction", "timing", "motion")
#: Seconds by which traces may be shorter than their clip: they end where its last frame begins.
_END_S: Final = 0.15


@dataclass(frozen=True)
class RppgOptions:
    """The user's options of the branch's vitals.

    With `raw`, the heart rate is that of the only estimator, unconfirmed, and no other vital of the pulse is measured.
    """

    oxygen: OxygenCalibration = field(default_factory=OxygenCalibration)
    stress: StressThresholds = field(default_factory=StressThresholds)
    raw: bool = False
    recalibration: Recalibration = field(default_factory=Recalibration)


@dataclass(frozen=True)
class Examined:
    """The basis of all vitals: traces of the longest stretch in which the face was seen, and their pulse."""

    traces: Traces
    pulse: Pulse


def check_choice(models: RppgModels, *, raw: bool) -> None:
    """Check that estimators are chosen for a raw run alone, and that it has one that can run.

    Raises:
        ValueError: they aren't, or it hasn't.
    """
    names = ", ".join((*models.estimators, *models.left_out))
    if not raw:
        raise ValueError(
            f"the verdict weighs the same evidence for every clip, whichever estimators are named ({names}). Name one "
            "of them with --raw (raw=True) for its rate, which nothing confirms, or none."
        )
    if len(models.estimators) + len(models.left_out) != 1:
        raise ValueError("a raw run takes exactly one estimator, named by --estimators (estimators=…)")
    if models.left_out:
        raise ValueError(
            f"the estimator can't be run: {'; '.join(f'{k}: {why}' for k, why in models.left_out.items())}"
        )


def measure_rppg(
    track: FaceTrack,
    models: RppgModels,
    requested: frozenset[str] | None = None,
    progress: Progress | None = None,
    *,
    options: RppgOptions | None = None,
    examined: Examined | None = None,
) -> BranchResult:
    """Measure every vital of the rppg branch, with the waves behind them.

    Args:
        track: the tracked face.
        models: the estimator of a raw run; no other uses them.
        requested: names of the vitals to measure; the others abstain with `not_requested`. None: all.
        progress: gets the stage, and each vital as it is known.
        options: options of the vitals.
        examined: the result of `examine` for the same track, if it is known already.
    """
    options = options or RppgOptions()
    vitals = _Vitals(progress or Progress())
    duration_s = duration_of(track)
    refused = refusal_of(track)
    for spec in _SPECS:
        if requested is not None and spec.name not in requested:
            vitals.report(spec, _abstained(spec, Reason.NOT_REQUESTED, "not requested"))
        elif options.raw and spec is not HEART_RATE:
            detail = "a raw run measures no vital of the pulse but the heart rate"
            vitals.report(spec, _abstained(spec, Reason.NOT_REQUESTED, detail))
        elif duration_s < spec.minimum_s:
            detail = f"needs {spec.minimum_s:g} s, the clip has {duration_s:.1f} s"
            vitals.report(spec, _abstained(spec, Reason.CLIP_TOO_SHORT, detail))
        elif refused:
            vitals.report(spec, _abstained(spec, *refused))
        else:
            vitals.open(spec)
    if not vitals.any_open:
        return BranchResult(vitals=vitals.in_order())
    (progress or Progress()).stage(Stage.ESTIMATING)
    traces = examined.traces if examined else seen_traces(track)
    if not isinstance(traces, Traces):
        for spec in vitals.still_open():
            vitals.report(spec, _abstained(spec, *traces))
        return BranchResult(vitals=vitals.in_order())
    if options.raw:
        name, estimate, weights = models.the_only()
        found = measure_raw(traces, name, estimate(traces), weights)
        vitals.report_if_open(HEART_RATE, _with_lighting_reason(found.vital, track))
        return BranchResult(vitals=vitals.in_order(), waveforms=Waveforms(waves=found.waves, spectra=found.spectra))
    seen_s = traces.duration_s
    for spec in vitals.still_open():
        if seen_s + _END_S < spec.minimum_s:
            vitals.report(spec, _abstained(spec, Reason.FACE_LOST, _seen_too_short(seen_s, spec.minimum_s)))
    return _measure_vitals(track, examined or Examined(traces, estimate_pulse(traces)), vitals, options)


def duration_of(track: FaceTrack) -> float:
    """Duration of a track, seconds; the last frame is taken to last as long as the median one."""
    if len(track.times_s) < 2:
        return 0.0
    return float(track.times_s[-1] - track.times_s[0] + np.median(np.diff(track.times_s)))


class _Vitals:
    """Vitals as they become known, each reported once."""

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

    def report(self, spec: VitalSpec, vital: Vital) -> None:
        self._open.pop(spec.name, None)
        self._known[spec.name] = vital
        self._progress.vital(spec.name, vital)

    def report_if_open(self, spec: VitalSpec, vital: Vital) -> None:
        """Report a vital unless it was not requested, or refused before."""
        if spec.name in self._open:
            self.report(spec, vital)

    def in_order(self) -> dict[str, Vital]:
        return {name: self._known[name] for name in VITALS if name in self._known}


def _measure_vitals(track: FaceTrack, measured: Examined, vitals: _Vitals, options: RppgOptions) -> BranchResult:
    inputs = VitalInputs(measured.traces, measured.pulse, (options.oxygen, options.stress, options.recalibration))
    found = _MODULES[HEART_RATE.name].measure(inputs)
    rate = _with_lighting_reason(found.vital, track)
    vitals.report_if_open(HEART_RATE, rate)
    known = {HEART_RATE.name: rate}
    waves, spectra = dict(found.waves), dict(found.spectra)
    for spec in vitals.still_open():
        module, given = _MODULES[spec.name], replace(inputs, known=dict(known))
        if rate.status is VitalStatus.OK:
            result: VitalResult | None = module.measure(given)
        else:
            result = measure_without_pulse(module, given)
        if result is None:
            # A vital of a pulse is no more certain than the pulse.
            vitals.report(spec, _abstained(spec, rate.reason or Reason.NO_PULSE, rate.detail))
            continue
        vitals.report(spec, result.vital)
        known[spec.name] = result.vital
        waves |= result.waves
        spectra |= result.spectra
    return BranchResult(vitals=vitals.in_order(), waveforms=Waveforms(waves=waves, spectra=spectra))


def refusal_of(track: FaceTrack) -> tuple[Reason, str | None] | None:
    """Return why no vital can be measured in this track, or None."""
    for name in _DECISIVE:
        check = track.checks.get(name)
        if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
            return check.reason, check.detail
    return None


def examine(track: FaceTrack) -> Examined | tuple[Reason, str]:
    """Estimate the pulse of the longest stretch in which the face was seen, or return why there is none."""
    seen = seen_traces(track)
    return Examined(seen, estimate_pulse(seen)) if isinstance(seen, Traces) else seen


def seen_traces(track: FaceTrack) -> Traces | tuple[Reason, str]:
    """Return the traces of the longest stretch in which the face was seen, or why no pulse can be measured in them."""
    try:
        seen = traces_of(track).longest_seen()
    except NoTraces as none:
        return Reason.NO_FACE, str(none)
    if seen.duration_s < HEART_RATE.minimum_s:
        return Reason.FACE_LOST, _seen_too_short(seen.duration_s, HEART_RATE.minimum_s)
    if not np.isfinite(seen.face).all() or seen.face.min() <= 0:
        return Reason.FACE_OBSTRUCTED, "too little skin was visible"
    return seen


def _seen_too_short(seen_s: float, needed_s: float) -> str:
    return f"the face was seen for {seen_s:.1f} s at a stretch, {needed_s:g} s are needed"


def _with_lighting_reason(vital: Vital, track: FaceTrack) -> Vital:
    """The vital, with the reason of a failed lighting check if no pulse was found: it is the more specific one."""
    if vital.status is not VitalStatus.ABSTAINED or vital.reason not in {Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE}:
        return vital
    check = track.checks.get("lighting")
    if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
        return vital.model_copy(update={"reason": check.reason, "detail": check.detail})
    return vital


def _abstained(spec: VitalSpec, reason: Reason, detail: str | None) -> Vital:
    return VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason, detail)
