"""Gender by a vision-language model behind Ollama's HTTP interface, as the original system asked LLaVA.

One portrait is sent, the best one; the answer must be the JSON that was asked for. Whatever goes wrong is a `NoAnswer`
with its reason, within a bounded time, and the local models answer instead. After some failures in a row nothing is
asked for a while, so that a server that is down costs a clip nothing.
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

from shared.schemas import Method, Vital, VitalStatus
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
_LARGEST_SIDE: Final = 512
_QUALITY: Final = 90
_LARGEST_ANSWER: Final = 65_536
#: Failures in a row after which nothing is asked, and for how long.
FAILURES: Final = 3
REST_S: Final = 60.0
# Loading thirteen billion weights takes this long on a slow disk.
_WARM_UP_S: Final = 300.0
_CONNECT_S: Final = 2.0


class NoAnswer(Exception):  # noqa: N818  (named for what happened)
    """The model gave no usable answer; the message says why."""


@dataclass(frozen=True)
class OllamaOptions:
    """Where Ollama is, which model to ask, how long to wait for it, and how long it shall keep the model loaded."""

    url: str
    model: str
    timeout_s: float = 15.0
    keep_alive: str = "30m"


@dataclass
class Breaker:
    """Opens after `FAILURES` failures in a row; after `REST_S` seconds one try is let through."""

    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    opened_s: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allows(self) -> bool:
        """Whether to ask now. While open, one caller every `REST_S` seconds hears yes."""
        with self._lock:
            if self.opened_s is None:
                return True
            if self.clock() - self.opened_s < REST_S:
                return False
            self.opened_s = self.clock()
            return True

    def succeeded(self) -> None:
        """The server answered."""
        with self._lock:
            self.failures, self.opened_s = 0, None

    def failed(self) -> None:
        """It did not."""
        with self._lock:
            self.failures += 1
            if self.failures >= FAILURES:
                self.opened_s = self.clock()


class RemoteGenderModel(Protocol):
    """Portraits in, a gender out; raises NoAnswer."""

    @property
    def name(self) -> str:
        """What answers, for `method`."""
        ...

    def __call__(self, portraits: Sequence[Portrait], /) -> Literal["female", "male"]:
        """The gender of the person on the portraits."""
        ...


class OllamaGender:
    """Asks a vision model which gender a portrait shows."""

    def __init__(self, options: OllamaOptions, breaker: Breaker | None = None) -> None:
        self.options = options
        self._breaker = breaker or Breaker()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.options.model

    def warm_up(self) -> threading.Thread:
        """Have the model loaded in the background; what fails then shows at the first question."""

        def load() -> None:
            try:
                self._post({"prompt": ""}, _WARM_UP_S)
            except NoAnswer:
                return

        thread = threading.Thread(target=load, name="ollama", daemon=True)
        thread.start()
        return thread

    def __call__(self, portraits: Sequence[Portrait]) -> Literal["female", "male"]:
        """The gender of the person on the best of `portraits`, at least one.

        Raises:
            NoAnswer: not reachable, too slow, refused, or not the JSON that was asked for.
        """
        if not self._breaker.allows():
            raise NoAnswer(f"Ollama failed {FAILURES} times in a row and is left alone for a minute")
        best = max(portraits, key=lambda portrait: portrait.quality)
        question = {
            "prompt": _PROMPT,
            "images": [base64.b64encode(_jpeg(best.rgb)).decode("ascii")],
            "format": _FORMAT,
            "options": {"temperature": 0, "num_predict": 32},
        }
        try:
            answer = _gender(self._post(question, self.options.timeout_s))
        except NoAnswer:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        if answer == "unknown":
            raise NoAnswer(f"{self.options.model} could not tell")
        return answer

    def _post(self, question: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """One call of `/api/generate`, over within `timeout_s` however slowly the answer, or its head, drips."""
        model = self.options.model
        body = {"model": model, "stream": False, "keep_alive": self.options.keep_alive} | question
        reply: Future[tuple[int, bytes]] = Future()

        def exchange() -> None:
            try:
                reply.set_result(asyncio.run(self._exchange(body, timeout_s)))
            except Exception as error:  # handed over to whoever waits
                reply.set_exception(error)

        # In a thread of its own: looking up a name can't be broken off, only left behind.
        threading.Thread(target=exchange, name="ollama", daemon=True).start()
        try:
            status, answer = reply.result(timeout_s)
        except (TimeoutError, httpx.TimeoutException) as late:
            raise NoAnswer(f"Ollama did not answer within {timeout_s:g} s") from late
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"Ollama can't be reached ({type(error).__name__})") from error
        if status == httpx.codes.NOT_FOUND:
            raise NoAnswer(f"Ollama has no model {model}: run `ollama pull {model}`")
        if status != httpx.codes.OK:
            raise NoAnswer(f"Ollama answered {status}")
        return _object(answer, "Ollama's answer")

    async def _exchange(self, body: dict[str, Any], timeout_s: float) -> tuple[int, bytes]:
        """Status and answer. httpx bounds each read, which a server that drips never exceeds; `timeout` bounds all."""
        limits = httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s))
        url = f"{self.options.url.rstrip('/')}/api/generate"
        answer = bytearray()
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=limits, trust_env=False) as client,
            client.stream("POST", url, json=body) as reply,
        ):
            async for chunk in reply.aiter_bytes():
                answer += chunk
                if len(answer) > _LARGEST_ANSWER:
                    raise NoAnswer("Ollama answered far more than was asked for")
            return reply.status_code, bytes(answer)


def asked(oracle: RemoteGenderModel, portraits: Sequence[Portrait], local: Vital) -> Vital:
    """The oracle's answer, `experimental` because nobody has measured it; or the local one, and why it stands in."""
    try:
        told = oracle(portraits)
    except NoAnswer as why:
        note = f"{why}; the local models answered"
        return local.model_copy(update={"detail": f"{local.detail} ({note})" if local.detail else note})
    return Vital(
        value=told,
        unit=GENDER.unit,
        status=VitalStatus.EXPERIMENTAL,
        detail=None if local.value in {None, told} else f"The local models say {local.value}.",
        method=Method(name="vision-language model", version=VERSION, models=[oracle.name], frames=1),
    )


def _gender(reply: dict[str, Any]) -> Literal["female", "male", "unknown"]:
    """What a reply says, if it says it as it was asked to."""
    said = reply.get("response")
    if not isinstance(said, str) or reply.get("done") is False:
        raise NoAnswer("Ollama's answer has no finished response")
    gender = _object(said.encode(), "the model's answer").get("gender")
    if gender not in {"female", "male", "unknown"}:
        raise NoAnswer("the model's answer is none of those that were asked for")
    answer: Literal["female", "male", "unknown"] = gender
    return answer


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise NoAnswer(f"{what} is no JSON") from error
    if not isinstance(found, dict):
        raise NoAnswer(f"{what} is no JSON object")
    return found


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    times = octaves(max(rgb.shape[:2]), _LARGEST_SIDE)
    small = downsample(rgb, times) if times else rgb
    encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return bytes(encoded.tobytes())
