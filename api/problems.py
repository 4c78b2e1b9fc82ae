"""Every error that the gateway answers: `application/problem+json` (RFC 9457) with a stable `type`."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared.jobs.broker_errors import Trouble, trouble_of

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:facevitals:problem:"
#: What proxies log for a client that did not wait; it is never sent.
CLIENT_LEFT: Final = 499


class ProblemDetails(BaseModel):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str


class ApiProblem(Exception):  # noqa: N818  (RFC 9457 calls it a problem)
    """A request that can't be served; subclasses name the kind, `detail` says what to do."""

    status: int = 500
    kind: str = "internal"
    title: str = "Something went wrong here"

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The problem document."""
        return problem_body(self.status, self.kind, self.title, self.detail)

    def response(self) -> JSONResponse:
        """The problem as a response."""
        return JSONResponse(self.body, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)


class UnknownJob(ApiProblem):
    """No such job: it never was, it expired, it was deleted, or it is another key's."""

    status, kind, title = 404, "unknown-job", "No such job"


class NotFinished(ApiProblem):
    """The job has no final document yet."""

    status, kind, title = 409, "not-finished", "The job is not done"


class KeyMissing(ApiProblem):
    """An API key is needed and none was sent."""

    status, kind, title = 401, "key-missing", "An API key is needed"


class KeyRefused(ApiProblem):
    """The API key is not one of ours."""

    status, kind, title = 403, "key-refused", "This API key is not accepted"


class ScopeMissing(ApiProblem):
    """The API key is ours but may not do this."""

    status, kind, title = 403, "scope-missing", "This API key may not do that"


class ForeignOrigin(ApiProblem):
    """The gateway asks for no key, and a page from elsewhere made the browser call it."""

    status, kind, title = 403, "foreign-origin", "Pages from elsewhere may not call this gateway"


class WrongHost(ApiProblem):
    """The gateway is open to its own machine, and `Host` is not a name of it."""

    status, kind, title = 421, "wrong-host", "This gateway does not have that name"


class IdempotencyInProgress(ApiProblem):
    """A request with the same Idempotency-Key is being served."""

    status, kind, title = 409, "idempotency-in-progress", "The same Idempotency-Key is being served"


class BodyTooSlow(ApiProblem):
    """The client sent nothing for too long, or sends too slowly."""

    status, kind, title = 408, "request-too-slow", "The request came too slowly"


class UploadTooLarge(ApiProblem):
    """The clip is larger than the gateway takes."""

    status, kind, title = 413, "upload-too-large", "The clip is too large"


class UnsupportedMedia(ApiProblem):
    """The first bytes are neither an MP4's nor a WebM's."""

    status, kind, title = 415, "unsupported-media", "Not an MP4 or WebM"


class BadParameter(ApiProblem):
    """A parameter, header or form field can't be used."""

    status, kind, title = 422, "bad-parameter", "A parameter can't be used"


class IdempotencyConflict(ApiProblem):
    """The Idempotency-Key was used with other content."""

    status, kind, title = 422, "idempotency-conflict", "The Idempotency-Key was used with other content"


class QueueFull(ApiProblem):
    """A job would wait for too long, or as many jobs as the settings allow are unfinished."""

    status, kind, title = 429, "queue-full", "Too many jobs are waiting"


class RateExceeded(ApiProblem):
    """The API key submits faster than it may."""

    status, kind, title = 429, "rate-exceeded", "This API key submits too fast"


class TooManyActive(ApiProblem):
    """As many jobs of the API key as it may have are waiting or running."""

    status, kind, title = 429, "too-many-active", "Too many jobs of this API key are under way"


class TooManyUploads(ApiProblem):
    """As many uploads as the settings allow are being received."""

    status, kind, title = 503, "too-many-uploads", "Too many uploads at once"


class BrokerAway(ApiProblem):
    """The broker can't be reached."""

    status, kind, title = 503, "broker-away", "The queue can't be reached"


class BrokerFull(ApiProblem):
    """The broker's memory is used up: it holds what was accepted and takes nothing new."""

    status, kind, title = 503, "broker-full", "The queue has no memory left"


class BrokerRefused(ApiProblem):
    """The broker answers and refuses what the gateway wants of it; its operator has to look."""

    status, kind, title = 503, "broker-refused", "The queue refuses"


class StoreAway(ApiProblem):
    """The clip store can't be reached or is full."""

    status, kind, title = 503, "store-away", "The clip store can't be used"


#: What every call that looks at its caller may answer.
KEY_PROBLEMS: Final = (KeyMissing, KeyRefused, ScopeMissing, ForeignOrigin, WrongHost)

#: Calls that have a form of their own for errors, by path.
OTHER_FORMS: Final[dict[str, Callable[[ApiProblem], Response]]] = {}


def answer_to(path: str, problem: ApiProblem) -> Response:
    """The problem as a response, in the form that callers of this path read."""
    form = OTHER_FORMS.get(path)
    return form(problem) if form is not None else problem.response()


def broker_full() -> BrokerFull:
    """The refusal of a broker whose memory is used up, or nearly: it is freed as results expire."""
    return BrokerFull("Nothing new is taken until memory is free.", headers={"Retry-After": "30"})


def of_broker(error: BaseException) -> ApiProblem:
    """The problem that an error of the broker's client stands for."""
    match trouble_of(error):
        case Trouble.FULL:
            return broker_full()
        case Trouble.REFUSED:
            return BrokerRefused("The gateway's log says why. Tell the operator.", headers={"Retry-After": "60"})
        case Trouble.AWAY:
            return BrokerAway("Try again in a few seconds.", headers={"Retry-After": "5"})


def problem_body(status: int, kind: str, title: str, detail: str) -> dict[str, Any]:
    """A problem document."""
    return {"type": TYPE_PREFIX + kind, "title": title, "status": status, "detail": detail}


def responses(*problems: type[ApiProblem]) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI should say about these problems."""
    described: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        text = " ".join((problem.__doc__ or problem.title).split())
        if problem.status in described:
            text = f"{described[problem.status]['description']} Or: {text}"
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
        described[problem.status] = {"description": text, "content": content}
    return described


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(ApiProblem)
    async def api_problem(request: Request, error: ApiProblem) -> Response:
        return answer_to(request.url.path, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        return BadParameter(f"{where}: {first['msg']}").response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        kind = phrase.lower().replace(" ", "-")
        body = problem_body(error.status_code, kind, phrase, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(app, request, headers))
        return JSONResponse(body, status_code=error.status_code, headers=headers, media_type=MEDIA_TYPE)

    @app.exception_handler(ClientDisconnect)
    async def client_left(request: Request, _: ClientDisconnect) -> Response:
        # Ordinary, and nobody is left to answer. The route, not the address: that holds the job's id.
        route = getattr(request.scope.get("route"), "path", "unknown")
        log.info("client hung up before its request was whole", method=request.method, route=route)
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _: Exception) -> Response:
        problem = ApiProblem("The error was logged. Try again; if it stays, tell the operator.")
        return answer_to(request.url.path, problem)


def _allowed(app: FastAPI, request: Request, headers: Mapping[str, str]) -> list[str]:
    """Every method of the resource: the router knows only those of the first route that has its path."""
    path = request.url.path
    allowed = {method.strip() for method in headers.get("Allow", "").split(",") if method.strip()}
    for template, operations in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", template), path):
            allowed |= {method.upper() for method in operations}
    if "GET" in allowed:
        allowed.add("HEAD")
    return sorted(allowed)
