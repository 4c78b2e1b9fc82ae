"""The gate: whether a pulse is reported, or the reason why it is not. Every threshold of that decision is here.

It does not depend on any vital. Each vital of the pulse applies the gate first, and its own conditions afterwards.
"""

from dataclasses import dataclass
from typing import Any, Final

from shared.vitals import Reason
from workers.rppg.estimators import FAMILIES, NEURAL
from workers.rppg.fusion.agreement import FUSION, GROSS_PER_MIN, MEMBER_PER_MIN, Agreement, voting
from workers.rppg.fusion.calibration import section
from workers.rppg.fusion.evidence import Evidence
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.fusion.pulse_presence import PresenceModel
from workers.rppg.fusion.recalibration import Recalibration
from workers.rppg.signals.filters import PULSE_BAND_HZ
from workers.rppg.signals.spectrum import STEP_HZ

#: Rates that a heart can have, beats a minute: those of the pulse band.
RATE_RANGE_PER_MIN: Final = (60 * PULSE_BAND_HZ[0], 60 * PULSE_BAND_HZ[1])

#: Least sway of a living head, widths of the face's crop: about a tenth of a millimetre. Between the stillest of three
#: real people (0.00065) and the liveliest of eleven pictures that do not move (0.00033, noise in the dark).
MIN_SWAY: Final = 0.00045


@dataclass(frozen=True)
class Gate:
    """Thresholds of the gate, as calibrated; `workers.rppg.fusion.evidence.Evidence` defines the quantities.

    Attributes:
        presence: model of the log odds that there is a pulse at all, for evidence that includes networks.
        presence_patches: the same without networks, with patches of the crops.
        presence_alone: the same for the regions' colours alone.
        min_confidence: confidence in the rate that is needed.
        min_signal_families: families of signal estimators (`FAMILIES`) that have to agree on the rate.
        min_pbv_contrast: a PBV contrast of this much, and of at least its standard error, is blood: no second family is
            needed then.
        lamp_snr_db, lamp_share: a background that pulsates more than both of these is lit by a flickering lamp.
        grey_snr_db, grey_excess_db: without a background, a pulse below the first in chrominance, and above the second
            in green over chrominance, is light.
        half_line_db, half_share: half of the rate may be the rate if it stands out by more than both of these.
        keyframe_share: a modulation by keyframes above this share of the remaining pulse makes the rate doubtful.
        keyframe_log_odds: log odds from which on keyframes do not make it doubtful.
        interpolated_log_odds: log odds of the pulse with keyframes interpolated, from which on they do not either.
        stop_confidence: confidence from which on the cascade runs no further estimator.
    """

    presence: PresenceModel
    presence_patches: PresenceModel
    presence_alone: PresenceModel
    min_confidence: float
    min_signal_families: int
    min_pbv_contrast: float
    lamp_snr_db: float
    lamp_share: float
    grey_snr_db: float
    grey_excess_db: float
    half_line_db: float
    half_share: float
    keyframe_share: float
    keyframe_log_odds: float
    interpolated_log_odds: float
    stop_confidence: float

    @classmethod
    def from_section(cls, values: dict[str, Any]) -> "Gate":
        """Read the section `gate` of the calibration."""
        models = ("presence", "presence_patches", "presence_alone")
        return cls(**{**values, **{name: PresenceModel(**values[name]) for name in models}})

    def presence_for(self, evidence: Evidence) -> PresenceModel:
        """The presence model that was fitted to evidence of this kind."""
        if evidence.neural_snr_db is not None:
            return self.presence
        return self.presence_alone if evidence.patches_snr_db is None else self.presence_patches

    def too_few_signal_estimators(self, agreement: Agreement) -> bool:
        """Whether too few independent signal estimators agree on the rate.

        Networks do not count, in however many halves of the face they find the rate: a person played on a screen
        pulsates in both. A family counts once: GREEN and patches of the face follow light of any colour alike.
        """
        families = {FAMILIES.get(name, name) for name in agreement.members if name not in NEURAL}
        return len(families) < self.min_signal_families

    def lacks_independent_support(self, evidence: Evidence, agreement: Agreement) -> bool:
        """Whether the estimators may follow light: neither a second family nor the skin's colour confirms blood."""
        contrast, error = evidence.pbv_contrast, evidence.pbv_contrast_error
        blood = contrast is not None and error is not None and contrast >= max(self.min_pbv_contrast, error)
        return self.too_few_signal_estimators(agreement) and not blood

    def background_flickers(self, evidence: Evidence) -> bool:
        """Whether the background pulsates at the same rate; False if there is no background."""
        return (
            evidence.background_snr_db is not None
            and evidence.background_share is not None
            and evidence.background_snr_db > self.lamp_snr_db
            and evidence.background_share > self.lamp_share
        )

    def half_stands_out(self, evidence: Evidence) -> bool:
        """Whether half of the rate may be the rate."""
        return evidence.half_line_db > self.half_line_db and evidence.half_share > self.half_share

    def keyframes_stronger(self, evidence: Evidence) -> bool:
        """Whether keyframes modulated the face so much, relative to the remaining pulse, that the rate is doubtful."""
        return evidence.keyframe_modulation > self.keyframe_share * evidence.modulation


#: The gate as calibrated.
GATE: Final = Gate.from_section(section("gate"))
#: No calibration of the user's own.
AS_SHIPPED: Final = Recalibration()


def refusal(pulse: Pulse, recalibration: Recalibration = AS_SHIPPED) -> tuple[Reason, str] | None:
    """Return why the pulse is not reported, the most specific reason first, or None if it is.

    The cascade does without the user's `recalibration`, so that it changes which pulses are reported, but no pulse.
    """
    gate, agreement = GATE, pulse.agreement
    low, high = RATE_RANGE_PER_MIN
    doubts = (
        (
            not voting(pulse.estimates, FUSION),
            Reason.ESTIMATORS_DISAGREE,
            "none of the estimators that were run is calibrated, so none has a vote",
        ),
        (
            pulse.evidence.sway is not None and pulse.evidence.sway < MIN_SWAY,
            Reason.NO_PULSE,
            "the head does not move at all, as in a picture; a living one sways by more than a tenth of a millimetre",
        ),
        (
            _is_explained(pulse),
            Reason.ESTIMATORS_DISAGREE,
            "motion of the head or light on the person explains this rate: without them it is not found in the skin",
        ),
        (
            _follows_flicker(pulse.evidence, gate),
            Reason.LIGHTING_UNSTABLE,
            "the light flickers at this rate, which explains it without a pulse",
        ),
        (
            recalibration.log_odds(log_odds(pulse)) < min_log_odds(pulse),
            Reason.NO_PULSE,
            "no rate stands out in the colour of the skin",
        ),
        (
            gate.half_stands_out(pulse.evidence),
            Reason.ESTIMATORS_DISAGREE,
            "there is also a peak at half of the likeliest rate, which may be its harmonic",
        ),
        (
            pulse.evidence.below_db is not None and pulse.evidence.below_db > 0,
            Reason.ESTIMATORS_DISAGREE,
            f"half of the likeliest rate is stronger in the skin; a heart below {low:g} /min is not measured",
        ),
        (
            _covered_by_keyframes(pulse),
            Reason.ESTIMATORS_DISAGREE,
            "the modulation by the encoder's keyframes is stronger than the pulse that remains without it",
        ),
        (
            agreement.confidence < gate.min_confidence,
            Reason.ESTIMATORS_DISAGREE,
            f"the likeliest rate has {agreement.confidence:.0%} confidence",
        ),
        (
            gate.lacks_independent_support(pulse.evidence, agreement),
            Reason.ESTIMATORS_DISAGREE,
            "too few estimators other than the networks agree on the rate",
        ),
        (not low <= pulse.rate_per_min <= high, Reason.NO_PULSE, "the rate found is not one that a heart has"),
        (
            _at_edge(pulse),
            Reason.NO_PULSE,
            f"the rate found is at the edge of the range {low:g} to {high:g} /min, and may be outside of it",
        ),
    )
    return next(((reason, detail) for doubtful, reason, detail in doubts if doubtful), None)


def is_confident(pulse: Pulse) -> bool:
    """Whether the pulse is reported, with so much confidence that no further estimator has to run."""
    return refusal(pulse) is None and pulse.agreement.confidence >= GATE.stop_confidence


def log_odds(pulse: Pulse) -> float:
    """Log odds that there is a pulse at all, by the presence model for its kind of evidence."""
    return GATE.presence_for(pulse.evidence).log_odds(pulse.evidence, pulse.agreement)


def min_log_odds(pulse: Pulse) -> float:
    """Log odds that the pulse needs, by the presence model for its kind of evidence."""
    return GATE.presence_for(pulse.evidence).min_log_odds


def log_odds_of_colours(pulse: Pulse) -> float:
    """Log odds that there is a pulse at all, of a pulse that was estimated from the regions' colours alone."""
    return GATE.presence_alone.log_odds(pulse.evidence, pulse.agreement)


def _is_explained(pulse: Pulse) -> bool:
    """Whether POS, CHROM and PBV all lose the rate once motion of the head and light on the person are removed."""
    cleaned = pulse.evidence.cleaned_rates_per_min
    return bool(cleaned) and all(abs(rate - pulse.agreement.rate_per_min) > GROSS_PER_MIN for rate in cleaned)


def _at_edge(pulse: Pulse) -> bool:
    """Whether the rate is an edge of the pulse band, which estimators find for a rate beyond it as well.

    A rate that beats were counted for is measured: they are counted in a band that reaches beyond the edge.
    """
    agreed, step = pulse.agreement.rate_per_min, 60 * STEP_HZ
    counted = pulse.rate_per_min != agreed
    return not counted and not RATE_RANGE_PER_MIN[0] + step < agreed < RATE_RANGE_PER_MIN[1] - step


def _covered_by_keyframes(pulse: Pulse) -> bool:
    """Whether a pulse at the keyframes' rate may have been removed with their pattern."""
    gate = GATE
    if not gate.keyframes_stronger(pulse.evidence) or log_odds(pulse) >= gate.keyframe_log_odds:
        return False
    # With keyframes interpolated, a pulse at their rate is still there, and would be the strongest.
    between = pulse.between_keyframes
    return (
        between is None
        or between.agreement.confidence < gate.min_confidence
        or log_odds(between) < gate.interpolated_log_odds
        or abs(between.rate_per_min - pulse.rate_per_min) > MEMBER_PER_MIN
    )


def _follows_flicker(evidence: Evidence, gate: Gate) -> bool:
    """Whether the background pulsates as well or, without a background, whether the pulsation is grey.

    Light of any level cancels out of chrominance; blood does not.
    """
    if evidence.background_snr_db is not None:
        return gate.background_flickers(evidence)
    excess_db = evidence.green_snr_db - evidence.chrominance_snr_db
    return evidence.chrominance_snr_db < gate.grey_snr_db and excess_db > gate.grey_excess_db
