"""Gender by a vision-language model over Ollama's HTTP API, as the original system used LLaVA.

The best portrait is sent, and the response must follow a JSON schema. Any failure raises `NoAnswer` with its reason
within a bounded time, and the estimate of the local models is used. After several failures in a row a circuit breaker
pauses requests, so that a server that is down does not delay every clip.
"""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray

from shared.schemas import Gender, Method, VitalStatus
from shared.version import VERSION
from shared.vitals import GENDER
from workers.face.portraits import Portrait
from workers.media.downscale import downsample, octaves

_PROMPT: Final = (
    "The picture shows one person. Judging by appearance alone, is the person more likely female or male? "
    'Answer with JSON only: {"gender": "female"} or {"gender": "male"}; {"gender": "unknown"} if it cannot be told.'
)
_FORMAT: Final = {
    "type": "object",
    "properties": {"gender": {"type": "string", "enum": ["female", "male", "unknown"]}},
    "required": ["gender"],
}
#: Largest side in pixels and JPEG quality of the portrait that is sent.
_MAX_SIDE: Final = 512
_QUALITY: Final = 90
#: Largest response in bytes.
_MAX_RESPONSE_BYTES: Final = 65_536
#: Failures in a row after which requests are paused, and the length of the pause in seconds.
MAX_FAILURES: Final = 3
COOLDOWN_S: Final = 60.0
#: Time-out in seconds for loading the model: thirteen billion weights from a slow disk.
_WARM_UP_S: Final = 300.0
#: Time-out for connecting, in seconds.
_CONNECT_S: Final = 2.0


class NoAnswer(Exception):  # noqa: N818  (named for what happened)
    """The model gave no usable response; the message is the reason."""


@dataclass(frozen=True)
class OllamaOptions:
    """Ollama's URL, the model, the time-out of a request, and how long Ollama keeps the model loaded."""

    url: str
    model: str
    timeout_s: float = 15.0
    keep_alive: str = "30m"


@dataclass
class CircuitBreaker:
    """Stop requests after `MAX_FAILURES` failures in a row. Every `COOLDOWN_S` seconds one request is allowed."""

    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    opened_s: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allows(self) -> bool:
        """Return whether a request may be sent now. While open, this is True once every `COOLDOWN_S` seconds."""
        with self._lock:
            if self.opened_s is None:
                return True
            if self.clock() - self.opened_s < COOLDOWN_S:
                return False
            self.opened_s = self.clock()
            return True

    def record_success(self) -> None:
        """Close the breaker: a request has succeeded."""
        with self._lock:
            self.failures, self.opened_s = 0, None

    def record_failure(self) -> None:
        """Count a failed request, and open the breaker after too many."""
        with self._lock:
            self.failures += 1
            if self.failures >= MAX_FAILURES:
                self.opened_s = self.clock()


class RemoteGenderModel(Protocol):
    """A model outside this process that estimates a gender from portraits."""

    @property
    def name(self) -> str:
        """The model's name, for the vital's `method`."""
        ...

    def __call__(self, portraits: Sequence[Portrait], /) -> Literal["female", "male"]:
        """Return the gender of the person on `portraits`.

        Raises:
            NoAnswer: The model gave no usable response.
        """
        ...


class OllamaGender:
    """Estimate the gender on a portrait with a vision-language model."""

    def __init__(self, options: OllamaOptions, breaker: CircuitBreaker | None = None) -> None:
        self.options = options
        self._breaker = breaker or CircuitBreaker()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.options.model

    def warm_up(self) -> threading.Thread:
        """Load the model in the background. A failure is ignored here, and occurs again at the first request."""

        def load() -> None:
            try:
                self._post({"prompt": ""}, _WARM_UP_S)
            except NoAnswer:
                return

        thread = threading.Thread(target=load, name="ollama", daemon=True)
        thread.start()
        return thread

    def __call__(self, portraits: Sequence[Portrait]) -> Literal["female", "male"]:
        """Return the gender of the person on the best of `portraits`, of which there must be at least one.

        Raises:
            NoAnswer: Ollama can't be reached, is too slow, refuses, is paused, or its response is not as requested.
        """
        if not self._breaker.allows():
            raise NoAnswer(f"Ollama failed {MAX_FAILURES} times in a row; no requests for a minute")
        best = max(portraits, key=lambda portrait: portrait.quality)
        request = {
            "prompt": _PROMPT,
            "images": [base64.b64encode(_jpeg(best.rgb)).decode("ascii")],
            "format": _FORMAT,
            "options": {"temperature": 0, "num_predict": 32},
        }
        try:
            answer = _gender(self._post(request, self.options.timeout_s))
        except NoAnswer:
            self._breaker.record_failure()
            raise
        self._breaker.record_success()
        if answer == "unknown":
            raise NoAnswer(f"{self.options.model} did not choose a gender")
        return answer

    def _post(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """POST to `/api/generate` and return the response's JSON object, within `timeout_s` in any case.

        Raises:
            NoAnswer: The request failed, or took too long.
        """
        model = self.options.model
        body = {"model": model, "stream": False, "keep_alive": self.options.keep_alive} | request
        reply: Future[tuple[int, bytes]] = Future()

        def exchange() -> None:
            try:
                reply.set_result(asyncio.run(self._exchange(body, timeout_s)))
            except Exception as error:  # raised again by `result`
                reply.set_exception(error)

        # In a thread of its own, because a name lookup can't be cancelled.
        threading.Thread(target=exchange, name="ollama", daemon=True).start()
        try:
            status, answer = reply.result(timeout_s)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise NoAnswer(f"Ollama did not answer within {timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"Ollama can't be reached ({type(error).__name__})") from error
        if status == httpx.codes.NOT_FOUND:
            raise NoAnswer(f"Ollama has no model {model}: run `ollama pull {model}`")
        if status != httpx.codes.OK:
            raise NoAnswer(f"Ollama answered {status}")
        return _object(answer, "Ollama's answer")

    async def _exchange(self, body: dict[str, Any], timeout_s: float) -> tuple[int, bytes]:
        """Return status and body. httpx limits the time of each read; `asyncio.timeout` limits that of all of them."""
        limits = httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s))
        url = f"{self.options.url.rstrip('/')}/api/generate"
        body_bytes = bytearray()
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=limits, trust_env=False) as client,
            client.stream("POST", url, json=body) as reply,
        ):
            async for chunk in reply.aiter_bytes():
                body_bytes += chunk
                if len(body_bytes) > _MAX_RESPONSE_BYTES:
                    raise NoAnswer("Ollama's answer is too long")
            return reply.status_code, bytes(body_bytes)


def prefer_remote(model: RemoteGenderModel, portraits: Sequence[Portrait], local: Gender) -> Gender:
    """Return the gender by `model`, or `local` with the reason where it fails.

    The vital is `experimental`, because the model's error was not measured.
    """
    try:
        gender = model(portraits)
    except NoAnswer as error:
        note = f"{error}; the local models answered"
        return local.model_copy(update={"detail": f"{local.detail} ({note})" if local.detail else note})
    return Gender(
        value=gender,
        unit=GENDER.unit,
        status=VitalStatus.EXPERIMENTAL,
        detail=None if local.value in {None, gender} else f"The local models' answer is {local.value}.",
        method=Method(name="vision-language model", version=VERSION, models=[model.name], frames=1),
    )


def _gender(reply: dict[str, Any]) -> Literal["female", "male", "unknown"]:
    """Return the gender in a response.

    Raises:
        NoAnswer: The response does not follow the schema.
    """
    text = reply.get("response")
    if not isinstance(text, str) or reply.get("done") is False:
        raise NoAnswer("Ollama's answer has no finished response")
    gender = _object(text.encode(), "the model's answer").get("gender")
    if gender not in {"female", "male", "unknown"}:
        raise NoAnswer("the model's answer is none of those allowed")
    answer: Literal["female", "male", "unknown"] = gender
    return answer


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except ValueError as error:
        raise NoAnswer(f"{what} is no JSON") from error
    if not isinstance(parsed, dict):
        raise NoAnswer(f"{what} is no JSON object")
    return parsed


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    n_octaves = octaves(max(rgb.shape[:2]), _MAX_SIDE)
    small = downsample(rgb, n_octaves) if n_octaves else rgb
    encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return bytes(encoded.tobytes())
