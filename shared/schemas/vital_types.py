"""One schema for each vital: its own type of value, its own diagnostics; and all of them together by name."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, cast

from pydantic import Field, model_validator

from shared.schemas.base import ABSENT, PartialSchema, Schema
from shared.vitals import Reason


class VitalStatus(StrEnum):
    """How far a vital can be trusted."""

    OK = "ok"
    EXPERIMENTAL = "experimental"
    ABSTAINED = "abstained"
    UNAVAILABLE = "unavailable"


class Baseline(Schema):
    """The mean absolute error of a constant answer, `value`, and where that figure comes from."""

    value: float
    mae: float
    source: str


class Method(Schema):
    """How a value was computed."""

    name: str
    version: str
    models: list[str] = Field(default_factory=list)
    frames: int | None = None


Interval = Annotated[tuple[float, float], Field(description="Lower and upper bound, at `interval_level`.")]


def _check_consistent(status: VitalStatus, has_value: bool, reason: Reason | None) -> None:
    """Require a value for exactly the statuses that have one, and a reason for the others.

    Raises:
        ValueError: status, value and reason contradict each other.
    """
    gives = status in {VitalStatus.OK, VitalStatus.EXPERIMENTAL}
    if gives != has_value:
        msg = f"status {status.value} {'needs' if gives else 'forbids'} a value"
        raise ValueError(msg)
    if not gives and reason is None:
        msg = f"status {status.value} needs a reason"
        raise ValueError(msg)


class Measure(Schema):
    """One measure of heart-rate variability, with its own status."""

    value: float | None
    unit: str | None
    status: VitalStatus
    reason: Reason | None = None
    interval: Interval | None = None
    interval_level: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_consistent(self.status, self.value is not None, self.reason)
        return self


class VariabilityMeasures(Schema):
    """The measures of heart-rate variability; each needs a clip of its own minimum length.

    Intervals contain the measure of the clip's own beats, as a contact sensor would record them, not that of a longer
    recording.
    """

    sdnn_ms: Measure = Field(description="Standard deviation of the intervals between beats.")
    rmssd_ms: Measure = Field(description="Root mean square of successive differences.")
    pnn50: Measure = Field(description="Share of successive differences above 50 ms.")
    lf_hf: Measure = Field(description="Power in 0.04-0.15 Hz over power in 0.15-0.40 Hz.")
    mean_ibi_ms: Measure = Field(description="Mean interval between beats.")

    def by_name(self) -> dict[str, Measure]:
        """Return the measures by their names."""
        return self.fields_by_name()


class Diagnostics(PartialSchema):
    """Numbers behind a vital, for debugging and research. Which ones there are depends on the method."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            """Return None for a diagnostic that the vital does not have."""
            return None if name in type(self).model_fields else super().__getattr__(name)


class HeartRateDiagnostics(Diagnostics):
    """What the verdict on the heart rate rests on."""

    estimators_agreeing: float | None = Field(None, description="Estimators whose own rate is the likeliest one.")
    estimators_run: float | None = Field(None, description="Estimators that were weighed, or run.")
    confidence: float | None = Field(None, description="Probability that the rate is right, in [0, 1].")
    snr_db: float | None = Field(None, description="Signal-to-noise ratio of the pulse wave, dB.")
    pulse_log_odds: float | None = Field(None, description="Log-odds that the rate is right.")

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, data: object) -> object:
        return renamed(data, {"estimators_asked": "estimators_run", "log_odds_of_a_pulse": "pulse_log_odds"})


class RespirationRateDiagnostics(Diagnostics):
    """How the signals of breathing agreed."""

    confidence: float | None = Field(None, description="Probability that the rate is right, in [0, 1].")
    prominence: float | None = Field(None, description="Height of the fused belief's peak over its median.")
    signals_agreeing: float | None = Field(None, description="Signals whose rate agrees with the fused rate.")


class VariabilityDiagnostics(Diagnostics):
    """What the measures of variability rest on."""

    beats: float | None = Field(None, description="Beats found.")
    snr_db: float | None = Field(None, description="Signal-to-noise ratio of the pulse wave, dB.")


class OxygenSaturationDiagnostics(Diagnostics):
    """The ratio of ratios and its calibration."""

    ratio_of_ratios: float | None = Field(None, description="Relative amplitude in red over that in blue.")
    red_amplitude: float | None = Field(None, description="Relative amplitude of the pulse in red.")
    blue_amplitude: float | None = Field(None, description="Relative amplitude of the pulse in blue.")
    a: float | None = Field(None, description="A of SpO2 = A - B·R, %.")
    b: float | None = Field(None, description="B of SpO2 = A - B·R, %.")


class StressDiagnostics(Diagnostics):
    """The variability that the score rests on."""

    sdnn_ms: float | None = Field(None, description="SDNN of the clip.")
    sdnn_low_ms: float | None = Field(None, description="Lower bound of SDNN of the clip.")
    sdnn_high_ms: float | None = Field(None, description="Upper bound of SDNN of the clip.")
    sdnn_adjusted_ms: float | None = Field(None, description="SDNN of the clip, adjusted to a mean interval of 926 ms.")
    sdnn_5_min_low_ms: float | None = Field(None, description="Lower bound of SDNN of five minutes, adjusted likewise.")
    sdnn_5_min_high_ms: float | None = Field(
        None, description="Upper bound of SDNN of five minutes, adjusted likewise."
    )
    lf_hf: float | None = Field(None, description="LF/HF of the clip, where it is long enough.")
    probability_sdnn_low: float | None = Field(None, description="Probability that SDNN of five minutes is low.")


class AgeDiagnostics(Diagnostics):
    """The range of the portraits' ages."""

    lowest: float | None = Field(None, description="Lowest age of a portrait, years.")
    highest: float | None = Field(None, description="Highest age of a portrait, years.")


class BodyMassIndexDiagnostics(Diagnostics):
    """The range of the portraits' BMI, or the proportions of the face, depending on the method."""

    lowest: float | None = Field(None, description="Lowest BMI of a portrait, kg/m2.")
    highest: float | None = Field(None, description="Highest BMI of a portrait, kg/m2.")
    index_sd: float | None = Field(None, description="Standard score of the face's proportions.")
    frames_frontal: float | None = Field(None, description="Frames in which the face looks into the camera.")


class Vital(Schema):
    """What all vitals have in common: a value with its status and interval, or the reason for its absence."""

    value: float | Literal["female", "male", "stress", "no_stress"] | VariabilityMeasures | None
    unit: str | None
    status: VitalStatus
    reason: Reason | None = None
    detail: str | None = None
    interval: Interval | None = None
    interval_level: float | None = None
    probability: float | None = None
    score: float | None = None
    diagnostics: Diagnostics | None = None
    baseline: Baseline | None = None
    method: Method | None = None

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, data: object) -> object:
        return renamed(data, {"ingredients": "diagnostics"})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_consistent(self.status, self.value is not None, self.reason)
        return self

    @classmethod
    def without_value(
        cls,
        unit: str | None,
        status: VitalStatus,
        reason: Reason,
        detail: str | None = None,
        method: Method | None = None,
    ) -> Self:
        """Return a vital that abstains or is unavailable."""
        return cls(value=None, unit=unit, status=status, reason=reason, detail=detail, method=method)


class NumericVital(Vital):
    """A vital whose value is a number with an interval."""

    value: float | None
    unit: str
    probability: None = None
    score: None = None


class HeartRate(NumericVital):
    """Heart rate, beats a minute."""

    diagnostics: HeartRateDiagnostics | None = None


class RespirationRate(NumericVital):
    """Respiration rate, breaths a minute."""

    diagnostics: RespirationRateDiagnostics | None = None


class OxygenSaturation(NumericVital):
    """Oxygen saturation of the blood (SpO2), per cent."""

    diagnostics: OxygenSaturationDiagnostics | None = None


class Age(NumericVital):
    """Age, years."""

    diagnostics: AgeDiagnostics | None = None


class BodyMassIndex(NumericVital):
    """Body-mass index, kg/m2."""

    diagnostics: BodyMassIndexDiagnostics | None = None


class HeartRateVariability(Vital):
    """Heart-rate variability: several measures, each with its own status."""

    value: VariabilityMeasures | None
    unit: None
    interval: None = None
    interval_level: None = None
    probability: None = None
    score: None = None
    diagnostics: VariabilityDiagnostics | None = None


class Stress(Vital):
    """Stress by heart-rate variability; `score` is the probability of "stress", `interval` that of the score."""

    value: Literal["stress", "no_stress"] | None
    unit: None
    probability: None = None
    diagnostics: StressDiagnostics | None = None


class Gender(Vital):
    """Gender as the face shows it; `probability` is that of the value."""

    value: Literal["female", "male"] | None
    unit: None
    interval: None = None
    interval_level: None = None
    score: None = None
    diagnostics: None = None


class Vitals(PartialSchema):
    """The vitals by name. A finished job has all of them, an unfinished one none."""

    heart_rate: HeartRate = Field(default=ABSENT)
    respiration_rate: RespirationRate = Field(default=ABSENT)
    heart_rate_variability: HeartRateVariability = Field(default=ABSENT)
    oxygen_saturation: OxygenSaturation = Field(default=ABSENT)
    stress: Stress = Field(default=ABSENT)
    age: Age = Field(default=ABSENT)
    gender: Gender = Field(default=ABSENT)
    bmi: BodyMassIndex = Field(default=ABSENT)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            """Raise AttributeError, with the reason, for a vital that is absent."""
            if name in type(self).model_fields:
                raise AttributeError(f"{name} is not known: the job has not finished, or its branch gave none")
            return super().__getattr__(name)

    def by_name(self) -> dict[str, Vital]:
        """Return the vitals that are present, by their names, in the order of the table."""
        return self.fields_by_name()


#: The schema of each vital, by name: the types of the attributes of `Vitals`.
VITAL_TYPES: Final[Mapping[str, type[Vital]]] = {
    name: cast("type[Vital]", field.annotation) for name, field in Vitals.model_fields.items()
}


def renamed(data: object, names: Mapping[str, str]) -> object:
    """Return `data` with keys of earlier releases under today's names; what is not a dict is returned as it is."""
    if not isinstance(data, dict) or names.keys().isdisjoint(data):
        return data
    return {names.get(name, name): value for name, value in data.items()}
