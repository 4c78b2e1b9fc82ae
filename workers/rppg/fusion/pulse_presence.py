"""Whether there is a pulse at all: log odds from the evidence, as fitted to simulated clips with and without one."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from workers.rppg.fusion.agreement import Agreement
from workers.rppg.fusion.evidence import Evidence

#: A ratio above the first, and log odds above the second, say no more than these do.
_MOST_LINE_DB = 12.0
_MOST_LOG_ODDS = 6.0
#: Waves that have nothing to do with each other are in step by chance for a while: their coherence spreads by one over
#: the square root of the time seen. What the fit knows is clips of the first length; beyond the second, what light and
#: encoders do everywhere is no chance any more.
_FITTED_S = 15.0
_MOST_S = 30.0
#: Modulation of the background over the face's counts between these; where no background is seen, it counts as the
#: other, halfway between living clips (0.05) and what is no pulse (0.27).
_SHARES = (0.01, 1.0)
_UNSEEN = 0.11


@dataclass(frozen=True)
class PresenceModel:
    """Weights of a logistic regression over `features`, in their order, and the least log odds that are believed."""

    constant: float
    snr_db: float
    neural_snr_db: float
    signal_snr_db: float
    line_db: float
    log_odds_of_confidence: float
    region_correlation: float
    region_coherence: float
    halves_coherence: float
    halves_agreeing: float
    log_rate: float
    patches_snr_db: float
    patches_coherence: float
    quiet_background: float
    least: float

    def log_odds(self, evidence: Evidence, agreement: Agreement) -> float:
        """Log odds that what the estimators follow is the pulse of a living person."""
        return float(features(evidence, agreement) @ np.array(astuple(self)[:-1]))


def features(evidence: Evidence, agreement: Agreement) -> NDArray[np.float64]:
    """What the regression looks at (14,): a constant, ratios of waves, line, confidence, regions and halves in step, in
    how many of the halves the rate stands out by itself, and the rate: light, encoders and heads drift slowly, so that
    what is no pulse seldom beats fast; last, what patches of the crops say, and how quiet the background is near the
    rate.
    """
    steadiness = float(np.sqrt(min(evidence.duration_s, _MOST_S) / _FITTED_S))
    share = evidence.background_share
    confidence = min(max(agreement.confidence, 1e-3), 1 - 1e-6)
    return np.array(
        [
            1.0,
            evidence.snr_db,
            0.0 if evidence.neural_snr_db is None else evidence.neural_snr_db,
            evidence.signal_snr_db,
            min(evidence.line_db, _MOST_LINE_DB),
            min(float(np.log(confidence / (1 - confidence))), _MOST_LOG_ODDS),
            evidence.region_correlation,
            evidence.region_coherence * steadiness,
            0.0 if evidence.halves_coherence is None else evidence.halves_coherence * steadiness,
            float(agreement.parts),
            float(np.log(agreement.rate_per_min / 60)),
            0.0 if evidence.patches_snr_db is None else evidence.patches_snr_db,
            0.0 if evidence.patches_coherence is None else evidence.patches_coherence * steadiness,
            -float(np.log(np.clip(_UNSEEN if share is None else share, *_SHARES))),
        ]
    )
