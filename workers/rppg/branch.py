"""The rppg branch: a tracked face becomes every vital that the pulse carries, each with its own status."""

import numpy as np

from shared.schemas import CheckStatus, Spectrum, Vital, VitalStatus, Wave, Waveforms
from shared.vitals import HEART_RATE, VITALS, Branch, Reason, VitalSpec
from workers.branch import BranchResult, Progress
from workers.face import FaceTrack
from workers.rppg.heart_rate import heart_rate
from workers.rppg.models import RppgModels
from workers.rppg.pulse import Pulse, pulse_of
from workers.rppg.traces import NoTraces, Traces, traces_of

#: Checks that end the matter when they fail; the others warn, and the pulse's own evidence decides.
_DECISIVE = ("face", "timing")


def measure_rppg(
    track: FaceTrack, models: RppgModels, wanted: frozenset[str] | None = None, progress: Progress | None = None
) -> BranchResult:
    """Every vital of the rppg branch, and the waves behind them. `wanted` names the vitals asked for; default: all."""
    progress = progress or Progress()
    specs = [spec for spec in VITALS.values() if spec.branch is Branch.RPPG]
    vitals: dict[str, Vital] = {}

    def tell(spec: VitalSpec, vital: Vital) -> None:
        vitals[spec.name] = vital
        progress.vital(spec.name, vital)

    for spec in specs:
        if wanted is not None and spec.name not in wanted:
            tell(spec, _silent(spec, Reason.NOT_REQUESTED, "not asked for"))
    duration_s = duration_of(track)
    refused = _refusal(track)
    for spec in specs:
        if spec.name in vitals:
            continue
        if duration_s < spec.minimum_s:
            tell(
                spec,
                _silent(spec, Reason.CLIP_TOO_SHORT, f"needs {spec.minimum_s:g} s, the clip has {duration_s:.1f} s"),
            )
        elif refused:
            tell(spec, _silent(spec, *refused))
    open_specs = [spec for spec in specs if spec.name not in vitals]
    waveforms = None
    if HEART_RATE in open_specs:
        progress.stage("estimating")
        pulse = _measure_pulse(track, models)
        if isinstance(pulse, Pulse):
            tell(HEART_RATE, _explained(heart_rate(pulse, models.weights.values()), track))
            waveforms = _waveforms(pulse)
        else:
            tell(HEART_RATE, _silent(HEART_RATE, *pulse))
    for spec in open_specs:
        if spec.name not in vitals:
            detail = "this release has no method for it yet"
            tell(spec, Vital.without_value(spec.unit, VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED, detail))
    return BranchResult(vitals={spec.name: vitals[spec.name] for spec in specs}, waveforms=waveforms)


def duration_of(track: FaceTrack) -> float:
    """Seconds that the frames cover, the last one lasting as long as its like."""
    if len(track.times_s) < 2:
        return 0.0
    return float(track.times_s[-1] - track.times_s[0] + np.median(np.diff(track.times_s)))


def _refusal(track: FaceTrack) -> tuple[Reason, str | None] | None:
    """Why nothing can be measured in this track at all."""
    for name in _DECISIVE:
        check = track.checks.get(name)
        if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
            return check.reason, check.detail
    return None


def _measure_pulse(track: FaceTrack, models: RppgModels) -> Pulse | tuple[Reason, str]:
    """The pulse of the longest stretch in which the face was seen, or why there is none."""
    try:
        traces: Traces = traces_of(track)
    except NoTraces as none:
        return Reason.NO_FACE, str(none)
    seen = traces.longest_seen()
    if seen.duration_s < HEART_RATE.minimum_s:
        return (
            Reason.FACE_LOST,
            f"the face was seen for {seen.duration_s:.1f} s at a stretch, {HEART_RATE.minimum_s:g} s are needed",
        )
    if not np.isfinite(seen.face).all() or seen.face.min() <= 0:
        return Reason.FACE_OBSTRUCTED, "too little skin was seen"
    return pulse_of(seen, models.estimators)


def _explained(vital: Vital, track: FaceTrack) -> Vital:
    """Where no pulse was found and a check says what disturbed it, the check's reason is the truer one."""
    if vital.status is not VitalStatus.ABSTAINED or vital.reason not in {Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE}:
        return vital
    for name in ("motion", "lighting"):
        check = track.checks.get(name)
        if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
            return vital.model_copy(update={"reason": check.reason, "detail": check.detail})
    return vital


def _silent(spec: VitalSpec, reason: Reason, detail: str | None) -> Vital:
    return Vital.without_value(spec.unit, VitalStatus.ABSTAINED, reason, detail)


def _waveforms(pulse: Pulse) -> Waveforms:
    power = pulse.spectrum.power / max(float(pulse.spectrum.power.max()), 1e-300)
    return Waveforms(
        waves={
            "heart_rate": Wave(times_s=np.round(pulse.times_s, 4).tolist(), values=np.round(pulse.wave, 4).tolist())
        },
        spectra={
            "heart_rate": Spectrum(
                rates_per_min=np.round(60 * pulse.spectrum.frequencies_hz, 2).tolist(),
                power=np.round(power, 6).tolist(),
            )
        },
    )
