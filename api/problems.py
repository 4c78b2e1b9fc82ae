"""The errors of the gateway: `application/problem+json` (RFC 9457) with a stable `type`."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared.jobs.broker_errors import FailureKind, failure_kind

log = structlog.get_logger()

#: Media type of every error.
MEDIA_TYPE: Final = "application/problem+json"
#: The status that proxies log for a client that disconnected; it is never sent.
CLIENT_LEFT: Final = 499


class ProblemType(StrEnum):
    """What went wrong. Clients branch on this; titles and details are for people."""

    INTERNAL = "urn:facevitals:problem:internal"
    BAD_REQUEST = "urn:facevitals:problem:bad-request"
    NOT_FOUND = "urn:facevitals:problem:not-found"
    METHOD_NOT_ALLOWED = "urn:facevitals:problem:method-not-allowed"
    HEADER_TOO_LARGE = "urn:facevitals:problem:header-too-large"
    KEY_MISSING = "urn:facevitals:problem:key-missing"
    KEY_REFUSED = "urn:facevitals:problem:key-refused"
    SCOPE_MISSING = "urn:facevitals:problem:scope-missing"
    FOREIGN_ORIGIN = "urn:facevitals:problem:foreign-origin"
    WRONG_HOST = "urn:facevitals:problem:wrong-host"
    UNKNOWN_JOB = "urn:facevitals:problem:unknown-job"
    NOT_FINISHED = "urn:facevitals:problem:not-finished"
    REQUEST_TOO_SLOW = "urn:facevitals:problem:request-too-slow"
    UPLOAD_TOO_LARGE = "urn:facevitals:problem:upload-too-large"
    UNSUPPORTED_MEDIA = "urn:facevitals:problem:unsupported-media"
    BAD_PARAMETER = "urn:facevitals:problem:bad-parameter"
    IDEMPOTENCY_IN_PROGRESS = "urn:facevitals:problem:idempotency-in-progress"
    IDEMPOTENCY_CONFLICT = "urn:facevitals:problem:idempotency-conflict"
    QUEUE_FULL = "urn:facevitals:problem:queue-full"
    QUEUE_PAUSED = "urn:facevitals:problem:queue-paused"
    RATE_EXCEEDED = "urn:facevitals:problem:rate-exceeded"
    TOO_MANY_ACTIVE = "urn:facevitals:problem:too-many-active"
    TOO_MANY_UPLOADS = "urn:facevitals:problem:too-many-uploads"
    BROKER_AWAY = "urn:facevitals:problem:broker-away"
    BROKER_FULL = "urn:facevitals:problem:broker-full"
    BROKER_REFUSED = "urn:facevitals:problem:broker-refused"
    STORE_AWAY = "urn:facevitals:problem:store-away"
    #: The two that the reverse proxy in deploy/nginx answers itself.
    TOO_MANY_REQUESTS = "urn:facevitals:problem:too-many-requests"
    GATEWAY_AWAY = "urn:facevitals:problem:gateway-away"
    #: RFC 9457: an HTTP status that needs no further explanation.
    ABOUT_BLANK = "about:blank"


class ProblemDetails(BaseModel):
    """The body of every error (RFC 9457)."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    type: ProblemType
    title: str = Field(description="What went wrong, the same text for every problem of this type.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong with this request, and what to do about it.")


class ApiProblem(Exception):  # noqa: N818  (RFC 9457 calls it a problem)
    """A request that is answered with an error. Each subclass is one type of problem; `detail` explains it."""

    status: int = 500
    type: ProblemType = ProblemType.INTERNAL
    title: str = "Internal error"

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The problem document."""
        return problem_body(self.status, self.type, self.title, self.detail)

    def response(self) -> JSONResponse:
        """The problem as a response."""
        return JSONResponse(self.body, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)


class UnknownJob(ApiProblem):
    """There is no such job: the id is wrong, the job expired or was deleted, or it belongs to another key."""

    status, type, title = 404, ProblemType.UNKNOWN_JOB, "No such job"


class NotFinished(ApiProblem):
    """The job has no final document yet."""

    status, type, title = 409, ProblemType.NOT_FINISHED, "The job is not finished"


class KeyMissing(ApiProblem):
    """An API key is needed and none was sent."""

    status, type, title = 401, ProblemType.KEY_MISSING, "An API key is needed"


class KeyRefused(ApiProblem):
    """The API key is unknown or was revoked."""

    status, type, title = 403, ProblemType.KEY_REFUSED, "This API key is not accepted"


class ScopeMissing(ApiProblem):
    """The API key lacks the scope for this call."""

    status, type, title = 403, ProblemType.SCOPE_MISSING, "The API key lacks a scope"


class ForeignOrigin(ApiProblem):
    """The gateway needs no key, and a page of another origin sent the request."""

    status, type, title = 403, ProblemType.FOREIGN_ORIGIN, "Pages of this origin may not call the gateway"


class WrongHost(ApiProblem):
    """The gateway serves its own machine without a key, and `Host` names another one."""

    status, type, title = 421, ProblemType.WRONG_HOST, "The gateway does not serve this host"


class IdempotencyInProgress(ApiProblem):
    """A request with the same Idempotency-Key is in progress."""

    status, type, title = 409, ProblemType.IDEMPOTENCY_IN_PROGRESS, "A request with this Idempotency-Key is in progress"


class BodyTooSlow(ApiProblem):
    """The client paused for too long, or sends too slowly."""

    status, type, title = 408, ProblemType.REQUEST_TOO_SLOW, "The request was sent too slowly"


class UploadTooLarge(ApiProblem):
    """The clip is larger than the gateway accepts."""

    status, type, title = 413, ProblemType.UPLOAD_TOO_LARGE, "The clip is too large"


class UnsupportedMedia(ApiProblem):
    """The body does not begin like an MP4 or WebM file."""

    status, type, title = 415, ProblemType.UNSUPPORTED_MEDIA, "Not an MP4 or WebM"


class BadParameter(ApiProblem):
    """A parameter, header or form field is invalid."""

    status, type, title = 422, ProblemType.BAD_PARAMETER, "Invalid parameter"


class IdempotencyConflict(ApiProblem):
    """The Idempotency-Key was used before with another clip or other options."""

    status, type, title = 422, ProblemType.IDEMPOTENCY_CONFLICT, "The Idempotency-Key was used before"


class QueueFull(ApiProblem):
    """The job would wait too long, or the gateway has as many unfinished jobs as its settings allow."""

    status, type, title = 429, ProblemType.QUEUE_FULL, "Too many jobs are waiting"


class QueuePaused(ApiProblem):
    """The operator has paused a queue that the job needs. Accepted jobs are finished; new ones are refused."""

    status, type, title = 503, ProblemType.QUEUE_PAUSED, "The service is paused"


class RateExceeded(ApiProblem):
    """The API key submits more clips a minute than it may."""

    status, type, title = 429, ProblemType.RATE_EXCEEDED, "Rate limit of the API key exceeded"


class TooManyActive(ApiProblem):
    """The API key has as many unfinished jobs as it may have."""

    status, type, title = 429, ProblemType.TOO_MANY_ACTIVE, "Too many unfinished jobs of this API key"


class TooManyUploads(ApiProblem):
    """The gateway is receiving as many uploads as its settings allow."""

    status, type, title = 503, ProblemType.TOO_MANY_UPLOADS, "Too many uploads at once"


class BrokerAway(ApiProblem):
    """The broker can't be reached."""

    status, type, title = 503, ProblemType.BROKER_AWAY, "The queue can't be reached"


class BrokerFull(ApiProblem):
    """The broker's memory is used up. Accepted jobs are kept; new ones are refused."""

    status, type, title = 503, ProblemType.BROKER_FULL, "The queue is out of memory"


class BrokerRefused(ApiProblem):
    """The broker refuses the gateway's commands. The operator has to repair it."""

    status, type, title = 503, ProblemType.BROKER_REFUSED, "The queue refuses commands"


class StoreAway(ApiProblem):
    """The clip store can't be reached or is full."""

    status, type, title = 503, ProblemType.STORE_AWAY, "The clip store can't be used"


#: The types of errors that the framework raises itself.
_TYPE_OF_STATUS: Final = {
    400: ProblemType.BAD_REQUEST,
    404: ProblemType.NOT_FOUND,
    405: ProblemType.METHOD_NOT_ALLOWED,
}

#: Problems of every call that authenticates its caller.
KEY_PROBLEMS: Final = (KeyMissing, KeyRefused, ScopeMissing, ForeignOrigin, WrongHost)

#: Problems of every call that needs the broker.
BROKER_PROBLEMS: Final = (BrokerAway, BrokerFull, BrokerRefused)

#: Calls that answer errors in another format, by path.
OTHER_FORMATS: Final[dict[str, Callable[[ApiProblem], Response]]] = {}


def answer_to(path: str, problem: ApiProblem) -> Response:
    """Return the problem as a response, in the format of this path."""
    respond = OTHER_FORMATS.get(path)
    return respond(problem) if respond is not None else problem.response()


def broker_full() -> BrokerFull:
    """Return the problem of a broker that is out of memory, or nearly."""
    return BrokerFull(
        "Jobs are accepted again when results expire and free memory. Try again in 30 s.", headers={"Retry-After": "30"}
    )


def broker_problem(error: BaseException) -> ApiProblem:
    """Return the problem for an error of the broker's client."""
    match failure_kind(error):
        case FailureKind.FULL:
            return broker_full()
        case FailureKind.REFUSED:
            return BrokerRefused(
                "The cause is in the gateway's log; contact the operator.", headers={"Retry-After": "60"}
            )
        case FailureKind.AWAY:
            return BrokerAway("Try again in a few seconds.", headers={"Retry-After": "5"})


def problem_body(status: int, problem_type: ProblemType, title: str, detail: str) -> dict[str, Any]:
    """Return a problem document."""
    return {"type": problem_type.value, "title": title, "status": status, "detail": detail}


def responses(*problems: type[ApiProblem]) -> dict[int | str, dict[str, Any]]:
    """Describe these problems for OpenAPI: one response for each status, with an example of each type."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in dict.fromkeys(problem.status for problem in problems):
        same = [problem for problem in problems if problem.status == status]
        described[status] = {
            "description": " Or: ".join(_summary(problem) for problem in same),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                    "examples": {
                        problem.type.rpartition(":")[2]: {
                            "summary": problem.title,
                            "value": problem_body(status, problem.type, problem.title, _summary(problem)),
                        }
                        for problem in same
                    },
                }
            },
        }
    return described


def _summary(problem: type[ApiProblem]) -> str:
    return " ".join((problem.__doc__ or problem.title).split())


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(ApiProblem)
    async def api_problem(request: Request, error: ApiProblem) -> Response:
        return answer_to(request.url.path, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # The types of api.parameters raise problems of their own, in full sentences.
        first = error.errors()[0]
        return BadParameter(f"{first['input']!r} is not allowed for `{first['loc'][-1]}`.").response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        problem_type = _TYPE_OF_STATUS.get(error.status_code, ProblemType.ABOUT_BLANK)
        title, detail = HTTPStatus(error.status_code).phrase, str(error.detail)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(app, request, headers))
            detail = f"This path takes {headers['Allow']}, not {request.method}."
        elif error.status_code == 404 and detail == title:
            detail = "The gateway has nothing at this path; /docs lists its calls."
        body = problem_body(error.status_code, problem_type, title, detail)
        return JSONResponse(body, status_code=error.status_code, headers=headers, media_type=MEDIA_TYPE)

    @app.exception_handler(ClientDisconnect)
    async def client_left(request: Request, _: ClientDisconnect) -> Response:
        # Not an error, and no client is left to answer. The route is logged, not the path, which holds the job's id.
        route = getattr(request.scope.get("route"), "path", "unknown")
        log.info("client disconnected before its request was complete", method=request.method, route=route)
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _: Exception) -> Response:
        problem = ApiProblem("The error was logged. Try again; if it persists, contact the operator.")
        return answer_to(request.url.path, problem)


def _allowed(app: FastAPI, request: Request, headers: Mapping[str, str]) -> list[str]:
    """Return every method of the resource; the router only has those of the first route with its path."""
    path = request.url.path
    allowed = {method.strip() for method in headers.get("Allow", "").split(",") if method.strip()}
    for template, operations in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", template), path):
            allowed |= {method.upper() for method in operations}
    if "GET" in allowed:
        allowed.add("HEAD")
    return sorted(allowed)
