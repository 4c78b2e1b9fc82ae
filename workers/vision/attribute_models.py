"""The models for age, gender and BMI, loaded once and passed as a value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from workers.face.portraits import Portrait
from workers.liveness.cues.texture import FASNET
from workers.models.build import ModelNotInstalled, model_file
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.deepface_client import Attribute, DeepFaceOptions, open_deepface
from workers.models.memory import DoesNotFit, OutOfMemory
from workers.models.session import Device, Runner, open_network
from workers.models.vit import open_vit
from workers.vision.age_gender import agegender_predictor, deepface_predictor, dlib_predictor
from workers.vision.age_gender.attribute_calibration import AGE_CALIBRATIONS, GENDER_CALIBRATIONS
from workers.vision.bmi import vit_predictor


@dataclass(frozen=True)
class FaceAttributes:
    """Outputs of one network for n portraits, each (n,), or None for what it does not estimate.

    ages       years
    log_odds   log-odds of male against female
    body_mass  kg/m2
    """

    ages: NDArray[np.float32] | None = None
    log_odds: NDArray[np.float32] | None = None
    body_mass: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class VisionOptions:
    """The folder of the models, and how they are run. With `deepface` None its models are not used."""

    models_dir: Path
    threads: int = 1
    open_only: bool = False
    device: Device = "cpu"
    deepface: DeepFaceOptions | None = None


Opener = Callable[[str, VisionOptions], Runner]


def _open_onnx(name: str, options: VisionOptions) -> Runner:
    path = model_file(name, options.models_dir, open_only=options.open_only)
    return open_network(path, options.threads, options.device)


def _open_vit(name: str, options: VisionOptions) -> Runner:
    return open_vit(model_file(name, options.models_dir, open_only=options.open_only), options.threads, options.device)


def _deepface_opener(attribute: Attribute) -> Opener:
    def open_model(name: str, options: VisionOptions) -> Runner:
        if options.deepface is None:
            raise ModelNotInstalled("DeepFace's models are turned off (FACEVITALS_DEEPFACE_BACKEND)")
        weights = model_file(name, options.deepface.home, open_only=options.open_only)
        return open_deepface(attribute, weights, options.deepface, options.threads, options.device)

    return open_model


@dataclass(frozen=True)
class FaceModelSpec:
    """One model: `model` names its weights in `workers.models.manifest.MODELS`, `predict` runs it on portraits."""

    model: str
    predict: Callable[[Sequence[Portrait], Runner], FaceAttributes]
    open_model: Opener = _open_onnx


def _agegender(portraits: Sequence[Portrait], network: Runner) -> FaceAttributes:
    outputs = agegender_predictor.predict(portraits, network)
    return FaceAttributes(outputs[:, 0], outputs[:, 1])


#: Every model. A new one is a module, an entry here, and its calibration. Which of the models for age and gender are
#: used follows from the order of `AGE_CALIBRATIONS` and `GENDER_CALIBRATIONS`: the first that are installed.
FACE_MODELS: Final = (
    FaceModelSpec(
        "deepface.age",
        lambda portraits, network: FaceAttributes(ages=deepface_predictor.predict_ages(portraits, network)),
        _deepface_opener("Age"),
    ),
    FaceModelSpec(
        "deepface.gender",
        lambda portraits, network: FaceAttributes(
            log_odds=deepface_predictor.predict_log_odds_male(portraits, network)
        ),
        _deepface_opener("Gender"),
    ),
    FaceModelSpec("agegender", _agegender),
    FaceModelSpec(
        "age.dlib", lambda portraits, network: FaceAttributes(ages=dlib_predictor.predict_ages(portraits, network))
    ),
    FaceModelSpec(
        "gender.dlib",
        lambda portraits, network: FaceAttributes(log_odds=dlib_predictor.predict_log_odds_male(portraits, network)),
    ),
    FaceModelSpec(
        "bmi.vit",
        lambda portraits, network: FaceAttributes(body_mass=vit_predictor.predict_body_mass(portraits, network)),
        _open_vit,
    ),
)
_SPECS: Final = {spec.model: spec for spec in FACE_MODELS}
#: Sets of models for each vital, in order of preference.
PREFERRED: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "age": tuple((name,) for name in AGE_CALIBRATIONS),
    "gender": tuple(GENDER_CALIBRATIONS),
    "bmi": (("bmi.vit",),),
}
#: The model for each vital that the default installation has.
_DEFAULT: Final = {"age": "agegender", "gender": "agegender", "bmi": "bmi.vit"}


@dataclass(frozen=True)
class CalibratedAttributes:
    """Calibrated estimates for n portraits, each (n,), or None without a model.

    ages       years
    log_odds   log-odds of male against female
    body_mass  kg/m2
    models     names of the models used, by vital
    failed     why a vital's model failed, by vital
    """

    ages: NDArray[np.float32] | None = None
    log_odds: NDArray[np.float32] | None = None
    body_mass: NDArray[np.float32] | None = None
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class _ModelCache:
    """Open each model at most once. `missing` has the reasons of those that can't be used, `refused` of those that are
    installed nevertheless.
    """

    def __init__(self, options: VisionOptions) -> None:
        self._options = options
        self.networks: dict[str, Runner] = {}
        self.missing: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    def has(self, name: str, open_model: Opener = _open_onnx) -> bool:
        if name not in self.networks and name not in self.missing:
            try:
                self.networks[name] = open_model(name, self._options)
            except ModelNotInstalled as error:
                self.missing[name] = str(error)
            except (DoesNotFit, CheckpointUnreadable, ModuleNotFoundError) as error:
                self.missing[name] = self.refused[name] = f"{name} can't be used: {error}"
        return name in self.networks


@dataclass(frozen=True)
class VisionModels:
    """Models that are ready to run.

    networks  by name
    weights   names of the models in use, by vital
    left_out  why a vital has no model, by vital
    refused   why an installed model can't be used, by name
    """

    networks: dict[str, Runner]
    weights: dict[str, tuple[str, ...]]
    left_out: dict[str, str]
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, options: VisionOptions, *, only_used: bool = True) -> Self:
        """Load the installed models; with `only_used`, without those for which a preferred one is installed."""
        cache = _ModelCache(options)
        used = {
            vital: next(
                (names for names in preferred if all(cache.has(name, _SPECS[name].open_model) for name in names)), ()
            )
            for vital, preferred in PREFERRED.items()
        }
        if not only_used:
            for spec in FACE_MODELS:
                cache.has(spec.model, spec.open_model)
        for name in FASNET:
            cache.has(name)
        wanted = {name for names in used.values() for name in names} | set(FASNET)
        return cls(
            {name: network for name, network in cache.networks.items() if name in wanted or not only_used},
            {vital: names for vital, names in used.items() if names},
            {vital: cache.missing[_DEFAULT[vital]] for vital, names in used.items() if not names},
            cache.refused,
        )

    def predict(
        self, portraits: Sequence[Portrait], vitals: frozenset[str] = frozenset(PREFERRED)
    ) -> CalibratedAttributes:
        """Run the models of `vitals` on n >= 1 portraits, each model once, and calibrate their outputs.

        A model that runs out of memory fails the vitals that depend on it, and no other.
        """
        requested = {vital: names for vital, names in self.weights.items() if vital in vitals}
        outputs: dict[str, FaceAttributes] = {}
        errors: dict[str, str] = {}
        for name in dict.fromkeys(name for names in requested.values() for name in names):
            try:
                outputs[name] = _SPECS[name].predict(portraits, self.networks[name])
            except OutOfMemory as error:
                errors[name] = str(error)
        failed = {
            vital: errors[name] for vital, names in requested.items() for name in reversed(names) if name in errors
        }
        used = {vital: names for vital, names in requested.items() if vital not in failed}
        ages = [
            AGE_CALIBRATIONS[name].years(raw) for name in used.get("age", ()) if (raw := outputs[name].ages) is not None
        ]
        return CalibratedAttributes(
            ages[0] if ages else None,
            _fuse({name: outputs[name].log_odds for name in used.get("gender", ())}),
            next((outputs[name].body_mass for name in used.get("bmi", ())), None),
            used,
            failed,
        )


def _fuse(log_odds: dict[str, NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """Return the calibrated log-odds (n,) of male, a weighted sum over the models; None without models."""
    if not log_odds:
        return None
    *weights, constant = GENDER_CALIBRATIONS[tuple(log_odds)]
    outputs = [output for output in log_odds.values() if output is not None]
    return np.asarray(np.stack(outputs, axis=1) @ np.array(weights) + constant, np.float32)
