"""Whether a pulse can carry a rate at all, or the reason why it can't."""

from shared.vitals import HEART_RATE, Reason
from workers.rppg.fusion.agreement import MEMBER_PER_MIN
from workers.rppg.fusion.calibration import CALIBRATION, Gate
from workers.rppg.fusion.evidence import Evidence
from workers.rppg.fusion.pulse import Pulse


def refusal(pulse: Pulse) -> tuple[Reason, str] | None:
    """Why the pulse can't carry a rate, most telling reason first; None where it can."""
    gate, agreement = CALIBRATION.gate, pulse.agreement
    low, high = HEART_RATE.plausible or (0.0, float("inf"))
    doubts = (
        (
            _beats_like_a_lamp(pulse.evidence, gate),
            Reason.LIGHTING_UNSTABLE,
            "light varies at the rate of a pulse: the lamp's beat, not the blood's",
        ),
        (
            log_odds(pulse) < gate.presence_for(pulse.evidence).least,
            Reason.NO_PULSE,
            "no rate stands out in the colour of the skin",
        ),
        (
            gate.half_stands_out(pulse.evidence),
            Reason.ESTIMATORS_DISAGREE,
            "half of the likeliest rate stands out as well: one is the other's harmonic",
        ),
        (
            _covered_by_keyframes(pulse),
            Reason.ESTIMATORS_DISAGREE,
            "what the encoder does at every keyframe is stronger than the pulse that is left without it",
        ),
        (
            agreement.confidence < gate.confidence,
            Reason.ESTIMATORS_DISAGREE,
            f"the likeliest rate has {agreement.confidence:.0%} confidence",
        ),
        (
            gate.imagined(pulse.evidence, agreement),
            Reason.ESTIMATORS_DISAGREE,
            "too few estimators apart from the networks stand behind the rate",
        ),
        (not low <= pulse.rate_per_min <= high, Reason.NO_PULSE, "the rate found is not one that a heart has"),
    )
    return next(((reason, detail) for doubtful, reason, detail in doubts if doubtful), None)


def log_odds(pulse: Pulse) -> float:
    """Log odds that there is a pulse at all."""
    return CALIBRATION.gate.presence_for(pulse.evidence).log_odds(pulse.evidence, pulse.agreement)


def _covered_by_keyframes(pulse: Pulse) -> bool:
    """Whether a pulse at the keyframes' own rate may have gone with them, so that what is left may be anything."""
    gate = CALIBRATION.gate
    if not gate.keyframes_stronger(pulse.evidence) or log_odds(pulse) >= gate.coded_log_odds:
        return False
    # Jumps alone taken away, a pulse at the keyframes' rate is still there: it would be heard before anything else.
    between = pulse.between_keyframes
    return (
        between is None
        or between.agreement.confidence < gate.confidence
        or log_odds(between) < gate.between_log_odds
        or abs(between.rate_per_min - pulse.rate_per_min) > MEMBER_PER_MIN
    )


def _beats_like_a_lamp(evidence: Evidence, gate: Gate) -> bool:
    """Whether the background beats along; where none is to be seen, whether what beats is grey.

    Light of any level cancels out of chrominance, and blood does not.
    """
    if evidence.background_snr_db is not None:
        return gate.lamp_behind(evidence)
    excess_db = evidence.green_snr_db - evidence.chrominance_snr_db
    return evidence.chrominance_snr_db < gate.grey_snr_db and excess_db > gate.grey_excess_db
