"""A span for each request; installed only if traces are configured."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.observability import tracing


class RequestSpans:
    """Records method, route and status. A client's `traceparent` is ignored; its address and query are not recorded."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open a span and end it with the response. Event streams have none: they last as long as their client."""
        if scope["type"] != "http" or scope["path"].endswith("/events"):
            await self.app(scope, receive, send)
            return
        with tracing.span(f"{scope['method']} …") as span:

            async def send_and_record(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _name(span, scope, message["status"])
                await send(message)

            await self.app(scope, receive, send_and_record)


def _name(span: Any, scope: Scope, status: int) -> None:  # noqa: ANN401  (OpenTelemetry may not be installed)
    route = getattr(scope.get("route"), "path", "unknown")
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {"http.request.method": scope["method"], "http.route": route, "http.response.status_code": status}
    )
