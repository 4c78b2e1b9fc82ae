"""OpenTelemetry tracing from upload to document, across the queue. Without FACEVITALS_OTLP_ENDPOINT it costs nothing.

A job's record carries the trace's W3C `traceparent` to its workers. Spans contain names, durations, job ids and states;
vitals, file names, addresses, keys and frames are never attributes.
"""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from shared.settings import Settings
from shared.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

#: The attribute with the job's id.
JOB_ATTRIBUTE: Final = "facevitals.job"

_provider: Any = None


class TracingNotInstalledError(ValueError):
    """FACEVITALS_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: pip install 'facevitals[tracing]'."""


def configure_tracing(settings: Settings, service: str, exporter: "SpanExporter | None" = None) -> bool:
    """Export this process's spans to the collector of `settings`, or to `exporter`. Return whether tracing is on.

    Raises:
        TracingNotInstalledError: Tracing is configured, and OpenTelemetry is not installed.
    """
    global _provider  # noqa: PLW0603  (one per process)
    if _provider is not None or not (settings.otlp_endpoint or exporter):
        return _provider is not None
    try:
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as missing:
        raise TracingNotInstalledError(str(TracingNotInstalledError.__doc__)) from missing
    # No attributes of the machine: the collector adds those of the sender.
    resource = Resource({"service.name": f"facevitals-{service}", "service.version": VERSION})
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    _provider.add_span_processor(
        BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=endpoint, timeout=5), schedule_delay_millis=1000)
    )
    return True


def shutdown_tracing() -> None:
    """Export the remaining spans, at the end of the process."""
    global _provider  # noqa: PLW0603
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def span(name: str, *, parent: str = "", **attributes: str | int) -> AbstractContextManager[Any]:
    """Return a context manager for a span below the current one, or below `parent` (a `traceparent`).

    Of an exception only the type is recorded: its message could quote a clip's content.
    """
    return contextlib.nullcontext() if _provider is None else _span(name, parent, attributes)


@contextlib.contextmanager
def _span(name: str, parent: str, attributes: dict[str, str | int]) -> Iterator[Any]:
    from opentelemetry.trace import StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    tracer = _provider.get_tracer("facevitals", VERSION)
    with tracer.start_as_current_span(
        name, context=context, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(StatusCode.ERROR)
            current.set_attribute("error.type", type(error).__name__)
            raise


def set_attributes(**attributes: str | int) -> None:
    """Add attributes to the current span. `job="01J…"` sets `JOB_ATTRIBUTE`, others get the prefix `facevitals.`."""
    if _provider is not None:
        from opentelemetry import trace

        named = {JOB_ATTRIBUTE if name == "job" else f"facevitals.{name}": value for name, value in attributes.items()}
        trace.get_current_span().set_attributes(named)


def traceparent() -> str:
    """Return the current span's `traceparent` for another process; empty without tracing."""
    if _provider is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")
