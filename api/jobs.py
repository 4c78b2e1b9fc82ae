"""`/v1/jobs`: create a job, get it, wait for it, follow its events, get its waveforms, delete it."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api import audit, fhir, idempotency, key_quota, parameters, problems, queue_pause, webhooks
from api.authentication import Caller, Eraser, Owner, Submitter
from api.dependencies import Gateway, gateway_of
from api.events import follow, resume_point
from api.job_notifier import wait_for
from api.openapi import event_stream
from api.uploads import receive
from shared.clips.encryption import ClipKey
from shared.clips.first_bytes import ClipFormats
from shared.ids import is_id, new_id
from shared.jobs.assembly import branches_for
from shared.schemas import JobDocument, JobOptions, JobState, Priority, Waveforms

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Longest `Prefer: wait=N`, seconds.
LONGEST_WAIT_S: Final = 30
#: `Retry-After` of a job that has not finished, seconds.
RETRY_AFTER_S: Final = 2

GatewayDep = Annotated[Gateway, Depends(gateway_of)]
#: OpenAPI description of the body of an upload.
UPLOAD_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": (
            "The clip: MP4 or WebM, 1 to 120 s; best are 15 s at 640x480 and 30 frames a second. Sent in a form, or as "
            "the raw body with any other Content-Type, such as `video/mp4`: its first bytes decide."
        ),
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["clip"],
                    "additionalProperties": False,
                    "properties": {
                        "clip": {"type": "string", "format": "binary"},
                        "vitals": parameters.VITALS_SCHEMA,
                        "retain_clip": {
                            "type": "string",
                            "enum": ["true", "false"],
                            "description": parameters.RETAIN_CLIP_DESCRIPTION,
                        },
                        "webhook_url": parameters.WEBHOOK_SCHEMA,
                    },
                }
            },
            # The Content-Type of a raw body is not read. This one is known to every generator of clients.
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

#: What a call about one job may answer.
JOB_PROBLEMS: Final = (
    *problems.KEY_PROBLEMS,
    problems.UnknownJob,
    *problems.BROKER_PROBLEMS,
)

#: What a call with a clip may answer.
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
    problems.QueuePaused,
    problems.RateExceeded,
    problems.TooManyActive,
    problems.TooManyUploads,
    *problems.BROKER_PROBLEMS,
    problems.StoreAway,
)


def _options(
    vitals: str | None, retain_clip: str | bool | None, webhook_url: str | None, priority: Priority
) -> JobOptions:
    names = None if vitals is None else parameters.vital_names(vitals)
    if isinstance(retain_clip, str):
        retain_clip = parameters.retain_clip(retain_clip, strict=True)
    return JobOptions(vitals=names, retain_clip=retain_clip or False, webhook_url=webhook_url, priority=priority)


@dataclass(frozen=True)
class Received:
    """A clip in the store whose job has not been created yet."""

    job_id: str
    options: JobOptions
    sha256: str
    encryption_key: ClipKey | None = None
    clip_bytes: int = 0

    @property
    def content(self) -> str:
        """A digest of clip and options, to compare requests with the same `Idempotency-Key`. Needs a hashed clip."""
        # As releases without priorities computed it: a key may be used again after an upgrade.
        unsaid = {"priority"} if self.options.priority is Priority.INTERACTIVE else None
        return hashlib.sha256((self.sha256 + self.options.model_dump_json(exclude=unsaid)).encode()).hexdigest()


async def receive_clip(
    request: Request,
    gateway: Gateway,
    caller: Caller,
    vitals: str | None = None,
    retain_clip: bool | None = None,
    *,
    priority: Priority = Priority.INTERACTIVE,
    hashed: bool = False,
) -> Received:
    """Store the request's clip. A request that is refused leaves nothing in the store.

    Raises:
        ApiProblem: one of `UPLOAD_PROBLEMS`.
    """
    settings = gateway.settings
    webhook_url = webhooks.checked_url(request.query_params.get("webhook_url"), settings, caller)
    in_query = _options(vitals, retain_clip, webhook_url, priority)
    branches = branches_for(in_query.vitals)
    await run_in_threadpool(queue_pause.check, gateway.jobs.redis, branches)
    await gateway.queue_limit.check(branches, priority)
    job_id = new_id()
    key = gateway.store.key(job_id)
    encryption_key = ClipKey.new() if settings.encrypt_clips else None
    upload = await receive(
        request,
        gateway.store,
        key,
        settings.max_upload_bytes,
        hashed=hashed,
        encryption_key=encryption_key,
        formats=ClipFormats(settings.clip_formats),
    )
    form = upload.fields
    try:
        in_form_url = webhooks.checked_url(form.get("webhook_url"), settings, caller)
        webhook_url = in_form_url if webhook_url is None else webhook_url
        in_form = _options(form.get("vitals"), form.get("retain_clip"), webhook_url, priority)
    except problems.BadParameter:
        await run_in_threadpool(gateway.store.erase, key)
        raise
    options = JobOptions(
        vitals=in_form.vitals if vitals is None else in_query.vitals,
        retain_clip=in_form.retain_clip if retain_clip is None else in_query.retain_clip,
        webhook_url=webhook_url,
        priority=priority,
    )
    return Received(job_id, options, upload.sha256 or "", encryption_key, upload.size)


async def start(gateway: Gateway, received: Received, owner: str) -> JobDocument:
    """Create the job of a received clip and queue its branches; if that fails, erase the clip."""
    try:
        return await run_in_threadpool(
            gateway.accept,
            received.job_id,
            received.options,
            owner,
            received.encryption_key,
            received.clip_bytes,
        )
    except BaseException:
        await asyncio.shield(run_in_threadpool(_withdraw, gateway, received.job_id))
        raise


def _withdraw(gateway: Gateway, job_id: str) -> None:
    # The record first: if the broker is away, the job may exist although its answer was lost. It then keeps its clip
    # and ends as usual; if it does not exist, the clip is erased when its time to live ends.
    with contextlib.suppress(RedisError):
        _erase(gateway, job_id)


async def _document(gateway: Gateway, job_id: str, owner: str) -> JobDocument:
    # What is not an id is looked up as a new one: it must not become part of a broker key, and it takes the same time
    # and gets the same answer as a job of another owner.
    known = job_id if is_id(job_id) else new_id()
    document = await run_in_threadpool(gateway.records.document, known, owner=owner)
    if document is None:
        raise problems.UnknownJob("The id is wrong, or the job expired or was deleted.")
    return document


@router.post(
    "",
    status_code=202,
    response_model=JobDocument,
    openapi_extra=UPLOAD_BODY,
    responses={
        202: {
            "description": "Accepted. `Location` is the job.",
            "headers": {
                "Location": {"schema": {"type": "string"}, "description": "The job."},
                "Retry-After": {
                    "schema": {"type": "integer"},
                    "description": "Seconds until the next request.",
                },
            },
            "links": {
                name: {"operationId": name, "parameters": {"job_id": "$response.body#/id"}}
                for name in ("get_job", "stream_job_events", "get_job_waveforms", "get_job_fhir", "delete_job")
            },
        },
        **problems.responses(*UPLOAD_PROBLEMS),
    },
)
async def create_job(
    request: Request,
    gateway: GatewayDep,
    caller: Submitter,
    vitals: parameters.VitalsQuery = None,
    retain_clip: parameters.RetainClipQuery = None,
    webhook_url: parameters.WebhookQuery = None,  # noqa: ARG001  (declared for OpenAPI; `receive_clip` reads it)
    priority: parameters.PriorityQuery = None,
    idempotency_key: parameters.IdempotencyKey = None,
) -> Response:
    """Submit a clip. The response comes as soon as the clip is stored and queued."""
    parameters.refuse_repeated(request, "vitals", "retain_clip", "webhook_url", "priority", "Idempotency-Key")
    owner, of = caller.owner, Priority(priority or Priority.INTERACTIVE)
    async with key_quota.slot(gateway, caller, of):
        if idempotency_key is None:
            received = await receive_clip(request, gateway, caller, vitals, retain_clip, priority=of)
            return await _accepted(request, gateway, await start(gateway, received, owner))
        async with idempotency.hold(gateway, owner, idempotency_key) as hold:
            received = await receive_clip(request, gateway, caller, vitals, retain_clip, priority=of, hashed=True)
            try:
                job_id = hold.repeated(received.content)
            except problems.IdempotencyConflict:
                await run_in_threadpool(gateway.store.erase, gateway.store.key(received.job_id))
                raise
            if job_id is None:
                await hold.keep(received.job_id, received.content)
                return await _accepted(request, gateway, await start(gateway, received, owner))
            await run_in_threadpool(gateway.store.erase, gateway.store.key(received.job_id))
    return await _accepted(request, gateway, await _document(gateway, job_id, owner))


async def _with_wait(gateway: Gateway, document: JobDocument) -> JobDocument:
    """The document, with the expected wait while it is queued."""
    if document.state is not JobState.QUEUED:
        return document
    try:
        wait_s = await gateway.queue_limit.expected_wait_s(document.id)
    except RedisError:
        # The job is accepted: the estimate may be missing.
        return document
    return document.model_copy(update={"expected_wait_s": wait_s})


async def _accepted(request: Request, gateway: Gateway, document: JobDocument) -> Response:
    # A repeated submission is answered with its job as it is now.
    (audit.read_result if document.state.is_final else audit.submitted)(request, document.id)
    headers = {"Location": f"/v1/jobs/{document.id}", "Retry-After": str(RETRY_AFTER_S)}
    document = await _with_wait(gateway, document)
    return Response(document.model_dump_json(), status_code=202, headers=headers, media_type="application/json")


def _wait_of(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=N` (RFC 7240), bounded; None for other preferences."""
    for part in (prefer or "").replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        number = value.strip().strip('"')
        if name.strip().lower() == "wait" and number.isascii() and number.isdigit():
            return min(int(number[:9]), LONGEST_WAIT_S)
    return None


@router.get(
    "/{job_id}",
    response_model=JobDocument,
    responses=problems.responses(*JOB_PROBLEMS),
)
async def get_job(
    request: Request,
    job_id: parameters.JobId,
    gateway: GatewayDep,
    owner: Owner,
    prefer: parameters.Prefer = None,
) -> Response:
    """Get the job document, in any state."""
    wait_s = _wait_of(prefer)
    headers = {}
    document = await _document(gateway, job_id, owner)
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s}"
        end = time.monotonic() + wait_s
        with gateway.notifier.watching(job_id) as changed:
            while not document.state.is_final and (left := end - time.monotonic()) > 0:
                changed.clear()
                document = await _document(gateway, job_id, owner)
                if document.state.is_final:
                    break
                await wait_for(changed, min(left, 5.0))
                document = await _document(gateway, job_id, owner)
    if not document.state.is_final:
        audit.read_nothing(request)
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return JSONResponse((await _with_wait(gateway, document)).as_json(), headers=headers)


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={
        200: {
            "description": "Events as they happen: `state`, `branch`, `stage`, `check`, `vital`; the last is `done`.",
            "content": {"text/event-stream": event_stream()},
        },
        204: {"description": "The job has ended and there are no events after `Last-Event-ID`; do not reconnect."},
        **problems.responses(*JOB_PROBLEMS, problems.BadParameter),
    },
)
async def stream_job_events(
    request: Request,
    job_id: parameters.JobId,
    gateway: GatewayDep,
    owner: Owner,
    last_event_id: parameters.LastEventId = None,
) -> Response:
    """Follow the job as server-sent events."""
    parameters.refuse_repeated(request, "Last-Event-ID")
    document = await _document(gateway, job_id, owner)
    after = resume_point(last_event_id)
    if document.state.is_final and not await run_in_threadpool(gateway.jobs.events.of(job_id).after, after):
        return Response(status_code=204)
    return EventSourceResponse(
        follow(gateway, job_id, after), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@router.get(
    "/{job_id}/waveforms",
    response_model=Waveforms,
    responses=problems.responses(*JOB_PROBLEMS),
)
async def get_job_waveforms(request: Request, job_id: parameters.JobId, gateway: GatewayDep, owner: Owner) -> Response:
    """Get the waves of pulse and respiration and their spectra, for the vitals that have a value.

    They are empty until the job has finished, because a vital can be withdrawn until then.
    """
    document = await _document(gateway, job_id, owner)
    body = await run_in_threadpool(gateway.records.waveforms, job_id) if document.state.is_final else None
    if not document.state.is_final:
        audit.read_nothing(request)
    return Response(body or Waveforms().model_dump_json(), media_type="application/json")


@router.get(
    "/{job_id}/fhir",
    response_class=Response,
    responses={
        200: {
            "description": "A Bundle of Observations.",
            "content": {fhir.MEDIA_TYPE: {"schema": {"type": "object", "required": ["resourceType", "entry"]}}},
        },
        **problems.responses(*JOB_PROBLEMS, problems.BadParameter, problems.NotFinished),
    },
)
async def get_job_fhir(
    request: Request,
    job_id: parameters.JobId,
    gateway: GatewayDep,
    owner: Owner,
    subject: parameters.SubjectQuery = None,
    include: parameters.IncludeQuery = None,
    recorded_at: parameters.RecordedAtQuery = None,
    bundle: parameters.BundleQuery = None,
) -> Response:
    """Get a finished job as a FHIR R4 Bundle. A vital without a value has a `dataAbsentReason`.

    Vitals that were not requested are left out.
    """
    parameters.refuse_repeated(request, "subject", "include", "recorded_at", "bundle")
    document = await _document(gateway, job_id, owner)
    if not document.state.is_final:
        audit.read_nothing(request)
        raise problems.NotFinished(
            "Request it again when the job has finished.", headers={"Retry-After": str(RETRY_AFTER_S)}
        )
    options = fhir.BundleOptions(
        include=frozenset(include.split(",")) if include else frozenset(),
        subject=subject,
        kind="transaction" if bundle == "transaction" else "collection",
        recorded_at=dt.datetime.fromisoformat(recorded_at) if recorded_at else None,
    )
    return JSONResponse(fhir.bundle(document, options), media_type=fhir.MEDIA_TYPE)


@router.delete(
    "/{job_id}",
    status_code=204,
    responses=problems.responses(*JOB_PROBLEMS),
)
async def delete_job(job_id: parameters.JobId, gateway: GatewayDep, owner: Eraser) -> Response:
    """Cancel the job, and erase its clip, result, events and waveforms."""
    await _document(gateway, job_id, owner)
    await run_in_threadpool(_erase, gateway, job_id)
    return Response(status_code=204)


def _erase(gateway: Gateway, job_id: str) -> None:
    gateway.records.delete(job_id)
    key = gateway.store.key(job_id)
    gateway.store.erase(key)
    gateway.records.erased(key)
