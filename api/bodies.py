"""Limits of request bodies, in bytes and in time."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ApiProblem, BodyTooSlow, TooManyUploads, UploadTooLarge, answer_to

#: What a form may add to its clip: other fields, headers of parts, boundaries, preamble and epilogue.
FORM_BYTES: Final = 64_000
#: Lowest average rate of a body that takes longer than the setting allows. 1 Mbit/s, a slow phone, is twelve times it.
MIN_BYTES_PER_S: Final = 10_000
#: Longest time for a body, seconds: 50 MB at 0.45 Mbit/s.
LONGEST_S: Final = 900.0
#: How much of a refused body is still read, and for how long. Otherwise a client that is still sending would get a
#: broken connection instead of the response.
DRAIN_BYTES: Final = 16_000_000
DRAIN_S: Final = 20.0
#: Keys of the request's state: when it arrived, and the latest time for its response, if any (the event loop's clock).
ARRIVED: Final = "arrived"
ANSWER_BY: Final = "answer_by"

#: Requests that may wait to send their bodies, as a multiple of those that may send.
WAITING_SHARE: Final = 1

#: Methods whose requests need no body.
BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class BodyLimits:
    """Limits bodies, and how many of them are received at once."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, silence_s: float, at_once: int) -> None:
        """`max_bytes`: of a clip. `silence_s`: how long a client may send nothing, seconds."""
        self.app = app
        self._max_bytes, self._silence_s, self._at_once = max_bytes, silence_s, at_once
        self._places = asyncio.Semaphore(at_once)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a limited body."""
        if scope["type"] != "http" or not _has_body(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state[ARRIVED] = asyncio.get_running_loop().time()
        if not await self._may_begin():
            # Its body is not drained: that would be receiving it.
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
        """Wait for a place, as long as it takes to end an upload that has stalled. Waiting requests use memory."""
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
        #: Whether the client waits for "100 Continue", which reading the body would send.
        self.unwanted = False
        #: The request's state, in which the application may set the latest time for the response.
        self.state: dict[str, Any] = {}

    def end(self) -> None:
        """Receive nothing more of the body."""
        self._ended = True
        self._give_place_back()

    def _give_place_back(self) -> None:
        if self._has_place:
            self._has_place = False
            self._when_ended()

    async def receive(self) -> Message:
        """Receive the next piece.

        Raises:
            BodyTooSlow: the client paused for too long, or sends too slowly.
            UploadTooLarge: the body is larger than any body may be.
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
            raise UploadTooLarge(f"The body of this call may have at most {self._max_bytes} bytes.")
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.end()
        return message

    async def discard(self) -> None:
        """Receive the whole body and discard it. Raises what `receive` does."""
        while not self._ended:
            await self.receive()

    async def _in_time(self) -> Message:
        clock = asyncio.get_running_loop().time
        # Only the time spent waiting for the client counts, not that of a slow disk.
        allowed_s = min(self._silence_s + self._received / MIN_BYTES_PER_S, LONGEST_S) - self._waited_s
        begun = clock()
        try:
            async with asyncio.timeout(min(self._silence_s, allowed_s)):
                return await self._receive()
        except TimeoutError:
            self._refused = True
            self._give_place_back()
            raise BodyTooSlow(
                f"Send at least every {self._silence_s:g} s, and {MIN_BYTES_PER_S} bytes a second on average."
            ) from None
        finally:
            self._waited_s += clock() - begun

    async def send(self, message: Message) -> None:
        """Pass the response on. If the body has not ended, drain a limited part of it and close the connection."""
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
