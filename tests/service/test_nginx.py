"""deploy/nginx/facevitals.conf on a real nginx and gateway: TLS, large bodies, unbuffered streams."""

import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.legacy import SaveVideoAnswer
from facevitals.local.broker import free_port, start_broker
from facevitals.local.processes import Child, start_child
from shared.settings import Settings
from tests.service.conftest import wait_until

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/facevitals.conf"
NGINX = os.environ.get("NGINX") or shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(not NGINX, reason="nginx is not installed here: make test-nginx")


@dataclass(frozen=True)
class Site:
    """nginx and the gateway behind it."""

    url: str
    plain_url: str
    client: httpx.Client
    gateway: Child
    folder: Path


def fitted(folder: Path, gateway_port: int, plain_port: int, tls_port: int) -> str:
    """The shipped configuration, adapted to free ports and with its files in `folder`."""
    text = CONFIGURATION.read_text()
    for shipped, here in {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway_port};",
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen [::]:80;": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{tls_port} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        "/etc/letsencrypt/live/vitals.example.org/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/",
        "vitals.example.org": "localhost",
    }.items():
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi"))
    temporary += "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    head = f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn; events {{}}\n"
    # An nginx that is not installed has no folder for its default log.
    return f"{head}http {{\naccess_log off;\n{temporary}{text}}}\n"


@contextmanager
def serving(folder: Path, shipped: str = "", here: str = "", **more: str) -> Iterator[Site]:
    """Run broker, gateway with `more` settings and nginx; replace `shipped` by `here` in the configuration."""
    assert NGINX
    certificate = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(["openssl", "req", *certificate, *name, *files], check=True, capture_output=True)
    gateway_port, plain_port, tls_port = free_port(), free_port(), free_port()
    text = fitted(folder, gateway_port, plain_port, tls_port)
    assert shipped in text
    (folder / "nginx.conf").write_text(text.replace(shipped, here) if shipped else text)
    # nginx reads inherited sockets from a variable of this name.
    command = [
        "env",
        "-u",
        "NGINX",
        NGINX,
        "-p",
        str(folder),
        "-e",
        str(folder / "error.log"),
        "-c",
        str(folder / "nginx.conf"),
    ]
    verdict = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stderr
    assert "[warn]" not in verdict.stderr

    broker = start_broker(folder / "broker")
    settings = {
        "FACEVITALS_REDIS_URL": broker.url,
        "FACEVITALS_PORT": str(gateway_port),
        "FACEVITALS_DATA_DIR": str(folder / "data"),
        "FACEVITALS_ALLOW_OPEN": "true",
        **more,
    }
    facevitals = shutil.which("facevitals", path=str(Path(sys.executable).parent)) or "facevitals"
    with (folder / "gateway.log").open("wb") as log:
        gateway = start_child("gateway", [facevitals, "gateway"], env=settings, log=log)
    nginx = start_child("nginx", command)
    trust = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    url = f"https://localhost:{tls_port}"
    try:
        with httpx.Client(base_url=url, verify=trust, timeout=30) as client:
            end = time.monotonic() + 90
            while time.monotonic() < end:
                try:
                    if client.get("/livez").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.05)
            yield Site(url, f"http://localhost:{plain_port}", client, gateway, folder)
    finally:
        nginx.stop(5)
        gateway.stop(10)
        broker.child.stop(5)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("nginx")) as one:
        yield one


@pytest.fixture
def site_of_its_own(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as one:
        yield one


def webm(size: int) -> bytes:
    """Bytes with the signature of a WebM."""
    return b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x82\x84webm".ljust(size, b"\0")


def test_plain_http_is_redirected_to_tls_with_its_method(site: Site) -> None:
    answer = httpx.post(f"{site.plain_url}/v1/jobs?vitals=age", content=b"")
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://localhost/v1/jobs?vitals=age"


def test_old_tls_is_refused_and_hsts_is_set(site: Site) -> None:
    assert "max-age=" in site.client.get("/livez").headers["strict-transport-security"]
    old = ssl.create_default_context(cafile=str(site.folder / "fullchain.pem"))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{site.url}/livez", verify=old)


def test_a_clip_of_the_maximum_size_passes_and_nginx_buffers_nothing(site: Site) -> None:
    answer = site.client.post("/v1/jobs", content=webm(50_000_000))
    assert answer.status_code == 202, answer.text
    assert sum(path.stat().st_size for path in (site.folder / "client_body").rglob("*") if path.is_file()) == 0
    assert site.client.delete(answer.headers["location"]).status_code == 204


@pytest.mark.parametrize("size", [50_000_001, 60_000_000])
def test_a_clip_above_the_maximum_size_is_refused_with_a_problem(site: Site, size: int) -> None:
    answer = site.client.post("/v1/jobs", content=webm(size))
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["type"] == "urn:facevitals:problem:upload-too-large"


def refused_save_video(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The body of a refusal in the format of `/save_video`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert "max-age=" in answer.headers["strict-transport-security"]
    body: dict[str, Any] = answer.json()
    assert body["message"]
    assert body == SaveVideoAnswer.model_validate(body).model_dump(mode="json")
    assert body["success"] is False
    return body


@pytest.mark.parametrize("size", [50_000_001, 60_000_000])
def test_a_clip_too_large_for_save_video_is_refused_in_its_own_format(site: Site, size: int) -> None:
    refused_save_video(site.client.post("/save_video", content=webm(size)), 413)


def test_only_the_page_behind_nginx_may_call_an_open_gateway(site: Site) -> None:
    # Both contain the port: nginx has to forward `Host` unchanged.
    own = site.client.post("/v1/jobs", content=webm(2000), headers={"Origin": site.url})
    assert own.status_code == 202
    assert site.client.delete(own.headers["location"], headers={"Origin": site.url}).status_code == 204
    for origin in ("https://localhost", "https://evil.example", "null"):
        assert site.client.post("/v1/jobs", content=webm(2000), headers={"Origin": origin}).status_code == 403


def test_nginx_refuses_large_headers_with_a_problem(site: Site) -> None:
    assert site.client.get("/livez", headers={"X-Long": "a" * 7_000, "X-Longer": "a" * 7_000}).status_code == 200
    for size in (9_000, 40_000):
        answer = site.client.get("/livez", headers={"X-Long": "a" * size})
        assert answer.status_code == 431
        assert answer.json()["type"] == "urn:facevitals:problem:header-too-large"


def test_events_are_not_buffered(site: Site) -> None:
    location = site.client.post("/v1/jobs", content=webm(2000)).headers["location"]
    begun = time.monotonic()
    with site.client.stream("GET", f"{location}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        first = next(line for line in stream.iter_lines() if line.startswith("event:"))
    # Without workers the stream has not ended, so that the event was not buffered.
    assert first
    # The job has not ended by its deadline either.
    assert time.monotonic() - begun < 60


def test_metrics_are_served_to_the_local_network_only(site: Site) -> None:
    # The tests run on loopback; the rule that allows it is followed by one that denies all others.
    assert site.client.get("/metrics").status_code == 200
    text = CONFIGURATION.read_text()
    rules = text[text.index("location = /metrics") :].split("}")[0]
    assert rules.index("allow 127.0.0.1;") < rules.index("deny all;")


def _with(path: Path, line: str) -> str:
    text = path.read_text()
    return text if line in text else ""


def test_the_log_contains_no_query(site: Site) -> None:
    site.client.get("/livez?secret=1")
    log = wait_until(lambda: _with(site.folder / "facevitals.log", '"GET /livez"'), "the request is logged")
    assert "secret" not in log


def test_uploads_are_rate_limited_and_reads_are_not(site_of_its_own: Site) -> None:
    client = site_of_its_own.client
    answers = [client.post("/v1/jobs", content=b"no video") for _ in range(50)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 0 < len(refused) < 21
    assert {answer.status_code for answer in answers} == {415, 429}
    assert refused[0].headers["retry-after"]
    assert refused[0].json()["type"] == "urn:facevitals:problem:too-many-requests"
    assert all(client.get("/livez").status_code == 200 for _ in range(50))


def test_nginx_refuses_save_video_in_its_own_format(tmp_path: Path) -> None:
    # 1 s instead of 300, for a gateway that does not respond.
    with serving(tmp_path, "proxy_read_timeout 300s", "proxy_read_timeout 1s") as site:
        answers = [site.client.post("/save_video", content=b"no video") for _ in range(50)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {415, 429}
        refused_save_video(refused[0], 429)
        assert refused[0].headers["retry-after"]
        wait_until(
            lambda: site.client.post("/save_video", content=b"no").status_code == 415, "uploads are accepted again"
        )
        os.kill(site.gateway.process.pid, signal.SIGSTOP)
        try:
            late = wait_until(
                lambda: _unless(site.client.post("/save_video", content=b"no video"), 429), "an upload is accepted"
            )
        finally:
            os.kill(site.gateway.process.pid, signal.SIGCONT)
        refused_save_video(late, 504)
        site.gateway.stop(10)
        away = wait_until(
            lambda: _unless(site.client.post("/save_video", content=b"no video"), 429), "an upload is accepted"
        )
        refused_save_video(away, 503)
        assert away.headers["retry-after"]


def _unless(answer: httpx.Response, status: int) -> httpx.Response | None:
    return None if answer.status_code == status else answer


def test_a_stalled_upload_gets_the_response_of_the_gateway(tmp_path: Path) -> None:
    with serving(tmp_path, FACEVITALS_SAVE_VIDEO_LIMIT_S="2") as site:
        trust = ssl.create_default_context(cafile=str(site.folder / "fullchain.pem"))
        wire = http.client.HTTPSConnection(site.url.removeprefix("https://"), timeout=20, context=trust)
        wire.putrequest("POST", "/save_video")
        wire.putheader("Content-Length", "100000")
        wire.endheaders(webm(2000))
        answer = wire.getresponse()
        assert answer.status == 504
        assert json.loads(answer.read())["success"] is False
        wire.close()


def test_the_timeouts_of_nginx_exceed_the_limit_of_save_video() -> None:
    text = CONFIGURATION.read_text()
    longest = Settings.model_fields["save_video_limit_s"].metadata
    (limit,) = (float(bound.le) for bound in longest if hasattr(bound, "le"))
    inside = text[text.index("location = /save_video") :].split("}")[0]
    assert "client_body_timeout 300s;" in inside
    for name in ("proxy_read_timeout", "proxy_send_timeout", "send_timeout"):
        assert f"    {name} 300s;" in text
    assert limit < 290
    # The same in Kubernetes.
    ingress = (CONFIGURATION.parents[1] / "kubernetes/base/gateway.yaml").read_text()
    for name in ("proxy-read-timeout", "proxy-send-timeout"):
        assert f'nginx.ingress.kubernetes.io/{name}: "300"' in ingress


def test_an_unreachable_gateway_is_503_with_a_problem(site_of_its_own: Site) -> None:
    site_of_its_own.gateway.stop(10)
    away = site_of_its_own.client.get("/livez")
    assert away.status_code == 503
    assert away.headers["retry-after"]
    assert away.json()["type"] == "urn:facevitals:problem:gateway-away"
