"""The example client of the documentation, in Node."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser import browser_session, service_fixtures
from tests.browser.manual_worker import HEART, MP4, Worker
from tests.browser.tcp_proxy import TcpProxy

CLIENT = browser_session.ROOT / "docs" / "examples" / "client.mjs"


@contextmanager
def _client(clip: Path, url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the client; give its process and the id of its job."""
    command = ["node", str(CLIENT), str(clip), url]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            assert running.stderr is not None
            first = running.stderr.readline().split()
            assert first[:1] == ["job"], first
            yield running, first[1]
        finally:
            running.kill()


def test_it_has_at_most_60_lines() -> None:
    assert len(CLIENT.read_text().splitlines()) <= 60


def test_it_submits_follows_and_prints(gateway: service_fixtures.Service, tmp_path: Path) -> None:
    clip = tmp_path / "me.mp4"
    clip.write_bytes(MP4)
    with _client(clip, gateway.url) as (client, job_id):
        worker = Worker(gateway.jobs, job_id)
        worker.begin()
        worker.report("heart_rate", HEART)
        worker.finish()
        out, printed = client.communicate(timeout=20)
    assert "stage decoding and tracking" in printed
    assert "vital heart_rate" in printed
    assert "heart_rate\tok\t66\t/min" in out
    assert "age\tabstained\tmotion\t" in out
    assert client.returncode == 0


def test_it_resumes_after_a_broken_connection(gateway: service_fixtures.Service, tmp_path: Path) -> None:
    clip = tmp_path / "me.mp4"
    clip.write_bytes(MP4)
    with TcpProxy(gateway.port) as proxy, _client(clip, f"http://127.0.0.1:{proxy.port}") as (client, job_id):
        worker = Worker(gateway.jobs, job_id)
        worker.begin()
        time.sleep(0.5)
        proxy.disconnect()
        worker.report("heart_rate", HEART)
        time.sleep(1)
        proxy.reconnect()
        worker.finish()
        out, printed = client.communicate(timeout=20)
    assert printed.count("stage decoding and tracking") == 2, "one per branch, none repeated"
    assert "heart_rate\tok\t66\t/min" in out


def test_it_prints_why_a_clip_is_refused(gateway: service_fixtures.Service, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a video")
    done = subprocess.run(
        ["node", str(CLIENT), str(notes), gateway.url], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode != 0
    assert "Send an MP4 or WebM file" in done.stderr
