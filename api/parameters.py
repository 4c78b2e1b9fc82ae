"""The parameters of the API, and their error messages.

Each message names the value, the parameter and what it takes. The same functions check query parameters, headers and
form fields.
"""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import Header, Path, Query, Request
from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError

from api import fhir
from api.problems import BadParameter
from shared.ids import ID_PATTERN
from shared.schemas import Priority
from shared.vitals import VITALS

#: Longest part of a value that an answer repeats, characters.
MAX_SHOWN: Final = 60
#: Longest `Idempotency-Key`, characters.
MAX_KEY_LENGTH: Final = 255

_NAME: Final = f"({'|'.join(VITALS)})"
#: Pattern of the query parameter `vitals`.
VITALS_PATTERN: Final = f"^ *{_NAME}( *, *{_NAME})* *$"
_TAKES_VITALS: Final = f"`vitals` takes a comma-separated list of: {', '.join(VITALS)}."

_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_LENGTH}}}")
_TAKES_KEY: Final = f"`Idempotency-Key` takes 1 to {MAX_KEY_LENGTH} visible ASCII characters without spaces."

_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LAST_LABEL: Final = "[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PORT: Final = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
#: https, a host name (the last label of an IP address begins with a digit), a port, a path; no user, no fragment.
URL_PATTERN: Final = (
    rf"^https://({_LABEL}\.){{0,8}}{_LAST_LABEL}(:({_PORT}))?([/?][A-Za-z0-9/._~:?@!$&'()*+,;=%-]{{0,1000}})?$"
)
_URL: Final = re.compile(URL_PATTERN)
_TAKES_URL: Final = (
    "`webhook_url` takes an https:// URL with a host name and at most 1,000 characters of path and query, without "
    "IP address, user name or fragment."
)

_FLAG: Final = TypeAdapter(bool)
_TAKES_FLAG: Final = "`retain_clip` takes true or false."

#: A resource of a FHIR server: a type and an id, before which the server's address may stand.
SUBJECT_PATTERN: Final = rf"^(https://({_LABEL}\.){{0,8}}{_LAST_LABEL}(:({_PORT}))?(/[A-Za-z0-9._~-]{{1,64}}){{0,8}}/)?Patient/[A-Za-z0-9.-]{{1,64}}$"
_SUBJECT: Final = re.compile(SUBJECT_PATTERN)
_TAKES_SUBJECT: Final = "`subject` takes a FHIR reference such as Patient/123, or its https:// URL."
_ON_REQUEST: Final = f"({'|'.join(fhir.ON_REQUEST)})"
INCLUDE_PATTERN: Final = f"^{_ON_REQUEST}(,{_ON_REQUEST})*$"
_INCLUDE: Final = re.compile(INCLUDE_PATTERN)
_TAKES_INCLUDE: Final = f"`include` takes a comma-separated list of: {', '.join(fhir.ON_REQUEST)}."
#: RFC 3339: a date, a time and a zone.
TIME_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
_TIME: Final = re.compile(TIME_PATTERN)
_TAKES_TIME: Final = "`recorded_at` takes a date and time with a zone, such as 2026-01-02T03:04:05Z."
#: Types of a bundle.
BUNDLES: Final = ("collection", "transaction")

_TAKES_PRIORITY: Final = f"`priority` takes one of: {', '.join(Priority)}."

#: What each option of an upload takes, by the option's name, in the query and in a form.
TAKES: Final = {"vitals": _TAKES_VITALS, "retain_clip": _TAKES_FLAG, "webhook_url": _TAKES_URL}


def shown(value: object) -> str:
    """Return the value as an answer repeats it: quoted, escaped, and cut after `MAX_SHOWN` characters."""
    text = str(value)
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")


def vital_names(text: str) -> list[str]:
    """Return the names in a comma-separated list of vitals.

    Raises:
        BadParameter: the list is empty, or a name is not a vital.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in VITALS:
            raise BadParameter(f"{shown(name)} is not a vital. {_TAKES_VITALS}")
    if not names:
        raise BadParameter(f"{shown(text)} names no vital. {_TAKES_VITALS}")
    return names


def retain_clip(value: object, *, strict: bool = False) -> bool:
    """Return whether to retain the clip. Unless `strict`, also from `1`, `yes`, `on` and the like.

    Raises:
        BadParameter: the value is neither true nor false.
    """
    try:
        if strict and value not in {"true", "false"}:
            raise BadParameter(f"{shown(value)} is neither true nor false. {_TAKES_FLAG}")
        return _FLAG.validate_python(value)
    except ValidationError:
        raise BadParameter(f"{shown(value)} is neither true nor false. {_TAKES_FLAG}") from None


def webhook_url(text: str) -> str:
    """Return the URL of a webhook.

    Raises:
        BadParameter: it is not a URL that the gateway calls.
    """
    if not _URL.fullmatch(text):
        raise BadParameter(f"{shown(text)} is not an allowed URL. {_TAKES_URL}")
    return text


def idempotency_key(text: str) -> str:
    """Return the key.

    Raises:
        BadParameter: it is empty, too long, or has other characters than visible ASCII.
    """
    if not _KEY.fullmatch(text):
        raise BadParameter(f"{shown(text)} is not an allowed key. {_TAKES_KEY}")
    return text


# FastAPI does not validate the default of an absent parameter: the validators below get text alone.
def _vitals(text: str) -> str:
    vital_names(text)
    # A form may have empty names between its commas; the query takes exactly what OpenAPI documents.
    if not re.search(VITALS_PATTERN, text):
        raise BadParameter(f"{shown(text)} has a name that is empty. {_TAKES_VITALS}")
    return text


def fhir_subject(text: str) -> str:
    """Return the reference to a patient.

    Raises:
        BadParameter: it is not one.
    """
    if not _SUBJECT.fullmatch(text):
        raise BadParameter(f"{shown(text)} is not a reference. {_TAKES_SUBJECT}")
    return text


def fhir_include(text: str) -> str:
    """Return the comma-separated names of vitals that are in a bundle on request only.

    Raises:
        BadParameter: a name is not such a vital.
    """
    if not _INCLUDE.fullmatch(text):
        raise BadParameter(f"{shown(text)} is not understood. {_TAKES_INCLUDE}")
    return text


def fhir_time(text: str) -> str:
    """Return the time, which has a zone.

    Raises:
        BadParameter: it is not one.
    """
    wrong = BadParameter(f"{shown(text)} is not a time. {_TAKES_TIME}")
    if not _TIME.fullmatch(text):
        raise wrong
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        raise wrong from None
    return text


def fhir_bundle(text: str) -> str:
    """Return the type of a bundle.

    Raises:
        BadParameter: it is not one of those that are made.
    """
    if text not in BUNDLES:
        raise BadParameter(f"{shown(text)} is not made. `bundle` takes one of: {', '.join(BUNDLES)}.")
    return text


def priority(text: str) -> Priority:
    """Return the priority of a job.

    Raises:
        BadParameter: there is no such priority.
    """
    if text not in list(Priority):
        raise BadParameter(f"{shown(text)} is not a priority. {_TAKES_PRIORITY}")
    return Priority(text)


#: OpenAPI schemas and descriptions of the options of an upload, in the query and in a form.
VITALS_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": VITALS_PATTERN,
    "description": "Comma-separated subset of the vitals.",
}
RETAIN_CLIP_DESCRIPTION: Final = "Keep the clip until its time to live ends, instead of erasing it after the analysis."
WEBHOOK_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "format": "webhook",
    "pattern": URL_PATTERN,
    "description": "Where the finished document is posted, signed as described by Standard Webhooks.",
}

#: Documented in OpenAPI only: what is not an id is answered as an unknown job, not as an invalid parameter.
JobId = Annotated[str, Path(description="The job's id, a secret.", json_schema_extra={"pattern": ID_PATTERN})]
VitalsQuery = Annotated[
    str | None,
    Query(description=VITALS_SCHEMA["description"], json_schema_extra={"pattern": VITALS_PATTERN}),
    AfterValidator(_vitals),
]
RetainClipQuery = Annotated[bool | None, Query(description=RETAIN_CLIP_DESCRIPTION), BeforeValidator(retain_clip)]
WebhookQuery = Annotated[
    str | None,
    Query(
        description=WEBHOOK_SCHEMA["description"],
        json_schema_extra={"pattern": URL_PATTERN, "format": WEBHOOK_SCHEMA["format"]},
    ),
    AfterValidator(webhook_url),
]
#: In the query alone: whether there is room for the job is decided before the form is read.
PriorityQuery = Annotated[
    str | None,
    Query(
        description="`interactive` (the default), or `batch`: the job waits for hours behind all interactive ones.",
        json_schema_extra={"enum": [*Priority]},
    ),
    AfterValidator(priority),
]
SubjectQuery = Annotated[
    str | None,
    Query(
        description="FHIR reference to the patient, such as Patient/123. By default an identifier of the job's person.",
        json_schema_extra={"pattern": SUBJECT_PATTERN},
    ),
    AfterValidator(fhir_subject),
]
IncludeQuery = Annotated[
    str | None,
    Query(
        description="Comma-separated vitals that are left out by default, since a chart may take them for more than "
        "they are.",
        json_schema_extra={"pattern": INCLUDE_PATTERN},
    ),
    AfterValidator(fhir_include),
]
RecordedAtQuery = Annotated[
    str | None,
    Query(
        description="When the clip was recorded, with a zone, such as 2026-01-02T03:04:05Z; else that of the upload.",
        json_schema_extra={"pattern": TIME_PATTERN, "format": "date-time"},
    ),
    AfterValidator(fhir_time),
]
BundleQuery = Annotated[
    str | None,
    Query(
        description="`collection` (the default) to be read, `transaction` to be posted to a FHIR server.",
        json_schema_extra={"enum": [*BUNDLES]},
    ),
    AfterValidator(fhir_bundle),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Two requests with the same key, clip and options make one job.",
        json_schema_extra={"pattern": r"^[\x21-\x7e]+$", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    ),
    AfterValidator(idempotency_key),
]
Prefer = Annotated[
    str | None,
    Header(description="`wait=N` waits up to N (at most 30) seconds for the job's end. Other values are ignored."),
]
LastEventId = Annotated[
    str | None,
    Header(description="Resume after this event. A value that is not an event's id is ignored: all events are sent."),
]


def repeated(name: str, values: Sequence[str]) -> BadParameter:
    """Return the problem of a parameter that was sent more than once, with these values."""
    sent = ", ".join(shown(value) for value in values[:3])
    return BadParameter(f"`{name}` was sent {len(values)} times ({sent}). It may be sent once.")


def refuse_repeated(request: Request, *names: str) -> None:
    """Refuse a query parameter or header that the request has more than once.

    Raises:
        BadParameter: one of `names` was sent more than once.
    """
    for name in names:
        sent = request.query_params.getlist(name) or request.headers.getlist(name)
        if len(sent) > 1:
            raise repeated(name, sent)
