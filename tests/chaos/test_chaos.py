"""`facevitals bench chaos`, small; `make test-chaos` is larger."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facevitals.bench.chaos import chaos
from tests.service.conftest import processes_of, wait_until


@pytest.mark.usefixtures("another_service_is_named")
def test_what_was_accepted_ends_once_whatever_dies(tmp_path: Path) -> None:
    said: list[str] = []
    summary = chaos(tmp_path / "service", 16, 3, every_s=0.8, job_deadline_s=20, log=said.append)
    story = "\n".join(said)
    assert summary["jobs"] == summary["documents"] == 16, story
    for nothing in ("lost", "doubled", "foreign", "clips_left", "keys_without_ttl"):
        assert summary[nothing] == 0, f"{nothing}\n{story}"
    assert summary["most_tries"] <= summary["tries_allowed"]
    assert len(summary["blows"]) >= 4, story


@pytest.mark.parametrize(("by", "code"), [([signal.SIGINT, signal.SIGTERM], 130), ([signal.SIGKILL], -signal.SIGKILL)])
def test_chaos_that_is_stopped_leaves_nothing_behind_not_even_what_it_froze(
    tmp_path: Path, by: list[signal.Signals], code: int
) -> None:
    command = [sys.executable, "-m", "facevitals", "bench", "chaos", "--jobs", "500", "--every", "0.3"]
    with (tmp_path / "said").open("w") as said:
        running = subprocess.Popen([*command, "--keep", str(tmp_path)], stdout=said, stderr=said)
    try:
        wait_until(lambda: "T" in processes_of(tmp_path).values(), "something is frozen", 90)
    finally:
        for number in by:
            running.send_signal(number)
        ended = running.wait(60)
    assert ended == code, (tmp_path / "said").read_text()
    # Where it can, it ends them itself before it ends.
    wait_until(lambda: not processes_of(tmp_path), "all of it is gone", 1 if code > 0 else 20)
