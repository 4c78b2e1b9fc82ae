"""A finished job as a FHIR R4 Bundle of Observations (https://hl7.org/fhir/R4/observation.html)."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

from shared.schemas import JobDocument, Vital, VitalStatus
from shared.vitals import BMI, HEART_RATE, OXYGEN_SATURATION, RESPIRATION_RATE, Reason

#: Media type of the bundle.
MEDIA_TYPE: Final = "application/fhir+json"

_LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
#: Makes the ids of a job's Observations the same in every response.
_NAMESPACE: Final = uuid.UUID("6f1f6f0e-6f0b-5c57-9a0c-1b6f4b3c7c55")


@dataclass(frozen=True)
class Code:
    """How a vital is named in LOINC."""

    loinc: str
    display: str


#: LOINC codes by vital; the other vitals are not in the bundle.
CODES: Final = {
    HEART_RATE.name: Code("8867-4", "Heart rate"),
    RESPIRATION_RATE.name: Code("9279-1", "Respiratory rate"),
    OXYGEN_SATURATION.name: Code("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
    BMI.name: Code("39156-5", "Body mass index (BMI) [Ratio]"),
}

_ABSENT_CODES: Final = {
    Reason.NOT_REQUESTED: "not-asked",
    Reason.MODEL_NOT_INSTALLED: "unsupported",
    Reason.NOT_CALIBRATED: "unsupported",
    Reason.CLIP_REJECTED: "error",
    Reason.BRANCH_FAILED: "error",
    Reason.BRANCH_TIMEOUT: "error",
    Reason.QUEUE_TIMEOUT: "temp-unknown",
}


def bundle(document: JobDocument) -> dict[str, Any]:
    """The document's measurable vitals; one that abstained carries a `dataAbsentReason`, never a value."""
    entries = []
    for name, code in CODES.items():
        number = uuid.uuid5(_NAMESPACE, f"{document.id} {name}")
        resource = _observation(document, code, document.vitals.by_name()[name], str(number))
        entries.append({"fullUrl": f"urn:uuid:{number}", "resource": resource})
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": {"system": "urn:facevitals:job", "value": document.id},
        "timestamp": (document.finished_at or document.created_at).isoformat(),
        "entry": entries,
    }


def _observation(document: JobDocument, code: Code, vital: Vital, number: str) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": number,
        # A value without accepted validity is not reported as final.
        "status": "final" if vital.status is VitalStatus.OK else "preliminary",
        "category": [{"coding": [{"system": _CATEGORY, "code": "vital-signs", "display": "Vital Signs"}]}],
        "code": {
            "coding": [{"system": _LOINC, "code": code.loinc, "display": code.display}],
            "text": f"{code.display}, estimated from video",
        },
        "effectiveDateTime": document.created_at.isoformat(),
        "note": [{"text": text} for text in _notes(document, vital)],
    }
    if vital.method:
        resource["method"] = {"text": f"{vital.method.name} {vital.method.version}"}
    if vital.value is None:
        reason = vital.reason or Reason.BRANCH_FAILED
        coding = {"system": _ABSENT, "code": _ABSENT_CODES.get(reason, "unknown")}
        resource["dataAbsentReason"] = {"coding": [coding], "text": reason.value}
    else:
        resource["valueQuantity"] = {
            "value": vital.value,
            "unit": vital.unit,
            "system": _UCUM,
            "code": vital.unit,
        }
    return resource


def _notes(document: JobDocument, vital: Vital) -> list[str]:
    notes = [document.notice]
    if vital.status is VitalStatus.EXPERIMENTAL:
        notes.append("Experimental: the method has no accepted validity at this clip length or without calibration.")
    if vital.interval and vital.interval_level:
        low, high = vital.interval
        notes.append(f"{vital.interval_level:.0%} interval: {low:g} to {high:g} {vital.unit}.")
    if vital.detail:
        notes.append(vital.detail)
    return notes
