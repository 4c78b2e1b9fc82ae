"""The vision branch: a tracked face becomes every vital that a face's looks carry, each with its own status."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

from shared.schemas import CheckStatus, Method, Vital, VitalStatus
from shared.version import VERSION
from shared.vitals import AGE, BMI, GENDER, VITALS, Branch, Reason, VitalSpec
from workers.branch.result import BranchResult, Progress
from workers.face.portraits import Portrait
from workers.face.tracker import FaceTrack
from workers.liveness.liveness_check import LivenessThresholds, check_liveness
from workers.models.vit import VisionTransformer
from workers.vision.age_gender.age import age
from workers.vision.age_gender.attribute_calibration import AGE as CALIBRATED_AGE
from workers.vision.age_gender.attribute_calibration import UNFITTED_GENDER
from workers.vision.age_gender.gender import gender
from workers.vision.age_gender.ollama import RemoteGenderModel, asked
from workers.vision.attribute_models import CalibratedAttributes, VisionModels
from workers.vision.bmi.proportions import body_mass_index
from workers.vision.bmi.vit_predictor import trained_body_mass_index

__all__ = ["VisionModels", "measure_vision"]


#: Checks that end the matter when they fail: there is no one face to judge, or not enough of it.
_DECISIVE: Final = ("face", "obstruction")
# Portraits whose quality is below this part of the best one's are blurred or turned away beside it.
_WORSE: Final = 0.5


def measure_vision(
    track: FaceTrack,
    models: VisionModels,
    wanted: frozenset[str] | None = None,
    progress: Progress | None = None,
    *,
    aggregate: Literal["median", "max"] = "median",
    remote_gender_model: RemoteGenderModel | None = None,
    bmi_from_face: bool = True,
    thresholds: LivenessThresholds | None = None,
) -> BranchResult:
    """Every vital of the vision branch. `wanted` names the vitals asked for; default: all.

    `aggregate` says how the portraits' ages become one. `ask_gender` is asked before the local models are; they answer
    where it does not. `bmi_from_face` lets the face's proportions stand in for a trained model.
    `thresholds` are those of the check on liveness, which is the result's one check.
    """
    progress = progress or Progress()
    progress.stage("estimating")
    specs = [spec for spec in VITALS.values() if spec.branch is Branch.VISION]
    refused = _refusal(track)
    portraits = best(track.portraits)
    # Networks leave Python's lock alone for most of their time, and it is what everything else here is held up by.
    with ThreadPoolExecutor(1, "look") as thread:
        looking = thread.submit(_look, portraits, models, wanted) if not refused else None
        liveness = check_liveness(track, models.networks, thresholds)
        by_proportions = bmi_from_face and BMI.name not in models.weights and (wanted is None or BMI.name in wanted)
        proportions = body_mass_index(track.landmarks) if by_proportions and not refused else None
        reading = looking.result() if looking else None
    vitals: dict[str, Vital] = {}
    for spec in specs:
        if wanted is not None and spec.name not in wanted:
            vital = _silent(spec, Reason.NOT_REQUESTED, "not asked for")
        elif spec is BMI and not bmi_from_face and BMI.name not in models.weights:
            vital = Vital.without_value(spec.unit, VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED, _no_bmi(models))
        elif refused:
            vital = _silent(spec, *refused)
        elif spec is BMI and proportions is not None:
            vital = proportions
        else:
            vital = _measured(spec, reading, models, aggregate, len(portraits))
            if spec is GENDER and remote_gender_model is not None:
                vital = asked(remote_gender_model, portraits, vital)
        vitals[spec.name] = vital
        progress.vital(spec.name, vital)
    progress.check("liveness", liveness)
    return BranchResult(checks={"liveness": liveness}, vitals=vitals)


def best(portraits: Sequence[Portrait]) -> tuple[Portrait, ...]:
    """The portraits that are about as good as the best one."""
    least = _WORSE * max((portrait.quality for portrait in portraits), default=0.0)
    return tuple(portrait for portrait in portraits if portrait.quality >= least)


def _look(
    portraits: Sequence[Portrait], models: VisionModels, wanted: frozenset[str] | None
) -> CalibratedAttributes | None:
    """The networks' answers, where one of them was asked for."""
    asked = frozenset(models.weights) if wanted is None else frozenset(models.weights) & wanted
    return models.look(portraits, asked) if asked else None


def _measured(
    spec: VitalSpec,
    reading: CalibratedAttributes | None,
    models: VisionModels,
    aggregate: Literal["median", "max"],
    frames: int,
) -> Vital:
    if reading is not None and spec.name in reading.failed:
        return _silent(spec, Reason.BRANCH_FAILED, reading.failed[spec.name])
    used = reading.models.get(spec.name, ()) if reading else ()
    if spec is AGE and reading is not None and reading.ages is not None:
        method = _method(f"{aggregate} of portraits", used, frames)
        return age(reading.ages, aggregate, CALIBRATED_AGE[used[0]], method)
    if spec is GENDER and reading is not None and reading.log_odds is not None:
        method = _method("mean odds of portraits", used, frames)
        return gender(reading.log_odds, method, UNFITTED_GENDER.get(used, ""))
    network = models.networks.get("bmi.vit")
    if spec is BMI and reading is not None and reading.body_mass is not None and isinstance(network, VisionTransformer):
        return trained_body_mass_index(reading.body_mass, network.card, _method("median of portraits", used, frames))
    detail = models.left_out.get(spec.name, "no model for it is installed")
    return Vital.without_value(spec.unit, VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED, detail)


def _no_bmi(models: VisionModels) -> str:
    why = models.left_out.get(BMI.name, "no trained model is installed")
    return f"Face ratios are turned off (FACEVITALS_BMI_FROM_FACE), and {why}."


def _refusal(track: FaceTrack) -> tuple[Reason, str | None] | None:
    """Why no portrait can be judged, or None."""
    for name in _DECISIVE:
        check = track.checks.get(name)
        if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
            return check.reason, check.detail
    if not track.portraits:
        return Reason.NO_FACE, "no moment of the clip shows a face"
    return None


def _silent(spec: VitalSpec, reason: Reason, detail: str | None) -> Vital:
    return Vital.without_value(spec.unit, VitalStatus.ABSTAINED, reason, detail)


def _method(name: str, models: tuple[str, ...], frames: int) -> Method:
    return Method(name=name, version=VERSION, models=list(models), frames=frames)
