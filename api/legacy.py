"""`POST /save_video`: the older front end's call. Same upload; blocks, within bounds; always answers a JSON body."""

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

from api import limits
from api.bodies import ANSWER_BY, ARRIVED
from api.gateway import Gateway, gateway_of
from api.hub import wait_for
from api.jobs import UPLOAD_BODY, receive_clip, start
from api.keys import caller_of
from api.problems import OTHER_FORMS, ApiProblem, StoreAway, of_broker
from shared.access.api_keys import Scope
from shared.clips.store import StoreUnavailableError
from shared.jobs.broker_errors import troubles
from shared.schemas import JobDocument, VariabilityMeasures

router = APIRouter(tags=["older front end"])

GatewayDep = Annotated[Gateway, Depends(gateway_of)]

log = structlog.get_logger()

#: How long after its limit a call may still take in what the client sends, so that it sees the answer.
DRAIN_S: Final = 3.0


class SaveVideoAnswer(BaseModel):
    """One flat answer: `result` holds each vital's value, `reasons` why one is missing, `job` the whole document."""

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
        401: "An API key is needed.",
        403: "The API key is not accepted, or may not submit; or the call comes from another site.",
        408: "The clip came too slowly.",
        413: "The clip is too large.",
        415: "Not an MP4 or WebM.",
        421: "The gateway has no keys, and the request was not addressed to this machine.",
        422: "The form can't be used, or the clip can't be analysed.",
        429: "Too many jobs are waiting, or too many of this key.",
        503: "Broker or store away, or too many uploads at once.",
        504: "No result in time; `message` says where the job goes on.",
    }.items()
}


def _problem(problem: ApiProblem, document: JobDocument | None = None) -> Response:
    return _answer(problem.status, f"{problem.title}. {problem.detail}", document, headers=problem.headers)


#: Also where a request is refused before it gets here.
OTHER_FORMS["/save_video"] = _problem


@dataclass
class _Call:
    """How far a call came: what an answer can name that comes before the job's end."""

    #: Known before the job is made: an answer that was lost on its way from the broker may have made it.
    job_id: str | None = None
    document: JobDocument | None = None

    def failed(self, status: int, what: str, headers: dict[str, str] | None = None) -> Response:
        """An answer without the job's result, which says where that can be had."""
        if self.job_id is None:
            return _answer(status, f"{what} Nothing was kept of the clip: submit it again.", headers=headers)
        known = "goes on" if self.document else "may have been accepted"
        message = f"{what} The job {known}: look at GET /v1/jobs/{self.job_id} before you submit the clip again."
        location = {"Location": f"/v1/jobs/{self.job_id}"}
        return _answer(status, message, self.document, headers={**location, **(headers or {})})


#: What goes on after its call was answered; the event loop alone would let go of it.
_going_on: set[asyncio.Task[Any]] = set()


def _let_go_on(task: asyncio.Task[Any]) -> None:
    _going_on.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[Any]) -> None:
    _going_on.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("save_video failed after its answer", error=type(error).__name__)


#: The key is looked for inside of the call, whose every answer has this form; OpenAPI has to be told.
_EXTRA: Final = {**UPLOAD_BODY, "security": [{"HTTPBearer": []}]}


@router.post("/save_video", response_model=SaveVideoAnswer, openapi_extra=_EXTRA, responses=_FAILURES)
async def save_video(request: Request, gateway: GatewayDep) -> Response:
    """Submit a clip and wait for its vitals in one call. New clients: use `POST /v1/jobs`.

    Whatever it is doing, receiving, storing or waiting, it answers within 290 s: `FACEVITALS_SAVE_VIDEO_LIMIT_S`.
    """
    call, limit_s = _Call(), gateway.settings.save_video_limit_s
    state, now = request.scope.setdefault("state", {}), asyncio.get_running_loop().time()
    # Waiting for a place to send the clip counts, and so does the rest of a clip that is still being sent.
    end = state.get(ARRIVED, now) + limit_s
    state[ANSWER_BY] = end + DRAIN_S
    work = asyncio.create_task(_serve(request, gateway, call), name="save_video")
    try:
        # Not `asyncio.timeout`: it would wait for the work's own clean-up, which a broker that is away draws out.
        await asyncio.wait({work}, timeout=max(end - now, 0))
        if work.done():
            return work.result()
        return call.failed(504, f"There was no result within {limit_s:g} s.", {"Retry-After": "10"})
    finally:
        if not work.done():
            work.cancel()
            _let_go_on(work)


async def _serve(request: Request, gateway: Gateway, call: _Call) -> Response:
    try:
        caller = await caller_of(request, Scope.SUBMIT)
        async with limits.place(gateway, caller):
            received = await receive_clip(request, gateway, caller)
            call.job_id = received.job_id
            # Once begun it is not broken off: half of it may have happened in the broker already.
            starting = asyncio.create_task(start(gateway, received, caller.owner), name="save_video starts")
            _let_go_on(starting)
            try:
                call.document = await asyncio.shield(starting)
            except ApiProblem:
                call.job_id = None
                raise
        return await _wait(gateway, call, caller.owner)
    except ApiProblem as problem:
        return _problem(problem, call.document)
    except RedisError as error:
        troubles.warn("save_video without the broker", error, job=call.job_id)
        broker = of_broker(error)
        return call.failed(503, f"{broker.title}.", broker.headers)
    except StoreUnavailableError as error:
        log.warning("save_video without a store", job=call.job_id, error=type(error).__name__)
        return call.failed(503, f"{StoreAway.title}.", {"Retry-After": "30"})
    except ClientDisconnect:
        raise
    except Exception:
        log.exception("save_video failed", job=call.job_id)
        return call.failed(503, "The service has a problem. Try again in a while.")


async def _wait(gateway: Gateway, call: _Call, owner: str) -> Response:
    """Wait for the job's end; the caller bounds how long."""
    assert call.job_id is not None  # noqa: S101  (the job was made)
    with gateway.hub.watching(call.job_id) as changed:
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
