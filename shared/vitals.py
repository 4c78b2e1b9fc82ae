"""The table of vitals, and the closed lists of names and reasons.

Schemas, gates, documentation and the web page use this table; minimum lengths are defined nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final


class Branch(StrEnum):
    """One half of the analysis, with its own queue; a failure of one does not affect the other."""

    VISION = "vision"
    RPPG = "rppg"


class Stage(StrEnum):
    """What a branch is doing."""

    DECODING_AND_TRACKING = "decoding and tracking"
    ESTIMATING = "estimating"


class CheckName(StrEnum):
    """Every check on the clip."""

    FACE = "face"
    OBSTRUCTION = "obstruction"
    LIVENESS = "liveness"
    LIGHTING = "lighting"
    MOTION = "motion"
    TIMING = "timing"


class Reason(StrEnum):
    """Why a vital has no value or an experimental one is of limited use, or why a check did not pass."""

    CLIP_TOO_SHORT = "clip_too_short"
    FRAME_RATE_LOW = "frame_rate_low"
    TIMING_GAPS = "timing_gaps"
    NO_FACE = "no_face"
    FACE_LOST = "face_lost"
    MULTIPLE_FACES = "multiple_faces"
    FACE_OBSTRUCTED = "face_obstructed"
    FACE_TOO_SMALL = "face_too_small"
    MOTION = "motion"
    LOW_LIGHT = "low_light"
    LIGHTING_UNSTABLE = "lighting_unstable"
    NO_COLOUR = "no_colour"
    HIGH_DYNAMIC_RANGE = "high_dynamic_range"
    NOT_CALIBRATED = "not_calibrated"
    NO_PULSE = "no_pulse"
    ESTIMATORS_DISAGREE = "estimators_disagree"
    NO_BREATHING_SIGNAL = "no_breathing_signal"
    TOO_UNCERTAIN = "too_uncertain"
    NOT_AT_REST = "not_at_rest"
    IRREGULAR_PULSE = "irregular_pulse"
    NOT_LIVE = "not_live"
    MODEL_NOT_INSTALLED = "model_not_installed"
    CLIP_REJECTED = "clip_rejected"
    BRANCH_FAILED = "branch_failed"
    BRANCH_TIMEOUT = "branch_timeout"
    QUEUE_TIMEOUT = "queue_timeout"
    NOT_REQUESTED = "not_requested"


@dataclass(frozen=True)
class VitalSpec:
    """One row of the table.

    `minimum_s` is the shortest clip for the vital, `preferred_s` the length above which its accuracy is no longer
    limited by length, `plausible` the range outside of which a value is rejected (never clamped).
    """

    name: str
    title: str
    unit: str | None
    branch: Branch
    minimum_s: float
    preferred_s: float
    plausible: tuple[float, float] | None = None
    experimental: bool = False


#: The rows of the table.
HEART_RATE: Final = VitalSpec("heart_rate", "Heart rate", "/min", Branch.RPPG, 5, 10, (39, 210))
RESPIRATION_RATE: Final = VitalSpec("respiration_rate", "Respiration rate", "/min", Branch.RPPG, 10, 30, (4, 45))
HEART_RATE_VARIABILITY: Final = VitalSpec("heart_rate_variability", "Heart-rate variability", None, Branch.RPPG, 10, 60)
OXYGEN_SATURATION: Final = VitalSpec(
    "oxygen_saturation", "Oxygen saturation", "%", Branch.RPPG, 10, 10, (70, 100), experimental=True
)
STRESS: Final = VitalSpec("stress", "Stress", None, Branch.RPPG, 10, 60, experimental=True)
AGE: Final = VitalSpec("age", "Age", "years", Branch.VISION, 1, 5, (0, 110))
GENDER: Final = VitalSpec("gender", "Gender", None, Branch.VISION, 1, 5)
BMI: Final = VitalSpec("bmi", "Body-mass index", "kg/m2", Branch.VISION, 1, 5, (10, 70), experimental=True)

#: The table of vitals by name, in the order of the document.
VITALS: Final[dict[str, VitalSpec]] = {
    spec.name: spec
    for spec in (
        HEART_RATE,
        RESPIRATION_RATE,
        HEART_RATE_VARIABILITY,
        OXYGEN_SATURATION,
        STRESS,
        AGE,
        GENDER,
        BMI,
    )
}

if TYPE_CHECKING:

    class VitalName(StrEnum):
        """Every vital."""

else:
    # From the table, so that a new vital needs no second line.
    VitalName = StrEnum("VitalName", {name.upper(): name for name in VITALS}, module=__name__)
    VitalName.__doc__ = "Every vital."


@dataclass(frozen=True)
class VariabilitySpec:
    """One measure of heart-rate variability: `ok` from `minimum_s`, `experimental` from `experimental_s` to there."""

    name: str
    title: str
    unit: str | None
    minimum_s: float
    preferred_s: float
    experimental_s: float | None = None


#: The measures of heart-rate variability by name.
VARIABILITY: Final[dict[str, VariabilitySpec]] = {
    spec.name: spec
    for spec in (
        VariabilitySpec("sdnn_ms", "SDNN", "ms", 20, 60, experimental_s=10),
        VariabilitySpec("rmssd_ms", "RMSSD", "ms", 20, 60, experimental_s=10),
        VariabilitySpec("pnn50", "pNN50", "%", 30, 60),
        VariabilitySpec("lf_hf", "LF/HF", None, 55, 120),
        VariabilitySpec("mean_ibi_ms", "Mean interval", "ms", 10, 10),
    )
}

#: Clips outside of these lengths are refused (seconds).
SHORTEST_CLIP_S: Final = 1.0
LONGEST_CLIP_S: Final = 120.0

#: The checks on a clip, in the order of the document.
CHECKS: Final = tuple(check.value for check in CheckName)
