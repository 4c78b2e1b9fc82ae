"""Each vital of the job document has a schema of its own; documents of earlier releases are still read."""

import json
from pathlib import Path
from typing import Any, assert_type

import pytest
from pydantic import ValidationError

from shared.schemas import (
    VITAL_TYPES,
    BodyMassIndex,
    BranchOutcome,
    Gender,
    HeartRate,
    JobDocument,
    Measure,
    VariabilityMeasures,
    Vitals,
    VitalStatus,
)
from shared.vitals import VARIABILITY, VITALS

FIXTURE = Path(__file__).parents[3] / "web" / "src" / "fixtures" / "succeeded.json"
DIAGNOSTICS = {"estimators_agreeing": 6.0, "estimators_run": 6.0, "confidence": 1.0, "snr_db": 8.6, "pulse_log_odds": 9}
#: The same diagnostics under the names of the first release.
OLD_DIAGNOSTICS = {
    "estimators_agreeing": 6.0,
    "estimators_asked": 6.0,
    "confidence": 1.0,
    "snr_db": 8.6,
    "log_odds_of_a_pulse": 9,
}


def heart_rate(**diagnostics: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"value": 72.4, "unit": "/min", "status": "ok", **diagnostics}


def test_there_is_a_schema_for_every_vital_and_every_measure_in_the_order_of_the_table() -> None:
    assert list(Vitals.model_fields) == list(VITAL_TYPES) == list(VITALS)
    assert [field.annotation for field in Vitals.model_fields.values()] == list(VITAL_TYPES.values())
    assert list(VariabilityMeasures.model_fields) == list(VARIABILITY)


def test_a_value_has_the_type_of_its_vital() -> None:
    document = JobDocument.read(FIXTURE.read_text())
    assert_type(document.vitals.heart_rate.value, float | None)
    assert isinstance(document.vitals.heart_rate.value, float | None)
    variability = document.vitals.heart_rate_variability.value
    if variability is not None:
        assert_type(variability.sdnn_ms, Measure)
    with pytest.raises(ValidationError):
        HeartRate(value="female", unit="/min", status=VitalStatus.OK)
    with pytest.raises(ValidationError):
        Gender(value="stress", unit=None, status=VitalStatus.OK)


def test_an_unfinished_job_has_no_vitals_and_naming_one_is_an_error() -> None:
    document = JobDocument.model_validate(
        {
            "id": "x",
            "state": "queued",
            "created_at": "2026-01-01T00:00:00Z",
            "versions": {},
            "branches": {"vision": {}, "rppg": {}},
        }
    )
    assert document.as_json()["vitals"] == {}
    assert document.as_json()["checks"] == {}
    assert document.vitals.by_name() == {}
    with pytest.raises(AttributeError, match="heart_rate is not known"):
        _ = document.vitals.heart_rate


def test_absent_diagnostics_stay_absent_and_null_ones_null() -> None:
    bmi = BodyMassIndex(
        value=24, unit="kg/m2", status=VitalStatus.EXPERIMENTAL, diagnostics={"index_sd": 0.5, "frames_frontal": None}
    )
    assert bmi.as_json()["diagnostics"] == {"index_sd": 0.5, "frames_frontal": None}
    assert bmi.diagnostics is not None
    assert bmi.diagnostics.lowest is None


def test_a_document_of_the_first_release_is_served_under_current_names() -> None:
    stored = json.loads(FIXTURE.read_text())
    for vital in stored["vitals"].values():
        vital["ingredients"] = vital.pop("diagnostics")
    stored["vitals"]["heart_rate"] = heart_rate(ingredients=OLD_DIAGNOSTICS)
    served = JobDocument.read(json.dumps(stored)).as_json()
    assert served["vitals"]["heart_rate"]["diagnostics"] == DIAGNOSTICS
    assert "ingredients" not in json.dumps(served)


def test_an_outcome_of_the_first_release_is_read() -> None:
    text = json.dumps(
        {"status": "ok", "elapsed_ms": 1, "vitals": {"heart_rate": heart_rate(ingredients=OLD_DIAGNOSTICS)}}
    )
    assert BranchOutcome.read(text).vitals.heart_rate == HeartRate(**heart_rate(diagnostics=DIAGNOSTICS))


def test_vitals_and_diagnostics_of_a_later_release_are_left_out() -> None:
    later = {"heart_rate": heart_rate(diagnostics={**DIAGNOSTICS, "later": 1.0}), "glucose": {"value": 5}}
    outcome = BranchOutcome.read(json.dumps({"status": "ok", "elapsed_ms": 1, "vitals": later}))
    assert list(outcome.vitals.by_name()) == ["heart_rate"]
    assert outcome.vitals.heart_rate.as_json()["diagnostics"] == DIAGNOSTICS
