"""Estimators of the pulse wave: traces in, a wave out.

A new one is a module here with a function `estimate`, and a line in `ESTIMATORS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from workers.models.session import Network
from workers.rppg.signals.traces import Traces

#: (n,) pulse wave on the traces' grid, rising with blood volume, standardised; or (k, n), the whole face first and then
#: its left and its right part.
Estimator = Callable[[Traces], NDArray[np.float64]]
NeuralEstimator = Callable[[Traces, Network], NDArray[np.float64]]


def whole_face_wave(output: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the wave (n,) of the whole face from an estimator's output, (n,) or (k, n)."""
    return output if output.ndim == 1 else np.asarray(output[0])


@dataclass(frozen=True)
class EstimatorSpec:
    """One estimator.

    Attributes:
        name: its name, as `--estimators` takes it.
        default: whether the verdict weighs it (`workers.rppg.fusion`). The others run alone, in a raw run that
            `--estimators` names them for, and are measured by `facevitals bench accuracy`.
        crops: whether it uses the crops of the face; the others use the regions' colours alone.
        model: for a network, the manifest's name of its weights.
        fallback: manifest's name of the weights that are used if those of `model` are not installed or left out for
            their licence.
        module: its module in this package. None: the module of its name.
    """

    name: str
    default: bool = False
    crops: bool = False
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


#: Every estimator. Those by default project colours (POS, CHROM, OMIT, PBV) or combine patches of skin (MRC). On clips
#: of the world no network was right more often than POS, and none made the verdict better (docs/verdict.md).
ESTIMATORS: Final[tuple[EstimatorSpec, ...]] = (
    EstimatorSpec("pos", default=True),
    EstimatorSpec("chrom", default=True),
    EstimatorSpec("green"),
    EstimatorSpec("lgi"),
    EstimatorSpec("omit", default=True),
    EstimatorSpec("pbv", default=True),
    EstimatorSpec("mrc", default=True, crops=True),
    EstimatorSpec("ica"),
    EstimatorSpec("2sr", module="ssr", crops=True),
    EstimatorSpec("deepphys", crops=True, model="deepphys", fallback="deepphys.rendered"),
    EstimatorSpec("tscan", crops=True, model="tscan.rlap"),
    EstimatorSpec("physnet", crops=True, model="physnet.rlap"),
    EstimatorSpec("me_rppg", crops=True, model="me_rppg.rlap", fallback="me_rppg.demo"),
)

#: The default estimators that need nothing but the regions' colours, ready to run.
BY_COLOUR: Final = {spec.name: spec.bind() for spec in ESTIMATORS if spec.default and not spec.crops}
