"""Estimators: traces in, a pulse wave out. A new one is a module here and a line in `ESTIMATORS`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from workers.models.deepphys_network import PARTS
from workers.models.session import Network
from workers.rppg.estimators import chrom, deepphys, green, ica, lgi, mrc, omit, pbv, physnet, pos, ssr, tscan
from workers.rppg.signals.traces import Traces

#: (n,) pulse wave on the traces' grid, rising with blood volume, standardised; or (k, n), further ones of `PARTS`.
Estimator = Callable[[Traces], NDArray[np.float64]]
NeuralEstimator = Callable[[Traces, Network], NDArray[np.float64]]


def whole(answer: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the wave of the whole face, of what an estimator gave."""
    return answer if answer.ndim == 1 else np.asarray(answer[0])


def by_part(answer: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """(n,) the waves of parts of the face, by their names, of what an estimator gave."""
    return {} if answer.ndim == 1 else dict(zip(PARTS[1:], answer[1:], strict=False))


@dataclass(frozen=True)
class EstimatorSpec:
    """One way to a pulse wave. `model` names the weights (`workers.models.manifest.MODELS`) that a neural one needs.

    `turn`: those of a later one are asked only where the earlier ones leave a doubt. `kept`: asked without being named;
    the others are here to be measured (`facevitals bench accuracy`) and to be asked for (`--estimators`).
    `shipped` names weights of this project's own, used where those of `model` are not installed. `crops`: it looks at
    the crops of the face, the others at the regions' colours alone.
    """

    name: str
    estimate: Estimator | NeuralEstimator
    model: str | None = None
    turn: int = 0
    kept: bool = True
    shipped: str | None = None
    crops: bool = False

    @property
    def weights(self) -> tuple[str, ...]:
        """Weights that serve, the first that is installed being taken."""
        return tuple(name for name in (self.model, self.shipped) if name is not None)

    @property
    def neural(self) -> bool:
        """Whether it has learnt what a pulse looks like, and so may draw one where there is none."""
        return self.model is not None

    def bind(self, network: Network | None = None) -> Estimator:
        """The estimator, ready to run."""
        if self.model is None:
            return cast("Estimator", self.estimate)
        if network is None:
            msg = f"{self.name} needs the model {self.model}"
            raise ValueError(msg)
        estimate = cast("NeuralEstimator", self.estimate)
        return lambda traces: estimate(traces, network)


ESTIMATORS: Final[tuple[EstimatorSpec, ...]] = (
    EstimatorSpec("pos", pos.estimate),
    EstimatorSpec("chrom", chrom.estimate),
    EstimatorSpec("green", green.estimate),
    EstimatorSpec("lgi", lgi.estimate, kept=False),
    EstimatorSpec("omit", omit.estimate),
    EstimatorSpec("pbv", pbv.estimate),
    EstimatorSpec("mrc", mrc.estimate, crops=True),
    EstimatorSpec("ica", ica.estimate, kept=False),
    EstimatorSpec("2sr", ssr.estimate, kept=False, crops=True),
    EstimatorSpec("deepphys", deepphys.estimate, model="deepphys", turn=1, shipped="deepphys.rendered", crops=True),
    EstimatorSpec("tscan", tscan.estimate, model="tscan.rlap", turn=2, crops=True),
    EstimatorSpec("physnet", physnet.estimate, model="physnet.rlap", turn=3, kept=False, crops=True),
)

#: Names of those that have learnt what a pulse looks like.
NEURAL: Final = frozenset(spec.name for spec in ESTIMATORS if spec.neural)
#: Those that need nothing but the regions' colours, ready to run.
BY_COLOUR: Final = {spec.name: spec.bind() for spec in ESTIMATORS if spec.kept and not spec.crops}
#: In which turn each is asked.
TURNS: Final = {spec.name: spec.turn for spec in ESTIMATORS}
