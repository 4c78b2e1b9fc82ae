"""`/v1/jobs`: submit, look, wait, follow, fetch the waves, delete."""

import asyncio
import contextlib
import hashlib
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api import fhir, idempotency, limits, problems, webhooks
from api.events import follow, resume_point
from api.gateway import Gateway, gateway_of
from api.hub import wait_for
from api.keys import Caller, Eraser, Owner, Submitter
from api.uploads import receive
from shared.clips.encryption import ClipKey
from shared.ids import ID_PATTERN, is_id, new_id
from shared.jobs.assembly import branches_for
from shared.schemas import JobDocument, JobOptions, Waveforms
from shared.vitals import VITALS

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Longest `Prefer: wait=N`, seconds.
LONGEST_WAIT_S: Final = 30
#: When a client should look again after a 202, seconds.
LOOK_AGAIN_S: Final = 2

GatewayDep = Annotated[Gateway, Depends(gateway_of)]
#: Described in OpenAPI alone: what is no id is answered as an unknown job, not as a bad parameter.
JobId = Annotated[str, Path(description="The job's id, a secret.", json_schema_extra={"pattern": ID_PATTERN})]

_NAME: Final = f"({'|'.join(VITALS)})"
_LIST: Final = f"^ *{_NAME}( *, *{_NAME})* *$"

WEBHOOK_SCHEMA: Final = {
    "format": "webhook",
    "pattern": webhooks.URL_PATTERN,
    "description": "Where the finished document is posted, signed as Standard Webhooks says.",
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
UPLOAD_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The clip: MP4 or WebM, 1 to 120 s; best 15 s at 640x480 and 30 frames a second.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["clip"],
                    "additionalProperties": False,
                    "properties": {
                        "clip": {"type": "string", "format": "binary"},
                        "vitals": {
                            "type": "string",
                            "pattern": _LIST,
                            "description": "Comma-separated subset of the vitals.",
                        },
                        "retain_clip": {"enum": ["true", "false"], "description": "Keep the clip to its time to live."},
                        "webhook_url": {**WEBHOOK_SCHEMA, "type": "string"},
                    },
                }
            },
            "video/mp4": _BINARY,
            "video/webm": _BINARY,
            "application/octet-stream": _BINARY,
        },
    }
}

EVENT_SCHEMA: Final = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["state", "branch", "stage", "check", "vital", "done"]},
        "data": {"type": "string", "description": "JSON."},
        "id": {"type": "string", "description": "What `Last-Event-ID` takes."},
    },
}

UPLOAD_PROBLEMS: Final = (
    problems.KeyMissing,
    problems.KeyRefused,
    problems.ScopeMissing,
    problems.ForeignOrigin,
    problems.WrongHost,
    problems.BodyTooSlow,
    problems.IdempotencyInProgress,
    problems.UploadTooLarge,
    problems.UnsupportedMedia,
    problems.BadParameter,
    problems.IdempotencyConflict,
    problems.QueueFull,
    problems.RateExceeded,
    problems.TooManyActive,
    problems.TooManyUploads,
    problems.BrokerAway,
    problems.BrokerFull,
    problems.BrokerRefused,
    problems.StoreAway,
)


def _options(vitals: str | None, retain_clip: str | bool | None, webhook_url: str | None) -> JobOptions:
    names = None if vitals is None else [name.strip() for name in vitals.split(",") if name.strip()]
    if names is not None and (not names or not set(names) <= set(VITALS)):
        raise problems.BadParameter(f"vitals: choose from {', '.join(VITALS)}.")
    if isinstance(retain_clip, str):
        if retain_clip not in {"true", "false"}:
            raise problems.BadParameter("retain_clip: choose true or false.")
        retain_clip = retain_clip == "true"
    return JobOptions(vitals=names, retain_clip=retain_clip or False, webhook_url=webhook_url)


@dataclass(frozen=True)
class Received:
    """A clip in the store whose job is still to be made."""

    job_id: str
    options: JobOptions
    sha256: str
    encryption_key: ClipKey | None = None

    @property
    def content(self) -> str:
        """What tells this clip with these options from others; to be had of a clip that was hashed."""
        return hashlib.sha256((self.sha256 + self.options.model_dump_json()).encode()).hexdigest()


async def receive_clip(
    request: Request,
    gateway: Gateway,
    caller: Caller,
    vitals: str | None = None,
    retain_clip: bool | None = None,
    *,
    hashed: bool = False,
) -> Received:
    """Store the request's clip. Nothing of a refused request stays behind. Raises what `UPLOAD_PROBLEMS` lists."""
    settings = gateway.settings
    webhook_url = webhooks.checked_url(request.query_params.get("webhook_url"), settings, caller)
    asked = _options(vitals, retain_clip, webhook_url)
    await gateway.admission.check(branches_for(asked.vitals))
    job_id = new_id()
    key = gateway.store.key(job_id)
    encryption_key = ClipKey.new() if settings.encrypt_clips else None
    upload = await receive(
        request, gateway.store, key, settings.max_upload_bytes, hashed=hashed, encryption_key=encryption_key
    )
    form = upload.fields
    try:
        in_form_url = webhooks.checked_url(form.get("webhook_url"), settings, caller)
        webhook_url = in_form_url if webhook_url is None else webhook_url
        in_form = _options(form.get("vitals"), form.get("retain_clip"), webhook_url)
    except problems.BadParameter:
        await run_in_threadpool(gateway.store.erase, key)
        raise
    options = JobOptions(
        vitals=in_form.vitals if vitals is None else asked.vitals,
        retain_clip=in_form.retain_clip if retain_clip is None else asked.retain_clip,
        webhook_url=webhook_url,
    )
    return Received(job_id, options, upload.sha256 or "", encryption_key)


async def start(gateway: Gateway, received: Received, owner: str) -> JobDocument:
    """Make the job of a received clip and queue its branches; if that fails, nothing stays behind."""
    try:
        return await run_in_threadpool(
            gateway.accept, received.job_id, received.options, owner, received.encryption_key
        )
    except BaseException:
        await asyncio.shield(run_in_threadpool(_withdraw, gateway, received.job_id))
        raise


def _withdraw(gateway: Gateway, job_id: str) -> None:
    # The record first: where the broker is away, the job may have been made although we heard nothing of it. It then
    # keeps its clip, and ends as any other; if it was not made, the clip goes when its time is up.
    with contextlib.suppress(RedisError):
        _erase(gateway, job_id)


async def _document(gateway: Gateway, job_id: str, owner: str) -> JobDocument:
    # What is no id is looked up as one that nobody has: it must not reach another key of the broker, and takes the same
    # way, time and answer as a job of somebody else.
    known = job_id if is_id(job_id) else new_id()
    document = await run_in_threadpool(gateway.records.document, known, owner=owner)
    if document is None:
        raise problems.UnknownJob("It never was, it expired, or it was deleted.")
    return document


@router.post(
    "",
    status_code=202,
    response_model=JobDocument,
    openapi_extra=UPLOAD_BODY,
    responses={
        202: {
            "description": "Accepted; follow `Location`.",
            "headers": {
                "Location": {"schema": {"type": "string"}, "description": "The job."},
                "Retry-After": {"schema": {"type": "integer"}, "description": "When to look again, seconds."},
            },
            "links": {
                name: {"operationId": name, "parameters": {"job_id": "$response.body#/id"}}
                for name in ("look", "events", "waveforms", "fhir", "delete")
            },
        },
        **problems.responses(*UPLOAD_PROBLEMS),
    },
)
async def submit(
    request: Request,
    gateway: GatewayDep,
    caller: Submitter,
    vitals: Annotated[str | None, Query(description="Comma-separated subset of the vitals.", pattern=_LIST)] = None,
    retain_clip: Annotated[bool | None, Query(description="Keep the clip to its time to live.")] = None,
    webhook_url: Annotated[  # noqa: ARG001  (declared for OpenAPI; a form may carry it as well)
        str | None, Query(pattern=webhooks.URL_PATTERN, json_schema_extra=dict(WEBHOOK_SCHEMA))
    ] = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] = None,
) -> Response:
    """Submit a clip. The answer comes as soon as it is stored and queued."""

    owner = caller.owner
    async with limits.place(gateway, caller):
        if idempotency_key is None:
            received = await receive_clip(request, gateway, caller, vitals, retain_clip)
            return _accepted(await start(gateway, received, owner))
        async with idempotency.claim(gateway, owner, idempotency_key) as claim:
            received = await receive_clip(request, gateway, caller, vitals, retain_clip, hashed=True)
            try:
                job_id = claim.repeated(received.content)
            except problems.IdempotencyConflict:
                await run_in_threadpool(gateway.store.erase, gateway.store.key(received.job_id))
                raise
            if job_id is None:
                await claim.keep(received.job_id, received.content)
                return _accepted(await start(gateway, received, owner))
            await run_in_threadpool(gateway.store.erase, gateway.store.key(received.job_id))
    return _accepted(await _document(gateway, job_id, owner))


def _accepted(document: JobDocument) -> Response:
    headers = {"Location": f"/v1/jobs/{document.id}", "Retry-After": str(LOOK_AGAIN_S)}
    return Response(document.model_dump_json(), status_code=202, headers=headers, media_type="application/json")


def _wait_asked(prefer: str | None) -> int | None:
    """Seconds of `Prefer: wait=N` (RFC 7240), bounded; None when it isn't asked or can't be read."""
    for part in (prefer or "").replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        number = value.strip().strip('"')
        if name.strip().lower() == "wait" and number.isascii() and number.isdigit():
            return min(int(number[:9]), LONGEST_WAIT_S)
    return None


@router.get(
    "/{job_id}",
    response_model=JobDocument,
    responses=problems.responses(
        *problems.KEY_PROBLEMS, problems.UnknownJob, problems.BadParameter, problems.BrokerAway
    ),
)
async def look(
    job_id: JobId,
    gateway: GatewayDep,
    owner: Owner,
    prefer: Annotated[
        str | None, Header(description="`wait=N` waits up to N (at most 30) seconds for the end.")
    ] = None,
) -> Response:
    """The job document, in any state."""
    wait_s = _wait_asked(prefer)
    headers = {}
    document = await _document(gateway, job_id, owner)
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s}"
        end = time.monotonic() + wait_s
        with gateway.hub.watching(job_id) as changed:
            while not document.state.is_final and (left := end - time.monotonic()) > 0:
                changed.clear()
                document = await _document(gateway, job_id, owner)
                if document.state.is_final:
                    break
                await wait_for(changed, min(left, 5.0))
                document = await _document(gateway, job_id, owner)
    if not document.state.is_final:
        headers["Retry-After"] = str(LOOK_AGAIN_S)
    return JSONResponse(document.as_json(), headers=headers)


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={
        200: {
            "description": "`state`, `branch`, `stage`, `check` and `vital` as they happen, ending with `done`.",
            "content": {"text/event-stream": {"schema": EVENT_SCHEMA}},
        },
        204: {"description": "All events were seen already; do not reconnect."},
        **problems.responses(*problems.KEY_PROBLEMS, problems.UnknownJob, problems.BadParameter, problems.BrokerAway),
    },
)
async def events(
    job_id: JobId,
    gateway: GatewayDep,
    owner: Owner,
    last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None,
) -> Response:
    """Follow the job as server-sent events."""
    document = await _document(gateway, job_id, owner)
    after = resume_point(last_event_id)
    if document.state.is_final and not await run_in_threadpool(gateway.records.events_after, job_id, after):
        return Response(status_code=204)
    return EventSourceResponse(
        follow(gateway, job_id, after), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@router.get(
    "/{job_id}/waveforms",
    response_model=Waveforms,
    responses=problems.responses(*problems.KEY_PROBLEMS, problems.UnknownJob, problems.BrokerAway),
)
async def waveforms(job_id: JobId, gateway: GatewayDep, owner: Owner) -> Response:
    """Waves of pulse and respiration with their times, and spectra, of a finished job's vitals that have a value.

    Empty before the job is done: a vital may still be withdrawn, and its wave with it.
    """
    document = await _document(gateway, job_id, owner)
    body = await run_in_threadpool(gateway.records.waveforms, job_id) if document.state.is_final else None
    return Response(body or Waveforms().model_dump_json(), media_type="application/json")


@router.get(
    "/{job_id}/fhir",
    response_class=Response,
    responses={
        200: {
            "description": "A Bundle of Observations.",
            "content": {fhir.MEDIA_TYPE: {"schema": {"type": "object", "required": ["resourceType", "entry"]}}},
        },
        **problems.responses(*problems.KEY_PROBLEMS, problems.UnknownJob, problems.NotFinished, problems.BrokerAway),
    },
    name="fhir",
)
async def as_fhir(job_id: JobId, gateway: GatewayDep, owner: Owner) -> Response:
    """A finished job as a FHIR R4 Bundle; what abstained has a `dataAbsentReason`."""
    document = await _document(gateway, job_id, owner)
    if not document.state.is_final:
        raise problems.NotFinished("Ask again when the job is done.", headers={"Retry-After": str(LOOK_AGAIN_S)})
    return JSONResponse(fhir.bundle(document), media_type=fhir.MEDIA_TYPE)


@router.delete(
    "/{job_id}",
    status_code=204,
    responses=problems.responses(*problems.KEY_PROBLEMS, problems.UnknownJob, problems.BrokerAway),
)
async def delete(job_id: JobId, gateway: GatewayDep, owner: Eraser) -> Response:
    """Cancel the job and erase clip, result, events and waveforms."""
    await _document(gateway, job_id, owner)
    await run_in_threadpool(_erase, gateway, job_id)
    return Response(status_code=204)


def _erase(gateway: Gateway, job_id: str) -> None:
    gateway.records.delete(job_id)
    key = gateway.store.key(job_id)
    gateway.store.erase(key)
    gateway.records.erased(key)
