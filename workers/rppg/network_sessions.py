"""The models behind the pulse, loaded once and handed around as a value."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from workers.models.build import ModelNotInstalled, ModelUnusable, model_file
from workers.models.memory import DoesNotFit
from workers.models.session import Device, Runner, open_network
from workers.rppg.estimators import ESTIMATORS, Estimator


@dataclass(frozen=True)
class RppgModels:
    """Estimators ready to run, by name; the weights in use, by estimator; why others are left out; the networks by
    model, and which were there and yet refused.
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
        """Load what is installed, building networks if need be; `only` names the estimators wanted, else those kept.

        Raises ValueError where `only` names an estimator that does not exist.
        """
        unknown = (only or frozenset()) - {spec.name for spec in ESTIMATORS}
        if unknown:
            known = ", ".join(spec.name for spec in ESTIMATORS)
            msg = f"unknown estimators: {', '.join(sorted(unknown))}; known: {known}"
            raise ValueError(msg)
        estimators: dict[str, Estimator] = {}
        weights: dict[str, str] = {}
        left_out: dict[str, str] = {}
        networks: dict[str, Runner] = {}
        refused: dict[str, str] = {}
        for spec in ESTIMATORS:
            if spec.name not in only if only is not None else not spec.kept:
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
