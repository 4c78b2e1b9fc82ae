"""The models behind age and gender, loaded once and handed around as a value."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from workers.models import Device, ModelNotInstalled, Network, model_file, open_network
from workers.portraits import Portrait
from workers.vision import agegender, dlib_nets
from workers.vision.calibration import AGE, GENDER
from workers.vision.cues.texture import FASNET

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Looks:
    """What one network says of n portraits: `ages` in years and `log_odds` of male against female, each (n,) or None
    where it is not asked that.
    """

    ages: Floats | None = None
    log_odds: Floats | None = None


@dataclass(frozen=True)
class FaceModelSpec:
    """One way from portraits to an answer. `model` names its weights in `workers.models.MODELS`."""

    model: str
    look: Callable[[Sequence[Portrait], Network], Looks]


def _agegender(portraits: Sequence[Portrait], network: Network) -> Looks:
    answers = agegender.looks(portraits, network)
    return Looks(answers[:, 0], answers[:, 1])


#: A new model is a module, a line, and its calibration. Of those that tell an age the first that is installed is asked;
#: those that tell a gender are asked together.
FACE_MODELS: Final = (
    FaceModelSpec("agegender", _agegender),
    FaceModelSpec("age.dlib", lambda portraits, network: Looks(ages=dlib_nets.ages(portraits, network))),
    FaceModelSpec(
        "gender.dlib", lambda portraits, network: Looks(log_odds=dlib_nets.log_odds_male(portraits, network))
    ),
)


@dataclass(frozen=True)
class Reading:
    """Calibrated answers for n portraits: `ages` in years and `log_odds` of male, None where no model tells them, and
    the models that told.
    """

    ages: Floats | None
    log_odds: Floats | None
    age_models: tuple[str, ...]
    gender_models: tuple[str, ...]


@dataclass(frozen=True)
class VisionModels:
    """Networks ready to run, by name; the models in use for each vital; and why others are left out, by vital."""

    networks: dict[str, Network]
    weights: dict[str, tuple[str, ...]]
    left_out: dict[str, str]

    @classmethod
    def load(
        cls,
        models_dir: Path,
        threads: int = 1,
        *,
        open_only: bool = False,
        device: Device = "cpu",
        only_used: bool = True,
    ) -> Self:
        """Load what is installed, each model on `device`, with `threads` threads where that is the CPU; by default not
        those for which a better one is there.
        """
        found: dict[str, Path] = {}
        missing: dict[str, str] = {}
        for spec in FACE_MODELS:
            try:
                found[spec.model] = model_file(spec.model, models_dir, open_only=open_only)
            except ModelNotInstalled as why:
                missing[spec.model] = str(why)
        age = next(((name,) for name in AGE if name in found), ())
        gender = next((names for names in GENDER if all(name in found for name in names)), ())
        networks = {
            name: open_network(found[name], threads, device)
            for name in dict.fromkeys((*age, *gender) if only_used else found)
        }
        for name in FASNET:
            with suppress(ModelNotInstalled):
                networks[name] = open_network(model_file(name, models_dir, open_only=open_only), threads, device)
        left_out = {
            vital: missing[preferred]
            for vital, preferred, used in (("age", next(iter(AGE)), age), ("gender", next(iter(GENDER))[0], gender))
            if not used
        }
        return cls(networks, {vital: used for vital, used in (("age", age), ("gender", gender)) if used}, left_out)

    def look(self, portraits: Sequence[Portrait]) -> Reading:
        """Each network asked once about all portraits, at least one, and its answers calibrated."""
        seen = {
            spec.model: spec.look(portraits, self.networks[spec.model])
            for spec in FACE_MODELS
            if spec.model in self.networks
        }
        age, gender = self.weights.get("age", ()), self.weights.get("gender", ())
        ages = next((AGE[name].years(found) for name in age if (found := seen[name].ages) is not None), None)
        return Reading(ages, _fused({name: seen[name].log_odds for name in gender}), age, gender)


def _fused(log_odds: dict[str, Floats | None]) -> Floats | None:
    if not log_odds:
        return None
    *weights, constant = GENDER[tuple(log_odds)]
    answers = [answer for answer in log_odds.values() if answer is not None]
    return np.asarray(np.stack(answers, axis=1) @ np.array(weights) + constant, np.float32)
