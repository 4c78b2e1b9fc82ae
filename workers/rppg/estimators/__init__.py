"""Estimators of the pulse wave: traces in, a wave out.

A new one is a module here with a function `estimate`, and a line in `ESTIMATORS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from workers.models.deepphys_network import PARTS
from workers.models.session import Network
from workers.rppg.signals.traces import Traces

#: (n,) pulse wave on the traces' grid, rising with blood volume, standardised; or (k, n), the whole face first and then
#: the other `PARTS`.
Estimator = Callable[[Traces], NDArray[np.float64]]
NeuralEstimator = Callable[[Traces, Network], NDArray[np.float64]]


def whole_face_wave(output: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the wave (n,) of the whole face from an estimator's output, (n,) or (k, n)."""
    return output if output.ndim == 1 else np.asarray(output[0])


def waves_by_part(output: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the wave (n,) of each part of the face, by name, from an estimator's output, (n,) or (k, n)."""
    return {} if output.ndim == 1 else dict(zip(PARTS[1:], output[1:], strict=False))


@dataclass(frozen=True)
class EstimatorSpec:
    """One estimator.

    Attributes:
        name: its name, as `--estimators` takes it.
        default: whether it runs without being requested. The others run if `--estimators` names them, and are measured
            by `facevitals bench accuracy`.
        stage: stage of the cascade in which it runs; a stage runs only if the gate is not confident after the earlier
            ones.
        crops: whether it uses the crops of the face; the others use the regions' colours alone.
        family: estimator in the calibration data whose error model it has while its own was not measured. A family
            counts as one independent estimator. None: its own name; without calibration it has no vote then.
        model: for a network, the manifest's name of its weights.
        fallback: manifest's name of the weights that are used if those of `model` are not installed or left out for
            their licence.
        module: its module in this package. None: the module of its name.
    """

    name: str
    default: bool = False
    stage: int = 0
    crops: bool = False
    family: str | None = None
    model: str | None = None
    fallback: str | None = None
    module: str | None = None

    @property
    def estimate(self) -> Estimator | NeuralEstimator:
        """The function `estimate` of its module.

        Raises:
            ModuleNotFoundError: there is no such module.
        """
        module = import_module(f"{__name__}.{self.module or self.name}")
        return cast("Estimator | NeuralEstimator", module.estimate)

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the weights that it can run with; the first that is installed is used."""
        return tuple(name for name in (self.model, self.fallback) if name is not None)

    @property
    def neural(self) -> bool:
        """Whether it is a network, which may output a pulse where there is none."""
        return self.model is not None

    def bind(self, network: Network | None = None) -> Estimator:
        """Return the estimator, ready to run.

        Raises:
            ValueError: it needs a network, and none is given.
        """
        if self.model is None:
            return cast("Estimator", self.estimate)
        if network is None:
            msg = f"{self.name} needs the model {self.model}"
            raise ValueError(msg)
        estimate = cast("NeuralEstimator", self.estimate)
        return lambda traces: estimate(traces, network)


#: Every estimator, in the order in which they run. LGI, OMIT and PBV project colours like CHROM; ICA, MRC and 2SR
#: follow light of any colour like GREEN; PhysNet and TS-CAN are taken to be no better than the published DeepPhys and
#: MTTS-CAN. ME-rPPG has no vote: it is not calibrated.
ESTIMATORS: Final[tuple[EstimatorSpec, ...]] = (
    EstimatorSpec("pos", default=True),
    EstimatorSpec("chrom", default=True),
    EstimatorSpec("green", default=True),
    EstimatorSpec("lgi", family="chrom"),
    EstimatorSpec("omit", default=True, family="chrom"),
    EstimatorSpec("pbv", default=True, family="chrom"),
    EstimatorSpec("mrc", default=True, crops=True, family="green"),
    EstimatorSpec("ica", family="green"),
    EstimatorSpec("2sr", module="ssr", crops=True, family="green"),
    EstimatorSpec("deepphys", default=True, stage=1, crops=True, model="deepphys", fallback="deepphys.rendered"),
    EstimatorSpec("tscan", default=True, stage=2, crops=True, family="mttscan", model="tscan.rlap"),
    EstimatorSpec("physnet", stage=3, crops=True, family="deepphys", model="physnet.rlap"),
    EstimatorSpec("me_rppg", stage=3, crops=True, model="me_rppg.rlap", fallback="me_rppg.demo"),
)

#: Names of the networks.
NEURAL: Final = frozenset(spec.name for spec in ESTIMATORS if spec.neural)
#: The default estimators that need nothing but the regions' colours, ready to run.
BY_COLOUR: Final = {spec.name: spec.bind() for spec in ESTIMATORS if spec.default and not spec.crops}
#: Stage of the cascade of each estimator.
STAGES: Final = {spec.name: spec.stage for spec in ESTIMATORS}
#: Family of each estimator.
FAMILIES: Final = {spec.name: spec.family or spec.name for spec in ESTIMATORS}
