"""OpenTelemetry traces from upload to document, across the queue; off, and free, without FACEVITALS_OTLP_ENDPOINT.

A job's record carries the trace's W3C `traceparent` to its workers. Spans tell names, durations, job ids and states:
no vital, file name, address, key or frame is ever an attribute.
"""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from shared.settings import Settings
from shared.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

#: The attribute that every span about a job has.
JOB: Final = "facevitals.job"

_provider: Any = None


class TracesNotInstalledError(ValueError):
    """FACEVITALS_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: pip install 'facevitals[tracing]'."""


def configure_traces(settings: Settings, service: str, exporter: "SpanExporter | None" = None) -> bool:
    """Send this process's spans to the settings' collector, or to `exporter`; whether there are to be any.

    Raises:
        TracesNotInstalledError: they are asked for and can't be made.
    """
    global _provider  # noqa: PLW0603  (a process has one, as its logs do)
    if _provider is not None or not (settings.otlp_endpoint or exporter):
        return _provider is not None
    try:
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as missing:
        raise TracesNotInstalledError(str(TracesNotInstalledError.__doc__)) from missing
    # Nothing about the machine: the collector knows who sent it.
    about = Resource({"service.name": f"facevitals-{service}", "service.version": VERSION})
    _provider = TracerProvider(resource=about, shutdown_on_exit=False)
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    _provider.add_span_processor(
        BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=endpoint, timeout=5), schedule_delay_millis=1000)
    )
    return True


def end_traces() -> None:
    """Send what is left, as the process ends."""
    global _provider  # noqa: PLW0603
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def span(name: str, *, parent: str = "", **attributes: str | int) -> AbstractContextManager[Any]:
    """A span for the length of a block, under the one around it or under `parent` (a `traceparent`).

    What is raised inside is told by its type alone: its message could say what was in a clip.
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


def note(**attributes: str | int) -> None:
    """Add attributes to the span around us; `job="01J…"` is that of the job."""
    if _provider is not None:
        from opentelemetry import trace

        about = {JOB if name == "job" else f"facevitals.{name}": value for name, value in attributes.items()}
        trace.get_current_span().set_attributes(about)


def traceparent() -> str:
    """The span around us, for another process to go on from; empty without one."""
    if _provider is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")
