"""Several estimates of one rate become one rate, and how much to believe it.

Each estimator either follows the pulse, with a small error, or follows something else, and then says what it says
when it
is lost (mostly leakage below 55 /min). With the probability of following, the error and the distribution of the lost
answers known for each (`lab.calibrate`), Bayes' rule turns a set of answers into a distribution over the true rate:

    log p(h | x) = log prior(h) + w · Σᵢ log(πᵢ·k((xᵢ - h)/sᵢ)/sᵢ + (1 - πᵢ)·qᵢ(xᵢ))

Estimators look at the same pixels and fail together, so their votes count by a weight w below 1 (the tempered
likelihood
of dependent experts, Genest & Zidek 1986, Statistical Science 1(1):114). An estimator that hears the same rate in parts
of the face that share no noise has one vote instead of several, which counts in full and as often right as that was
found to be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

Array = NDArray[np.float64]

#: Rates over which belief is spread: every quarter of a beat in the pulse band.
RATES_PER_MIN: Final = np.arange(39.0, 210.01, 0.25)

#: Knots of the densities in the calibration, every 5 /min.
KNOTS_PER_MIN: Final = np.arange(40.0, 211.0, 5.0)

#: Confidence is the belief within this many beats a minute of the rate told: a rate off by more is a gross error.
GROSS_PER_MIN: Final = 5.0

#: Estimates within this many beats a minute of the rate stand behind it.
MEMBER_PER_MIN: Final = 3.0

#: So many estimates, those nearest to the rate, say how sharp it is: the median among them does not hear the rest.
NEAREST: Final = 3


@dataclass(frozen=True)
class Estimate:
    """What one estimator says. `neural`: it has learnt what a pulse looks like, and may draw one where none is.

    `part`: where it is of a part of the face alone. Such a one votes as the estimator does, and is not counted as one.
    """

    name: str
    rate_per_min: float
    snr_db: float
    neural: bool = False
    part: str | None = None


@dataclass(frozen=True)
class Reliability:
    """How an estimator errs: it follows the pulse with probability `hit` and a spread of `scale_per_min`.

    `misses` is the density (per beat a minute, at `KNOTS_PER_MIN`) of what it says when it follows something else.
    """

    hit: float
    scale_per_min: float
    misses: tuple[float, ...]


@dataclass(frozen=True)
class Fusion:
    """The calibrated model of all estimators: `weight` of a vote, `prior` of the rate at `KNOTS_PER_MIN`.

    `in_step`: how those err, by name, that hear one rate in the whole face and in each part of it.
    """

    weight: float
    prior: tuple[float, ...]
    reliabilities: Mapping[str, Reliability]
    in_step: Mapping[str, Reliability]


@dataclass(frozen=True)
class Agreement:
    """The most credible rate.

    confidence      belief in [0, 1] that the true rate lies within `GROSS_PER_MIN`
    members         estimators of the whole face within `MEMBER_PER_MIN` of the rate, the most reliable first
    spread_per_min  standard deviation of the members' estimates
    entropy         of the belief, in nats: the logarithm of how many of `RATES_PER_MIN` it is spread over
    near_per_min    mean distance of the `NEAREST` estimates from the rate
    parts           parts of the face in which a network hears the rate by itself, or its second harmonic
    """

    rate_per_min: float
    confidence: float
    members: tuple[str, ...]
    spread_per_min: float
    entropy: float
    near_per_min: float
    parts: int

    @property
    def support(self) -> int:
        """How many estimators stand behind the rate."""
        return len(self.members)


def hit_density(error_per_min: Array, scale_per_min: float) -> Array:
    """Density of an estimator's error while it follows the pulse: Laplace, a tenth of it four times as wide."""
    distance = np.abs(error_per_min) / scale_per_min
    density: Array = (0.9 * np.exp(-distance) + 0.1 * np.exp(-distance / 4) / 4) / (2 * scale_per_min)
    return density


def belief(estimates: Sequence[Estimate], fusion: Fusion) -> Array:
    """Probability of each of `RATES_PER_MIN`, given the estimates."""
    log_belief = np.log(np.interp(RATES_PER_MIN, KNOTS_PER_MIN, fusion.prior))
    in_step = {name: rate for name, rate in heard_in_step(estimates).items() if name in fusion.in_step}
    for name, rate_per_min in in_step.items():
        log_belief += np.log(_likelihood(rate_per_min, fusion.in_step[name]))
    for estimate in estimates:
        if estimate.name not in in_step:
            likelihood = _likelihood(estimate.rate_per_min, fusion.reliabilities[estimate.name])
            log_belief += fusion.weight * np.log(likelihood)
    probability: Array = np.exp(log_belief - log_belief.max())
    return probability / float(probability.sum())


def _likelihood(said_per_min: float, reliability: Reliability) -> Array:
    """Density of what an estimator said for each of `RATES_PER_MIN`."""
    hit = reliability.hit * hit_density(said_per_min - RATES_PER_MIN, reliability.scale_per_min)
    return hit + (1 - reliability.hit) * float(np.interp(said_per_min, KNOTS_PER_MIN, reliability.misses))


def heard_in_step(estimates: Sequence[Estimate]) -> dict[str, float]:
    """The rate of the whole face, by name, of each estimator that hears it in every part of the face by itself."""
    found = {}
    for name in {estimate.name for estimate in estimates if estimate.part is not None}:
        rates = {estimate.part: estimate.rate_per_min for estimate in estimates if estimate.name == name}
        if None in rates and max(rates.values()) - min(rates.values()) <= MEMBER_PER_MIN:
            found[name] = rates[None]
    return found


def agree(estimates: Sequence[Estimate], fusion: Fusion) -> Agreement:
    """The most credible rate: the median of the estimates around the peak of the belief.

    Raises ValueError for no estimate at all, KeyError for an estimator that was not calibrated.
    """
    if not estimates:
        msg = "no estimate"
        raise ValueError(msg)
    probability = belief(estimates, fusion)
    peak = float(RATES_PER_MIN[np.argmax(probability)])
    whole = [estimate for estimate in estimates if estimate.part is None] or estimates
    members = sorted(
        (estimate for estimate in whole if abs(estimate.rate_per_min - peak) <= MEMBER_PER_MIN),
        key=lambda estimate: (-fusion.reliabilities[estimate.name].hit, estimate.name),
    )
    rates = [estimate.rate_per_min for estimate in members]
    rate = float(np.median(rates)) if rates else peak
    return Agreement(
        rate_per_min=rate,
        confidence=float(probability[np.abs(RATES_PER_MIN - rate) <= GROSS_PER_MIN].sum()),
        members=tuple(estimate.name for estimate in members),
        spread_per_min=float(np.std(rates)) if rates else GROSS_PER_MIN,
        entropy=float(entr(probability).sum()),
        near_per_min=float(np.mean(sorted(abs(estimate.rate_per_min - rate) for estimate in whole)[:NEAREST])),
        parts=sum(estimate.part is not None and _beats_with(estimate.rate_per_min, rate) for estimate in estimates),
    )


def _beats_with(said_per_min: float, rate_per_min: float) -> bool:
    """Whether a part of the face speaks for the rate: a slow pulse has a second harmonic among the rates of hearts, and
    where the fundamental drowns it is what is heard of it.
    """
    return min(abs(said_per_min - rate_per_min), abs(said_per_min - 2 * rate_per_min)) <= MEMBER_PER_MIN
