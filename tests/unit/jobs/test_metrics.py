"""Tracing, histograms and the GPU's memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.observability import tracing
from shared.observability.metrics import HISTOGRAMS
from shared.settings import Settings
from workers.models.gpu import gpu_memory


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.configure_tracing(Settings(), "test", exporter)
    yield exporter
    tracing.shutdown_tracing()


def test_a_span_continues_in_another_process_and_records_no_message(spans: InMemorySpanExporter) -> None:
    with tracing.span("request"):
        parent = tracing.traceparent()
        tracing.set_attributes(job="01J")
    with pytest.raises(ValueError, match="secret"), tracing.span("branch", parent=parent):
        raise ValueError("a secret of the clip")
    tracing._provider.force_flush()
    request, branch = spans.get_finished_spans()
    assert branch.parent is not None
    assert branch.parent.span_id == request.context.span_id
    assert request.attributes == {"facevitals.job": "01J"}
    assert branch.attributes == {"error.type": "ValueError"}
    assert "secret" not in branch.to_json()


def test_tracing_is_off_without_a_collector() -> None:
    assert not tracing.configure_tracing(Settings(), "test")
    with tracing.span("anything") as span:
        assert span is None
        assert tracing.traceparent() == ""


def test_bucket_bounds_increase() -> None:
    for spec in HISTOGRAMS.values():
        assert list(spec.bounds) == sorted(set(spec.bounds))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("echo '1234, 24576'", (1234 << 20, 24576 << 20)), ("exit 9", None), ("echo '[N/A], [N/A]'", None)],
)
def test_gpu_memory_is_parsed_or_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: tuple[int, int] | None
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{answer}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    memory = gpu_memory()
    assert (memory and (memory.used_bytes, memory.total_bytes)) == expected
