"""A client of the HTTP interface: upload, follow the events, fetch the document."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from shared.schemas import JobDocument

#: Attempts to resume a broken event stream before polling takes over.
RESUMES: Final = 5


class SubmitFailedError(Exception):
    """The gateway refused the clip, or can't be reached; the message says why."""


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
            yield ServerEvent(fields.get("id"), fields.get("event", "message"), json.loads(fields["data"]))
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
            raise SubmitFailedError(f"The gateway at {self._http.base_url} can't be reached: {error}") from error
        if answer.status_code != 202:
            raise SubmitFailedError(_problem(answer))
        return str(answer.json()["id"])

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
                        last, tries = event.id or last, 0
                        told(event)
                        if event.name == "done":
                            return self.document(job_id)
            except httpx.HTTPError:
                time.sleep(0.3 * 2**tries)
            tries += 1
        return self.wait(job_id)

    def wait(self, job_id: str) -> JobDocument:
        """Long-poll until the job is done."""
        while True:
            document = self.document(job_id, wait_s=25)
            if document.state.is_final:
                return document

    def document(self, job_id: str, wait_s: int = 0) -> JobDocument:
        """The job document.

        Raises:
            SubmitFailedError: the job is unknown, or the gateway can't be reached.
        """
        try:
            answer = self._http.get(f"/v1/jobs/{job_id}", headers={"Prefer": f"wait={wait_s}"} if wait_s else {})
        except httpx.HTTPError as error:
            raise SubmitFailedError(f"The gateway at {self._http.base_url} can't be reached: {error}") from error
        if answer.status_code != 200:
            raise SubmitFailedError(_problem(answer))
        return JobDocument.model_validate_json(answer.content)


def _problem(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return f"{answer.status_code} {body['title']}. {body['detail']}"
    except (ValueError, KeyError):
        return f"{answer.status_code} {answer.reason_phrase}"
