"""HEAD wherever GET is answered, with the same headers and without a body (RFC 9110, 9.3.2)."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Serves a HEAD by the resource's GET, up to the headers: an event stream would run as long as its job."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the headers alone."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        answered = asyncio.Event()

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and not answered.is_set():
                answered.set()
                # For the spans, which name requests by their route.
                scope["route"] = as_get.get("route")
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        async def serve() -> None:
            await self.app(as_get, receive, send_headers)

        serving, headers = asyncio.create_task(serve()), asyncio.create_task(answered.wait())
        try:
            await asyncio.wait((serving, headers), return_when=asyncio.FIRST_COMPLETED)
        finally:
            headers.cancel()
            if not serving.done():
                serving.cancel()
            # Errors after the headers concern the body, which is not sent.
            failed = (await asyncio.gather(serving, return_exceptions=True))[0]
        if isinstance(failed, Exception) and not answered.is_set():
            raise failed
