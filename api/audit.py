"""What of the requests enters the audit log (`shared.observability.audit`), by route.

Every route has an entry in `ACTIONS`; a test fails for one without. A line is written when the response starts: it
holds who began to read, also of a stream that lasts. A document or a FHIR bundle of a job that has not ended holds
nothing of a person, so that clients that poll do not fill the log.
"""

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.access.api_keys import public_id
from shared.ids import KEY_PATTERN, is_id
from shared.observability.audit import Action, Outcome, record

#: The action by method and path; None for routes that serve nothing of a person: files, health, numbers about all jobs.
ACTIONS: Final[dict[str, Action | None]] = {
    "POST /v1/jobs": Action.SUBMIT_JOB,
    "POST /save_video": Action.SUBMIT_JOB,
    "GET /v1/jobs/{job_id}": Action.READ_DOCUMENT,
    "GET /v1/jobs/{job_id}/events": Action.READ_EVENTS,
    "GET /v1/jobs/{job_id}/waveforms": Action.READ_WAVEFORMS,
    "GET /v1/jobs/{job_id}/fhir": Action.READ_FHIR,
    "DELETE /v1/jobs/{job_id}": Action.DELETE_JOB,
    "GET /v1/models": None,
    "GET /livez": None,
    "GET /readyz": None,
    "GET /metrics": None,
    "GET /": None,
    "GET /docs": None,
    "GET /docs/start.js": None,
    "GET /openapi.json": None,
}

_ENTRY: Final = "audit"


@dataclass
class _Entry:
    """What the endpoint knows of the line of its request."""

    key: str | None = None
    job: str | None = None
    action: Action | None = None
    is_silent: bool = False


def _entry(request: Request) -> _Entry:
    entry: _Entry = request.scope.setdefault("state", {}).setdefault(_ENTRY, _Entry())
    return entry


def sent_key(request: Request, sent: str | None) -> None:
    """Note the id of the key that was sent: it is in the line also if the key is refused."""
    match = KEY_PATTERN.fullmatch(sent) if sent else None
    _entry(request).key = match[1] if match else None


def authenticated(request: Request, owner: str) -> None:
    """Note the owner of a request."""
    _entry(request).key = public_id(owner)


def submitted(request: Request, job_id: str) -> None:
    """Note the job of a submission."""
    _entry(request).job = job_id


def read_result(request: Request, job_id: str) -> None:
    """Note that the response to a submission holds the job's result."""
    _entry(request).job = job_id
    _entry(request).action = Action.READ_DOCUMENT


def read_nothing(request: Request) -> None:
    """Note that the response holds nothing of a person, so that there is no line."""
    _entry(request).is_silent = True


class AuditLines:
    """Writes the line of each request whose route has an action."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the line when the response starts, or when there is none."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_record(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _write(scope, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_and_record)
        except BaseException:
            if not started:
                _write(scope, 500)
            raise


def _write(scope: Scope, status: int) -> None:
    action = ACTIONS.get(f"{scope['method']} {getattr(scope.get('route'), 'path', '')}")
    entry: _Entry = scope.get("state", {}).get(_ENTRY) or _Entry()
    if action is None or entry.is_silent:
        return
    job = entry.job or scope.get("path_params", {}).get("job_id")
    # What is not an id may be any text.
    job = job if job and is_id(job) else None
    record(entry.action or action, _outcome(status), key=entry.key, job=job, status=status)


def _outcome(status: int) -> Outcome:
    if status < 400:
        return Outcome.OK
    if status in {401, 403, 421}:
        return Outcome.REFUSED
    if status == 404:
        return Outcome.UNKNOWN
    return Outcome.REJECTED if status < 500 else Outcome.FAILED
