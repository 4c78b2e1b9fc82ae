"""`POST /save_video`: the older front end's call. Same upload; blocks, bounded; always answers a JSON body."""

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api import limits
from api.gateway import Gateway, gateway_of
from api.hub import wait_for
from api.jobs import UPLOAD_BODY, receive_clip, start
from api.keys import caller_of
from api.problems import ApiProblem
from shared.keys import Scope
from shared.schemas import JobDocument

router = APIRouter(tags=["older front end"])

GatewayDep = Annotated[Gateway, Depends(gateway_of)]

#: What the call blocks beyond the job's deadline before it gives up, seconds.
GRACE_S: Final = 5.0


class SaveVideoAnswer(BaseModel):
    """One flat answer: `result` holds each vital's value, `reasons` why one is missing, `job` the whole document."""

    success: bool
    message: str
    result: dict[str, float | str | dict[str, float | None] | None]
    reasons: dict[str, str]
    job: JobDocument | None


def _answer(status: int, message: str, document: JobDocument | None = None) -> Response:
    vitals = document.vitals if document else {}
    body = SaveVideoAnswer(
        success=status == 200,
        message=message,
        result={
            name: {part: measure.value for part, measure in vital.value.items()}
            if isinstance(vital.value, dict)
            else vital.value
            for name, vital in vitals.items()
        },
        reasons={name: vital.reason.value for name, vital in vitals.items() if vital.reason},
        job=document,
    )
    return JSONResponse(body.model_dump(mode="json"), status_code=status)


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
        504: "No answer in time.",
    }.items()
}


@router.post("/save_video", response_model=SaveVideoAnswer, openapi_extra=UPLOAD_BODY, responses=_FAILURES)
async def save_video(request: Request, gateway: GatewayDep) -> Response:
    """Submit a clip and wait for its vitals in one call. New clients: use `POST /v1/jobs`."""
    try:
        caller = await caller_of(request, Scope.SUBMIT)
        async with limits.place(gateway, caller):
            received = await receive_clip(request, gateway, caller)
            await start(gateway, received, caller.owner)
        return await _wait(gateway, received.job_id, caller.owner)
    except ApiProblem as problem:
        answer = _answer(problem.status, f"{problem.title}. {problem.detail}")
        answer.headers.update(problem.headers)
        return answer
    except ClientDisconnect:
        raise
    except Exception:
        return _answer(503, "The service has a problem. Try again in a while.")


async def _wait(gateway: Gateway, job_id: str, who: str) -> Response:
    end = time.monotonic() + gateway.settings.job_deadline_s + GRACE_S
    with gateway.hub.watching(job_id) as changed:
        while True:
            changed.clear()
            document = await run_in_threadpool(gateway.records.document, job_id, owner=who)
            if document is None:
                return _answer(504, "The job was deleted before it ended.")
            if document.state.is_final:
                if document.error:
                    return _answer(422 if document.error.code.rejects_clip else 504, document.error.detail, document)
                return _answer(200, "Done.", document)
            if (left := end - time.monotonic()) <= 0:
                return _answer(504, "The job did not end in time. Submit the clip again.", document)
            await wait_for(changed, min(left, 5.0))
