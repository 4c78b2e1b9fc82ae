"""A finished job as a FHIR bundle, validated with the models of a FHIR package."""

import datetime as dt

from fhir.resources.R4B.bundle import Bundle

from api.fhir import CODES, bundle
from shared.jobs.assembly import assemble
from shared.schemas import VITAL_TYPES, BranchOutcome, BranchStatus, HeartRate, OxygenSaturation, VitalStatus
from shared.vitals import VITALS, Branch, Reason

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_values_have_units_and_absent_values_a_reason() -> None:
    vitals = {
        spec.name: VITAL_TYPES[spec.name].without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE)
        for spec in VITALS.values()
        if spec.branch is Branch.RPPG
    }
    vitals["heart_rate"] = HeartRate(
        value=72.4, unit="/min", status=VitalStatus.OK, interval=(71.2, 73.6), interval_level=0.9
    )
    vitals["oxygen_saturation"] = OxygenSaturation(value=97.0, unit="%", status=VitalStatus.EXPERIMENTAL)
    outcome = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1, vitals=vitals)
    document = assemble(
        job_id="01J",
        created_at=NOW,
        finished_at=NOW,
        requested=list(Branch),
        outcomes={Branch.RPPG: outcome},
        vitals=None,
        versions={},
    )
    made = bundle(document)
    Bundle.model_validate(made)
    assert made == bundle(document)
    by_code = {entry["resource"]["code"]["coding"][0]["code"]: entry["resource"] for entry in made["entry"]}
    assert set(by_code) == {code.loinc for code in CODES.values()}
    heart_rate, respiration, oxygen, bmi = (by_code[code] for code in ("8867-4", "9279-1", "59408-5", "39156-5"))
    assert heart_rate["valueQuantity"] == {
        "value": 72.4,
        "unit": "/min",
        "system": "http://unitsofmeasure.org",
        "code": "/min",
    }
    assert heart_rate["status"] == "final"
    assert oxygen["status"] == "preliminary"
    assert "valueQuantity" not in respiration
    assert respiration["dataAbsentReason"]["text"] == "no_pulse"
    assert bmi["dataAbsentReason"]["coding"][0]["code"] == "error"


def test_a_saturation_without_a_calibration_is_preliminary_with_a_note_or_unsupported() -> None:
    detail = "the camera was not calibrated"
    given = OxygenSaturation(
        value=97.0, unit="%", status=VitalStatus.EXPERIMENTAL, reason=Reason.NOT_CALIBRATED, detail=detail
    )
    absent = OxygenSaturation.without_value("%", VitalStatus.ABSTAINED, Reason.NOT_CALIBRATED, detail)
    resources = []
    for vital in (given, absent):
        outcome = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1, vitals={"oxygen_saturation": vital})
        document = assemble(
            job_id="01J",
            created_at=NOW,
            finished_at=NOW,
            requested=[Branch.RPPG],
            outcomes={Branch.RPPG: outcome},
            vitals=["oxygen_saturation"],
            versions={},
        )
        made = bundle(document)
        Bundle.model_validate(made)
        (resource,) = (
            entry["resource"]
            for entry in made["entry"]
            if entry["resource"]["code"]["coding"][0]["code"] == CODES["oxygen_saturation"].loinc
        )
        resources.append(resource)
    assert resources[0]["status"] == "preliminary"
    assert {"text": detail} in resources[0]["note"]
    assert resources[1]["dataAbsentReason"]["coding"][0]["code"] == "unsupported"
