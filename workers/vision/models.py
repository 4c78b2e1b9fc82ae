"""The models behind age and gender, loaded once and handed around as a value."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from workers.models import Device, ModelNotInstalled, Network, model_file, open_network
from workers.portraits import Portrait
from workers.vision import dlib_nets


class AgeModel(Protocol):
    """Portraits in, ages in years (n,) out."""

    def __call__(self, portraits: Sequence[Portrait], /) -> NDArray[np.float32]:
        """Ages, in the portraits' order."""
        ...


class GenderModel(Protocol):
    """Portraits in, the logarithms of the odds of male against female (n,) out."""

    def __call__(self, portraits: Sequence[Portrait], /) -> NDArray[np.float32]:
        """Log-odds, in the portraits' order."""
        ...


@dataclass(frozen=True)
class FaceModelSpec:
    """One way from portraits to an answer. `model` names its weights in `workers.models.MODELS`."""

    model: str
    estimate: Callable[[Sequence[Portrait], Network], NDArray[np.float32]]

    def bind(self, network: Network) -> Callable[[Sequence[Portrait]], NDArray[np.float32]]:
        """The model, ready to run."""
        return lambda portraits: self.estimate(portraits, network)


#: A new model is a module and a line. The first that is installed answers.
AGE_MODELS: Final = (FaceModelSpec("age.dlib", dlib_nets.ages),)
GENDER_MODELS: Final = (FaceModelSpec("gender.dlib", dlib_nets.log_odds_male),)


@dataclass(frozen=True)
class VisionModels:
    """Models ready to run, None where none is installed; the weights in use, by vital; and why others are left out."""

    age: AgeModel | None
    gender: GenderModel | None
    weights: dict[str, str]
    left_out: dict[str, str]

    @classmethod
    def load(cls, models_dir: Path, threads: int = 1, *, open_only: bool = False, device: Device = "cpu") -> Self:
        """Load what is installed, each model on `device`, with `threads` threads where that is the CPU."""
        weights: dict[str, str] = {}
        left_out: dict[str, str] = {}

        def first(
            vital: str, specs: Iterable[FaceModelSpec]
        ) -> Callable[[Sequence[Portrait]], NDArray[np.float32]] | None:
            for spec in specs:
                try:
                    path = model_file(spec.model, models_dir, open_only=open_only)
                except ModelNotInstalled as missing:
                    left_out[vital] = str(missing)
                    continue
                weights[vital] = spec.model
                return spec.bind(open_network(path, threads, device))
            return None

        return cls(first("age", AGE_MODELS), first("gender", GENDER_MODELS), weights, left_out)
