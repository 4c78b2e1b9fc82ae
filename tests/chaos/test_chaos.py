"""`facevitals bench chaos`, small; `make test-chaos` is larger."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facevitals.bench.chaos import chaos
from tests.service.conftest import processes_of, wait_until


@pytest.mark.usefixtures("another_service_is_named")
def test_every_accepted_job_ends_once_whatever_dies(tmp_path: Path) -> None:
    lines: list[str] = []
    summary = chaos(tmp_path / "service", 16, 3, every_s=0.8, job_deadline_s=20, log=lines.append)
    log = "\n".join(lines)
    assert summary["jobs"] == summary["documents"] == 16, log
    for name in ("lost", "doubled", "foreign", "clips_left", "keys_without_ttl"):
        assert summary[name] == 0, f"{name}\n{log}"
    assert summary["max_tries"] <= summary["tries_allowed"]
    assert len(summary["faults"]) >= 4, log


@pytest.mark.parametrize(("by", "code"), [([signal.SIGINT, signal.SIGTERM], 130), ([signal.SIGKILL], -signal.SIGKILL)])
def test_a_stopped_chaos_run_leaves_no_process_behind_frozen_or_not(
    tmp_path: Path, by: list[signal.Signals], code: int
) -> None:
    command = [sys.executable, "-m", "facevitals", "bench", "chaos", "--jobs", "500", "--every", "0.3"]
    with (tmp_path / "output").open("w") as output:
        running = subprocess.Popen([*command, "--keep", str(tmp_path)], stdout=output, stderr=output)
    try:
        wait_until(lambda: "T" in processes_of(tmp_path).values(), "a process is frozen", 90)
    finally:
        for number in by:
            running.send_signal(number)
        ended = running.wait(60)
    assert ended == code, (tmp_path / "output").read_text()
    # After SIGINT and SIGTERM it ends its processes before it exits.
    wait_until(lambda: not processes_of(tmp_path), "every process has ended", 1 if code > 0 else 20)
