"""The vision branch: age, gender, BMI and the liveness check of a tracked face."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

from shared.schemas import VITAL_TYPES, CheckStatus, Gender, Method, Vital, VitalStatus
from shared.version import VERSION
from shared.vitals import AGE, BMI, GENDER, VITALS, Branch, Reason, Stage, VitalSpec
from workers.branch.result import BranchResult, Progress
from workers.face.portraits import Portrait
from workers.face.tracker import FaceTrack
from workers.liveness.liveness_check import Examined, LivenessThresholds, check_liveness
from workers.models.vit import VisionTransformer
from workers.vision.age_gender.age import age
from workers.vision.age_gender.attribute_calibration import AGE_CALIBRATIONS, UNFITTED_GENDER
from workers.vision.age_gender.gender import gender
from workers.vision.age_gender.ollama import RemoteGenderModel, prefer_remote
from workers.vision.attribute_models import CalibratedAttributes, VisionModels
from workers.vision.bmi.proportions import body_mass_index
from workers.vision.bmi.vit_predictor import trained_body_mass_index

__all__ = ["VisionModels", "measure_vision"]

#: Checks without which no vital is estimated: one face, and enough of it.
_REQUIRED_CHECKS: Final = ("face", "obstruction")
#: Smallest quality of a portrait over the best one's. Portraits below it are blurred or turned away.
_MIN_RELATIVE_QUALITY: Final = 0.5


def measure_vision(
    track: FaceTrack,
    models: VisionModels,
    requested: frozenset[str] | None = None,
    progress: Progress | None = None,
    *,
    aggregate: Literal["median", "max"] = "median",
    remote_gender_model: RemoteGenderModel | None = None,
    bmi_from_face: bool = True,
    thresholds: LivenessThresholds | None = None,
    examined: Examined | None = None,
) -> BranchResult:
    """Estimate every vital of the vision branch, and check liveness.

    requested            names of the requested vitals; None for all
    aggregate            how the portraits' ages are combined
    remote_gender_model  preferred to the local models, which are used where it fails
    bmi_from_face        estimate the BMI from the face's proportions where no trained model is installed
    thresholds           those of the liveness check, the only check of the result
    examined             the pulse, for the liveness check, if it is known already
    """
    progress = progress or Progress()
    progress.stage(Stage.ESTIMATING)
    specs = [spec for spec in VITALS.values() if spec.branch is Branch.VISION]
    refused = _refusal(track)
    portraits = select_portraits(track.portraits)
    # The networks run without Python's global lock, which the other steps need.
    with ThreadPoolExecutor(1, "predict") as thread:
        prediction = thread.submit(_predict, portraits, models, requested) if not refused else None
        liveness = check_liveness(track, models.networks, thresholds, examined)
        by_proportions = (
            bmi_from_face and BMI.name not in models.weights and (requested is None or BMI.name in requested)
        )
        proportions = body_mass_index(track.landmarks) if by_proportions and not refused else None
        attributes = prediction.result() if prediction else None
    vitals: dict[str, Vital] = {}
    for spec in specs:
        if requested is not None and spec.name not in requested:
            vital = _abstained(spec, Reason.NOT_REQUESTED, "not requested")
        elif spec is BMI and not bmi_from_face and BMI.name not in models.weights:
            vital = VITAL_TYPES[spec.name].without_value(
                spec.unit, VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED, _no_bmi(models)
            )
        elif refused:
            vital = _abstained(spec, *refused)
        elif spec is BMI and proportions is not None:
            vital = proportions
        else:
            vital = _estimated(spec, attributes, models, aggregate, len(portraits))
            if isinstance(vital, Gender) and remote_gender_model is not None:
                vital = prefer_remote(remote_gender_model, portraits, vital)
        vitals[spec.name] = vital
        progress.vital(spec.name, vital)
    progress.check("liveness", liveness)
    return BranchResult(checks={"liveness": liveness}, vitals=vitals)


def select_portraits(portraits: Sequence[Portrait]) -> tuple[Portrait, ...]:
    """Return the portraits with at least half the best one's quality."""
    min_quality = _MIN_RELATIVE_QUALITY * max((portrait.quality for portrait in portraits), default=0.0)
    return tuple(portrait for portrait in portraits if portrait.quality >= min_quality)


def _predict(
    portraits: Sequence[Portrait], models: VisionModels, requested: frozenset[str] | None
) -> CalibratedAttributes | None:
    """Run the models of the requested vitals; None without any."""
    requested = frozenset(models.weights) if requested is None else frozenset(models.weights) & requested
    return models.predict(portraits, requested) if requested else None


def _estimated(
    spec: VitalSpec,
    attributes: CalibratedAttributes | None,
    models: VisionModels,
    aggregate: Literal["median", "max"],
    frames: int,
) -> Vital:
    if attributes is not None and spec.name in attributes.failed:
        return _abstained(spec, Reason.BRANCH_FAILED, attributes.failed[spec.name])
    used = attributes.models.get(spec.name, ()) if attributes else ()
    if spec is AGE and attributes is not None and attributes.ages is not None:
        method = _method(f"{aggregate} of portraits", used, frames)
        return age(attributes.ages, aggregate, AGE_CALIBRATIONS[used[0]], method)
    if spec is GENDER and attributes is not None and attributes.log_odds is not None:
        method = _method("mean odds of portraits", used, frames)
        return gender(attributes.log_odds, method, UNFITTED_GENDER.get(used, ""))
    network = models.networks.get("bmi.vit")
    if (
        spec is BMI
        and attributes is not None
        and attributes.body_mass is not None
        and isinstance(network, VisionTransformer)
    ):
        return trained_body_mass_index(attributes.body_mass, network.card, _method("median of portraits", used, frames))
    detail = models.left_out.get(spec.name, "no model for it is installed")
    return VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED, detail)


def _no_bmi(models: VisionModels) -> str:
    reason = models.left_out.get(BMI.name, "no trained model is installed")
    return f"Face ratios are turned off (FACEVITALS_BMI_FROM_FACE), and {reason}."


def _refusal(track: FaceTrack) -> tuple[Reason, str | None] | None:
    """Return the reason why no vital can be estimated, with its detail, or None."""
    for name in _REQUIRED_CHECKS:
        check = track.checks.get(name)
        if check is not None and check.status is CheckStatus.FAIL and check.reason is not None:
            return check.reason, check.detail
    if not track.portraits:
        return Reason.NO_FACE, "no moment of the clip shows a face"
    return None


def _abstained(spec: VitalSpec, reason: Reason, detail: str | None) -> Vital:
    return VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason, detail)


def _method(name: str, models: tuple[str, ...], frames: int) -> Method:
    return Method(name=name, version=VERSION, models=list(models), frames=frames)
