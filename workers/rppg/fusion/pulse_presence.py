"""Presence of a pulse: its log odds from the evidence, as fitted to simulated clips with and without a pulse."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from workers.rppg.fusion.agreement import Agreement
from workers.rppg.fusion.evidence import Evidence

#: A line above the first, and log odds above the second, count as these.
_MAX_LINE_DB = 12.0
_MAX_LOG_ODDS = 6.0
#: Independent waves correlate by chance: the spread of their coherence falls with the square root of the duration. The
#: model was fitted to clips of the first length; beyond the second, the coherence that light and encoders cause
#: everywhere is not by chance any more.
_FITTED_S = 15.0
_MAX_S = 30.0
#: Bounds of the background's modulation over the face's, and what it counts as without a background: halfway between
#: living clips (0.05) and clips without a pulse (0.27).
_SHARES = (0.01, 1.0)
_UNSEEN_SHARE = 0.11


@dataclass(frozen=True)
class PresenceModel:
    """Weights of a logistic regression over `features`, in their order, and the log odds that a pulse needs."""

    constant: float
    snr_db: float
    neural_snr_db: float
    signal_snr_db: float
    line_db: float
    log_odds_of_confidence: float
    region_correlation: float
    region_coherence: float
    halves_correlation: float
    halves_agreeing: float
    log_rate: float
    patches_snr_db: float
    patches_coherence: float
    quiet_background: float
    min_log_odds: float

    def log_odds(self, evidence: Evidence, agreement: Agreement) -> float:
        """Log odds that what the estimators follow is the pulse of a living person."""
        return float(features(evidence, agreement) @ np.array(astuple(self)[:-1]))


def features(evidence: Evidence, agreement: Agreement) -> NDArray[np.float64]:
    """Features (14,) of the regression, in the order of `PresenceModel`.

    The halves are those of the face that a network looks at, `halves_agreeing` in how many of them it finds the rate.
    The logarithm of the rate is one because light, encoders and heads drift slowly: what is no pulse is seldom fast.
    """
    steadiness = float(np.sqrt(min(evidence.duration_s, _MAX_S) / _FITTED_S))
    share = evidence.background_share
    confidence = min(max(agreement.confidence, 1e-3), 1 - 1e-6)
    return np.array(
        [
            1.0,
            evidence.snr_db,
            0.0 if evidence.neural_snr_db is None else evidence.neural_snr_db,
            evidence.signal_snr_db,
            min(evidence.line_db, _MAX_LINE_DB),
            min(float(np.log(confidence / (1 - confidence))), _MAX_LOG_ODDS),
            evidence.region_correlation,
            evidence.region_coherence * steadiness,
            0.0 if evidence.halves_correlation is None else evidence.halves_correlation * steadiness,
            float(agreement.parts),
            float(np.log(agreement.rate_per_min / 60)),
            0.0 if evidence.patches_snr_db is None else evidence.patches_snr_db,
            0.0 if evidence.patches_coherence is None else evidence.patches_coherence * steadiness,
            -float(np.log(np.clip(_UNSEEN_SHARE if share is None else share, *_SHARES))),
        ]
    )
