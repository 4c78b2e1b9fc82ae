"""HTTP/1.1 connections whose headers are bounded in size and time, as the parser (httptools) bounds neither."""

import asyncio
from typing import Any, Final

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.problems import ApiProblem, ProblemType, answer_to

#: Request line and headers together. Browsers and proxies stay below 16 kB.
HEAD_BYTES: Final = 32_768
#: What chunked framing, extensions and trailers may add to a body, and for each byte of the body on top: chunks of
#: 64 bytes on average and more.
FRAMING_BYTES: Final = 65_536
FRAMING_SHARE: Final = 0.125
#: Requests of one connection that may wait for the answer to an earlier one. No browser sends any.
PIPELINED: Final = 8
#: After a refusal the client's data is thrown away for so long, and so much of it: a connection closed with unread
#: data is reset, and the client would not receive the response.
LINGER_S: Final = 2.0
LINGER_BYTES: Final = 4_000_000


class BadRequest(ApiProblem):
    """The request is not valid HTTP/1.1."""

    status, type, title = 400, ProblemType.BAD_REQUEST, "Not a valid HTTP request"


class HeaderTooSlow(ApiProblem):
    """The header was not complete in time."""

    status, type, title = 408, ProblemType.REQUEST_TOO_SLOW, "The request was sent too slowly"


class HeaderTooLarge(ApiProblem):
    """Request line and headers are larger than the gateway takes."""

    status, type, title = 431, ProblemType.HEADER_TOO_LARGE, "The request's headers are too large"


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection, with limits; its `timeout_keep_alive` also bounds the time that a header takes.

    A connection that sends nothing is closed after that time without a response.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first header."""
        super().connection_made(transport)
        self._served: RequestResponseCycle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._framing_bytes = 0
        self._body_bytes = 0
        self._refused = False
        self._thrown_away = 0
        self._linger: asyncio.TimerHandle | None = None
        self._head_timer: asyncio.TimerHandle | None = self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every clock."""
        self._stop_head_timer()
        if self._linger is not None:
            self._linger.cancel()
        self._disconnect_served()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came piece by piece, as far as the limits allow."""
        at = 0
        was_in_head = self._in_head
        while at < len(data) and not self._refused and not self.transport.is_closing():
            if not self._in_head:
                piece = data[at : at + FRAMING_BYTES]
                self._framing_bytes += len(piece)
                super().data_received(piece)
                self._check_framing()
            elif self._head_bytes >= HEAD_BYTES:
                self._refuse(HeaderTooLarge(f"Request line and headers may have {HEAD_BYTES} bytes."))
                break
            else:
                piece = data[at : at + HEAD_BYTES - self._head_bytes]
                self._head_bytes += len(piece)
                super().data_received(piece)
                self._time_the_head()
            at += len(piece)
        if was_in_head and not (self._in_head or self._refused or self.transport.is_closing()):
            # A client that waits for its turn must not fill memory with its body; the application's first read resumes.
            self.flow.pause_reading()
        if self._refused:
            self._thrown_away += len(data) - at
            if self._thrown_away > LINGER_BYTES:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        """Handle the end of a header; the body follows."""
        self._stop_head_timer()
        self._in_head = False
        self._head_bytes = self._framing_bytes = self._body_bytes = 0
        if len(self.pipeline) >= PIPELINED:
            raise BadRequest("Wait for the answers.")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count a piece of the body, without its framing."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Handle the end of a request; the next header follows."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read; uvicorn calls this."""
        self._refuse(BadRequest(msg))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401  (uvicorn's own type)
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: `curl --http2` offers an upgrade with every request, and is answered without one."""

    def _check_framing(self) -> None:
        framing = self._framing_bytes - self._body_bytes
        if not self._in_head and framing > FRAMING_BYTES + FRAMING_SHARE * self._body_bytes:
            self._refuse(BadRequest("The body's chunks are too small, or have too much beside them."))

    def _time_the_head(self) -> None:
        if self._in_head and self._head_bytes and self._head_timer is None:
            self._head_timer = self._start_head_timer()

    def _start_head_timer(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.timeout_keep_alive, self._head_too_slow)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_serving(self) -> bool:
        return self._served is not None and not self._served.response_complete

    def _disconnect_served(self) -> None:
        # uvicorn does so for the newest request alone, which need not be the one that is being served.
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()

    def _head_too_slow(self) -> None:
        if self._is_serving():
            # The next request may take its time until this one is answered.
            self._head_timer = self._start_head_timer()
        elif self._head_bytes:
            self._refuse(HeaderTooSlow(f"A header must be complete within {self.timeout_keep_alive} s."))
        else:
            self.transport.close()

    def _refuse(self, problem: ApiProblem) -> None:
        """Answer with the problem, unless another answer is due first, and end the connection."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        served = self._served
        is_of_served = not self._in_head and served is self.cycle
        if not self._is_serving() or (is_of_served and served is not None and not served.response_started):
            path = getattr(self, "url", b"").partition(b"?")[0].decode("latin-1")
            self.transport.write(_raw(answer_to(path, problem), self.server_state.default_headers))
        self._disconnect_served()
        self.pipeline.clear()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger = self.loop.call_later(LINGER_S, self.transport.close)


def _raw(answer: Response, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    headers = [
        *default_headers,
        *answer.raw_headers,
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body)
