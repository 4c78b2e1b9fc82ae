"""The estimators of the pulse with the sessions of their networks, loaded once and passed as a value."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from workers.models.build import ModelNotInstalled, ModelUnusable, model_file
from workers.models.memory import DoesNotFit
from workers.models.session import Device, Runner, open_network
from workers.rppg.estimators import ESTIMATORS, Estimator, whole_face_wave


@dataclass(frozen=True)
class RppgModels:
    """Estimators ready to run.

    Attributes:
        estimators: functions by name.
        weights: manifest name of the weights in use, by estimator.
        left_out: why an estimator was not loaded, by estimator.
        networks: loaded networks, by manifest name.
        refused: why weights that are installed were not loaded, by manifest name.
    """

    estimators: dict[str, Estimator]
    weights: dict[str, str]
    left_out: dict[str, str]
    networks: dict[str, Runner] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        models_dir: Path,
        threads: int = 1,
        *,
        open_only: bool = False,
        only: frozenset[str] | None = None,
        device: Device = "cpu",
    ) -> Self:
        """Load the estimators whose weights are installed, building networks first if they are not built yet.

        Args:
            models_dir: folder of weights and built networks.
            threads: threads of each network on the CPU.
            open_only: leave out models without an open licence.
            only: names of the estimators to load; None loads the default ones.
            device: where networks run.

        Raises:
            ValueError: `only` is empty, or names an estimator that does not exist.
            DeviceUnavailable: `device` is `cuda`, and ONNX Runtime has no CUDA here.
        """
        unknown = (only or frozenset()) - {spec.name for spec in ESTIMATORS}
        if unknown or (only is not None and not only):
            wrong = f"unknown estimators: {', '.join(sorted(unknown))}" if unknown else "no estimator is named"
            known = ", ".join(spec.name for spec in ESTIMATORS)
            raise ValueError(f"{wrong}; known: {known}")
        estimators: dict[str, Estimator] = {}
        weights: dict[str, str] = {}
        left_out: dict[str, str] = {}
        networks: dict[str, Runner] = {}
        refused: dict[str, str] = {}
        for spec in ESTIMATORS:
            if spec.name not in only if only is not None else not spec.default:
                continue
            if spec.model is None:
                estimators[spec.name] = spec.bind()
                continue
            for model in spec.weights:
                try:
                    path = model_file(model, models_dir, open_only=open_only)
                    network = open_network(path, threads, device)
                except ModelUnusable as unusable:
                    left_out[spec.name] = str(unusable)
                    break
                except ModelNotInstalled as missing:
                    left_out.setdefault(spec.name, str(missing))
                    continue
                except DoesNotFit as why:
                    left_out[spec.name] = refused[model] = str(why)
                    break
                estimators[spec.name] = spec.bind(network)
                weights[spec.name], networks[model] = model, network
                left_out.pop(spec.name, None)
                break
        return cls(estimators, weights, left_out, networks, refused)

    def the_only(self) -> tuple[str, Estimator, tuple[str, ...]]:
        """Return the only estimator, for the whole face: its name, its function, and the weights in use."""
        ((name, estimate),) = self.estimators.items()
        return name, lambda traces: whole_face_wave(estimate(traces)), tuple(self.weights.values())
