"""Traces and figures: what is counted, and what a span may tell."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.observability import tracing
from shared.observability.metrics import DISTRIBUTIONS
from shared.settings import Settings
from workers.models.gpu import gpu_memory


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.configure_traces(Settings(), "test", exporter)
    yield exporter
    tracing.end_traces()


def test_a_span_goes_on_in_another_process_and_hides_what_was_raised(spans: InMemorySpanExporter) -> None:
    with tracing.span("request"):
        parent = tracing.traceparent()
        tracing.note(job="01J")
    with pytest.raises(ValueError, match="secret"), tracing.span("branch", parent=parent):
        raise ValueError("a secret of the clip")
    tracing._provider.force_flush()
    request, branch = spans.get_finished_spans()
    assert branch.parent is not None
    assert branch.parent.span_id == request.context.span_id
    assert request.attributes == {"facevitals.job": "01J"}
    assert branch.attributes == {"error.type": "ValueError"}
    assert "secret" not in branch.to_json()


def test_traces_are_off_unless_a_collector_is_named() -> None:
    assert not tracing.configure_traces(Settings(), "test")
    with tracing.span("anything") as span:
        assert span is None
        assert tracing.traceparent() == ""


def test_buckets_rise() -> None:
    for each in DISTRIBUTIONS.values():
        assert list(each.bounds) == sorted(set(each.bounds))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("echo '1234, 24576'", (1234 << 20, 24576 << 20)), ("exit 9", None), ("echo '[N/A], [N/A]'", None)],
)
def test_gpu_memory_is_the_drivers_word_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: tuple[int, int] | None
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{answer}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    memory = gpu_memory()
    assert (memory and (memory.used_bytes, memory.total_bytes)) == expected
