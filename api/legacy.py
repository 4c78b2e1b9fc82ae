"""`POST /save_video`, the call of the older front end: uploads a clip, waits for its vitals, always answers JSON."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api import audit, key_quota
from api.authentication import caller_of
from api.bodies import ANSWER_BY, ARRIVED
from api.dependencies import Gateway, gateway_of
from api.job_notifier import wait_for
from api.jobs import UPLOAD_BODY, receive_clip, start
from api.problems import OTHER_FORMATS, ApiProblem, StoreAway, broker_problem
from shared.access.api_keys import Scope
from shared.clips.store import StoreUnavailableError
from shared.jobs.broker_errors import failure_log
from shared.schemas import JobDocument, VariabilityMeasures

router = APIRouter(tags=["older front end"])

GatewayDep = Annotated[Gateway, Depends(gateway_of)]

log = structlog.get_logger()

#: How long after its limit a call may still receive the body, so that the client gets the response, seconds.
DRAIN_S: Final = 3.0


class SaveVideoAnswer(BaseModel):
    """The response: `result` has each vital's value, `reasons` why one is missing or limited, `job` the document."""

    success: bool
    message: str
    result: dict[str, float | str | dict[str, float | None] | None]
    reasons: dict[str, str]
    job: JobDocument | None


def _answer(
    status: int, message: str, document: JobDocument | None = None, *, headers: dict[str, str] | None = None
) -> Response:
    vitals = document.vitals.by_name() if document else {}
    body = SaveVideoAnswer(
        success=status == 200,
        message=message,
        result={
            name: {part: measure.value for part, measure in vital.value.by_name().items()}
            if isinstance(vital.value, VariabilityMeasures)
            else vital.value
            for name, vital in vitals.items()
        },
        reasons={name: vital.reason.value for name, vital in vitals.items() if vital.reason},
        job=document,
    )
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(body.model_dump(mode="json"), status_code=status, headers=headers)


_FAILURES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": SaveVideoAnswer, "description": text}
    for status, text in {
        401: "An API key is needed and none was sent.",
        403: "The API key is unknown or lacks a scope, or the call comes from a page of another origin.",
        408: "The clip was sent too slowly.",
        413: "The clip is too large.",
        415: "Not an MP4 or WebM.",
        421: "The gateway needs no key, and the request is addressed to another host.",
        422: "The form is invalid, or the clip can't be analysed.",
        429: "Too many jobs are waiting, or too many of this key.",
        503: "The broker or the store can't be reached, a queue is paused, or there are too many uploads at once.",
        504: "No result in time; `message` has the URL of the job.",
    }.items()
}


def _problem(problem: ApiProblem, document: JobDocument | None = None) -> Response:
    return _answer(problem.status, f"{problem.title}. {problem.detail}", document, headers=problem.headers)


#: Also for requests that are refused before they reach this call.
OTHER_FORMATS["/save_video"] = _problem


@dataclass
class _Call:
    """Progress of a call, for a response before the job's end."""

    #: Known before the job is created: if the broker's answer was lost, the job may exist.
    job_id: str | None = None
    document: JobDocument | None = None

    def failed(self, status: int, what: str, headers: dict[str, str] | None = None) -> Response:
        """Return a response without the job's result, with the URL of the job if there is one."""
        if self.job_id is None:
            return _answer(status, f"{what} The clip was not stored: submit it again.", headers=headers)
        known = "continues" if self.document else "may have been accepted"
        message = f"{what} The job {known}: request GET /v1/jobs/{self.job_id} before you submit the clip again."
        location = {"Location": f"/v1/jobs/{self.job_id}"}
        return _answer(status, message, self.document, headers={**location, **(headers or {})})


#: Tasks that outlive the response to their call; the event loop keeps no reference to them.
_background_tasks: set[asyncio.Task[Any]] = set()


def _keep_in_background(task: asyncio.Task[Any]) -> None:
    _background_tasks.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[Any]) -> None:
    _background_tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("save_video failed after its response", error=type(error).__name__)


#: The call reads the key itself, because all of its responses have its own format. This declares it in OpenAPI.
_EXTRA: Final = {**UPLOAD_BODY, "security": [{"HTTPBearer": []}]}


@router.post("/save_video", response_model=SaveVideoAnswer, openapi_extra=_EXTRA, responses=_FAILURES)
async def save_video(request: Request, gateway: GatewayDep) -> Response:
    """Submit a clip and wait for its vitals in one call. New clients: use `POST /v1/jobs`.

    The response comes within 290 s (`FACEVITALS_SAVE_VIDEO_LIMIT_S`), with or without a result.
    """
    call, limit_s = _Call(), gateway.settings.save_video_limit_s
    state, now = request.scope.setdefault("state", {}), asyncio.get_running_loop().time()
    # The time includes waiting for a place, and receiving the rest of the clip.
    end = state.get(ARRIVED, now) + limit_s
    state[ANSWER_BY] = end + DRAIN_S
    work = asyncio.create_task(_serve(request, gateway, call), name="save_video")
    try:
        # Not `asyncio.timeout`: it would wait for the task's clean-up, which takes long if the broker is away.
        await asyncio.wait({work}, timeout=max(end - now, 0))
        if work.done():
            return work.result()
        return call.failed(504, f"There was no result within {limit_s:g} s.", {"Retry-After": "10"})
    finally:
        if not work.done():
            work.cancel()
            _keep_in_background(work)


async def _serve(request: Request, gateway: Gateway, call: _Call) -> Response:
    try:
        caller = await caller_of(request, Scope.SUBMIT)
        async with key_quota.slot(gateway, caller):
            received = await receive_clip(request, gateway, caller)
            call.job_id = received.job_id
            # Not cancelled once it has begun: the broker may have done half of it.
            starting = asyncio.create_task(start(gateway, received, caller.owner), name="save_video starts")
            _keep_in_background(starting)
            try:
                call.document = await asyncio.shield(starting)
                audit.submitted(request, call.job_id)
            except ApiProblem:
                call.job_id = None
                raise
        response = await _wait(gateway, call, caller.owner)
        if call.document.state.is_final:
            audit.read_result(request, call.job_id)
        return response
    except ApiProblem as problem:
        return _problem(problem, call.document)
    except RedisError as error:
        failure_log.warn("save_video without the broker", error, job=call.job_id)
        broker = broker_problem(error)
        return call.failed(503, f"{broker.title}.", broker.headers)
    except StoreUnavailableError as error:
        log.warning("save_video without a store", job=call.job_id, error=type(error).__name__)
        return call.failed(503, f"{StoreAway.title}.", {"Retry-After": "30"})
    except ClientDisconnect:
        raise
    except Exception:
        log.exception("save_video failed", job=call.job_id)
        return call.failed(503, "The service has a problem. Try again later.")


async def _wait(gateway: Gateway, call: _Call, owner: str) -> Response:
    """Wait for the job's end; the caller limits the time."""
    assert call.job_id is not None  # noqa: S101  (the job was made)
    with gateway.notifier.watching(call.job_id) as changed:
        while True:
            changed.clear()
            document = await run_in_threadpool(gateway.records.document, call.job_id, owner=owner)
            if document is None:
                return _answer(504, "The job was deleted before it ended.")
            call.document = document
            if document.state.is_final:
                if document.error:
                    return _answer(422 if document.error.code.rejects_clip else 504, document.error.detail, document)
                return _answer(200, "Done.", document)
            await wait_for(changed, 5.0)
