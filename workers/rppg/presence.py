"""Whether there is a pulse at all: log odds from the evidence, as fitted to simulated clips with and without one."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from workers.rppg.agreement import Agreement
from workers.rppg.evidence import Evidence

#: A ratio above the first, and log odds above the second, say no more than these do.
_MOST_LINE_DB = 12.0
_MOST_LOG_ODDS = 6.0


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
    halves_coherence: float
    halves_agreeing: float
    least: float

    def log_odds(self, evidence: Evidence, agreement: Agreement) -> float:
        """Log odds that what the estimators follow is the pulse of a living person."""
        return float(features(evidence, agreement) @ np.array(astuple(self)[:-1]))


def features(evidence: Evidence, agreement: Agreement) -> NDArray[np.float64]:
    """What the regression looks at (9,): a constant, ratios of waves, line, confidence, regions and halves in step, and
    in how many of the halves the rate stands out by itself.
    """
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
            0.0 if evidence.halves_coherence is None else evidence.halves_coherence,
            float(agreement.parts),
        ]
    )
