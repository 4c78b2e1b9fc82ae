"""A client of the HTTP interface: submit clips, follow their jobs, fetch documents and waveforms."""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from shared.ids import is_id
from shared.schemas import JobDocument, Waveforms

#: Attempts to resume a broken event stream before polling takes over, and polls in a row that may fail.
RESUMES: Final = 5
#: The first pause before another attempt, seconds; each is twice the one before.
PAUSE_S: Final = 0.3


class ClientError(Exception):
    """A call of the gateway failed; the message gives the reason."""


class UnreachableError(ClientError):
    """The gateway can't be reached, or the response is not the gateway's: a proxy's page, an incomplete document."""


class ProblemError(ClientError):
    """The gateway refused a request.

    status         the HTTP status
    type           URI of the kind of problem (RFC 9457); None where the answer is no problem document
    title, detail  for people: the kind of problem, and this one
    retry_after_s  seconds to wait before another try, where the gateway names them
    """

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.type: str | None = None
        self.title, self.detail = answer.reason_phrase, ""
        match _json(answer.text):
            case {"title": str(title), "detail": str(detail), **others}:
                self.title, self.detail = title, detail
                kind = others.get("type")
                self.type = kind if isinstance(kind, str) else None
        delay = answer.headers.get("Retry-After", "")
        self.retry_after_s = int(delay) if delay.isdecimal() else None
        super().__init__(f"{self.status} {self.title}" + (f". {self.detail}" if self.detail else ""))


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
    """A client of one gateway. Use it as a context manager, or call `close`.

        with facevitals.Client("https://vitals.example", api_key="…") as client:
            job_id = client.submit("clip.mp4")
            document = client.wait(job_id)

    Args:
        url: the gateway's address.
        api_key: a key of `facevitals keys`, where the gateway needs one.

    Every method raises `ClientError`: `ProblemError` where the gateway refuses the request, `UnreachableError` where it
    can't be reached.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # A proxy that the environment names can't reach a gateway on this machine.
        here = httpx.URL(url).host in {"localhost", "127.0.0.1", "::1"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=httpx.Timeout(40, connect=5), trust_env=not here
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        clip: str | os.PathLike[str],
        *,
        vitals: Iterable[str] | None = None,
        retain_clip: bool = False,
        webhook_url: str | None = None,
        priority: Literal["interactive", "batch"] = "interactive",
        idempotency_key: str | None = None,
    ) -> str:
        """Upload a clip; returns the job's id.

        Args:
            clip: path of an MP4 or WebM file.
            vitals: names of the vitals to measure, by default all.
            retain_clip: keep the clip after the analysis, until its lifetime ends.
            webhook_url: where the gateway posts the finished job.
            priority: `batch` is analysed when no interactive job waits, which may take hours.
            idempotency_key: a repeated call with the same key gives the same job.

        Raises:
            ClientError: the gateway refused the clip or can't be reached.
            OSError: the file can't be read.
        """
        options = {
            "vitals": None if vitals is None else ",".join([vitals] if isinstance(vitals, str) else vitals),
            "retain_clip": "true" if retain_clip else None,
            "webhook_url": webhook_url,
            # Not sent unless it matters: older gateways do not know it.
            "priority": None if priority == "interactive" else priority,
        }
        headers = {"Content-Type": "application/octet-stream"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        with Path(clip).open("rb") as body:
            params = {name: value for name, value in options.items() if value is not None}
            answer = self._request("POST", "/v1/jobs", content=body, params=params, headers=headers)
        if answer.status_code != 202:
            raise ProblemError(answer)
        match _json(answer.text):
            case {"id": str(job_id)} if is_id(job_id):
                return job_id
        raise self._no_gateway()

    def get(self, job_id: str, *, wait_s: int = 0) -> JobDocument:
        """The job document, in any state.

        Args:
            job_id: the job's id.
            wait_s: seconds that the gateway may hold the answer back until the job is done, at most 30.

        Raises:
            ClientError: the job is unknown, or the gateway can't be reached.
        """
        answer = self._request("GET", _path_of(job_id), headers={"Prefer": f"wait={wait_s}"} if wait_s else {})
        if answer.status_code != 200:
            raise ProblemError(answer)
        try:
            return JobDocument.read(answer.text)
        except ValidationError as error:
            raise self._no_gateway() from error

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> JobDocument:
        """Wait until the job is done; returns its document. A few requests in a row may fail.

        Raises:
            ClientError: the job is unknown, or the gateway can't be reached.
            TimeoutError: the job was not done within `timeout_s` seconds.
        """
        end = math.inf if timeout_s is None else time.monotonic() + timeout_s
        lost = 0
        while True:
            left_s = end - time.monotonic()
            try:
                document = self.get(job_id, wait_s=int(min(25.0, max(1.0, left_s))))
            except UnreachableError:
                lost += 1
                if lost == RESUMES:
                    raise
                time.sleep(PAUSE_S * 2**lost)
                continue
            if document.state.is_final:
                return document
            if time.monotonic() >= end:
                raise TimeoutError(f"job {job_id} is not done after {timeout_s:g} s")
            lost = 0

    def events(self, job_id: str) -> Iterator[ServerEvent]:
        """The job's events from the first on, as they happen; the last one is `done`.

        A broken connection is resumed. Where the gateway stays away the events end without `done`; `wait` still gives
        the document, or raises why there is none.

        Raises:
            ClientError: the job is unknown.
        """
        last, tries = "0", 0
        while tries < RESUMES:
            try:
                with self._http.stream("GET", _path_of(job_id) + "/events", headers={"Last-Event-ID": last}) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.status_code != 200:
                        answer.read()
                        raise ProblemError(answer)
                    for event in _events(answer):
                        # A stream that repeats what was sent before makes no progress.
                        if event.id and event.id != last:
                            last, tries = event.id, 0
                        yield event
                        if event.name == "done":
                            return
            except httpx.HTTPError:
                time.sleep(PAUSE_S * 2**tries)
            tries += 1

    def follow(self, job_id: str, on_event: Callable[[ServerEvent], None]) -> JobDocument:
        """Call `on_event` for each event until the job is done; returns its document.

        Raises:
            ClientError: the job is unknown, or the gateway can't be reached.
        """
        for event in self.events(job_id):
            on_event(event)
        return self.wait(job_id)

    def waveforms(self, job_id: str) -> Waveforms:
        """The waves and spectra behind the vitals of a finished job; empty before.

        Raises:
            ClientError: the job is unknown, or the gateway can't be reached.
        """
        answer = self._request("GET", _path_of(job_id) + "/waveforms")
        if answer.status_code != 200:
            raise ProblemError(answer)
        try:
            return Waveforms.read(answer.text)
        except ValidationError as error:
            raise self._no_gateway() from error

    def delete(self, job_id: str) -> None:
        """Cancel the job, and erase its clip, document, events and waveforms.

        Raises:
            ClientError: the job is unknown, or the gateway can't be reached.
        """
        answer = self._request("DELETE", _path_of(job_id))
        if answer.status_code != 204:
            raise ProblemError(answer)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  (httpx's own options)
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise UnreachableError(f"The gateway at {self._http.base_url} can't be reached: {error}") from error

    def _no_gateway(self) -> UnreachableError:
        return UnreachableError(
            f"{self._http.base_url} answers, but not as a gateway of this release. Check the address, and whether a "
            "proxy or a sign-in page stands in between."
        )


def _path_of(job_id: str) -> str:
    """The path of a job; an id that holds slashes or dots stays one segment."""
    return "/v1/jobs/" + quote(job_id, safe="").replace(".", "%2E")


def _json(text: str) -> object:
    """The value of a JSON text; None where the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
