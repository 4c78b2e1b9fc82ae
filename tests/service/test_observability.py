"""Log lines, metrics and a trace of a job across gateway and worker, without secrets."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from shared.jobs.worker_registry import GpuMemory, WorkerCard, put_card
from tests.service.conftest import LOOKS_LIKE_MP4, Service, wait_until

ROOT = Path(__file__).parents[2]
SECRET = "a-name-of-a-person"
STAGE = "decoding and tracking"
#: Samples that the job adds to the metrics.
SAMPLES = (
    'facevitals_stage_seconds_count{branch="rppg",stage="decoding and tracking"} 1.0',
    'facevitals_branch_seconds_count{branch="vision",status="error"} 1.0',
    'facevitals_queue_wait_seconds_bucket{branch="rppg",le="+Inf"} 1.0',
    'facevitals_job_seconds_count{state="succeeded"} 1.0',
    'facevitals_queue_oldest_seconds{queue="rppg"} 0.0',
    'facevitals_gpu_memory_used_bytes{worker="gpu:1"} 1.0',
)


class Collector(HTTPServer):
    """A collector that receives OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.spans: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in body["resourceSpans"]:
            about = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
            for scope in resource["scopeSpans"]:
                self.server.spans += [
                    {**span, "service": about["service.name"]["stringValue"]} for span in scope["spans"]
                ]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.shutdown()
    collector.server_close()


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span.get("attributes", [])}


def log_lines(service: Service, name: str) -> list[dict[str, Any]]:
    lines = (service.folder / f"{name}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def metric_names(text: str) -> set[str]:
    """Every name that a query can use, those without a sample yet included."""
    names = set()
    for family in text_string_to_metric_families(text):
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        names |= {family.name + ending for ending in endings}
    return names


def test_logs_metrics_and_trace_cover_a_job_and_contain_no_secret(
    make_service: Callable[..., Service], collector: Collector
) -> None:
    service = make_service(log_format="json", otlp_endpoint=collector.url, api_keys="key-of-a-client")
    service.start_worker("vision,rppg", "tests.service.faulty_worker", FAULT_VISION="raise")
    form = {"clip": (f"{SECRET}.mp4", LOOKS_LIKE_MP4, "video/mp4")}
    headers = {"Authorization": "Bearer key-of-a-client"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=40) as client:
        job = client.post("/v1/jobs", files=form, params={"retain_clip": "false"}).json()["id"]
        done = client.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=30"}).json()
        assert done["state"] == "succeeded"
        put_card(
            service.redis,
            WorkerCard(id="gpu:1", queues=[], device="cuda", models=[], gpu=GpuMemory(used_bytes=1, total_bytes=2)),
        )

        def all_samples() -> str:
            text = client.get("/metrics").text
            return text if all(sample in text for sample in SAMPLES) else ""

        # The worker that ended the job counts it a moment after the end is announced.
        metrics = wait_until(all_samples, f"the samples of the job: {SAMPLES}")

    # Logs have the job's id in gateway and worker.
    assert {"job accepted"} <= {line["event"] for line in log_lines(service, "gateway") if line.get("job") == job}
    worked = {line["event"] for line in log_lines(service, "worker-vision,rppg") if line.get("job") == job}
    assert {"branch ended", "branch failed"} <= worked

    # Dashboard and alerts use metrics that exist.
    dashboard = (ROOT / "deploy" / "grafana" / "facevitals.json").read_text()
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    named = set(re.findall(r"facevitals_[a-z_]+", dashboard + json.dumps(yaml.safe_load(alerts))))
    assert len(named) > 12
    assert named <= metric_names(metrics)

    # One trace covers the request and the stages of both branches.
    def traced() -> bool:
        names = [span["name"] for span in collector.spans]
        # Gateway and worker export their spans separately.
        return {"vision branch", "rppg branch", "POST /v1/jobs"} <= set(names) and names.count(STAGE) == 2

    wait_until(traced, "the spans arrive")
    post = next(span for span in collector.spans if span["name"] == "POST /v1/jobs")
    assert attributes(post)["facevitals.job"] == job
    mine = [span for span in collector.spans if span["traceId"] == post["traceId"]]
    assert {span["service"] for span in mine} == {"facevitals-gateway", "facevitals-worker"}
    branches = {span["name"]: span for span in mine if span["name"].endswith("branch")}
    assert {span["parentSpanId"] for span in branches.values()} == {post["spanId"]}
    assert attributes(branches["vision branch"])["facevitals.status"] == "error"
    stages = [span for span in mine if span["name"] == STAGE]
    assert {span["parentSpanId"] for span in stages} == {span["spanId"] for span in branches.values()}

    # No secret is in any of them; logs contain the type of an exception and where it was raised.
    exported = json.dumps(collector.spans) + metrics + service.whole_logs()
    assert "ZeroDivisionError" in exported
    for secret in (SECRET, "key-of-a-client", "a secret of the clip"):
        assert secret not in exported


def test_without_a_collector_opentelemetry_is_not_loaded() -> None:
    # redis-py loads OpenTelemetry's metrics if they are installed.
    ours = "[name for name in sys.modules if name.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exporter'))]"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, api.app, workers.job_runner.process; print({ours})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
