"""The models behind age, gender and BMI, loaded once and handed around as a value."""

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
from workers.models.deepface import Attribute, DeepFaceOptions, open_deepface
from workers.models.memory import DoesNotFit, OutOfMemory
from workers.models.session import Device, Runner, open_network
from workers.models.vit import open_vit
from workers.vision.age_gender import agegender_predictor, deepface_predictor, dlib_predictor
from workers.vision.age_gender.attribute_calibration import AGE, GENDER
from workers.vision.bmi import vit_predictor

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FaceAttributes:
    """What one network says of n portraits: `ages` in years, `log_odds` of male against female and `body_mass` in
    kg/m2, each (n,) or None where it is not asked that.
    """

    ages: Floats | None = None
    log_odds: Floats | None = None
    body_mass: Floats | None = None


@dataclass(frozen=True)
class VisionOptions:
    """Where the models lie and how they are run. `deepface` is None where its models are not wanted."""

    models_dir: Path
    threads: int = 1
    open_only: bool = False
    device: Device = "cpu"
    deepface: DeepFaceOptions | None = None


Opener = Callable[[str, VisionOptions], Runner]


def _network(name: str, options: VisionOptions) -> Runner:
    path = model_file(name, options.models_dir, open_only=options.open_only)
    return open_network(path, options.threads, options.device)


def _vit(name: str, options: VisionOptions) -> Runner:
    return open_vit(model_file(name, options.models_dir, open_only=options.open_only), options.threads, options.device)


def _deepface(attribute: Attribute) -> Opener:
    def opened(name: str, options: VisionOptions) -> Runner:
        if options.deepface is None:
            raise ModelNotInstalled("DeepFace's models are turned off (FACEVITALS_DEEPFACE_BACKEND)")
        weights = model_file(name, options.deepface.home, open_only=options.open_only)
        return open_deepface(attribute, weights, options.deepface, options.threads, options.device)

    return opened


@dataclass(frozen=True)
class FaceModelSpec:
    """One way from portraits to an answer. `model` names its weights in `workers.models.manifest.MODELS`."""

    model: str
    look: Callable[[Sequence[Portrait], Runner], FaceAttributes]
    opened: Opener = _network


def _agegender(portraits: Sequence[Portrait], network: Runner) -> FaceAttributes:
    answers = agegender_predictor.looks(portraits, network)
    return FaceAttributes(answers[:, 0], answers[:, 1])


#: A new model is a module, a line, and its calibration. Which of those that tell an age or a gender are asked is said
#: by the order of `calibration.AGE` and `calibration.GENDER`: the first that are installed.
FACE_MODELS: Final = (
    FaceModelSpec(
        "deepface.age",
        lambda portraits, network: FaceAttributes(ages=deepface_predictor.ages(portraits, network)),
        _deepface("Age"),
    ),
    FaceModelSpec(
        "deepface.gender",
        lambda portraits, network: FaceAttributes(log_odds=deepface_predictor.log_odds_male(portraits, network)),
        _deepface("Gender"),
    ),
    FaceModelSpec("agegender", _agegender),
    FaceModelSpec("age.dlib", lambda portraits, network: FaceAttributes(ages=dlib_predictor.ages(portraits, network))),
    FaceModelSpec(
        "gender.dlib",
        lambda portraits, network: FaceAttributes(log_odds=dlib_predictor.log_odds_male(portraits, network)),
    ),
    FaceModelSpec(
        "bmi.vit", lambda portraits, network: FaceAttributes(body_mass=vit_predictor.body(portraits, network)), _vit
    ),
)
_SPECS: Final = {spec.model: spec for spec in FACE_MODELS}
#: For each vital, sets of models in the order in which they are preferred, and what the default set-up installs.
PREFERRED: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "age": tuple((name,) for name in AGE),
    "gender": tuple(GENDER),
    "bmi": (("bmi.vit",),),
}
_DEFAULT: Final = {"age": "agegender", "gender": "agegender", "bmi": "bmi.vit"}


@dataclass(frozen=True)
class CalibratedAttributes:
    """Calibrated answers for n portraits: `ages` in years, `log_odds` of male and `body_mass` in kg/m2, None where no
    model tells them; the models that told; and by vital why one that should have told failed.
    """

    ages: Floats | None = None
    log_odds: Floats | None = None
    body_mass: Floats | None = None
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class _ModelCache:
    """Networks as they are asked for, each opened once; and why others can't be."""

    def __init__(self, options: VisionOptions) -> None:
        self._options = options
        self.networks: dict[str, Runner] = {}
        self.missing: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    def has(self, name: str, opened: Opener = _network) -> bool:
        if name not in self.networks and name not in self.missing:
            try:
                self.networks[name] = opened(name, self._options)
            except ModelNotInstalled as why:
                self.missing[name] = str(why)
            except (DoesNotFit, CheckpointUnreadable, ModuleNotFoundError) as why:
                self.missing[name] = self.refused[name] = f"{name} can't be used: {why}"
        return name in self.networks


@dataclass(frozen=True)
class VisionModels:
    """Networks ready to run, by name; the models in use for each vital; why others are left out, by vital; and what was
    there and yet refused, by name.
    """

    networks: dict[str, Runner]
    weights: dict[str, tuple[str, ...]]
    left_out: dict[str, str]
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, options: VisionOptions, *, only_used: bool = True) -> Self:
        """Load what is installed; by default not those for which a better one is there."""
        shelf = _ModelCache(options)
        used = {
            vital: next(
                (names for names in preferred if all(shelf.has(name, _SPECS[name].opened) for name in names)), ()
            )
            for vital, preferred in PREFERRED.items()
        }
        if not only_used:
            for spec in FACE_MODELS:
                shelf.has(spec.model, spec.opened)
        for name in FASNET:
            shelf.has(name)
        wanted = {name for names in used.values() for name in names} | set(FASNET)
        return cls(
            {name: network for name, network in shelf.networks.items() if name in wanted or not only_used},
            {vital: names for vital, names in used.items() if names},
            {vital: shelf.missing[_DEFAULT[vital]] for vital, names in used.items() if not names},
            shelf.refused,
        )

    def look(
        self, portraits: Sequence[Portrait], vitals: frozenset[str] = frozenset(PREFERRED)
    ) -> CalibratedAttributes:
        """The networks of these vitals, each asked once about all portraits, at least one; their answers calibrated.

        A network that runs out of memory costs the vitals that it serves, and no other.
        """
        asked = {vital: names for vital, names in self.weights.items() if vital in vitals}
        seen: dict[str, FaceAttributes] = {}
        broken: dict[str, str] = {}
        for name in dict.fromkeys(name for names in asked.values() for name in names):
            try:
                seen[name] = _SPECS[name].look(portraits, self.networks[name])
            except OutOfMemory as why:
                broken[name] = str(why)
        failed = {vital: broken[name] for vital, names in asked.items() for name in reversed(names) if name in broken}
        told = {vital: names for vital, names in asked.items() if vital not in failed}
        ages = [AGE[name].years(found) for name in told.get("age", ()) if (found := seen[name].ages) is not None]
        return CalibratedAttributes(
            ages[0] if ages else None,
            _fused({name: seen[name].log_odds for name in told.get("gender", ())}),
            next((seen[name].body_mass for name in told.get("bmi", ())), None),
            told,
            failed,
        )


def _fused(log_odds: dict[str, Floats | None]) -> Floats | None:
    if not log_odds:
        return None
    *weights, constant = GENDER[tuple(log_odds)]
    answers = [answer for answer in log_odds.values() if answer is not None]
    return np.asarray(np.stack(answers, axis=1) @ np.array(weights) + constant, np.float32)
