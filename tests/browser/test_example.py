"""The example client of the documentation, in Node."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser import sight, stacks
from tests.browser.cable import Cable
from tests.browser.workbench import HEART, MP4, Worker

CLIENT = sight.ROOT / "docs" / "examples" / "client.mjs"


@contextmanager
def _client(clip: Path, url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The client at work, and the id of its job."""
    command = ["node", str(CLIENT), str(clip), url]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            assert running.stderr is not None
            first = running.stderr.readline().split()
            assert first[:1] == ["job"], first
            yield running, first[1]
        finally:
            running.kill()


def test_it_is_as_short_as_it_says() -> None:
    assert len(CLIENT.read_text().splitlines()) <= 60


def test_it_submits_follows_and_prints(gateway: stacks.Service, tmp_path: Path) -> None:
    clip = tmp_path / "me.mp4"
    clip.write_bytes(MP4)
    with _client(clip, gateway.url) as (client, job_id):
        worker = Worker(gateway.records, job_id)
        worker.begin()
        worker.tell("heart_rate", HEART)
        worker.finish()
        out, heard = client.communicate(timeout=20)
    assert "stage decoding and tracking" in heard
    assert "vital heart_rate" in heard
    assert "heart_rate\tok\t66\t/min" in out
    assert "age\tabstained\tmotion\t" in out
    assert client.returncode == 0


def test_it_goes_on_when_the_connection_breaks(gateway: stacks.Service, tmp_path: Path) -> None:
    clip = tmp_path / "me.mp4"
    clip.write_bytes(MP4)
    with Cable(gateway.port) as cable, _client(clip, f"http://127.0.0.1:{cable.port}") as (client, job_id):
        worker = Worker(gateway.records, job_id)
        worker.begin()
        time.sleep(0.5)
        cable.cut()
        worker.tell("heart_rate", HEART)
        time.sleep(1)
        cable.mend()
        worker.finish()
        out, heard = client.communicate(timeout=20)
    assert heard.count("stage decoding and tracking") == 2, "one for each branch, and none twice"
    assert "heart_rate\tok\t66\t/min" in out


def test_it_says_why_a_clip_is_refused(gateway: stacks.Service, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a video")
    done = subprocess.run(
        ["node", str(CLIENT), str(notes), gateway.url], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode != 0
    assert "Send an MP4 or WebM file" in done.stderr
