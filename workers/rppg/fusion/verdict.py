"""The verdict: how probable each rate is, and how probable it is that there is no pulse that differs from the rest.

    P(h) ∝ exp(Σ w_k·c_k(h)) for each rate h,    P(no pulse) ∝ exp(a)

with the curves c_k of `workers.rppg.fusion.evidence`. It is a multinomial logistic regression whose classes are the
rates and "no pulse" (McFadden 1974, "Conditional logit analysis of qualitative choice behavior"), with the same weights
for every rate. The belief around the likeliest rate becomes a probability by how often it was right on people whom it
was not fitted to (Platt 1999, "Probabilistic outputs for support vector machines"). `python -m lab.calibrate.verdict`
fits both to clips of the world (`docs/verdict.md`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from workers.rppg.fusion.calibration import section
from workers.rppg.fusion.evidence import CURVES, RATES_PER_MIN, Evidence

_STEP_PER_MIN: Final = float(RATES_PER_MIN[1] - RATES_PER_MIN[0])
#: Usual length of a clip, seconds.
_USUAL_S: Final = 15.0
#: Bound of a probability's distance from 0 and 1, for its log odds.
_MIN_DOUBT: Final = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What the evidence amounts to.

    Attributes:
        rate_per_min: the likeliest rate, beats a minute: the mean of the belief around its peak.
        at_edge: whether that peak is the lowest or the highest rate that is weighed.
        probability: that it is right: off by no more than 5 /min.
        belief: sum of `rates` around it, as far as the clip's resolution.
        rates: (g,) probability of each of `RATES_PER_MIN`.
        no_pulse: probability that there is none, or none that differs from the rest.
        second_per_min: the next likeliest rate, which the clip's resolution separates from the first.
        second: belief in that.
        near_per_min: the clip's resolution, beats a minute.
    """

    rate_per_min: float
    at_edge: bool
    probability: float
    belief: float
    rates: NDArray[np.float64]
    no_pulse: float
    second_per_min: float
    second: float
    near_per_min: float

    @property
    def log_odds(self) -> float:
        """Log odds that the rate is right."""
        return log_odds_of(self.probability)


@dataclass(frozen=True)
class VerdictModel:
    """The fitted numbers.

    Attributes:
        weights: of each of `CURVES`, by name.
        no_pulse: score a of "no pulse".
        offset, scale, shortness: log odds that the likeliest rate is right: a constant, the factor of the log odds of
            its belief, and that of the logarithm of 15 s over the clip's length, where it is shorter.
    """

    weights: dict[str, float]
    no_pulse: float
    offset: float
    scale: float
    shortness: float

    def judge(self, evidence: Evidence) -> Verdict:
        """Weigh the evidence."""
        scores = np.array([self.weights[name] for name in CURVES]) @ evidence.curves
        highest = max(float(scores.max()), self.no_pulse)
        odds, odds_of_none = np.exp(scores - highest), float(np.exp(self.no_pulse - highest))
        total = float(odds.sum()) + odds_of_none
        rates = odds / total
        near_per_min = evidence.resolution_per_min
        near = _near(rates, near_per_min)
        best = _likeliest(rates, near_per_min)
        far = np.where(np.abs(RATES_PER_MIN - RATES_PER_MIN[best]) > 2 * near_per_min, rates, 0.0)
        second = _likeliest(far, near_per_min)
        return Verdict(
            rate_per_min=_mean_near(rates, best, near_per_min),
            at_edge=best in {0, len(rates) - 1},
            probability=float(expit(self.log_odds(float(near[best]), evidence.duration_s))),
            belief=float(near[best]),
            rates=rates,
            no_pulse=odds_of_none / total,
            second_per_min=float(RATES_PER_MIN[second]),
            second=float(near[second]),
            near_per_min=near_per_min,
        )

    def log_odds(self, belief: float, duration_s: float) -> float:
        """Log odds that a rate of this belief is right."""
        return float(np.array([self.offset, self.scale, self.shortness]) @ features_of_belief(belief, duration_s))


def features_of_belief(belief: float, duration_s: float) -> NDArray[np.float64]:
    """Features (3,) of the probability: a constant, the log odds of the belief, shortness of the clip."""
    return np.array([1.0, log_odds_of(belief), max(0.0, np.log(_USUAL_S / duration_s))])


def log_odds_of(probability: float) -> float:
    """Return the log odds of a probability, bounded."""
    return float(logit(np.clip(probability, _MIN_DOUBT, 1 - _MIN_DOUBT)))


#: The model as calibrated.
MODEL: Final = VerdictModel(**section("verdict"))


def _near(rates: NDArray[np.float64], near_per_min: float) -> NDArray[np.float64]:
    """Return the probability (g,) that the true rate is within `near_per_min` of each rate."""
    reach = round(near_per_min / _STEP_PER_MIN)
    return np.convolve(rates, np.ones(2 * reach + 1), mode="same")


def _likeliest(rates: NDArray[np.float64], near_per_min: float) -> int:
    """Return the index of the likeliest rate in the neighbourhood that is likeliest as a whole."""
    reach = round(near_per_min / _STEP_PER_MIN)
    middle = int(np.argmax(_near(rates, near_per_min)))
    start = max(0, middle - reach)
    return start + int(np.argmax(rates[start : middle + reach + 1]))


def _mean_near(rates: NDArray[np.float64], index: int, near_per_min: float) -> float:
    """Return the mean of the belief within the resolution of a rate, beats a minute.

    On clips that the verdict was not fitted to it is off by less than the peak of the wave's spectrum.
    """
    near = np.abs(RATES_PER_MIN - RATES_PER_MIN[index]) <= near_per_min
    return float(np.average(RATES_PER_MIN[near], weights=rates[near]))
