"""Finished jobs with a value for every vital, or for none."""

import datetime as dt

from shared.jobs.assembly import assemble
from shared.schemas import (
    VITAL_TYPES,
    Age,
    BodyMassIndex,
    BranchOutcome,
    BranchStatus,
    HeartRate,
    HeartRateVariability,
    JobDocument,
    Measure,
    Method,
    OxygenSaturation,
    RespirationRate,
    VariabilityMeasures,
    Vital,
    VitalStatus,
)
from shared.vitals import VITALS, Branch, Reason

RECEIVED = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def finished(*, requested: list[str] | None = None, reason: Reason = Reason.NO_PULSE) -> JobDocument:
    """A job in which every vital abstained for a reason, except those that were not requested."""
    return _assembled({}, requested, reason)


def measured() -> JobDocument:
    """A job in which every vital of the bundle has a value."""
    ok, unproved = VitalStatus.OK, VitalStatus.EXPERIMENTAL
    none = Measure(value=None, unit="ms", status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
    sdnn = Measure(value=31.5, unit="ms", status=unproved, interval=(25.0, 38.0), interval_level=0.9)
    given: dict[str, Vital] = {
        "heart_rate": HeartRate(
            value=72.4,
            unit="/min",
            status=ok,
            interval=(71.2, 73.6),
            interval_level=0.9,
            method=Method(name="beats", version="1", frames=450),
        ),
        "respiration_rate": RespirationRate(
            value=14.0, unit="/min", status=ok, interval=(13.1, 14.9), interval_level=0.9
        ),
        "heart_rate_variability": HeartRateVariability(
            value=VariabilityMeasures(sdnn_ms=sdnn, rmssd_ms=none, pnn50=none, lf_hf=none, mean_ibi_ms=none),
            unit=None,
            status=unproved,
        ),
        "oxygen_saturation": OxygenSaturation(
            value=97.0, unit="%", status=unproved, reason=Reason.NOT_CALIBRATED, detail="the camera was not calibrated"
        ),
        "age": Age(value=41.0, unit="years", status=ok, interval=(33.0, 49.0), interval_level=0.9),
        "bmi": BodyMassIndex(value=24.0, unit="kg/m2", status=unproved),
    }
    return _assembled(given, None, Reason.NO_PULSE)


def _assembled(given: dict[str, Vital], requested: list[str] | None, reason: Reason) -> JobDocument:
    outcomes = {}
    for branch in Branch:
        vitals = {
            spec.name: given.get(
                spec.name, VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, reason, "why")
            )
            for spec in VITALS.values()
            if spec.branch is branch
        }
        outcomes[branch] = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1, vitals=vitals)
    return assemble(
        job_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        created_at=RECEIVED,
        finished_at=RECEIVED + dt.timedelta(seconds=2),
        requested=list(Branch),
        outcomes=outcomes,
        vitals=requested,
        versions={"facevitals": "1.2.3"},
    )
