"""The command line, as a user runs it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from facevitals.local.broker import free_port
from tests.service.conftest import LOOKS_LIKE_MP4, WORKER_READY_S, Service, processes_of, wait_until
from workers.models.manifest import MODELS

FACEVITALS = [sys.executable, "-m", "facevitals"]


def facevitals(
    *arguments: str | Path, env: dict[str, str] | None = None, timeout_s: float = 200
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FACEVITALS, *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def test_a_crash_in_native_code_is_reported_with_the_python_stack() -> None:
    code = "import ctypes; from facevitals.cli import app; app.app = lambda: ctypes.string_at(0); app.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert "in main" in done.stderr


@pytest.mark.parametrize("arguments", [("run",), ("up",), ("worker",), ("analyze", "clip.mp4")])
def test_without_the_face_mesh_a_command_ends_at_once_with_the_remedy(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    damaged = tmp_path / next(entry.file for entry in MODELS if entry.name == "mediapipe.mesh")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half of it")
    env = {"FACEVITALS_MODELS_DIR": str(tmp_path), "FACEVITALS_DATA_DIR": str(tmp_path / "data")}
    done = facevitals(*arguments, env={**env, "FACEVITALS_REDIS_URL": "redis://127.0.0.1:1"}, timeout_s=60)
    assert done.returncode == 1
    assert "mediapipe.mesh" in done.stderr
    assert "facevitals models fetch mediapipe" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def up(tmp_path: Path) -> Callable[[], tuple["subprocess.Popen[str]", str]]:
    """Start `facevitals up`; return the process and the gateway's address."""

    def start() -> tuple["subprocess.Popen[str]", str]:
        port = free_port()
        env = {**os.environ, "FACEVITALS_DATA_DIR": str(tmp_path), "FACEVITALS_PORT": str(port), "COLUMNS": "200"}
        env["FACEVITALS_MODELS_DIR"] = str(Path(".facevitals/models").absolute())
        with (tmp_path / "up.log").open("w") as log:
            process = subprocess.Popen([*FACEVITALS, "up"], env=env, stdout=log, stderr=log, text=True)
        wait_until(lambda: "is up" in (tmp_path / "up.log").read_text(), "the service is up", WORKER_READY_S)
        return process, f"http://127.0.0.1:{port}"

    return start


def test_up_answers_and_ctrl_c_leaves_no_process_behind(
    up: Callable[[], tuple["subprocess.Popen[str]", str]], tmp_path: Path
) -> None:
    process, url = up()
    assert httpx.get(f"{url}/readyz", timeout=60).json()["workers"] == {"vision": 1, "rppg": 1}
    assert len(processes_of(tmp_path)) >= 4
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == 0
    wait_until(lambda: not processes_of(tmp_path), "no process is left behind")


def test_up_restarts_a_killed_gateway_and_its_children_end_when_it_is_killed(
    up: Callable[[], tuple["subprocess.Popen[str]", str]], tmp_path: Path
) -> None:
    process, url = up()
    subprocess.run(["pkill", "-9", "-f", "-P", str(process.pid), "facevitals gateway"], check=True)

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/livez", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers, "the gateway is back")
    process.kill()
    process.wait()
    wait_until(lambda: not processes_of(tmp_path), "its child processes have ended")


def test_a_second_service_on_the_same_port_or_folder_is_refused_and_the_first_goes_on(
    up: Callable[[], tuple["subprocess.Popen[str]", str]], tmp_path: Path
) -> None:
    process, url = up()
    same_port = facevitals("up", env={"FACEVITALS_PORT": url.rsplit(":", 1)[1]})
    assert same_port.returncode == 1
    assert "FACEVITALS_PORT" in same_port.stderr
    same_folder = facevitals("up", env={"FACEVITALS_PORT": str(free_port()), "FACEVITALS_DATA_DIR": str(tmp_path)})
    assert same_folder.returncode == 1
    assert "FACEVITALS_DATA_DIR" in same_folder.stderr
    assert httpx.get(f"{url}/readyz", timeout=60).status_code == 200
    process.terminate()
    assert process.wait(100) == 0


def test_submit_prints_the_document(faulty_service: Service, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(LOOKS_LIKE_MP4)
    shown = facevitals("submit", clip, "--url", faulty_service.url)
    assert shown.returncode == 0, shown.stderr
    assert "no_pulse" in shown.stdout
    machine = facevitals("submit", clip, "--url", faulty_service.url, "--json", "--vitals", "heart_rate")
    assert json.loads(machine.stdout)["vitals"]["heart_rate"]["reason"] == "no_pulse"


def test_submit_prints_what_is_wrong(faulty_service: Service, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no clip")
    refused = facevitals("submit", clip, "--url", faulty_service.url)
    assert refused.returncode == 2
    assert (refused.stdout + refused.stderr).count("Send an MP4 or WebM file") == 1
    clip.write_bytes(LOOKS_LIKE_MP4 + bytes(1_100_000))
    assert facevitals("submit", clip, "--url", faulty_service.url).returncode == 2  # larger than the limit of 1 MB
    unreachable = facevitals("submit", clip, "--url", f"http://127.0.0.1:{free_port()}")
    assert unreachable.returncode == 1
    assert "can't be reached" in unreachable.stderr
    assert facevitals("submit", tmp_path / "none.mp4", "--url", faulty_service.url).returncode == 1


def test_a_gateway_open_to_the_network_needs_keys_or_a_setting() -> None:
    env = {"FACEVITALS_HOST": "0.0.0.0", "FACEVITALS_REDIS_URL": "redis://127.0.0.1:1/0"}
    refused = facevitals("gateway", env=env)
    assert refused.returncode == 1
    assert "FACEVITALS_API_KEYS" in refused.stderr


def test_help_lists_every_setting() -> None:
    from shared.settings import Settings

    text = facevitals("--help").stdout
    for name in Settings.model_fields:
        assert f"FACEVITALS_{name.upper()}" in text


def test_worker_and_gateway_need_a_broker() -> None:
    for command in (["worker"], ["gateway"]):
        refused = facevitals(*command, env={"FACEVITALS_REDIS_URL": ""})
        assert refused.returncode == 1
        assert "FACEVITALS_REDIS_URL" in refused.stderr
    assert facevitals("worker", "--queues", "mood").returncode == 2
