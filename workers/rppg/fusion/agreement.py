"""Agreement of the estimators: several estimates of one rate become one rate, with the confidence in it.

Each estimator either follows the pulse, with a small error, or follows something else, mostly leakage below 55 /min.
With the probability of following, the error, and the distribution of the misses known for each (`lab.calibrate`),
Bayes' rule turns a set of estimates into a distribution over the true rate:

    log p(h | x) = log prior(h) + w · Σᵢ log(πᵢ·k((xᵢ - h)/sᵢ)/sᵢ + (1 - πᵢ)·qᵢ(xᵢ))

Estimators look at the same pixels and fail together, so their votes count by a weight w below 1 (the tempered
likelihood of dependent experts, Genest & Zidek 1986, Statistical Science 1(1):114). An estimator that finds the same
rate in parts of the face that share no noise has one vote instead of several; it counts in full, with the reliability
that was measured for such votes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from workers.rppg.estimators import FAMILIES
from workers.rppg.fusion.calibration import section

#: Rates over which belief is spread: every quarter of a beat in the pulse band.
RATES_PER_MIN: Final = np.arange(39.0, 210.01, 0.25)

#: Knots of the densities in the calibration, every 5 /min.
KNOTS_PER_MIN: Final = np.arange(40.0, 211.0, 5.0)

#: Confidence is the belief within this many beats a minute of the rate: a rate off by more is a gross error.
GROSS_PER_MIN: Final = 5.0

#: Estimates within this many beats a minute of the rate are its members.
MEMBER_PER_MIN: Final = 3.0

#: The mean distance of so many estimates, the nearest to the rate, measures how sharp it is, whatever the others do.
NEAREST: Final = 3


@dataclass(frozen=True)
class Estimate:
    """The estimate of one estimator.

    Attributes:
        name: the estimator.
        rate_per_min: frequency of the highest peak of its wave, beats a minute.
        snr_db: signal-to-noise ratio of its wave at that rate, decibels.
        neural: whether it is a network, which may output a pulse where there is none.
        part: part of the face that the estimate is of, None for the whole. A part votes like its estimator, and is not
            counted as an estimator.
    """

    name: str
    rate_per_min: float
    snr_db: float
    neural: bool = False
    part: str | None = None


@dataclass(frozen=True)
class Reliability:
    """Error model of an estimator.

    Attributes:
        hit: probability that it follows the pulse.
        scale_per_min: spread of its error while it does, beats a minute.
        misses: density (per beat a minute, at `KNOTS_PER_MIN`) of its estimates while it follows something else.
    """

    hit: float
    scale_per_min: float
    misses: tuple[float, ...]


@dataclass(frozen=True)
class Fusion:
    """The calibrated model of all estimators.

    Attributes:
        weight: exponent of a vote's likelihood.
        prior: density of the rate at `KNOTS_PER_MIN`.
        reliabilities: error model of each calibrated estimator, by name. The others have no vote.
        consistent_across_halves: error models, by name, of those that find one rate in the whole face and in each half.
    """

    weight: float
    prior: tuple[float, ...]
    reliabilities: Mapping[str, Reliability]
    consistent_across_halves: Mapping[str, Reliability]


def _calibrated() -> Fusion:
    """The model in the calibration; an estimator that is not in it has the error model of its family."""
    values = section("fusion")
    measured = {name: Reliability(**row) for name, row in values["reliabilities"].items()}
    derived = {
        name: measured[family] for name, family in FAMILIES.items() if name not in measured and family in measured
    }
    return Fusion(
        weight=values["weight"],
        prior=values["prior"],
        reliabilities={**measured, **derived},
        consistent_across_halves={
            name: Reliability(**row) for name, row in section("consistent_across_halves").items()
        },
    )


#: The model of all estimators as calibrated.
FUSION: Final = _calibrated()


@dataclass(frozen=True)
class Agreement:
    """The most credible rate.

    Attributes:
        rate_per_min: the rate, beats a minute.
        confidence: belief in [0, 1] that the true rate is within `GROSS_PER_MIN`.
        members: estimators of the whole face within `MEMBER_PER_MIN` of the rate, the most reliable first.
        spread_per_min: standard deviation of the members' estimates.
        entropy: of the belief, in nats: the logarithm of how many of `RATES_PER_MIN` it is spread over.
        near_per_min: mean distance of the `NEAREST` estimates from the rate.
        parts: parts of the face in which a network finds the rate, or its second harmonic.
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
        """Number of members."""
        return len(self.members)


def hit_density(error_per_min: NDArray[np.float64], scale_per_min: float) -> NDArray[np.float64]:
    """Density (k,) of errors (k,) of an estimator that follows the pulse: Laplace, a tenth of it four times as wide."""
    distance = np.abs(error_per_min) / scale_per_min
    density: NDArray[np.float64] = (0.9 * np.exp(-distance) + 0.1 * np.exp(-distance / 4) / 4) / (2 * scale_per_min)
    return density


def voting(estimates: Iterable[Estimate], fusion: Fusion) -> list[Estimate]:
    """The estimates of calibrated estimators; the others have no vote."""
    return [estimate for estimate in estimates if estimate.name in fusion.reliabilities]


def belief(estimates: Sequence[Estimate], fusion: Fusion) -> NDArray[np.float64]:
    """Return the probability (k,) of each of `RATES_PER_MIN`, given the estimates of calibrated estimators.

    Raises:
        KeyError: an estimator is not calibrated.
    """
    log_belief = np.log(np.interp(RATES_PER_MIN, KNOTS_PER_MIN, fusion.prior))
    consistent = {
        name: rate
        for name, rate in consistent_across_halves(estimates).items()
        if name in fusion.consistent_across_halves
    }
    for name, rate_per_min in consistent.items():
        log_belief += np.log(_likelihood(rate_per_min, fusion.consistent_across_halves[name]))
    for estimate in estimates:
        if estimate.name not in consistent:
            likelihood = _likelihood(estimate.rate_per_min, fusion.reliabilities[estimate.name])
            log_belief += fusion.weight * np.log(likelihood)
    probability: NDArray[np.float64] = np.exp(log_belief - log_belief.max())
    return probability / float(probability.sum())


def _likelihood(estimate_per_min: float, reliability: Reliability) -> NDArray[np.float64]:
    """Density (k,) of an estimate for each of `RATES_PER_MIN` as the true rate."""
    hit = reliability.hit * hit_density(estimate_per_min - RATES_PER_MIN, reliability.scale_per_min)
    return hit + (1 - reliability.hit) * float(np.interp(estimate_per_min, KNOTS_PER_MIN, reliability.misses))


def consistent_across_halves(estimates: Sequence[Estimate]) -> dict[str, float]:
    """The rate of the whole face, by name, of each estimator that finds it in every part of the face as well."""
    found = {}
    for name in dict.fromkeys(estimate.name for estimate in estimates if estimate.part is not None):
        rates = {estimate.part: estimate.rate_per_min for estimate in estimates if estimate.name == name}
        if None in rates and max(rates.values()) - min(rates.values()) <= MEMBER_PER_MIN:
            found[name] = rates[None]
    return found


def agree(estimates: Sequence[Estimate], fusion: Fusion) -> Agreement:
    """Return the most credible rate: the median of the estimates around the peak of the belief.

    Estimators without calibration have no vote. If none has one, the rate is the median of the estimates, without
    members, and the confidence is that of the prior alone.

    Raises:
        ValueError: no estimate.
    """
    if not estimates:
        msg = "no estimate"
        raise ValueError(msg)
    votes = voting(estimates, fusion)
    probability = belief(votes, fusion)
    whole = [estimate for estimate in votes or estimates if estimate.part is None] or votes or estimates
    if votes:
        peak = float(RATES_PER_MIN[np.argmax(probability)])
    else:
        peak = float(np.median([estimate.rate_per_min for estimate in whole]))
    members = sorted(
        (estimate for estimate in voting(whole, fusion) if abs(estimate.rate_per_min - peak) <= MEMBER_PER_MIN),
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
        parts=sum(estimate.part is not None and _supports(estimate.rate_per_min, rate) for estimate in votes),
    )


def _supports(estimate_per_min: float, rate_per_min: float) -> bool:
    """Whether the estimate of a part of the face supports the rate.

    The second harmonic of a slow pulse is a rate that a heart can have, and is found where the fundamental is lost.
    """
    return min(abs(estimate_per_min - rate_per_min), abs(estimate_per_min - 2 * rate_per_min)) <= MEMBER_PER_MIN
