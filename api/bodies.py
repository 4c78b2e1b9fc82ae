"""What the body of a request may cost, in bytes and in time, whoever reads it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ApiProblem, BodyTooSlow, TooManyUploads, UploadTooLarge, answer_to

#: What a form may add to its clip: other fields, headers of parts, boundaries, and what lies before and after them.
FORM_BYTES: Final = 64_000
#: A body whose client was waited for longer than the setting allows must have come at this average rate. A phone's
#: 1 Mbit/s is twelve times it.
LEAST_BYTES_PER_S: Final = 10_000
#: No body is waited for longer than this, seconds: 50 MB at 0.45 Mbit/s.
LONGEST_S: Final = 900.0
#: How much of a refused body is still read, and for how long: a client that is still sending would else see a broken
#: connection in place of the answer.
DRAIN_BYTES: Final = 16_000_000
DRAIN_S: Final = 20.0
#: In the request's state: when it arrived, and the latest moment for its answer where it has one; of the loop's clock.
ARRIVED: Final = "arrived"
ANSWER_BY: Final = "answer_by"

#: How many requests may wait to send their bodies, beside those that do.
WAITING_SHARE: Final = 1

#: Methods whose requests have no use for a body.
BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class BodyLimits:
    """Bounds bodies, and how many of them are received at once."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, silence_s: float, at_once: int) -> None:
        """`max_bytes`: of a clip. `silence_s`: how long a client may send nothing, seconds."""
        self.app = app
        self._max_bytes, self._silence_s, self._at_once = max_bytes, silence_s, at_once
        self._places = asyncio.Semaphore(at_once)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on with its body bounded."""
        if scope["type"] != "http" or not _has_body(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state[ARRIVED] = asyncio.get_running_loop().time()
        if not await self._may_begin():
            # Not drained, as others are: that would be receiving it.
            many = TooManyUploads("Try again in a few seconds.", headers={"Retry-After": "2", "Connection": "close"})
            await answer_to(scope["path"], many)(scope, receive, send)
            return
        bodiless = scope["method"] in BODILESS
        max_bytes = FORM_BYTES if bodiless else self._max_bytes + FORM_BYTES
        body = _Body(receive, send, max_bytes, self._silence_s, self._places.release)
        body.unwanted = headers.get("expect", "").lower() == "100-continue"
        body.state = state
        try:
            if bodiless:
                await body.discard()
        except ApiProblem as problem:
            await answer_to(scope["path"], problem)(scope, body.receive, body.send)
        else:
            await self.app(scope, body.receive, body.send)
        finally:
            body.end()

    async def _may_begin(self) -> bool:
        """Wait for a place, for as long as it takes to end an upload that stopped; whoever waits holds some memory."""
        if self._waiting >= WAITING_SHARE * self._at_once:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(2 * self._silence_s):
                return await self._places.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class _Body:
    """One request's body on its way from the server to the application."""

    def __init__(
        self, receive: Receive, send: Send, max_bytes: int, silence_s: float, when_ended: Callable[[], None]
    ) -> None:
        self._receive, self._send = receive, send
        self._max_bytes, self._silence_s = max_bytes, silence_s
        self._when_ended = when_ended
        self._has_place = True
        self._received = 0
        self._waited_s = 0.0
        self._refused = False
        self._ended = False
        #: Whether the client waits for a "100 Continue", which reading the body would send.
        self.unwanted = False
        #: The request's, where the application may say when it has to be answered.
        self.state: dict[str, Any] = {}

    def end(self) -> None:
        """Nothing more of it will be received."""
        self._ended = True
        self._give_place_back()

    def _give_place_back(self) -> None:
        if self._has_place:
            self._has_place = False
            self._when_ended()

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            BodyTooSlow: the client was silent for too long, or sends too slowly.
            UploadTooLarge: more came than any body may have.
        """
        if self._refused:
            return {"type": "http.disconnect"}
        if self._ended:
            return await self._receive()
        message = await self._in_time()
        self.unwanted = False
        self._received += len(message.get("body", b""))
        if self._received > self._max_bytes:
            self._refused = True
            raise UploadTooLarge(f"A body of this call may have {self._max_bytes} bytes.")
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.end()
        return message

    async def discard(self) -> None:
        """Receive all of it for nobody. Raises what `receive` does."""
        while not self._ended:
            await self.receive()

    async def _in_time(self) -> Message:
        clock = asyncio.get_running_loop().time
        # Only the time that the client is waited for counts: a slow disk is not the client's fault.
        allowed_s = min(self._silence_s + self._received / LEAST_BYTES_PER_S, LONGEST_S) - self._waited_s
        begun = clock()
        try:
            async with asyncio.timeout(min(self._silence_s, allowed_s)):
                return await self._receive()
        except TimeoutError:
            self._refused = True
            self._give_place_back()
            raise BodyTooSlow(
                f"Send at least every {self._silence_s:g} s, and {LEAST_BYTES_PER_S} bytes a second on average."
            ) from None
        finally:
            self._waited_s += clock() - begun

    async def send(self, message: Message) -> None:
        """Pass the answer on. One that comes before the body's end ends the connection after a bounded rest."""
        if message["type"] == "http.response.start" and not self._ended:
            await self._drain()
            if not self._ended:
                MutableHeaders(scope=message)["Connection"] = "close"
        await self._send(message)

    async def _drain(self) -> None:
        if self.unwanted:
            return
        left = DRAIN_BYTES
        now = asyncio.get_running_loop().time()
        answer_by = min(now + DRAIN_S, self.state.get(ANSWER_BY, now + DRAIN_S))
        with contextlib.suppress(TimeoutError, BodyTooSlow):
            async with asyncio.timeout_at(answer_by):
                while not self._ended and left > 0:
                    message = await self._in_time()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        self.end()
