"""A finished job as a FHIR R4 Bundle of Observations (https://hl7.org/fhir/R4/observation.html).

Heart rate, respiration rate and oxygen saturation follow the profiles of vital signs. Nothing here claims more than was
measured: a saturation has the code that does not name a pulse oximeter, a body-mass index read off a face never has the
code of weight over squared height, and both are left out unless they are requested.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.schemas import JobDocument, Measure, Vital, VitalStatus
from shared.vitals import AGE, BMI, HEART_RATE, HEART_RATE_VARIABILITY, OXYGEN_SATURATION, RESPIRATION_RATE, Reason

#: Media type of the bundle.
MEDIA_TYPE: Final = "application/fhir+json"
#: Vitals that are in the bundle only where a request names them, since a chart would take them for what they are not.
ON_REQUEST: Final = (OXYGEN_SATURATION.name, BMI.name)

_LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_PROFILE: Final = "http://hl7.org/fhir/StructureDefinition/"
#: Names of our own: codes that LOINC lacks, and the identifiers of jobs, Observations and the software.
_OURS: Final = "urn:facevitals:"
#: Makes the ids of a job's Observations the same in every response.
_NAMESPACE: Final = uuid.UUID("6f1f6f0e-6f0b-5c57-9a0c-1b6f4b3c7c55")

_VITAL_SIGNS: Final = ("vital-signs", "Vital Signs")
_PROCEDURE: Final = ("procedure", "Procedure")


@dataclass(frozen=True)
class Code:
    """How a vital is named in a chart.

    code      LOINC's, or where `loinc` is False one of our own
    unit      UCUM's code of its unit;  shown  the unit in words
    profile   of FHIR R4 that the Observation follows
    """

    code: str
    display: str
    unit: str
    shown: str
    category: tuple[str, str] = _PROCEDURE
    profile: str | None = None
    loinc: bool = True

    @property
    def coding(self) -> dict[str, str]:
        """The code with its system."""
        return {"system": _LOINC if self.loinc else f"{_OURS}vital", "code": self.code, "display": self.display}


#: The codes by vital; the other vitals are not in the bundle. LOINC has none for RMSSD, pNN50 and stress.
CODES: Final = {
    HEART_RATE.name: Code("8867-4", "Heart rate", "/min", "beats/minute", _VITAL_SIGNS, "heartrate"),
    RESPIRATION_RATE.name: Code("9279-1", "Respiratory rate", "/min", "breaths/minute", _VITAL_SIGNS, "resprate"),
    HEART_RATE_VARIABILITY.name: Code(
        "80404-7", "R-R interval.standard deviation (Heart rate variability)", "ms", "ms"
    ),
    OXYGEN_SATURATION.name: Code("2708-6", "Oxygen saturation in Arterial blood", "%", "%", _VITAL_SIGNS, "oxygensat"),
    AGE.name: Code("21611-9", "Estimated age", "a", "years"),
    BMI.name: Code("bmi-of-face", "Body-mass index estimated from the face", "kg/m2", "kg/m2", loinc=False),
}

_ABSENT_CODES: Final = {
    Reason.MODEL_NOT_INSTALLED: "unsupported",
    Reason.NOT_CALIBRATED: "unsupported",
    Reason.CLIP_REJECTED: "error",
    Reason.BRANCH_FAILED: "error",
    Reason.BRANCH_TIMEOUT: "error",
    Reason.QUEUE_TIMEOUT: "temp-unknown",
}


@dataclass(frozen=True)
class BundleOptions:
    """What a request for a bundle may choose.

    include      vitals of `ON_REQUEST`
    subject      reference to the patient, such as `Patient/123`; None: the person of the job, by an identifier
    kind         `collection` to be read, `transaction` to be posted to a FHIR server
    recorded_at  when the clip was recorded; None: the time of the upload stands for it
    """

    include: frozenset[str] = frozenset()
    subject: str | None = None
    kind: Literal["collection", "transaction"] = "collection"
    recorded_at: dt.datetime | None = None


def bundle(document: JobDocument, options: BundleOptions | None = None) -> dict[str, Any]:
    """The vitals of a finished job that were requested, and the software that estimated them.

    One that abstained has a `dataAbsentReason`, never a value. A transaction that is posted twice makes nothing twice.
    """
    options = options or BundleOptions()
    device = _device(document)
    resources = [device]
    for name, code in CODES.items():
        vital = document.vitals.by_name()[name]
        if vital.reason is Reason.NOT_REQUESTED or (name in ON_REQUEST and name not in options.include):
            continue
        resources.append(_observation(document, name, code, vital, options, device["id"]))
    return {
        "resourceType": "Bundle",
        "type": options.kind,
        "identifier": {"system": f"{_OURS}job", "value": document.id},
        "timestamp": _instant(document.finished_at or document.created_at),
        "entry": [_entry(resource, options) for resource in resources],
    }


def _entry(resource: dict[str, Any], options: BundleOptions) -> dict[str, Any]:
    entry: dict[str, Any] = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
    if options.kind == "transaction":
        (identifier,) = resource["identifier"]
        entry["request"] = {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"identifier={identifier['system']}|{identifier['value']}",
        }
        # The server gives the id.
        entry["resource"] = {key: value for key, value in resource.items() if key != "id"}
    return entry


def _device(document: JobDocument) -> dict[str, Any]:
    """The software and its version."""
    version = document.versions.get("facevitals", "unknown")
    return {
        "resourceType": "Device",
        "id": str(uuid.uuid5(_NAMESPACE, f"device {version}")),
        "identifier": [{"system": f"{_OURS}software", "value": version}],
        "deviceName": [{"name": "Face Vitals", "type": "model-name"}],
        "version": [{"value": version}],
        "note": [{"text": document.notice}],
    }


def _observation(
    document: JobDocument, name: str, code: Code, vital: Vital, options: BundleOptions, device: str
) -> dict[str, Any]:
    measured = _measured(vital)
    category, category_name = code.category
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": str(uuid.uuid5(_NAMESPACE, f"{document.id} {name}")),
        "identifier": [{"system": f"{_OURS}observation", "value": f"{document.id}.{name}"}],
        # An abstention is an answer that will not change; a value without accepted validity is never final.
        "status": "preliminary" if measured.status is VitalStatus.EXPERIMENTAL else "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": category, "display": category_name}]}],
        "code": {"coding": [code.coding], "text": f"{code.display}, estimated from video"},
        "subject": _subject(document, options),
        "effectiveDateTime": _instant(options.recorded_at or document.created_at),
        "issued": _instant(document.finished_at or document.created_at),
        "method": {"text": _method(vital)},
        "device": {"reference": f"urn:uuid:{device}"},
        "note": [{"text": text} for text in _notes(document, measured, vital.detail)],
    }
    if code.profile:
        resource["meta"] = {"profile": [f"{_PROFILE}{code.profile}"]}
    if not isinstance(measured.value, float):
        reason = measured.reason or Reason.BRANCH_FAILED
        coding = {"system": _ABSENT, "code": _ABSENT_CODES.get(reason, "unknown")}
        resource["dataAbsentReason"] = {"coding": [coding], "text": reason.value}
        return resource
    resource["valueQuantity"] = _quantity(measured.value, code)
    if measured.interval and measured.interval_level:
        resource["component"] = [_interval(measured.interval, measured.interval_level, code)]
    return resource


def _measured(vital: Vital) -> Vital | Measure:
    """What the chart gets of a vital: of the variability, SDNN."""
    value = vital.value
    return vital if value is None or isinstance(value, (int, float, str)) else value.sdnn_ms


def _subject(document: JobDocument, options: BundleOptions) -> dict[str, Any]:
    if options.subject:
        return {"reference": options.subject}
    return {
        "type": "Patient",
        "identifier": {"system": f"{_OURS}job", "value": document.id},
        "display": "the person in the video",
    }


def _method(vital: Vital) -> str:
    camera = "Camera, without contact"
    return f"{camera}: {vital.method.name} {vital.method.version}" if vital.method else camera


def _quantity(value: float, code: Code) -> dict[str, Any]:
    return {"value": value, "unit": code.shown, "system": _UCUM, "code": code.unit}


def _interval(interval: tuple[float, float], level: float, code: Code) -> dict[str, Any]:
    """The interval that contains the true value with a probability of `level`."""
    name = f"{level:.0%} interval"
    coding = {"system": f"{_OURS}statistic", "code": f"interval-{100 * level:g}", "display": name}
    low, high = (_quantity(bound, code) for bound in interval)
    return {"code": {"coding": [coding], "text": name}, "valueRange": {"low": low, "high": high}}


def _notes(document: JobDocument, measured: Vital | Measure, detail: str | None) -> list[str]:
    notes = [document.notice]
    if measured.status is VitalStatus.EXPERIMENTAL:
        notes.append("Experimental: the method has no accepted validity at this clip length or without calibration.")
    if detail:
        notes.append(detail)
    return notes


def _instant(time: dt.datetime) -> str:
    """A time with its zone, to milliseconds."""
    return time.isoformat(timespec="milliseconds")
