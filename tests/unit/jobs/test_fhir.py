"""A finished job as a FHIR bundle: what a chart reads in it. `tests/fhir` posts such bundles to a FHIR server."""

import datetime as dt
from typing import Any

from fhir.resources.R4B.bundle import Bundle

from api.fhir import CODES, ON_REQUEST, BundleOptions, bundle
from shared.vitals import Reason
from tests.fhir.documents import RECEIVED, finished, measured

EVERY = BundleOptions(include=frozenset(ON_REQUEST))


def observations(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The Observations by code."""
    Bundle.model_validate(made)
    resources = [entry["resource"] for entry in made["entry"]]
    return {r["code"]["coding"][0]["code"]: r for r in resources if r["resourceType"] == "Observation"}


def test_values_have_ucum_units_and_intervals_as_components() -> None:
    document = measured()
    found = observations(bundle(document, EVERY))
    assert set(found) == {code.code for code in CODES.values()}
    assert bundle(document, EVERY) == bundle(document, EVERY)
    quantities = {code: resource["valueQuantity"] for code, resource in found.items()}
    assert {code: (quantity["value"], quantity["code"]) for code, quantity in quantities.items()} == {
        "8867-4": (72.4, "/min"),
        "9279-1": (14.0, "/min"),
        "80404-7": (31.5, "ms"),
        "2708-6": (97.0, "%"),
        "21611-9": (41.0, "a"),
        "bmi-of-face": (24.0, "kg/m2"),
    }
    (component,) = found["8867-4"]["component"]
    assert component["code"]["text"] == "90% interval"
    assert [component["valueRange"][end]["value"] for end in ("low", "high")] == [71.2, 73.6]
    assert not any("interval" in note["text"] for note in found["8867-4"]["note"])
    assert "Camera" in found["8867-4"]["method"]["text"]


def test_a_saturation_and_the_bmi_of_a_face_are_in_it_on_request_only() -> None:
    assert not {"2708-6", "bmi-of-face"} & set(observations(bundle(measured())))
    found = observations(bundle(measured(), EVERY))
    assert found["2708-6"]["status"] == found["bmi-of-face"]["status"] == "preliminary"
    assert {"text": "the camera was not calibrated"} in found["2708-6"]["note"]
    text = str(found)
    assert "59408-5" not in text, "no pulse oximeter was used"
    assert "39156-5" not in text, "nobody was weighed"


def test_an_abstention_is_final_and_has_a_reason() -> None:
    found = observations(bundle(finished(), EVERY))
    assert all(resource["status"] == "final" for resource in found.values())
    assert not any("valueQuantity" in resource for resource in found.values())
    assert found["9279-1"]["dataAbsentReason"]["text"] == "no_pulse"
    found = observations(bundle(finished(reason=Reason.NOT_CALIBRATED), EVERY))
    assert found["2708-6"]["dataAbsentReason"]["coding"][0]["code"] == "unsupported"


def test_a_vital_that_was_not_requested_is_left_out() -> None:
    assert set(observations(bundle(finished(requested=["heart_rate"]), EVERY))) == {"8867-4"}


def test_the_time_is_that_of_the_recording_where_it_is_known() -> None:
    recorded = RECEIVED - dt.timedelta(hours=3)
    for given, expected in ((recorded, recorded), (None, RECEIVED)):
        resource = observations(bundle(measured(), BundleOptions(recorded_at=given)))["8867-4"]
        assert dt.datetime.fromisoformat(resource["effectiveDateTime"]) == expected


def test_the_subject_is_the_patient_given_or_the_person_of_the_job() -> None:
    given = observations(bundle(measured(), BundleOptions(subject="Patient/123")))
    assert given["8867-4"]["subject"] == {"reference": "Patient/123"}
    by_default = observations(bundle(measured()))["8867-4"]["subject"]
    assert by_default["identifier"]["value"] == measured().id
