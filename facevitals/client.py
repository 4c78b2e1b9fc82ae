"""A client of the HTTP interface: upload, follow the events, fetch the document."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import ValidationError

from shared.ids import is_id
from shared.schemas import JobDocument

#: Attempts to resume a broken event stream before polling takes over, and polls in a row that may fail.
RESUMES: Final = 5
#: The first pause before another attempt, seconds; each is twice the one before.
PAUSE_S: Final = 0.3


class SubmitFailedError(Exception):
    """The gateway refused the clip, or can't be reached; the message says why."""


class UnreachableError(SubmitFailedError):
    """The gateway can't be reached, or something else answers for it: a proxy's page, half a document."""


@dataclass(frozen=True)
class ServerEvent:
    """One server-sent event."""

    id: str | None
    name: str
    data: dict[str, Any]


def _events(response: httpx.Response) -> Iterator[ServerEvent]:
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            data = _json(fields["data"])
            if isinstance(data, dict):
                yield ServerEvent(fields.get("id"), fields.get("event", "message"), data)
            fields = {}
        else:
            fields = {}


class Client:
    """Speaks to one gateway."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # A proxy that the environment names can't reach a gateway on this machine.
        here = httpx.URL(url).host in {"localhost", "127.0.0.1", "::1"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=httpx.Timeout(40, connect=5), trust_env=not here
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, clip: Path, vitals: str | None = None) -> str:
        """Upload a clip as the raw body; returns the job's id.

        Raises:
            SubmitFailedError: the gateway refused it or can't be reached.
        """
        try:
            with clip.open("rb") as body:
                answer = self._http.post(
                    "/v1/jobs",
                    content=body,
                    params={"vitals": vitals} if vitals else {},
                    headers={"Content-Type": "application/octet-stream"},
                )
        except OSError as error:
            raise SubmitFailedError(f"{clip}: {error.strerror or error}") from error
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code != 202:
            raise SubmitFailedError(_problem(answer))
        match _json(answer.text):
            case {"id": str(job_id)} if is_id(job_id):
                return job_id
        raise self._no_gateway()

    def follow(self, job_id: str, told: Callable[[ServerEvent], None]) -> JobDocument:
        """Call `told` for each event until the job is done; resumes when the connection breaks.

        Raises:
            SubmitFailedError: the job is unknown, or the gateway stays away.
        """
        last, tries = "0", 0
        while tries < RESUMES:
            try:
                with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last}) as answer:
                    if answer.status_code == 204:
                        break
                    if answer.status_code != 200:
                        answer.read()
                        raise SubmitFailedError(_problem(answer))
                    for event in _events(answer):
                        # A stream that begins again and again with what was told already goes nowhere.
                        if event.id and event.id != last:
                            last, tries = event.id, 0
                        told(event)
                        if event.name == "done":
                            return self.wait(job_id)
            except httpx.HTTPError:
                time.sleep(PAUSE_S * 2**tries)
            tries += 1
        return self.wait(job_id)

    def wait(self, job_id: str) -> JobDocument:
        """Long-poll until the job is done; a few answers in a row may be lost.

        Raises:
            SubmitFailedError: the job is unknown, or the gateway stays away.
        """
        lost = 0
        while True:
            try:
                document = self.document(job_id, wait_s=25)
            except UnreachableError:
                lost += 1
                if lost == RESUMES:
                    raise
                time.sleep(PAUSE_S * 2**lost)
                continue
            if document.state.is_final:
                return document
            lost = 0

    def document(self, job_id: str, wait_s: int = 0) -> JobDocument:
        """The job document.

        Raises:
            SubmitFailedError: the job is unknown, or the gateway can't be reached.
        """
        try:
            answer = self._http.get(f"/v1/jobs/{job_id}", headers={"Prefer": f"wait={wait_s}"} if wait_s else {})
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code != 200:
            raise SubmitFailedError(_problem(answer))
        try:
            return JobDocument.read(answer.text)
        except ValidationError as error:
            raise self._no_gateway() from error

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        return UnreachableError(f"The gateway at {self._http.base_url} can't be reached: {error}")

    def _no_gateway(self) -> UnreachableError:
        return UnreachableError(
            f"{self._http.base_url} answers, but not as a gateway of this release. Check the address, and whether a "
            "proxy or a sign-in page stands in between."
        )


def _json(text: str) -> object:
    """What a text holds as JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _problem(answer: httpx.Response) -> str:
    match _json(answer.text):
        case {"title": str(title), "detail": str(detail)}:
            return f"{answer.status_code} {title}. {detail}"
    return f"{answer.status_code} {answer.reason_phrase}"
