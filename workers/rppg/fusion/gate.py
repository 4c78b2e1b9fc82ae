"""The gate: whether a pulse is reported, or the reason why it is not. Every threshold of that decision is here.

It does not depend on any vital. Each vital of the pulse applies the gate first, and its own conditions afterwards.
"""

import math
from typing import Final

import numpy as np

from shared.vitals import Reason
from workers.rppg.fusion.evidence import RATES_PER_MIN, Evidence
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.fusion.recalibration import Recalibration
from workers.rppg.signals.filters import PULSE_BAND_HZ

#: Rates that a heart can have, beats a minute: those of the pulse band.
RATE_RANGE_PER_MIN: Final = (60 * PULSE_BAND_HZ[0], 60 * PULSE_BAND_HZ[1])

#: Least sway of a living head, widths of the face's crop: about a tenth of a millimetre. Between the stillest of three
#: real people (0.00065) and the liveliest of eleven pictures that do not move (0.00033, noise in the dark).
MIN_SWAY: Final = 0.00045

#: Probability that a rate is right, from which on it is reported, and its log odds.
MIN_PROBABILITY: Final = 0.9
MIN_LOG_ODDS: Final = float(np.log(MIN_PROBABILITY / (1 - MIN_PROBABILITY)))

#: A line in the skin that is stronger by more than this (natural logarithm of power) with the nuisances than without
#: them was theirs: a factor of 4.
_EXPLAINED: Final = float(np.log(4))
#: Clothes or background that vary by more than this share of the skin's amplitude, with a line that exceeds the power
#: around it by this much (natural logarithm), are lit by what the skin is lit by. On hard clips the share was 0.04 to
#: 0.34 in true pulses and 0.92 to 2.56 in seven wrong rates; noise has such a share as well, but no line.
_LIT_ALIKE: Final = 0.7
_LIT_LINE: Final = 3.0
#: What varies beside the skin by more than this share, two standard errors above it, is light, or motion: at least 0.88
#: in five wrong rates of light on the person. Encoders spread a pulse: 98 % of right rates have less than 0.68.
_BESIDE_SKIN: Final = 0.75
#: Largest amplitude (AC/DC of green) of a pulse in the face: at most 1.4 % in the right rates of the clips that the
#: verdict was fitted to; light and motion change the face by 1.7 to 6 % in wrong ones.
_MAX_AMPLITUDE: Final = 0.015
#: A rate at which the head's motion exceeds that around it by more than this (natural logarithm of power) is a nod's,
#: or of light that shakes the landmarks. A head recoils from its own heart: by up to 3.44 in the right rates.
_MOTION_LINE: Final = 3.5
#: A line that is stronger without the nuisances than with them by more than this (natural logarithm) was made by their
#: removal: in right rates it is by at most 0.76.
_MADE: Final = 1.0
#: Least probability of each of two rates for both to be named.
_SECOND: Final = 0.15

#: No calibration of the user's own.
AS_SHIPPED: Final = Recalibration()


def refusal(pulse: Pulse, recalibration: Recalibration = AS_SHIPPED) -> tuple[Reason, str] | None:
    """Return why the pulse is not reported, the most specific reason first, or None if it is.

    The user's `recalibration` changes which pulses are reported, but no pulse.
    """
    low, high = RATE_RANGE_PER_MIN
    rate = f"{pulse.verdict.rate_per_min:.0f} /min"
    unsure = recalibration.log_odds(pulse.verdict.log_odds) < MIN_LOG_ODDS
    doubts = (
        (
            _is_still(pulse),
            Reason.NO_PULSE,
            "the head does not move at all, as in a picture; a living one sways by more than a tenth of a millimetre",
        ),
        (
            is_lit(pulse.evidence, pulse.verdict.rate_per_min),
            Reason.LIGHTING_UNSTABLE,
            f"hair, clothes or background vary at {rate} as the skin does, or the skin more than blood changes it",
        ),
        (
            is_moved(pulse.evidence, pulse.verdict.rate_per_min),
            Reason.MOTION,
            f"the head moves at {rate}, which changes the light on it without a pulse",
        ),
        (unsure, *_disturbance(pulse)),
        (
            pulse.half_db > 0,
            Reason.ESTIMATORS_DISAGREE,
            f"half of the likeliest rate, {rate}, is stronger in the skin, and may be the heart's own",
        ),
        (not low <= pulse.rate_per_min <= high, Reason.NO_PULSE, "the rate found is not one that a heart has"),
        (
            _at_edge(pulse),
            Reason.NO_PULSE,
            f"the rate found is at the edge of the range {low:g} to {high:g} /min, and may be outside of it",
        ),
    )
    return next(((reason, detail) for doubtful, reason, detail in doubts if doubtful), None)


def other_refusal(pulse: Pulse) -> tuple[Reason, str] | None:
    """Return why the pulse is not reported even if its rate were sure, or None."""
    return refusal(pulse, Recalibration(verdict_offset=math.inf))


def is_explained(pulse: Pulse, rate_per_min: float) -> bool:
    """Whether a rate, the likeliest or any other, is explained without a pulse: by stillness, light or motion."""
    return _is_still(pulse) or is_lit(pulse.evidence, rate_per_min) or is_moved(pulse.evidence, rate_per_min)


def is_lit(evidence: Evidence, rate_per_min: float) -> bool:
    """Whether light explains a rate: something else varies at it as the skin does, or the skin too much."""
    at = _index(rate_per_min)
    surroundings = evidence.lit[at] > _LIT_ALIKE and evidence.lit_line[at] > _LIT_LINE
    return bool(surroundings or evidence.beside_skin[at] > _BESIDE_SKIN or evidence.skin[at] > _MAX_AMPLITUDE)


def is_moved(evidence: Evidence, rate_per_min: float) -> bool:
    """Whether motion explains a rate: the head moves at it, or the removal of motion made it."""
    at = _index(rate_per_min)
    made = evidence.curve("chrominance")[at] - evidence.uncleaned[at]
    return bool(evidence.motion_line[at] > _MOTION_LINE or made > _MADE)


def _is_still(pulse: Pulse) -> bool:
    return pulse.sway is not None and pulse.sway < MIN_SWAY


def _index(rate_per_min: float) -> int:
    return int(np.argmin(np.abs(RATES_PER_MIN - rate_per_min)))


def _disturbance(pulse: Pulse) -> tuple[Reason, str]:
    """Return the reason why no rate is sure, and what was seen instead of a pulse."""
    evidence, verdict = pulse.evidence, pulse.verdict
    strongest = int(np.argmax(evidence.uncleaned))
    rate = float(RATES_PER_MIN[strongest])
    lost = float(evidence.uncleaned[strongest] - evidence.curve("chrominance")[strongest])
    if lost > _EXPLAINED:
        return (
            Reason.MOTION,
            f"motion of the head or light on the person explains what the skin shows at {rate:g} /min",
        )
    if min(verdict.belief, verdict.second) >= _SECOND:
        return (
            Reason.ESTIMATORS_DISAGREE,
            f"two rates are likely, {verdict.rate_per_min:.0f} ({verdict.belief:.0%}) and "
            f"{verdict.second_per_min:.0f} /min ({verdict.second:.0%})",
        )
    return Reason.NO_PULSE, "no rate stands out in the colour of the skin"


def _at_edge(pulse: Pulse) -> bool:
    """Whether the rate is an edge of the pulse band, which estimators find for a rate beyond it as well.

    A rate that beats were counted for is measured: they are counted in a band that reaches beyond the edge.
    """
    return pulse.verdict.at_edge and pulse.rate_per_min == pulse.verdict.rate_per_min
